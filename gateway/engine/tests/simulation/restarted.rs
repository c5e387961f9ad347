//! A restart of the gateway, the plain way: what must be remembered of each node, and what that is worth afterwards.

use std::sync::Arc;

use pulsegate_codec::{Incarnation, Sequence};
use pulsegate_engine::snapshot::NodeRecord;
use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{NodeState, Timestamp};

use crate::known::Known;
use crate::naive_detector::{self, Lesson};
use crate::oracle::{Oracle, whole};

/// A node as it goes from one run of the gateway to the next.
pub(crate) type Remembered = (NodeRecord, Option<Arc<NodeFacts>>);

impl Oracle {
    /// All nodes that the world was told of.
    pub(crate) fn snapshot(&self, now: u64) -> Vec<Remembered> {
        let was_told = |known: &Known| known.state != NodeState::New || known.verdicts > 0;
        let told = self.nodes.iter().filter(|(_, known)| was_told(known));
        told.map(|(&node_id, known)| {
            // It left before the heartbeat that is all that was heard since.
            let (state, sequence) = match known.state {
                NodeState::New => (NodeState::Left, known.sequence.saturating_sub(1)),
                state => (state, known.sequence),
            };
            let record = NodeRecord {
                node_id,
                silence: Timestamp::from_nanoseconds((now - known.last_seen) / 1_000 * 1_000)
                    .since(Timestamp::ZERO),
                incarnation: Incarnation(known.incarnation),
                sequence: Sequence(sequence),
                interval_ms: known.interval_ms,
                event_sequence: known.verdicts,
                state,
                is_degraded: known.is_degraded,
                is_stalled: known.is_stalled,
                profile: u8::try_from(known.profile).unwrap(),
            };
            (record, known.facts.clone())
        })
        .collect()
    }

    /// Takes a node over that an earlier run knew. Of its silence no more counts than a third of its patience, and less by
    /// its part of the smear.
    pub(crate) fn restore(&mut self, (record, facts): &Remembered, round_trip_us: u32, smear: u64, now: u64) {
        let NodeRecord { node_id, incarnation, sequence, .. } = *record;
        let mut known = Known::first(&self.config, incarnation.0, sequence.0, now);
        (known.state, known.verdicts) = (record.state, record.event_sequence);
        if let Some(facts) = facts {
            known.facts = Some(Arc::clone(facts));
            known.profile = naive_detector::chosen(&self.config.profiles, &facts.descriptor(0)).0;
            known.round_trip_us = round_trip_us;
        }
        (known.is_degraded, known.is_stalled) = (record.is_degraded, record.is_stalled);
        known.interval_ms =
            record.interval_ms.max(self.config.interval_ms_min).min(self.config.interval_ms_max);
        let learns = known.learns(&self.config);
        known.learn(learns, Lesson::Skip);
        let silence = u64::try_from(record.silence.as_nanos()).unwrap();
        let counted = if known.waits_to_be_forgotten() {
            silence
        } else {
            silence.min(whole(self.timeouts(&known).suspect_us.ceil()) * 1_000 / 3)
        };
        let part = smear * (node_id.0 % 1_024) / 1_024;
        known.last_seen = now.saturating_sub(counted.saturating_sub(part));
        self.nodes.insert(node_id, known);
    }
}
