//! One node, as the engines and as the world have it: what [`crate::told`] keeps to compare with. The engines' word is taken as
//! it comes; what the world has been told is written down where an event comes out.

use std::sync::Arc;

use pulsegate_codec::Incarnation;
use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{Duration, NodeState, Timestamp, Verdict, VerdictKind};

/// One node, as the engines and as the world have it.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) shard: usize,
    pub(crate) facts: Option<Arc<NodeFacts>>,
    pub(crate) seen: Option<(NodeState, Incarnation)>,
    /// When it was last suspected.
    pub(crate) suspected_at: Timestamp,
    /// Something of its present silence was silenced.
    pub(crate) was_silenced: bool,
    pub(crate) told: Option<(NodeState, Incarnation)>,
    pub(crate) sequence: u32,
    /// Since when its failure waits to be told.
    pub(crate) waits_since: Option<Timestamp>,
    /// Its flaps: when, and what each adds at most.
    pub(crate) flaps: Vec<(Timestamp, f64)>,
    pub(crate) is_flapping: bool,
}

impl Account {
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.seen, Some((NodeState::Suspect | NodeState::Failed, _)))
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.seen, Some((NodeState::Alive, _)))
    }

    /// The engine's word.
    pub(crate) fn take(&mut self, verdict: &Verdict, is_silenced: bool, now: Timestamp) {
        if verdict.facts.is_some() {
            self.facts.clone_from(&verdict.facts);
        }
        match verdict.kind {
            VerdictKind::Suspected => (self.suspected_at, self.was_silenced) = (now, is_silenced),
            VerdictKind::Restarted => self.flaps.push((now, 1_000.0)),
            VerdictKind::Recovered => {
                let was_failed = verdict.previous == NodeState::Failed;
                self.flaps.push((now, if was_failed { 1_000.0 } else { 100.0 }));
            }
            _ => {}
        }
        self.was_silenced |= is_silenced;
        self.seen = after(verdict);
        if verdict.kind != VerdictKind::Failed {
            self.waits_since = None;
        }
    }

    /// All its flaps, each halved once a half-life.
    pub(crate) fn penalty(&self, now: Timestamp, half_life: Duration) -> f64 {
        let faded = |&(at, penalty): &(Timestamp, f64)| {
            penalty * 0.5_f64.powf(now.since(at).as_secs_f64() / half_life.as_secs_f64())
        };
        self.flaps.iter().map(faded).sum()
    }
}

/// Where a verdict puts its node.
pub(crate) fn after(verdict: &Verdict) -> Option<(NodeState, Incarnation)> {
    let state = match verdict.kind {
        VerdictKind::Suspected => NodeState::Suspect,
        VerdictKind::Failed => NodeState::Failed,
        VerdictKind::Left { .. } => NodeState::Left,
        VerdictKind::Forgotten => return None,
        _ => NodeState::Alive,
    };
    Some((state, verdict.incarnation))
}
