//! Time inside the generator: microseconds since the run began, on a clock that never goes back.
//!
//! Everything that decides takes a [`Moment`] and reads no clock. `clock.rs` makes moments from the real
//! clock; the simulation makes them from nothing.

pub use std::time::Duration;

use std::ops::Add;

/// A moment of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment {
    microseconds: u64,
}

impl Moment {
    /// When the run began.
    pub const ZERO: Self = Self { microseconds: 0 };

    /// The moment this many microseconds into the run.
    #[must_use]
    pub const fn from_microseconds(microseconds: u64) -> Self {
        Self { microseconds }
    }

    /// The moment this many milliseconds into the run.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self { microseconds: milliseconds.saturating_mul(1_000) }
    }

    /// Microseconds since the run began.
    #[must_use]
    pub const fn as_microseconds(self) -> u64 {
        self.microseconds
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.microseconds.saturating_sub(earlier.microseconds))
    }

    /// This moment, or the run's beginning if `duration` reaches further back.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self { microseconds: self.microseconds.saturating_sub(microseconds(duration)) }
    }
}

/// Saturates: a deadline in the far future must stay in the future.
impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self { microseconds: self.microseconds.saturating_add(microseconds(duration)) }
    }
}

/// Whole microseconds of a duration; saturates.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
