//! Time as the engine knows it: nanoseconds on a clock that never goes back.
//!
//! The origin is whatever the caller's monotonic clock uses; only differences mean anything. Wall-clock time never
//! enters the engine. `Timestamp` saturates instead of wrapping: 584 years are enough, and a deadline in the far
//! future must stay in the future.
//!
//! The wheel counts in [`Tick`]s. A deadline belongs to the first tick that does not come before it, a moment to the
//! last tick that does not come after it; so "its tick has come" implies "its deadline has passed", and is true at
//! most one tick later.
//!
//! ```text
//!   tick       7         8         9
//!              |---------|---------|----▶ time
//!                  ▲ deadline: tick 8 (rounded up)
//!                          ▲ now: tick 8 (rounded down)
//! ```

pub use std::time::Duration;

use std::ops::{Add, Sub};

/// A moment on the gateway's monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp {
    nanoseconds: u64,
}

impl Timestamp {
    /// The clock's origin.
    pub const ZERO: Self = Self { nanoseconds: 0 };

    /// The moment this many nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self { nanoseconds }
    }

    /// The moment this many milliseconds after the origin.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self { nanoseconds: milliseconds.saturating_mul(1_000_000) }
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self { nanoseconds: self.nanoseconds.saturating_add(nanoseconds(duration)) }
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self { nanoseconds: self.nanoseconds.saturating_sub(nanoseconds(duration)) }
    }
}

/// Saturates.
const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

/// A whole number of ticks since the clock's origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick this many ticks later.
    #[must_use]
    pub const fn after(self, ticks: u64) -> Self {
        Self(self.0.saturating_add(ticks))
    }
}

/// How long a tick is; translates between moments and ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TickLength {
    nanoseconds: u64,
}

impl TickLength {
    /// Ticks of this length.
    ///
    /// # Panics
    /// If the length is zero or longer than 584 years.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        let nanoseconds = u64::try_from(length.as_nanos()).unwrap_or(0);
        assert!(nanoseconds > 0, "a tick has a length");
        Self { nanoseconds }
    }

    /// The last tick that does not come after `now`.
    #[must_use]
    pub const fn reached(self, now: Timestamp) -> Tick {
        Tick(now.nanoseconds / self.nanoseconds)
    }

    /// The first tick that does not come before `deadline`.
    #[must_use]
    pub const fn due(self, deadline: Timestamp) -> Tick {
        Tick(deadline.nanoseconds.div_ceil(self.nanoseconds))
    }

    /// The moment at which `tick` is reached.
    #[must_use]
    pub const fn start(self, tick: Tick) -> Timestamp {
        Timestamp { nanoseconds: tick.0.saturating_mul(self.nanoseconds) }
    }

    /// How many whole ticks fit into `duration`.
    #[must_use]
    pub fn count_in(self, duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX) / self.nanoseconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_at_most_one_tick_late() {
        let length = TickLength::new(Duration::from_millis(10));
        for nanoseconds in [0, 1, 9_999_999, 10_000_000, 10_000_001, 123_456_789] {
            let deadline = Timestamp::from_nanoseconds(nanoseconds);
            let fires = length.start(length.due(deadline));
            assert!(fires >= deadline);
            assert!(fires.since(deadline) < Duration::from_millis(10));
            assert_eq!(length.reached(fires), length.due(deadline));
        }
    }

    #[test]
    fn the_far_future_stays_in_the_future() {
        let end = Timestamp::from_nanoseconds(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::ZERO - Duration::from_secs(1), Timestamp::ZERO);
        let length = TickLength::new(Duration::from_millis(10));
        assert!(length.due(end) > length.reached(end));
    }
}
