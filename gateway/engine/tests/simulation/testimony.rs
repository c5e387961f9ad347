//! The verdict that the oracle would give, with all its evidence.

use std::time::Duration;

use pulsegate_codec::{Incarnation, NodeId, Sequence};
use pulsegate_engine::{Evidence, Terms, Timestamp, Verdict, VerdictKind};

use crate::known::Known;
use crate::naive_detector::Naive;
use crate::oracle::{Oracle, whole};

impl Oracle {
    pub(crate) fn verdict(
        &self,
        node_id: NodeId,
        kind: VerdictKind,
        (before, after): (&Known, &Known),
        now: u64,
        deadline: Option<Timestamp>,
    ) -> Verdict {
        let missed = (now - before.last_seen) / (u64::from(before.interval_ms) * 1_000_000);
        Verdict {
            node_id,
            kind,
            previous: before.state,
            incarnation: Incarnation(after.incarnation),
            event_sequence: after.verdicts,
            decided_at: Timestamp::from_nanoseconds(now),
            evidence: Evidence {
                second_opinion: None,
                last_seen: Timestamp::from_nanoseconds(before.last_seen),
                deadline,
                interval_ms: before.interval_ms,
                last_sequence: Sequence(before.sequence),
                intervals_missed: u32::try_from(missed).unwrap_or(u32::MAX),
                terms: self.terms(before),
            },
            facts: before.facts.clone(),
        }
    }

    fn terms(&self, known: &Known) -> Terms {
        let Naive { suspect_us, failed_us, moments_us } = self.timeouts(known);
        // 32 bits of microseconds are 71 minutes; more counts as that.
        let rounded = |microseconds: f64| u32::try_from(whole(microseconds.round())).unwrap_or(u32::MAX);
        let name = &self.profile(known).name;
        Terms {
            profile: self.config.profiles.find(name).expect("a profile of the configuration"),
            suspect_timeout: Duration::from_micros(whole(suspect_us.ceil())),
            failed_timeout: Duration::from_micros(whole(failed_us.ceil())),
            mean_us: moments_us.map(|(mean_us, _)| rounded(mean_us)),
            deviation_us: moments_us.map(|(_, deviation_us)| rounded(deviation_us)),
            round_trip_us: Some(known.round_trip_us).filter(|&round_trip_us| round_trip_us != 0),
        }
    }
}
