//! The way of a failure: settle, find its incident, be held or not, be let out, or come to nothing.

use super::group::GroupIndex;
use super::guard::Failure;
use super::member::{Member, Waits};
use super::output::ReleaseReason;
use super::release::Release;
use super::{CauseId, Publication};
use crate::verdict::{Verdict, VerdictKind};

impl Publication {
    pub(super) fn take_failure(&mut self, member: &mut Member, shard: usize, verdict: Verdict) {
        let failure = Failure { shard, verdict, cause: None, waits_since: self.now };
        let settled_at = member.suspected_at + self.correlation.settle();
        if self.now < settled_at {
            self.counters.settled += 1;
            member.waits = Waits::Settling(member.failed_ticket);
            self.settling.insert((settled_at, member.failed_ticket), failure);
        } else {
            self.decide_failure(member, failure);
        }
    }

    /// Gives the failure its incident, and holds it or lets it out.
    pub(super) fn decide_failure(&mut self, member: &mut Member, mut failure: Failure) {
        failure.cause = self.correlation.incident_of(&mut self.groups, member, self.now);
        if let Some(incident) = failure.cause.and_then(|(index, _)| self.incident_mut(index)) {
            incident.waiting += 1;
        }
        match self.guard.scope_in_doubt(&self.groups, member) {
            Some(scope) => self.hold(member, scope, failure),
            None => self.publish_failure(member, failure),
        }
    }

    fn hold(&mut self, member: &mut Member, scope: GroupIndex, failure: Failure) {
        if self.guard.held() + self.releases.len() >= self.held_max {
            // No more can be remembered: the oldest doubt ends, and this failure does not wait.
            if let Some(oldest) = self.guard.longest_holding() {
                self.let_go(oldest, ReleaseReason::Full);
            }
            self.counters.released_at_once += 1;
            self.publish_failure(member, failure);
            return;
        }
        self.counters.held += 1;
        member.waits = Waits::Held(scope, member.failed_ticket);
        let group = self.groups.group_mut(scope);
        if self.guard.hold(group, scope, member.failed_ticket, failure, self.now) {
            self.tell_held(scope);
        }
    }

    /// What a new verdict means for what waits of its node.
    pub(super) fn end_wait(&mut self, member: &mut Member, verdict: &Verdict) {
        let (failure, may_cancel) = match member.waits {
            Waits::Nowhere => return,
            Waits::Settling(ticket) => {
                let settled_at = member.suspected_at + self.correlation.settle();
                let failure = self.settling.remove(&(settled_at, ticket));
                let failure = failure.expect("a node that waits here has its failure here");
                // Nobody doubted it yet; would they?
                (failure, self.guard.scope_in_doubt(&self.groups, member).is_some())
            }
            Waits::Held(scope, ticket) => {
                let failure = self.guard.take(scope, ticket);
                let episode = self.groups.group_mut(scope).episode.as_mut();
                episode.expect("a scope that holds has an episode").cancelled += 1;
                (failure, true)
            }
            Waits::Releasing(ticket) => match self.releases.take(ticket) {
                Release::Failure(failure) => (failure, true),
                Release::CatchUp(..) => {
                    // The new verdict tells where the node is now; that will do.
                    member.waits = Waits::Nowhere;
                    return;
                }
            },
        };
        member.waits = Waits::Nowhere;
        if may_cancel && ends_silence(verdict.kind) {
            self.counters.cancelled += 1;
            self.leave_incident(failure.cause, false);
        } else {
            self.publish_failure(member, failure);
        }
    }

    /// Lets one out whose turn has come.
    pub(super) fn let_out(&mut self, release: Release) {
        let node_id = match &release {
            Release::Failure(failure) => failure.verdict.node_id,
            Release::CatchUp(_, verdict) => verdict.node_id,
        };
        self.with_member(node_id, |this, member| {
            member.waits = Waits::Nowhere;
            match release {
                Release::Failure(failure) => this.publish_failure(member, failure),
                Release::CatchUp(shard, verdict) => this.catch_up(member, shard, verdict),
            }
        });
    }

    /// Writes a failure, with its incident before it or after it if that is due.
    fn publish_failure(&mut self, member: &mut Member, failure: Failure) {
        let Failure { shard, verdict, cause, waits_since } = failure;
        // A silence may have begun while it waited.
        if self.silences.keep(shard, &verdict) {
            self.counters.silenced += 1;
            self.accept(member);
            self.leave_incident(cause, false);
            return;
        }
        if let Some((index, _)) = cause {
            self.tell_incident_if(index, |incident, correlation, _, now| correlation.is_due(incident, now));
        }
        let held = self.now.since(waits_since);
        self.publish(member, shard, verdict, cause.map(|(_, cause)| cause), held);
        self.leave_incident(cause, true);
        if let Some((index, _)) = cause {
            self.tell_incident_if(index, |_, _, group_is_complete, _| group_is_complete);
        }
    }

    /// A failure waits no longer; it was published, or came to nothing.
    fn leave_incident(&mut self, cause: Option<(GroupIndex, CauseId)>, is_published: bool) {
        let Some((index, _)) = cause else { return };
        let now = self.now;
        let incident = self.incident_mut(index).expect("an incident is kept while a failure of it waits");
        incident.waiting -= 1;
        if is_published {
            incident.published += 1;
        } else {
            incident.failed -= 1;
        }
        if incident.waiting == 0 {
            self.correlation.look_again(index, now);
        }
    }

    pub(super) fn incident_mut(&mut self, index: GroupIndex) -> Option<&mut super::correlation::Incident> {
        self.groups.group_mut(index).incident.as_mut()
    }
}

/// Whether the node is not silent any more, or has told why it will be.
const fn ends_silence(kind: VerdictKind) -> bool {
    match kind {
        VerdictKind::Joined | VerdictKind::Recovered | VerdictKind::Restarted | VerdictKind::Left { .. } => {
            true
        }
        VerdictKind::Suspected
        | VerdictKind::Failed
        | VerdictKind::Forgotten
        | VerdictKind::Degraded
        | VerdictKind::Healthy
        | VerdictKind::Stalled { .. }
        | VerdictKind::MaintenanceStarted { .. }
        | VerdictKind::MaintenanceEnded { .. }
        | VerdictKind::Conflict { .. }
        | VerdictKind::Progressing { .. } => false,
    }
}
