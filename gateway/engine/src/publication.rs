//! What of the verdicts is told to the world. One instance for the whole gateway, after all shards.
//!
//! An engine sees one shard and decides on each node by itself. Whatever needs to see all shards, or to look at many
//! verdicts at once before any of them is believed, belongs here, between the verdicts and the stream: a guard that
//! holds back mass failures, correlation of many failures into one event, damping of nodes that flap. It stands in
//! the path of what is *published*, because holding back the action while the event goes out has taken whole services
//! down (kubernetes/kubernetes#77864).
//!
//! None of that is built yet: every verdict passes, and is counted by kind. What is here is the place, and its
//! contract: pure, single-threaded, verdicts of one node leave in the order in which they came.

use crate::verdict::{Verdict, VerdictKind};

/// The stage between verdicts and stream.
#[derive(Debug, Default)]
pub struct Publication {
    counters: PublicationCounters,
}

/// Verdicts that were passed on, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PublicationCounters {
    /// [`VerdictKind::Joined`].
    pub joined: u64,
    /// [`VerdictKind::Suspected`].
    pub suspected: u64,
    /// [`VerdictKind::Failed`].
    pub failed: u64,
    /// [`VerdictKind::Recovered`].
    pub recovered: u64,
    /// [`VerdictKind::Restarted`].
    pub restarted: u64,
    /// [`VerdictKind::Left`].
    pub left: u64,
    /// [`VerdictKind::Forgotten`].
    pub forgotten: u64,
}

impl PublicationCounters {
    /// Verdicts of all kinds.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.joined
            + self.suspected
            + self.failed
            + self.recovered
            + self.restarted
            + self.left
            + self.forgotten
    }
}

impl Publication {
    /// A stage that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one verdict; returns what is to be published because of it.
    pub fn on_verdict(&mut self, verdict: Verdict) -> Option<Verdict> {
        let counter = match verdict.kind {
            VerdictKind::Joined => &mut self.counters.joined,
            VerdictKind::Suspected => &mut self.counters.suspected,
            VerdictKind::Failed => &mut self.counters.failed,
            VerdictKind::Recovered => &mut self.counters.recovered,
            VerdictKind::Restarted => &mut self.counters.restarted,
            VerdictKind::Left { .. } => &mut self.counters.left,
            VerdictKind::Forgotten => &mut self.counters.forgotten,
        };
        *counter += 1;
        Some(verdict)
    }

    /// What was passed on so far.
    #[must_use]
    pub const fn counters(&self) -> &PublicationCounters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::{DepartureReason, Incarnation, NodeId, Sequence};

    use super::*;
    use crate::time::Timestamp;
    use crate::verdict::{Evidence, NodeState, Terms};

    #[test]
    fn every_verdict_passes_unchanged_and_is_counted_under_its_kind() {
        let kinds = [
            VerdictKind::Joined,
            VerdictKind::Suspected,
            VerdictKind::Failed,
            VerdictKind::Recovered,
            VerdictKind::Restarted,
            VerdictKind::Left { reason: DepartureReason::Maintenance, expected_return_ms: 7 },
            VerdictKind::Forgotten,
        ];
        let mut publication = Publication::new();
        for kind in kinds {
            let verdict = verdict_of(kind);
            assert_eq!(publication.on_verdict(verdict.clone()), Some(verdict));
        }
        let one_each = PublicationCounters {
            joined: 1,
            suspected: 1,
            failed: 1,
            recovered: 1,
            restarted: 1,
            left: 1,
            forgotten: 1,
        };
        assert_eq!(*publication.counters(), one_each);
        assert_eq!(publication.counters().total(), 7);
    }

    fn verdict_of(kind: VerdictKind) -> Verdict {
        Verdict {
            node_id: NodeId(1),
            kind,
            previous: NodeState::Alive,
            incarnation: Incarnation(1),
            event_sequence: 1,
            decided_at: Timestamp::from_milliseconds(2),
            evidence: Evidence {
                last_seen: Timestamp::from_milliseconds(1),
                deadline: None,
                interval_ms: 1_000,
                last_sequence: Sequence(1),
                intervals_missed: 0,
                terms: Terms::default(),
            },
            facts: None,
        }
    }
}
