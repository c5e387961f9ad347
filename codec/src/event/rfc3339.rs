//! Unix time as text: RFC 3339 in UTC with six digits of a second.
//!
//! Days are turned into a date by counting in eras of 400 years, after which the Gregorian calendar repeats, with years
//! that begin in March so that the leap day is the last of its year (Howard Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms", `civil_from_days` and `days_from_civil`). Leap seconds do not exist in Unix time. Only UTC (`Z`) is read.

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

/// Microseconds since the Unix epoch of a time like `2026-11-24T06:00:00Z`, with or without a fraction of a second (what is
/// finer than a microsecond is cut off); `None` if it is not such a time, or before 1970.
#[must_use]
pub fn unix_us_from_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(seconds, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    // The 30th of February is another day.
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if civil_from_days(days) != (year, month, day) || !is_fraction {
        return None;
    }
    let microseconds = format!("{fraction:0<6}").get(..6)?.parse::<u64>().ok()?;
    let unix_seconds = days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    Some(unix_seconds * 1_000_000 + microseconds)
}

/// Three numbers of so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut words = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let word = words.next()?;
        let is_number = word.len() == digits && word.bytes().all(|byte| byte.is_ascii_digit());
        *number = is_number.then(|| word.parse().ok())??;
    }
    words.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 to a date, the reverse of [`civil_from_days`]; `None` if it is before.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * DAYS_PER_ERA + day_of_era).checked_sub(DAYS_BEFORE_UNIX_EPOCH)
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
    fn what_is_written_is_read_and_nothing_else() {
        for unix_us in [0, 951_782_399_999_999, 951_782_400_000_000, 1_795_500_000_123_456, UNIX_US_MAX] {
            assert_eq!(unix_us_from_rfc3339(&rfc3339_from_unix_us(unix_us)), Some(unix_us));
        }
        assert_eq!(unix_us_from_rfc3339("2026-11-24T06:00:00Z"), Some(1_795_500_000_000_000));
        assert_eq!(unix_us_from_rfc3339("2026-11-24T06:00:00.5Z"), Some(1_795_500_000_500_000));
        assert_eq!(unix_us_from_rfc3339("2026-11-24T06:00:00.1234567Z"), Some(1_795_500_000_123_456));
        for nonsense in [
            "",
            "Z",
            "2026-11-24",
            "2026-11-24T06:00:00",
            "2026-11-24T06:00Z",
            "2026-11-24T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-24T06:00:00.Z",
            "2026-11-24T06:00:00.x5Z",
            "2026-11-24T+6:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2026-11-24T06:00:00.ééééZ",
        ] {
            assert_eq!(unix_us_from_rfc3339(nonsense), None, "{nonsense:?}");
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
            assert_eq!(days_from_civil(year, month, day), Some(days));
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
