//! The only file that reads a clock.
//!
//! Four clocks: the monotonic one, on which everything is decided; the one that goes on while the machine is suspended,
//! only to learn that it was; the wall clock, only to write dates on what is published; and the processor time of a
//! thread, only to measure. The wall clock may be stepped at any moment, so it
//! is never subtracted from itself: a [`WallOffset`] is read anew for each batch of events and added to monotonic time.

use std::mem::MaybeUninit;
use std::time::Duration;

use pulsegate_engine::Timestamp;

/// Reads the machine's clocks. Has no state; it exists so that whoever reads time says so in its signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }

    /// Now, on `CLOCK_MONOTONIC`: never goes back, and stands still while the machine is suspended.
    #[must_use]
    pub fn now(self) -> Timestamp {
        Timestamp::from_nanoseconds(nanoseconds(libc::CLOCK_MONOTONIC))
    }

    /// For how long the machine was suspended since it started, or a little less: how far `CLOCK_BOOTTIME` is ahead of
    /// `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn suspended(self) -> Duration {
        let with_suspensions = nanoseconds(libc::CLOCK_BOOTTIME);
        // Read second: what passes between the two readings must not look like a suspension.
        let without = nanoseconds(libc::CLOCK_MONOTONIC);
        Duration::from_nanos(with_suspensions.saturating_sub(without))
    }

    /// Microseconds since the Unix epoch, by the wall clock.
    #[must_use]
    pub fn unix_us(self) -> u64 {
        nanoseconds(libc::CLOCK_REALTIME) / 1_000
    }

    /// What turns a `Timestamp` into wall time, as of now.
    #[must_use]
    pub fn wall_offset(self) -> WallOffset {
        let monotonic = nanoseconds(libc::CLOCK_MONOTONIC);
        let wall = nanoseconds(libc::CLOCK_REALTIME);
        WallOffset { nanoseconds: i128::from(wall) - i128::from(monotonic) }
    }

    /// Processor time that the calling thread has used, in user and kernel mode together.
    #[must_use]
    pub fn thread_cpu_time(self) -> Duration {
        Duration::from_nanos(nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID))
    }

    /// Processor time that all threads of this process have used since its start, in microseconds.
    #[must_use]
    pub fn process_cpu_us(self) -> u64 {
        nanoseconds(libc::CLOCK_PROCESS_CPUTIME_ID) / 1_000
    }
}

/// The distance from monotonic time to wall time at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallOffset {
    nanoseconds: i128,
}

impl WallOffset {
    /// The offset of a machine whose monotonic clock stood at zero at this wall time.
    #[must_use]
    pub const fn from_unix_us_at_origin(unix_us: u64) -> Self {
        Self { nanoseconds: unix_us as i128 * 1_000 }
    }

    /// The wall time of `timestamp`, in microseconds since the Unix epoch; 0 if it lies before the epoch.
    #[must_use]
    pub fn unix_us(self, timestamp: Timestamp) -> u64 {
        let wall = i128::from(timestamp.as_nanoseconds()) + self.nanoseconds;
        u64::try_from(wall / 1_000).unwrap_or(0)
    }
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` is writable and of the type that the call fills.
    let result = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    assert!(result == 0, "clock_gettime({clock}) fails only for clocks that do not exist");
    // SAFETY: zeroed above, filled by the call, and any bits are two integers.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_go_back_and_work_uses_processor_time() {
        let clock = Clock::new();
        let (before, used_before) = (clock.now(), clock.thread_cpu_time());
        let sum: u64 = (0..100_000_u64).map(std::hint::black_box).sum();
        assert!(sum > 0);
        assert!(clock.now() >= before);
        assert!(clock.thread_cpu_time() > used_before);
    }

    #[test]
    fn offset_turns_now_into_the_wall_clocks_now() {
        let clock = Clock::new();
        let before = clock.unix_us();
        let between = clock.wall_offset().unix_us(clock.now());
        let after = clock.unix_us();
        // The offset's two readings are not one moment: allow the time that lies between them, or a slow step.
        assert!(between + 100_000 >= before && between <= after + 100_000, "{before} {between} {after}");
    }

    #[test]
    fn a_machine_that_is_awake_is_not_suspended() {
        let clock = Clock::new();
        let before = clock.suspended();
        for _ in 0..10_000 {
            let grown = clock.suspended().saturating_sub(before);
            assert!(grown < Duration::from_millis(1), "{grown:?}");
        }
    }

    #[test]
    fn time_before_the_epoch_is_the_epoch() {
        let offset = WallOffset { nanoseconds: -5_000 };
        assert_eq!(offset.unix_us(Timestamp::from_nanoseconds(1_000)), 0);
        assert_eq!(offset.unix_us(Timestamp::from_nanoseconds(7_000)), 2);
    }
}
