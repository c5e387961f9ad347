//! When the gateway itself did not listen, or not well, and what that means for everybody's deadlines.
//!
//! Silence counts only while somebody listens. Two things are kept, for all nodes together, and a deadline asks for them
//! when it is computed, so neither of them touches any node:
//!
//! ```text
//!   time   ──────●───────────[  pause  ]─────────────────▶
//!                │ last seen      ┊         timeout ends here, not ┄┄ here
//!                └──── part ──────┴── rest ──┘                without the pause
//! ```
//!
//! **Pauses.** The gateway was stopped, suspended, or starved. What of a pause lies in a node's silence is added to the
//! node's deadline: it gets the time that it had left, and not more. A node that was heard within what is called a pause
//! (the machine slept, and its monotonic clock with it) gets the part after that moment.
//!
//! **Drops.** The kernel threw datagrams of this shard away. A silence in which that happened may be the gateway's
//! fault, so it is counted from the latest drop; but no timeout grows beyond [`DROP_TIMEOUT_FACTOR`] times itself, or a
//! gateway that always drops would never report a death. It decays by itself: a node that is heard after the drop
//! is held to its usual timeout.
//!
//! Both only ever move deadlines back, so wheel entries that are armed already stay early enough.

use crate::detector::{Deadlines, Timeouts};
use crate::limits::{DROP_TIMEOUT_FACTOR, PAUSES_KEPT_MAX};
use crate::time::{Duration, Timestamp};

/// A stretch of time that counts as nobody's silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Pause {
    start: Timestamp,
    end: Timestamp,
}

/// How well the gateway has listened.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// Oldest first; they do not overlap. Of `pauses`, this many are in use.
    pause_count: usize,
    pauses: [Pause; PAUSES_KEPT_MAX],
    dropped_at: Option<Timestamp>,
}

impl Listening {
    /// Notes a pause of this length that ends now. What of it was noted before counts once.
    pub fn pause(&mut self, length: Duration, now: Timestamp) {
        let previous_end = self.pauses().last().map_or(Timestamp::ZERO, |pause| pause.end);
        let start = (now - length).max(previous_end);
        if start >= now {
            return;
        }
        if self.pause_count == PAUSES_KEPT_MAX {
            self.join_oldest();
        }
        self.pauses[self.pause_count] = Pause { start, end: now };
        self.pause_count += 1;
    }

    /// Notes that datagrams were dropped, lately, as seen now.
    pub fn drop_seen(&mut self, now: Timestamp) {
        self.dropped_at = self.dropped_at.max(Some(now));
    }

    /// The deadlines of a node that was last heard then and may be silent for so long.
    #[must_use]
    pub fn deadlines(&self, timeouts: Timeouts, last_seen: Timestamp) -> Deadlines {
        let paused = self.paused_since(last_seen);
        Deadlines {
            suspect: self.deadline(timeouts.suspect, last_seen, paused),
            failed: self.deadline(timeouts.failed, last_seen, paused),
        }
    }

    fn deadline(&self, timeout: Duration, last_seen: Timestamp, paused: Duration) -> Timestamp {
        let deadline = last_seen + paused + timeout;
        match self.dropped_at {
            Some(dropped_at) if dropped_at > last_seen => {
                let widest = last_seen + paused + timeout * DROP_TIMEOUT_FACTOR;
                deadline.max(widest.min(dropped_at + timeout))
            }
            _ => deadline,
        }
    }

    /// How much of the time since `last_seen` was paused.
    fn paused_since(&self, last_seen: Timestamp) -> Duration {
        // The latest first: nearly every node was heard after all of them.
        let later = self.pauses().iter().rev().take_while(|pause| pause.end > last_seen);
        later.map(|pause| pause.end.since(pause.start.max(last_seen))).sum()
    }

    /// Makes one of the two oldest pauses: as long as both, and ending with the second. So a node that was heard between
    /// the two may get more time than it should, by no more than the first; none gets less.
    fn join_oldest(&mut self) {
        let [first, second] = [self.pauses[0], self.pauses[1]];
        let length = first.end.since(first.start) + second.end.since(second.start);
        self.pauses[1].start = second.end - length;
        self.pauses.copy_within(1.., 0);
        self.pause_count -= 1;
    }

    fn pauses(&self) -> &[Pause] {
        &self.pauses[..self.pause_count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts { suspect: Duration::from_secs(3), failed: Duration::from_secs(5) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_milliseconds(seconds * 1_000)
    }

    /// Shows: a pause is added to every deadline that it lies in, and to no other.
    #[test]
    fn a_pause_counts_as_nobodys_silence() {
        let mut listening = Listening::default();
        listening.pause(Duration::from_secs(10), at(30));
        let deadlines = |last_seen| listening.deadlines(TIMEOUTS, at(last_seen));
        assert_eq!(deadlines(18), Deadlines { suspect: at(31), failed: at(33) }, "it had a second left");
        assert_eq!(deadlines(25), Deadlines { suspect: at(33), failed: at(35) }, "heard within it");
        assert_eq!(deadlines(30), Deadlines { suspect: at(33), failed: at(35) }, "heard after it");
    }

    /// Shows: overlapping pauses are one.
    #[test]
    fn pauses_that_are_told_twice_count_once() {
        let mut listening = Listening::default();
        listening.pause(Duration::from_secs(4), at(14));
        listening.pause(Duration::from_secs(5), at(16));
        listening.pause(Duration::from_secs(9), at(16));
        assert_eq!(listening.deadlines(TIMEOUTS, at(9)).suspect, at(9 + 3 + 6));
    }

    /// Shows: many pauses may give a node more time, never less.
    #[test]
    fn more_pauses_than_are_kept_never_shorten_a_deadline() {
        // Method: a pause of one second in every ten; whoever was heard before the first gets one second for each.
        let mut listening = Listening::default();
        let count = 3 * PAUSES_KEPT_MAX as u64;
        for number in 1..=count {
            listening.pause(Duration::from_secs(1), at(number * 10));
        }
        for last_seen in 0..count * 10 {
            let exact = (1..=count).filter(|number| number * 10 > last_seen).count() as u64;
            let given = listening.deadlines(TIMEOUTS, at(last_seen)).suspect;
            assert!(given >= at(last_seen + 3 + exact), "{last_seen}");
        }
        assert_eq!(listening.deadlines(TIMEOUTS, at(0)).suspect, at(3 + count));
    }

    /// Shows: a silence that a pause and a drop lie in has the pause besides, whichever came first, and a drop takes nothing away.
    #[test]
    fn a_pause_and_a_drop_do_not_cost_each_other() {
        for (dropped, suspect) in [(19, 31), (31, 34), (40, 34)] {
            let mut listening = Listening::default();
            listening.pause(Duration::from_secs(10), at(30));
            listening.drop_seen(at(dropped));
            assert_eq!(listening.deadlines(TIMEOUTS, at(18)).suspect, at(suspect), "dropped at {dropped}");
        }
    }

    /// Shows: drops count from the latest, and to twice the timeout at most.
    #[test]
    fn drops_widen_the_silence_in_which_they_happened_up_to_a_bound() {
        let mut listening = Listening::default();
        listening.drop_seen(at(12));
        let suspect = |listening: &Listening, last_seen| listening.deadlines(TIMEOUTS, at(last_seen)).suspect;
        assert_eq!(suspect(&listening, 10), at(15), "counted from the drop");
        assert_eq!(suspect(&listening, 12), at(15), "heard since");
        assert_eq!(suspect(&listening, 8), at(14), "no more than twice its timeout");
        listening.drop_seen(at(100));
        assert_eq!(suspect(&listening, 10), at(16), "for ever dropping does not keep the dead alive");
    }
}
