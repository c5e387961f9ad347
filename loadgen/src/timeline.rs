//! When a run does what: the fleet settles, faults strike, what they cause becomes visible, judgement ends.
//!
//! ```text
//!  0        settled                          fault_end (of each kind)            sending_end   judged_until
//!  |─ joins ──|──────── faults strike ────────────|── their verdicts fall due ──────|── quiet ──────|
//! ```
//!
//! A fault strikes only when its last verdict can still be seen before the end, and judgement ends while the
//! healthy nodes, who stop with the generator, are still within their suspect timeout. Pure arithmetic.

use crate::faults::FaultKind;
use crate::ground_truth::Timeouts;
use crate::moment::{Duration, Moment};

/// The deadlines of one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeline {
    /// The fleet's interval.
    pub interval: Duration,
    /// Every node has joined; faults may strike.
    pub settled: Moment,
    /// How long a paused node is silent: longer than its failed timeout.
    pub pause: Duration,
    /// How long a node says that it is degraded.
    pub degraded: Duration,
    /// Longest time from the end of one run of a node to the start of its next.
    pub restart_gap_max: Duration,
    /// The last datagram is sent.
    pub sending_end: Moment,
    /// Events decided later are not judged.
    pub judged_until: Moment,
    failed: Duration,
    margin: Duration,
}

/// Time for verdicts to be reached, written and read.
const MARGIN: Duration = Duration::from_secs(1);

/// How far beyond its failed timeout a pause lasts.
const PAUSE_BEYOND_FAILED: Duration = Duration::from_secs(2);

/// Shortest span over which faults of one kind are spread.
const FAULT_SPAN_MIN: Duration = Duration::from_secs(1);

/// The run is too short to see what its faults cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "--seconds {seconds} is too short: nodes settle for {settle_ms} ms and a {kind} needs {observe_ms} ms to be seen \
     (failed timeout {failed_ms} ms); give --seconds {seconds_min} or more, or turn the fault off"
)]
pub struct RunTooShort {
    seconds: u64,
    kind: FaultKind,
    settle_ms: u128,
    observe_ms: u128,
    failed_ms: u128,
    seconds_min: u64,
}

impl Timeline {
    /// The timeline of a run that sends for `seconds` at this interval, against these timeouts.
    ///
    /// # Errors
    /// [`RunTooShort`] if one of the kinds of faults in `kinds` would find no time to strike; it names the
    /// slowest.
    pub fn new(
        seconds: u64,
        interval: Duration,
        timeouts: &Timeouts,
        kinds: &[FaultKind],
    ) -> Result<Self, RunTooShort> {
        // First heartbeats in the first interval, joins in the second; descriptors make the first frames
        // many.
        let settled = Moment::ZERO + interval * 3 + Duration::from_secs(2);
        let sending_end = Moment::ZERO + Duration::from_secs(seconds);
        let quiet = timeouts.suspect.saturating_sub(interval) / 2;
        let timeline = Self {
            interval,
            settled,
            pause: timeouts.failed_longest + PAUSE_BEYOND_FAILED,
            degraded: interval * 3,
            restart_gap_max: interval,
            sending_end,
            judged_until: sending_end + quiet,
            failed: timeouts.failed_longest,
            margin: MARGIN,
        };
        let slowest = kinds.iter().copied().max_by_key(|&kind| timeline.observation(kind));
        if let Some(kind) = slowest {
            let observation = timeline.observation(kind);
            let end_min = settled + observation + FAULT_SPAN_MIN;
            if sending_end < end_min {
                return Err(RunTooShort {
                    seconds,
                    kind,
                    settle_ms: settled.since(Moment::ZERO).as_millis(),
                    observe_ms: observation.as_millis(),
                    failed_ms: timeouts.failed_longest.as_millis(),
                    seconds_min: end_min.as_microseconds().div_ceil(1_000_000),
                });
            }
        }
        Ok(timeline)
    }

    /// When the last fault of this kind may strike.
    #[must_use]
    pub fn fault_end(&self, kind: FaultKind) -> Moment {
        self.sending_end.saturating_sub(self.observation(kind))
    }

    /// Time from a fault to the moment when all its verdicts have been read.
    fn observation(&self, kind: FaultKind) -> Duration {
        let consequence = match kind {
            FaultKind::Kill => self.failed,
            // The node beats again within an interval after it resumes, and once more to show that it stays.
            FaultKind::Pause | FaultKind::Mute => self.pause + self.interval * 2,
            FaultKind::Degrade => self.degraded + self.interval * 2,
            FaultKind::Restart => self.restart_gap_max + self.interval * 2,
            FaultKind::Leave => Duration::ZERO,
            FaultKind::Move => self.interval * 2,
        };
        consequence + self.margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeouts() -> Timeouts {
        Timeouts::new(Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(1))
    }

    #[test]
    fn thirty_seconds_leave_room_for_every_kind_of_fault() {
        let kinds = FaultKind::ALL;
        let timeline = Timeline::new(30, Duration::from_secs(1), &timeouts(), &kinds).unwrap();
        assert_eq!(timeline.settled, Moment::from_milliseconds(5_000));
        assert_eq!(timeline.pause, Duration::from_secs(7));
        assert_eq!(timeline.fault_end(FaultKind::Kill), Moment::from_milliseconds(24_000));
        assert_eq!(timeline.fault_end(FaultKind::Pause), Moment::from_milliseconds(20_000));
        // The healthy nodes' last heartbeats may be one interval older than the end of sending.
        assert!(timeline.judged_until + timeline.interval < timeline.sending_end + timeouts().suspect);
        assert!(timeline.judged_until > timeline.sending_end);
    }

    #[test]
    fn a_run_too_short_is_refused_with_the_numbers() {
        let result =
            Timeline::new(10, Duration::from_secs(1), &timeouts(), &[FaultKind::Kill, FaultKind::Pause]);
        let text = result.unwrap_err().to_string();
        for part in ["--seconds 10", "pause", "5000 ms", "10000 ms", "--seconds 16"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(Timeline::new(16, Duration::from_secs(1), &timeouts(), &[FaultKind::Pause]).is_ok());
        assert!(Timeline::new(5, Duration::from_secs(1), &timeouts(), &[]).is_ok(), "no faults, no need");
    }
}
