//! What is written: one place where events are made, numbered, and the world's view moves.

use super::correlation::{Correlation, Due, Incident};
use super::damping::Damped;
use super::group::{GroupIndex, Shared};
use super::member::{Member, View};
use super::output::{
    CauseId, GroupEvent, GuardChange, GuardEvent, NodeEvent, Published, ReleaseReason, Saying,
};
use super::release::Release;
use super::{PENALTY_FAILURE, PENALTY_SUSPICION, Publication, Waits};
use crate::time::{Duration, Timestamp};
use crate::verdict::{NodeState, Verdict, VerdictKind};

/// What a verdict adds to the penalty of a node that was seen in this state before.
pub(super) const fn penalty(verdict: &Verdict, before: Option<NodeState>) -> u32 {
    match (verdict.kind, before) {
        (VerdictKind::Restarted, _) | (VerdictKind::Recovered, Some(NodeState::Failed)) => PENALTY_FAILURE,
        (VerdictKind::Recovered, _) => PENALTY_SUSPICION,
        _ => 0,
    }
}

impl Publication {
    /// Writes a verdict that is not a failure, and sees whether its node flaps.
    pub(super) fn publish_verdict(&mut self, member: &mut Member, shard: usize, verdict: Verdict) {
        let before = member.told.state;
        let flap = penalty(&verdict, before);
        if let Some(flaps) = self.damper.flap(shard, &verdict, flap, self.now) {
            self.counters.flapping += 1;
            self.publish(member, shard, verdict.clone(), None, Duration::ZERO);
            self.say(member, shard, verdict, Saying::Flapping { flaps });
        } else {
            self.publish(member, shard, verdict, None, Duration::ZERO);
        }
    }

    /// Writes a verdict in the words that lead on from what was written before; if it tells nothing, it is cancelled.
    pub(super) fn publish(
        &mut self,
        member: &mut Member,
        shard: usize,
        verdict: Verdict,
        cause: Option<CauseId>,
        held: Duration,
    ) {
        if self.tell(member, shard, verdict, cause, held) {
            self.counters.published += 1;
        } else {
            self.counters.cancelled += 1;
        }
    }

    /// Writes where the node stands after a suppression, unless the world knows, or is not to know yet.
    pub(super) fn catch_up(&mut self, member: &mut Member, shard: usize, latest: Verdict) {
        if View::after(&latest) != member.seen || self.silences.keep(shard, &latest) {
            return;
        }
        if let Some(damped) = self.damper.damped(latest.node_id) {
            damped.latest = latest;
            return;
        }
        if self.tell(member, shard, latest, None, Duration::ZERO) {
            self.counters.caught_up += 1;
        }
    }

    fn tell(
        &mut self,
        member: &mut Member,
        shard: usize,
        mut verdict: Verdict,
        cause: Option<CauseId>,
        held: Duration,
    ) -> bool {
        self.silences.unmute(verdict.node_id);
        let Some(kind) = member.told.kind_of(&verdict) else { return false };
        verdict.kind = kind;
        let is_named_now = self.number(member, &mut verdict);
        member.told = View::after(&verdict);
        self.output.push_back(Published::Node(NodeEvent {
            shard,
            verdict,
            saying: Saying::Verdict,
            cause,
            held,
            is_named_now,
        }));
        true
    }

    /// Writes what moves the node to no other state. Nothing holds it: neither guard nor damping nor silence is about it.
    pub(super) fn publish_condition(&mut self, shard: usize, mut verdict: Verdict) {
        self.counters.published += 1;
        let node_id = verdict.node_id;
        let mut member = self.members.remove(&node_id).unwrap_or_else(|| self.new_member(shard));
        member.lend_facts(&mut verdict);
        let is_named_now = self.number(&mut member, &mut verdict);
        let (saying, cause, held) = (Saying::Verdict, None, Duration::ZERO);
        let event = NodeEvent { shard, verdict, saying, cause, held, is_named_now };
        self.output.push_back(Published::Node(event));
        self.put_back(node_id, member);
    }

    /// Writes something beside the verdicts.
    fn say(&mut self, member: &mut Member, shard: usize, mut verdict: Verdict, saying: Saying) {
        let is_named_now = self.number(member, &mut verdict);
        verdict.decided_at = self.now;
        let (cause, held) = (None, Duration::ZERO);
        let event = NodeEvent { shard, verdict, saying, cause, held, is_named_now };
        self.output.push_back(Published::Node(event));
    }

    /// Gives an event its place in the node's story. Returns whether this is the first event with the node's name after
    /// some without it.
    fn number(&self, member: &mut Member, verdict: &mut Verdict) -> bool {
        member.told_sequence = member.told_sequence.wrapping_add(1);
        verdict.event_sequence = member.told_sequence;
        verdict.previous = member.told.state.unwrap_or(verdict.previous);
        let was_nameless = std::mem::replace(&mut member.is_nameless, verdict.facts.is_none());
        was_nameless && !member.is_nameless
    }

    /// Writes that a node is steady, and where it stands.
    pub(super) fn tell_steady(&mut self, damped: Damped, flaps: u32) {
        let Damped { shard, latest, suppressed } = damped;
        self.with_member_if_known(latest.node_id, |this, member| {
            this.say(member, shard, latest.clone(), Saying::Steady { flaps, damped: suppressed });
            this.catch_up(member, shard, latest);
        });
    }

    /// Writes that a scope's failures are held.
    pub(super) fn tell_held(&mut self, scope: GroupIndex) {
        self.counters.guards_held += 1;
        self.tell_guard(scope, GuardChange::Held);
    }

    fn tell_guard(&mut self, scope: GroupIndex, change: GuardChange) {
        let group = self.groups.group(scope);
        let event = GuardEvent {
            scope: group.shared.scope(),
            silent: group.silent(),
            members: group.counted(),
            decided_at: self.now,
            change,
        };
        self.output.push_back(Published::Guard(event));
    }

    pub(super) fn let_go_if_calm(&mut self, scope: GroupIndex) {
        if self.groups.episode(scope).is_some() && self.guard.is_calm(&self.groups, scope) {
            self.let_go(scope, ReleaseReason::Calm);
        }
    }

    /// Ends a scope's hold: what it held goes into the queue that is let out.
    pub(super) fn let_go(&mut self, scope: GroupIndex, reason: ReleaseReason) {
        let Some(episode) = self.groups.group_mut(scope).episode.take() else { return };
        let held = self.guard.let_go(scope, episode);
        let released = held.len() as u64;
        let change = GuardChange::Released {
            reason,
            released,
            cancelled: episode.cancelled,
            held: self.now.since(episode.began_at),
        };
        self.tell_guard(scope, change);
        for failure in held.into_values() {
            self.with_member(failure.verdict.node_id, |this, member| {
                member.waits = Waits::Releasing(this.releases.push(Release::Failure(failure)));
                if reason != ReleaseReason::Calm {
                    this.accept(member);
                }
            });
        }
        self.releases.set_rate(self.now);
        if reason != ReleaseReason::Calm {
            self.groups.group_mut(scope).accept_failures(self.failures);
        }
        self.groups.give_back(scope);
    }

    /// Writes a group's incident if it is untold and `is_time`.
    pub(super) fn tell_incident_if(
        &mut self,
        index: GroupIndex,
        is_time: impl FnOnce(&Incident, &Correlation, bool, Timestamp) -> bool,
    ) {
        let group = self.groups.group(index);
        let is_complete = Correlation::is_complete(group);
        let Some(incident) = group.incident.filter(|incident| !incident.is_told) else { return };
        if is_time(&incident, &self.correlation, is_complete, self.now) {
            self.tell_incident(index, incident);
        }
    }

    fn tell_incident(&mut self, index: GroupIndex, incident: Incident) {
        self.counters.groups_failed += 1;
        let group = self.groups.group(index);
        let Shared::Value(dimension, value) = &group.shared else { return };
        self.output.push_back(Published::Group(GroupEvent {
            dimension: self.groups.dimension(*dimension).into(),
            value: value.clone(),
            failed: incident.failed,
            members: incident.members.max(incident.failed),
            cause: incident.cause,
            first_at: incident.first_at,
            decided_at: self.now,
        }));
        let group = self.groups.group_mut(index);
        group.incident = Some(Incident { is_told: true, ..incident });
        self.correlation.look_again(index, self.now);
    }

    pub(super) fn tell_due_incidents(&mut self) {
        while let Some(due) = self.correlation.due(&self.groups, self.now) {
            match due {
                Due::Tell(index) => self.tell_incident_if(index, |_, _, _, _| true),
                Due::Close(index) => {
                    self.groups.group_mut(index).incident = None;
                    self.groups.give_back(index);
                }
            }
        }
    }
}
