//! Where to begin: what can be said after `--from`.

use std::str::FromStr;
use std::time::Duration;

use pulsegate::io::Clock;
use pulsegate_codec::event::unix_us_from_rfc3339;

/// A place in the topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Begin {
    /// With the oldest event.
    Start,
    /// With those to come.
    End,
    /// With those decided at this time or later, in microseconds since the Unix epoch.
    Time(u64),
    /// At this offset in each partition.
    Offset(u64),
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "start" => return Ok(Self::Start),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(ago) = text.strip_prefix('-').and_then(duration) {
            let ago_us = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
            return Ok(Self::Time(Clock::new().unix_us().saturating_sub(ago_us)));
        }
        if let Ok(offset) = text.parse() {
            return Ok(Self::Offset(offset));
        }
        unix_us_from_rfc3339(text).map(Self::Time).ok_or_else(|| {
            "must be start, end, a time like 2026-11-24T06:00:00Z, a while ago like -10m, or an offset like 1000"
                .to_owned()
        })
    }
}

impl Begin {
    /// Whether an event is not before this place.
    pub(super) fn admits(self, offset: u64, decided_at_unix_us: u64) -> bool {
        match self {
            Self::Start | Self::End => true,
            Self::Time(unix_us) => decided_at_unix_us >= unix_us,
            Self::Offset(first) => offset >= first,
        }
    }
}

/// `10m`: a number, and seconds, minutes, hours or days.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_it_is_understood() {
        assert_eq!("start".parse(), Ok(Begin::Start));
        assert_eq!("end".parse(), Ok(Begin::End));
        assert_eq!("17".parse(), Ok(Begin::Offset(17)));
        assert_eq!("2026-11-24T06:00:00Z".parse(), Ok(Begin::Time(1_795_500_000_000_000)));
        let (hour, minutes) = ("-1h".parse::<Begin>().unwrap(), "-10m".parse::<Begin>().unwrap());
        let (Begin::Time(hour), Begin::Time(minutes)) = (hour, minutes) else { panic!("no times") };
        assert!((2_999_000_000..3_001_000_000).contains(&(minutes - hour)), "an hour less ten minutes");
        for nonsense in ["", "-", "-m", "-10", "10m", "yesterday", "-10w", "2026-11-24"] {
            assert!(nonsense.parse::<Begin>().is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn what_is_before_is_not_admitted() {
        assert!(!Begin::Time(10).admits(5, 9) && Begin::Time(10).admits(0, 10));
        assert!(!Begin::Offset(3).admits(2, 9) && Begin::Offset(3).admits(3, 0));
    }
}
