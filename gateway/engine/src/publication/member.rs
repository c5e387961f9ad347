//! What publication remembers of a node: where the engine has it, where the world believes it to be, and in which
//! groups it counts.

use std::sync::Arc;

use pulsegate_codec::Incarnation;

use super::group::GroupIndex;
use crate::limits::DIMENSIONS_MAX;
use crate::time::Timestamp;
use crate::verdict::{NodeFacts, NodeState, Verdict, VerdictKind};

/// Where a node stands, in somebody's eyes. `state` is `None` for a node that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct View {
    pub(super) state: Option<NodeState>,
    pub(super) incarnation: Incarnation,
}

impl View {
    pub(super) const UNKNOWN: Self = Self { state: None, incarnation: Incarnation(0) };

    /// Where a verdict puts its node.
    pub(super) const fn after(verdict: &Verdict) -> Self {
        let state = match verdict.kind {
            VerdictKind::Joined | VerdictKind::Recovered | VerdictKind::Restarted => Some(NodeState::Alive),
            VerdictKind::Suspected => Some(NodeState::Suspect),
            VerdictKind::Failed => Some(NodeState::Failed),
            VerdictKind::Left { .. } => Some(NodeState::Left),
            VerdictKind::Forgotten => None,
            VerdictKind::Degraded
            | VerdictKind::Healthy
            | VerdictKind::Stalled { .. }
            | VerdictKind::MaintenanceStarted { .. }
            | VerdictKind::MaintenanceEnded { .. }
            | VerdictKind::Conflict { .. }
            | VerdictKind::Progressing { .. } => Some(verdict.previous),
        };
        Self { state, incarnation: verdict.incarnation }
    }

    /// What has to be said to somebody who sees the node here, so that they see it where `latest` put it. `None`: nothing.
    pub(super) fn kind_towards(self, latest: &Verdict) -> Option<VerdictKind> {
        let there = Self::after(latest);
        if there.state.is_none() {
            return self.state.is_some().then_some(VerdictKind::Forgotten);
        }
        if self == there {
            return None;
        }
        match (there.state, self.state) {
            (Some(NodeState::Alive), None | Some(NodeState::New | NodeState::Left)) => {
                Some(VerdictKind::Joined)
            }
            (Some(NodeState::Alive), _) if self.incarnation != there.incarnation => {
                Some(VerdictKind::Restarted)
            }
            (Some(NodeState::Alive), _) => Some(VerdictKind::Recovered),
            _ => Some(latest.kind),
        }
    }

    /// Whether a verdict follows from here as it stands.
    fn is_in_step_with(self, verdict: &Verdict) -> bool {
        match self.state {
            None => verdict.kind != VerdictKind::Forgotten,
            Some(state) => {
                state == verdict.previous
                    && (verdict.kind != VerdictKind::Recovered || self.incarnation == verdict.incarnation)
            }
        }
    }

    /// The kind under which a verdict is told to somebody who sees the node here. `None`: it tells them nothing.
    pub(super) fn kind_of(self, verdict: &Verdict) -> Option<VerdictKind> {
        if self.state.is_some() && self == Self::after(verdict) {
            return None;
        }
        if self.is_in_step_with(verdict) { Some(verdict.kind) } else { self.kind_towards(verdict) }
    }
}

/// How a node counts in its groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Not at all: not known, or has left, or its silence was accepted.
    Outside,
    Alive,
    Suspect,
    Failed,
}

/// Where something of a node waits. At most one thing does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    Nowhere,
    /// Among the failures whose suspicion is too young.
    Settling(Ticket),
    /// With this guard.
    Held(GroupIndex, Ticket),
    /// In the queue that is let out at a limited rate.
    Releasing(Ticket),
}

/// Counts what came; what came first has the smaller one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Ticket(pub(super) u64);

/// One node.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) facts: Option<Arc<NodeFacts>>,
    /// By dimension; `None` where the node has no value or there was no room for it.
    pub(super) groups: [Option<GroupIndex>; DIMENSIONS_MAX],
    pub(super) shard: u16,
    pub(super) standing: Standing,
    /// Its silence is known and no evidence of anything: see `Publication::accept`.
    pub(super) is_accepted: bool,
    /// The world knows it by its id alone: that is how it was told of last.
    pub(super) is_nameless: bool,
    /// Where the engine has it.
    pub(super) seen: View,
    /// Where the world believes it to be.
    pub(super) told: View,
    /// Events published of it.
    pub(super) told_sequence: u32,
    pub(super) waits: Waits,
    /// When its suspicion was taken.
    pub(super) suspected_at: Timestamp,
    /// Its failure's place among all failures.
    pub(super) failed_ticket: Ticket,
}

impl Member {
    /// Gives a verdict of a node that has told of itself once, and not since it came back, what it told: the world knows it
    /// by that, and silences select it by that.
    pub(super) fn lend_facts(&self, verdict: &mut Verdict) {
        if verdict.facts.is_none() {
            verdict.facts.clone_from(&self.facts);
        }
    }

    pub(super) const fn new(shard: u16) -> Self {
        Self {
            facts: None,
            groups: [None; DIMENSIONS_MAX],
            shard,
            standing: Standing::Outside,
            is_accepted: false,
            is_nameless: false,
            seen: View::UNKNOWN,
            told: View::UNKNOWN,
            told_sequence: 0,
            waits: Waits::Nowhere,
            suspected_at: Timestamp::ZERO,
            failed_ticket: Ticket(0),
        }
    }

    /// How it counts, by where the engine has it.
    pub(super) const fn standing_seen(&self) -> Standing {
        match self.seen.state {
            None | Some(NodeState::New | NodeState::Left) => Standing::Outside,
            Some(NodeState::Alive) => Standing::Alive,
            Some(NodeState::Suspect | NodeState::Failed) if self.is_accepted => Standing::Outside,
            Some(NodeState::Suspect) => Standing::Suspect,
            Some(NodeState::Failed) => Standing::Failed,
        }
    }
}

const _: () = assert!(size_of::<Member>() <= 112);
