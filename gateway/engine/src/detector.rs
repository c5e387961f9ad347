//! By when must a node speak again? Pure functions from what was observed to two deadlines.
//!
//! A detector holds no state of its own and is never polled: it is asked when a wheel entry is armed or fires. All
//! detectors have the same shape, settings and observation in, [`Deadlines`] out, so one that also learns (a moving
//! average, an accrual detector solved for its threshold) is one more function here and a few more observed fields.
//!
//! Today there is one: [`fixed`], a number of intervals of silence.

use crate::time::{Duration, Timestamp};

/// What is known of a node's rhythm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// The interval that it is held to, in milliseconds.
    pub interval_ms: u32,
}

/// Until when silence means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// A node that has not spoken by then is suspect.
    pub suspect: Timestamp,
    /// A node that has not spoken by then has failed. Not before `suspect`.
    pub failed: Timestamp,
}

/// Settings of the fixed detector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedTimeouts {
    /// Intervals of silence after which a node is suspect.
    pub suspect_after_intervals: u32,
    /// Intervals of silence after which it has failed.
    pub failed_after_intervals: u32,
}

/// A fixed number of the node's own intervals after it was last heard.
#[must_use]
pub fn fixed(timeouts: FixedTimeouts, observation: Observation) -> Deadlines {
    let interval = Duration::from_millis(observation.interval_ms.into());
    Deadlines {
        suspect: observation.last_seen + interval * timeouts.suspect_after_intervals,
        failed: observation.last_seen + interval * timeouts.failed_after_intervals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_counts_intervals_of_silence_from_the_last_heartbeat() {
        let timeouts = FixedTimeouts { suspect_after_intervals: 3, failed_after_intervals: 5 };
        let observation = Observation { last_seen: Timestamp::from_milliseconds(1_007), interval_ms: 2_000 };
        let deadlines = fixed(timeouts, observation);
        assert_eq!(deadlines.suspect, Timestamp::from_milliseconds(7_007));
        assert_eq!(deadlines.failed, Timestamp::from_milliseconds(11_007));
    }

    #[test]
    fn a_deadline_past_the_end_of_time_never_comes() {
        let timeouts = FixedTimeouts { suspect_after_intervals: 3, failed_after_intervals: 5 };
        let end = Timestamp::from_nanoseconds(u64::MAX);
        let observation = Observation { last_seen: end, interval_ms: 3_600_000 };
        assert_eq!(fixed(timeouts, observation), Deadlines { suspect: end, failed: end });
    }
}
