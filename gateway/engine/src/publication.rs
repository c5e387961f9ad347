//! What of the verdicts is told to the world. One instance for the whole gateway, after all shards.
//!
//! An engine sees one shard and decides on each node by itself. What needs to see all shards, or many verdicts at once
//! before any of them is believed, is decided here, between the verdicts and the stream. Pure: it is given verdicts
//! and the time, and returns what is to be written, in order.
//!
//! ```text
//!                                             ┌─ suspicion too young: settle ─┐
//!  verdict ─▶ count ─▶ silenced? ─▶ flaps? ─▶ failed? ──────────────────────▶ which incident? ─▶ guard ─▶ out
//!             in its      │          │         │ no                                               │ in doubt
//!             groups      ▼          ▼         └───────────────▶ out                              ▼
//!                       counted,   counted,                                      held ─▶ let go ─▶ limited rate ─▶ out
//!                       caught up  caught up                                        └─ heard again: cancelled
//! ```
//!
//! | part | decides |
//! |---|---|
//! | [`silence`] | what an operator does not want to hear |
//! | `damping` | which nodes flap |
//! | `correlation` | which failures are one |
//! | `guard` | which mass failures are doubted, and for how long |
//! | `release` | how fast what was held is let out |
//! | `group` | how many nodes with the same zone, label or shard are silent |
//!
//! **Promises.** Verdicts of one node leave in the order in which they came. Every verdict is published, cancelled,
//! damped or silenced, counted as exactly one of these, or waits, counted as well. Everything that waits does so for a
//! bounded time and in bounded memory. When nothing waits any more and nobody is silenced, what the world was told last of a node is
//! where the engine has it. A single failure is never delayed.
//!
//! **What the world sees of a node** is a story without gaps: published events are numbered from 1, an event's `previous`
//! is the state that the event before it told, and after a suppression the kind is the one that leads on from there (a
//! node that was silenced while it restarted has `restarted`, whatever else happened). A verdict that was held, was never seen:
//! suspected, (failed, held), recovered becomes suspected, recovered.
//!
//! **What ends a wait early.** A sign of life or a goodbye cancels a failure that is held. Anything else that comes
//! of the node lets the failure out first.
//!
//! **Memory.** About a hundred bytes a node, beside the facts that it shares with the engine.

mod config;
mod correlation;
mod counters;
mod damping;
mod failure;
mod group;
mod guard;
mod member;
mod operator;
mod output;
mod release;
mod silence;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use pulsegate_codec::{Incarnation, NodeId};

use crate::time::Timestamp;
use crate::verdict::{NodeFacts, NodeState, Verdict, VerdictKind};

pub use config::{
    CorrelationConfig, DampingConfig, GuardConfig, PENALTY_FAILURE, PENALTY_SUSPICION, PublicationConfig,
};
pub use counters::{PublicationCounters, Waiting};
pub use operator::HoldStatus;
pub use output::{
    CauseId, GroupEvent, GuardChange, GuardEvent, GuardScope, NodeEvent, Published, ReleaseReason, Saying,
};
pub use silence::{Selector, Silence, SilenceId, TooManySilences};

use correlation::Correlation;
use damping::Damper;
use group::{GroupIndex, Groups};
use guard::{Failure, Guard};
use member::{Member, Standing, Ticket, View, Waits};
use release::Releases;
use silence::Silences;

/// The stage between verdicts and stream.
#[derive(Debug)]
pub struct Publication {
    now: Timestamp,
    members: HashMap<NodeId, Member>,
    groups: Groups,
    silences: Silences,
    damper: Damper,
    correlation: Correlation,
    guard: Guard,
    releases: Releases,
    /// Failures whose suspicion is too young, by when it no longer is.
    settling: BTreeMap<(Timestamp, Ticket), Failure>,
    /// The latest failure's place among all.
    failures: Ticket,
    held_max: usize,
    output: VecDeque<Published>,
    counters: PublicationCounters,
}

/// A node that the gateway knows from an earlier run.
#[derive(Clone, Debug)]
pub struct KnownNode {
    /// Which shard owns it.
    pub shard: usize,
    /// Which node.
    pub node_id: NodeId,
    /// Where it stood when the world was last told of it.
    pub state: NodeState,
    /// Which run of it that was.
    pub incarnation: Incarnation,
    /// The number of what was told last; the next has the next one.
    pub event_sequence: u32,
    /// What it told of itself.
    pub facts: Option<Arc<NodeFacts>>,
}

impl Publication {
    /// A stage that has seen nothing, for this many shards.
    ///
    /// # Panics
    /// If the configuration breaks a rule that its fields state, or there is no shard, or there are more than 65,535.
    #[must_use]
    pub fn new(config: PublicationConfig, shards: usize) -> Self {
        config.assert_valid();
        assert!(shards > 0, "verdicts come from shards");
        let shards = u16::try_from(shards).expect("a shard is a thread");
        Self {
            now: Timestamp::ZERO,
            members: HashMap::new(),
            groups: Groups::new(&config.correlation.labels, shards),
            silences: Silences::new(config.silences_max),
            damper: Damper::new(config.damping),
            correlation: Correlation::new(config.correlation),
            releases: Releases::new(&config.guard),
            held_max: config.guard.held_max,
            guard: Guard::new(config.guard),
            settling: BTreeMap::new(),
            failures: Ticket(0),
            output: VecDeque::new(),
            counters: PublicationCounters::default(),
        }
    }

    /// Takes a node over from an earlier run: it counts in its zone, and what is said of it goes on from there. One that
    /// had failed is accepted as failed: it was told, and is no evidence of anything now.
    pub fn on_known(&mut self, known: KnownNode, now: Timestamp) {
        self.now = self.now.max(now);
        let mut member = self.members.remove(&known.node_id).unwrap_or_else(|| self.new_member(known.shard));
        let view = View { state: Some(known.state), incarnation: known.incarnation };
        (member.seen, member.told) = (view, view);
        member.told_sequence = known.event_sequence;
        member.suspected_at = self.now;
        member.is_accepted = known.state == NodeState::Failed;
        member.is_nameless = known.facts.is_none();
        self.groups.recount(&mut member, Standing::Outside);
        self.take_facts(&mut member, known.facts.as_ref());
        let standing = member.standing_seen();
        self.groups.recount(&mut member, standing);
        self.members.insert(known.node_id, member);
    }

    /// Takes one verdict of one shard. What is to be written because of it can then be [taken](Self::take).
    pub fn on_verdict(&mut self, shard: usize, mut verdict: Verdict, now: Timestamp) {
        self.now = self.now.max(now);
        self.counters.taken += 1;
        if verdict.kind.is_condition() {
            self.publish_condition(shard, verdict);
            return;
        }
        let node_id = verdict.node_id;
        let mut member = self.members.remove(&node_id).unwrap_or_else(|| self.new_member(shard));
        member.lend_facts(&mut verdict);
        let zone_before = member.groups[0];
        self.count(&mut member, &verdict);
        self.end_wait(&mut member, &verdict);
        self.route(&mut member, shard, verdict);
        let touched = [
            zone_before,
            member.groups[0],
            Some(GroupIndex::of_shard(member.shard)),
            Some(GroupIndex::GATEWAY),
        ];
        self.put_back(node_id, member);
        if self.guard.is_holding() {
            for scope in touched.into_iter().flatten() {
                self.let_go_if_calm(scope);
            }
        }
    }

    /// Lets time pass: what has waited long enough goes its way.
    pub fn on_tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(entry) = self.settling.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let failure = entry.remove();
            self.with_member(failure.verdict.node_id, |this, member| {
                member.waits = Waits::Nowhere;
                this.decide_failure(member, failure);
            });
        }
        while let Some(scope) = self.guard.expired(self.now) {
            self.let_go(scope, ReleaseReason::Expired);
        }
        if self.silences.end_due(self.now) {
            self.catch_up_with_released();
        }
        while let Some(release) = self.releases.pop_due(self.now) {
            self.let_out(release);
        }
        while let Some((damped, flaps)) = self.damper.steady(self.now) {
            self.tell_steady(damped, flaps);
        }
        self.tell_due_incidents();
    }

    /// When `on_tick` is next needed; `None` when nothing waits. Now and then there is nothing to do then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [
            self.settling.first_key_value().map(|(&(at, _), _)| at),
            self.guard.next_expiry(),
            self.silences.next_end(),
            self.releases.next_turn(),
            self.damper.next_look(),
            self.correlation.next_look(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How much is to be written.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.output.len()
    }

    /// What is to be written next.
    pub fn take(&mut self) -> Option<Published> {
        self.output.pop_front()
    }

    /// Lets everything out that waits, because the gateway stops: whoever comes after it does not know of it. Silences
    /// are kept.
    pub fn finish(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some((_, failure)) = self.settling.pop_first() {
            self.with_member(failure.verdict.node_id, |this, member| {
                member.waits = Waits::Nowhere;
                this.decide_failure(member, failure);
            });
        }
        while let Some(scope) = self.guard.longest_holding() {
            self.let_go(scope, ReleaseReason::Stopped);
        }
        while let Some(release) = self.releases.pop() {
            self.let_out(release);
        }
        while let Some((damped, flaps)) = self.damper.end_any(self.now) {
            self.tell_steady(damped, flaps);
        }
        self.tell_due_incidents();
    }

    /// What became of the verdicts so far.
    #[must_use]
    pub const fn counters(&self) -> PublicationCounters {
        PublicationCounters { groups_refused: self.groups.refused, ..self.counters }
    }

    /// What waits now.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting {
            held: self.guard.held(),
            releasing: self.releases.len(),
            catching_up: self.releases.catching_up,
            settling: self.settling.len(),
            flapping: self.damper.flapping(),
            silenced: self.silences.muted(),
            guards: self.guard.holding(),
            nodes: self.members.len(),
        }
    }

    fn new_member(&self, shard: usize) -> Member {
        let shard = u16::try_from(shard).expect("checked in `new`");
        assert!(shard < self.groups.shards, "verdicts come from the shards that there are");
        Member::new(shard)
    }

    /// Works on a node that is known.
    fn with_member(&mut self, node_id: NodeId, work: impl FnOnce(&mut Self, &mut Member)) {
        let mut member = self.members.remove(&node_id).expect("what waits belongs to a node that is known");
        work(self, &mut member);
        self.put_back(node_id, member);
    }

    /// Keeps a node, unless neither the engine nor the world knows it any more.
    fn put_back(&mut self, node_id: NodeId, mut member: Member) {
        if member.seen.state.is_none() && member.told.state.is_none() && member.waits == Waits::Nowhere {
            self.silences.unmute(node_id);
            self.groups.recount(&mut member, Standing::Outside);
            self.groups.place(&mut member, None);
        } else {
            self.members.insert(node_id, member);
        }
    }

    /// Notes where the engine has the node now, and counts it there.
    fn count(&mut self, member: &mut Member, verdict: &Verdict) {
        let is_same = match (&member.facts, &verdict.facts) {
            (_, None) => true,
            (Some(known), Some(told)) => Arc::ptr_eq(known, told),
            (None, Some(_)) => false,
        };
        if !is_same {
            self.groups.recount(member, Standing::Outside);
            self.take_facts(member, verdict.facts.as_ref());
        }
        member.seen = View::after(verdict);
        match verdict.kind {
            // A silence that begins is news, whatever was taken for granted before.
            VerdictKind::Suspected => (member.suspected_at, member.is_accepted) = (self.now, false),
            VerdictKind::Failed => {
                self.failures = Ticket(self.failures.0 + 1);
                member.failed_ticket = self.failures;
            }
            _ => member.is_accepted = false,
        }
        let standing = member.standing_seen();
        self.groups.recount(member, standing);
        if standing == Standing::Failed {
            let window = self.correlation.window();
            for index in Groups::of(member) {
                self.groups.group_mut(index).note_failure(member.failed_ticket, self.now, window);
            }
        }
    }

    fn take_facts(&mut self, member: &mut Member, facts: Option<&Arc<NodeFacts>>) {
        if let Some(facts) = facts {
            self.groups.place(member, Some(facts));
            member.facts = Some(Arc::clone(facts));
        }
    }

    /// Sends a verdict on its way.
    fn route(&mut self, member: &mut Member, shard: usize, verdict: Verdict) {
        if self.silences.keep(shard, &verdict) {
            self.counters.silenced += 1;
            self.accept(member);
        } else if let Some(damped) = self.damper.damped(verdict.node_id) {
            self.counters.damped += 1;
            damped.suppressed += 1;
            damped.latest = verdict.clone();
            let penalty = telling::penalty(&verdict, Some(verdict.previous));
            self.damper.flap(shard, &verdict, penalty, self.now);
        } else if verdict.kind == VerdictKind::Failed {
            self.take_failure(member, shard, verdict);
        } else {
            self.publish_verdict(member, shard, verdict);
        }
    }

    /// Takes a node's silence for granted: it is no evidence of a disruption.
    fn accept(&mut self, member: &mut Member) {
        member.is_accepted = true;
        let standing = member.standing_seen();
        self.groups.recount(member, standing);
    }
}
