//! Unix time as text: RFC 3339 in UTC with six digits of a second.
//!
//! Days are turned into a date by counting in eras of 400 years, after which the Gregorian calendar repeats, with years
//! that begin in March so that the leap day is the last of its year (Howard Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms", `civil_from_days`). Leap seconds do not exist in Unix time. Nothing is parsed here.

const SECONDS_PER_DAY: u64 = 86_400;
const DAYS_PER_ERA: u64 = 146_097;
/// From 0000-03-01, where the eras begin, to 1970-01-01.
const DAYS_BEFORE_UNIX_EPOCH: u64 = 719_468;
/// 9999-12-31T23:59:59.999999Z: RFC 3339 has four digits for a year.
const UNIX_US_MAX: u64 = 253_402_300_799_999_999;

/// `2026-11-24T06:00:00.000000Z` for microseconds since the Unix epoch. A time after the year 9999 becomes the last
/// microsecond of it.
#[must_use]
pub fn rfc3339_from_unix_us(unix_us: u64) -> String {
    let unix_us = unix_us.min(UNIX_US_MAX);
    let (unix_seconds, microseconds) = (unix_us / 1_000_000, unix_us % 1_000_000);
    let (days, second_of_day) = (unix_seconds / SECONDS_PER_DAY, unix_seconds % SECONDS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{microseconds:06}Z")
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_UNIX_EPOCH;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    // Leap days so far in the era are taken out, so that 365 divides: one each 4 years, but not each 100, but each 400.
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, twice, then again from January: 153 days each five months.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_are_formatted() {
        // Expected values from GNU date: date -u -d @951782400 +%FT%TZ and so on.
        for (unix_us, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800_000_001, "2024-02-29T00:00:00.000001Z"),
            (1_795_500_000_123_456, "2026-11-24T06:00:00.123456Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339_from_unix_us(unix_us), expected);
        }
    }

    #[test]
    fn time_after_the_year_9999_is_held_at_its_end() {
        assert_eq!(rfc3339_from_unix_us(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn every_day_of_two_eras_follows_the_one_before() {
        // A naive calendar steps day by day from 1970-01-01 beside the closed form.
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..2 * DAYS_PER_ERA {
            assert_eq!(civil_from_days(days), (year, month, day));
            let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let month_days = match month {
                2 => 28 + u64::from(is_leap_year),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > month_days {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
