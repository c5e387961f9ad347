//! Time as the engine knows it: nanoseconds on a clock that never goes back.
//!
//! The origin is whatever the caller's monotonic clock uses; only differences mean anything. Wall-clock time never
//! enters the engine. `Timestamp` saturates instead of wrapping: 584 years are enough, and a deadline in the far
//! future must stay in the future.

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
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { nanoseconds: self.nanoseconds.saturating_add(nanoseconds) }
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { nanoseconds: self.nanoseconds.saturating_sub(nanoseconds) }
    }
}
