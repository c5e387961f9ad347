//! The only reader of clocks in this crate.
//!
//! The monotonic clock paces the run and times what is sent. The wall clock is read once, at start, to
//! translate between the run's moments and the times in the gateway's events: both processes are on one
//! machine, whose two clocks run at the same pace unless somebody steps the wall clock
//! ([`Clock::wall_clock_stepped_us`] tells).

#![expect(
    clippy::disallowed_methods,
    reason = "this file is the exception: everything else is told the time"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::moment::{Duration, Moment, microseconds};

/// The clock of one run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    origin_unix_us: u64,
}

impl Clock {
    /// A clock whose run begins now.
    #[must_use]
    pub fn start() -> Self {
        let (origin, origin_unix_us) = read_both();
        Self { origin, origin_unix_us }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::ZERO + self.origin.elapsed()
    }

    /// This moment by the wall clock, in microseconds since the Unix epoch.
    #[must_use]
    pub fn unix_us(&self, moment: Moment) -> u64 {
        self.origin_unix_us + moment.as_microseconds()
    }

    /// The moment of a wall-clock time; `None` if it was before the run began.
    #[must_use]
    pub fn moment_of_unix_us(&self, unix_us: u64) -> Option<Moment> {
        unix_us.checked_sub(self.origin_unix_us).map(Moment::from_microseconds)
    }

    /// How far somebody has moved the wall clock since the run began, in microseconds, either way.
    #[must_use]
    pub fn wall_clock_stepped_us(&self) -> u64 {
        let (now, now_unix_us) = read_both();
        let expected = self.unix_us(Moment::ZERO + now.duration_since(self.origin));
        expected.abs_diff(now_unix_us)
    }

    /// Sleeps until `moment`, or not at all if that has passed.
    pub fn sleep_until(&self, moment: Moment) {
        let left = moment.since(self.now());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }

    /// Sleeps.
    pub fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Reads both clocks as near to one another as a few attempts allow.
fn read_both() -> (Instant, u64) {
    let attempts = (0..10).map(|_| {
        let before = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let apart = before.elapsed();
        (apart, before + apart / 2, microseconds(wall))
    });
    let (_, instant, unix_us) = attempts.min_by_key(|&(apart, ..)| apart).expect("ten attempts");
    (instant, unix_us)
}
