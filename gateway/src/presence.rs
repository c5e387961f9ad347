//! When a thread was there, as far as it can tell by the clock: its pauses are the stretches in between.
//!
//! ```text
//!   looks     ●──●──●───────────────●──●          ● a reading of the clock by the running thread
//!             work  └─── absence ───┘
//!
//!   a sleep   ●┄┄┄┄ until at most ┄┄┄│──absence──●
//! ```
//!
//! Between two looks the thread either worked or did not run at all, and cannot tell which; so it looks often, and what
//! lies between two looks counts as absence. A long piece of work with many looks in it, such as taking a full socket,
//! is none: the thread listened all the while. A sleep is absence only beyond the moment until which it was to last.

use pulsegate_engine::{Duration, Timestamp};

/// One thread's presence.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    /// The latest moment at which the thread was there, or meant not to be.
    seen_at: Timestamp,
    /// What the suspensions of the machine add up to, as seen last.
    suspended: Duration,
}

impl Presence {
    /// Of a thread that is there, on a machine that has been suspended for so long since it started.
    #[must_use]
    pub const fn new(now: Timestamp, suspended: Duration) -> Self {
        Self { seen_at: now, suspended }
    }

    /// The thread is there. Returns how long it may not have been.
    pub fn look(&mut self, now: Timestamp) -> Duration {
        let absence = now.since(self.seen_at);
        self.seen_at = self.seen_at.max(now);
        absence
    }

    /// It is back from a sleep that was to last until then at most; `None`: without an end. Returns by how much it
    /// overslept.
    pub fn wake(&mut self, until: Option<Timestamp>, now: Timestamp) -> Duration {
        self.seen_at = self.seen_at.max(until.unwrap_or(now).min(now));
        self.look(now)
    }

    /// For how long the machine was suspended since this was asked last, of which the monotonic clock knows nothing.
    pub fn slept_through(&mut self, suspended: Duration) -> Duration {
        let since = suspended.saturating_sub(self.suspended);
        self.suspended = self.suspended.max(suspended);
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at_ms(millis: u64) -> Timestamp {
        Timestamp::from_milliseconds(millis)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn new() -> Presence {
        Presence::new(at_ms(0), Duration::ZERO)
    }

    /// Shows: two seconds of taking datagrams, looked at every ten milliseconds, are no absence; being stopped within is.
    #[test]
    fn work_is_no_absence_and_a_stop_within_it_is() {
        let mut presence = new();
        let longest = (1..=200).map(|round| presence.look(at_ms(round * 10))).max();
        assert_eq!(longest, Some(ms(10)));
        assert_eq!(presence.look(at_ms(12_000)), ms(10_000));
        assert_eq!(presence.look(at_ms(12_010)), ms(10));
    }

    /// Shows: who sleeps as long as it meant to was not paused, who oversleeps was, by as much.
    #[test]
    fn a_sleep_is_absence_beyond_its_end_only() {
        let mut presence = new();
        assert_eq!(presence.wake(Some(at_ms(5_000)), at_ms(4_000)), ms(0), "woken early");
        assert_eq!(presence.wake(Some(at_ms(9_000)), at_ms(9_300)), ms(300));
        assert_eq!(presence.wake(None, at_ms(60_000)), ms(0), "nothing was due");
        assert_eq!(presence.look(at_ms(60_007)), ms(7));
        assert_eq!(
            presence.wake(Some(at_ms(60_001)), at_ms(60_207)),
            ms(200),
            "work before it was seen already"
        );
    }

    /// Shows: a suspension is found once, by the clock that goes on meanwhile.
    #[test]
    fn each_suspension_counts_once() {
        let mut presence = Presence::new(at_ms(0), ms(70_000));
        let seen =
            [70_000, 70_000, 3_670_000, 3_670_000, 3_669_999].map(|total| presence.slept_through(ms(total)));
        assert_eq!(seen, [0, 0, 3_600_000, 0, 0].map(ms));
    }
}
