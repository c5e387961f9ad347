//! What the world is told, and whether it should have been.
//!
//! Every verdict of the engines goes through publication here, and every event that comes out is compared with a plain account
//! of the nodes: where the engines have each, what was told of it, and since when a failure of it waits. Whatever depends
//! on how many others are silent is counted anew, over all nodes, each time ([`crate::doubt`]). Checked are:
//!
//! - *Stories.* Events of a node are numbered without a gap, each begins where the one before ended, nothing is told twice.
//! - *Bounded waiting.* A failure is told within hold and release at the longest, or its node was heard again.
//! - *No waiting without a cause.* A failure in a healthy neighbourhood is told at once; one in a zone that has
//!   certainly fallen silent is not.
//! - *Silences* keep what they select, *damping* only nodes whose flaps add up to it, *incidents* only what shares a label.
//! - *In the end* the world believes what is so.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_codec::NodeId;
use pulsegate_engine::publication::{
    CauseId, GuardChange, GuardScope, KnownNode, NodeEvent, PublicationConfig, Published, ReleaseReason,
    Saying, Selector,
};
use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{Duration, Publication, Timestamp, Verdict, VerdictKind};

use crate::account::{Account, after};
use crate::doubt::Doubt;

/// How much of what was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    events: u64,
    failures: u64,
    held: u64,
    groups: u64,
    guards: u64,
    flapping: u64,
    silenced: u64,
    restarts: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.failures += other.failures;
        self.held += other.held;
        self.groups += other.groups;
        self.guards += other.guards;
        self.flapping += other.flapping;
        self.silenced += other.silenced;
        self.restarts += other.restarts;
    }

    pub(crate) fn has_seen_everything(&self) -> bool {
        let Self { events, failures, held, groups, guards, flapping, silenced, restarts } = *self;
        [events, failures, held, groups, guards, flapping, silenced, restarts].iter().all(|&count| count > 20)
    }
}

/// Publication, and the accounts.
pub(crate) struct Told {
    pub(crate) publication: Publication,
    config: PublicationConfig,
    shards: usize,
    pub(crate) now: Timestamp,
    /// The gateway did not run for so long at a time, at most.
    pub(crate) longest_stall: Duration,
    pub(crate) nodes: BTreeMap<NodeId, Account>,
    /// Flaps of nodes that were forgotten: they count on, should the node come back.
    flaps_of_the_gone: BTreeMap<NodeId, Vec<(Timestamp, f64)>>,
    pub(crate) doubt: Doubt,
    /// With their ends: they are over at the first tick after that.
    silences: Vec<(Selector, Timestamp)>,
    holding: BTreeMap<GuardScope, Timestamp>,
    /// Label that an incident named.
    groups: BTreeMap<CauseId, (Box<str>, Box<str>)>,
    causes: BTreeSet<CauseId>,
    pub(crate) tally: Tally,
    /// What came out of the latest call.
    fresh: Vec<NodeEvent>,
}

impl Told {
    pub(crate) fn new(config: &PublicationConfig, shards: usize, now: Timestamp) -> Self {
        Self {
            publication: Publication::new(config.clone(), shards),
            doubt: Doubt::new(config, now),
            config: config.clone(),
            shards,
            now,
            longest_stall: Duration::ZERO,
            nodes: BTreeMap::new(),
            flaps_of_the_gone: BTreeMap::new(),
            silences: Vec::new(),
            holding: BTreeMap::new(),
            groups: BTreeMap::new(),
            causes: BTreeSet::new(),
            tally: Tally::default(),
            fresh: Vec::new(),
        }
    }

    /// One verdict of a shard.
    pub(crate) fn verdict(&mut self, shard: usize, verdict: Verdict, now: Timestamp) {
        self.now = now;
        // What it told of itself once, counts until it tells something else.
        let known = self.nodes.get(&verdict.node_id).and_then(|account| account.facts.as_deref());
        let is_silenced = self.is_silenced(verdict.node_id, verdict.facts.as_deref().or(known));
        let account = self.nodes.entry(verdict.node_id).or_insert_with(|| Account {
            flaps: self.flaps_of_the_gone.remove(&verdict.node_id).unwrap_or_default(),
            ..Account::default()
        });
        account.shard = shard;
        if !verdict.kind.is_condition() {
            account.take(&verdict, is_silenced, now);
        }
        let was_flapping = account.is_flapping;
        // Nothing is to be told if the world, which was not to hear of a recovery, believes it to have failed already.
        let is_news = account.told != account.seen;
        let expects_one = verdict.kind == VerdictKind::Failed && !is_silenced && !was_flapping && is_news;
        if expects_one {
            account.waits_since = Some(now);
        }
        let (node_id, penalty) = (verdict.node_id, account.penalty(now, self.config.damping.half_life));
        self.publication.on_verdict(shard, verdict, now);
        self.collect();
        if expects_one {
            self.check_failure(node_id);
        }
        let begins_to_flap =
            self.nodes.get(&node_id).is_some_and(|account| account.is_flapping) && !was_flapping;
        assert!(!begins_to_flap || penalty > f64::from(self.config.damping.suppress_above), "{penalty}");
        self.drop_if_gone(node_id);
    }

    /// A failure was decided just now, of a node that nobody silenced and that does not flap: told at once or not?
    fn check_failure(&self, node_id: NodeId) {
        let account = &self.nodes[&node_id];
        let is_settled = account.suspected_at + self.config.correlation.settle <= self.now;
        let mut told = self
            .fresh
            .iter()
            .filter(|event| event.verdict.node_id == node_id && event.verdict.kind == VerdictKind::Failed);
        let told = told.next();
        let doubt = &self.doubt;
        if told.is_none() && is_settled && account.waits_since.is_some() {
            assert!(
                doubt.is_possible(&self.nodes, account),
                "held for no reason at {:?}: {account:?}",
                self.now
            );
        }
        if let Some(event) = told.filter(|event| event.held.is_zero()) {
            assert!(!doubt.is_certain(&self.nodes, account), "not held at {:?}: {account:?}", self.now);
            let cause = event.cause;
            assert!(
                cause.is_none() || doubt.may_share(&self.nodes, account),
                "alone, with {cause:?}: {account:?}"
            );
            assert!(cause.is_some() || !doubt.must_share(&self.nodes, account), "no cause: {account:?}");
        }
    }

    /// Lets time pass up to now.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.now = now;
        self.silences.retain(|(_, until)| *until > now);
        self.publication.on_tick(now);
        self.collect();
    }

    pub(crate) fn silence(&mut self, selector: Selector, until: Timestamp, now: Timestamp) {
        self.now = now;
        if self.publication.silence(selector.clone(), until, "", now).is_err() {
            return;
        }
        self.silences.push((selector, until));
        let mut nodes = std::mem::take(&mut self.nodes);
        for (&node_id, account) in &mut nodes {
            // What waits may go under in the silence when its wait is over.
            if self.is_silenced(node_id, account.facts.as_deref()) {
                account.waits_since = None;
            }
        }
        self.nodes = nodes;
    }

    /// An operator takes what has failed for granted.
    pub(crate) fn release(&mut self, now: Timestamp) {
        self.now = now;
        self.publication.release(None, now);
        self.doubt.accept_all(now);
        self.collect();
    }

    /// The next run of the gateway begins, with what was remembered.
    pub(crate) fn restart(&mut self, known: impl Iterator<Item = KnownNode>, now: Timestamp) {
        let tally = Tally { restarts: self.tally.restarts + 1, ..self.tally };
        let longest_stall = self.longest_stall;
        let numbers: BTreeMap<_, _> = self.nodes.iter().map(|(&id, node)| (id, node.sequence)).collect();
        *self = Self { tally, longest_stall, ..Self::new(&self.config, self.shards, now) };
        for known in known {
            let sequence = numbers.get(&known.node_id).copied().unwrap_or(0);
            let view = Some((known.state, known.incarnation));
            let (facts, shard) = (known.facts.clone(), known.shard);
            let account = Account { shard, facts, seen: view, told: view, sequence, ..Account::default() };
            self.nodes.insert(known.node_id, account);
            self.publication.on_known(KnownNode { event_sequence: sequence, ..known }, now);
        }
        self.collect();
    }

    fn is_silenced(&self, node_id: NodeId, facts: Option<&NodeFacts>) -> bool {
        let selects = |selector: &Selector| match (selector, facts) {
            (Selector::Zone(zone), Some(facts)) => facts.zone == *zone,
            (Selector::Node(name), Some(facts)) => facts.name == *name,
            (Selector::Node(name), None) => format!("{node_id}") == **name,
            (Selector::Label { key, value }, Some(facts)) => {
                facts.labels.iter().any(|label| label.0 == *key && label.1 == *value)
            }
            (_, None) => false,
        };
        self.silences.iter().any(|(selector, _)| selects(selector))
    }

    fn collect(&mut self) {
        self.fresh.clear();
        while let Some(published) = self.publication.take() {
            self.tally.events += 1;
            match published {
                Published::Node(event) => self.collect_node(event),
                Published::Group(event) => {
                    self.tally.groups += 1;
                    assert!(event.failed > 0 && event.failed <= event.members, "{event:?}");
                    let label = (event.dimension, event.value);
                    assert_eq!(self.groups.insert(event.cause, label), None, "an incident is told once");
                }
                Published::Guard(event) => match event.change {
                    GuardChange::Held => {
                        self.tally.guards += 1;
                        let before = self.holding.insert(event.scope, self.now);
                        assert_eq!(before, None, "a scope that holds began to hold");
                    }
                    GuardChange::Released { reason, held, .. } => {
                        let bound = self.config.guard.hold_max + self.longest_stall;
                        assert!(held <= bound, "held for {held:?}");
                        assert!(self.holding.remove(&event.scope).is_some(), "nothing was held");
                        if reason != ReleaseReason::Calm {
                            self.doubt.accept_all(self.now);
                        }
                    }
                },
            }
        }
    }

    fn collect_node(&mut self, event: NodeEvent) {
        let verdict = &event.verdict;
        let is_silenced = self.is_silenced(verdict.node_id, verdict.facts.as_deref());
        let account =
            self.nodes.get_mut(&verdict.node_id).expect("nothing is told of a node that nobody knows");
        account.sequence += 1;
        assert_eq!(verdict.event_sequence, account.sequence, "a story without gaps: {event:?}");
        let told = account.told.map_or(verdict.previous, |(state, _)| state);
        assert_eq!(verdict.previous, told, "a story that goes on: {event:?}");
        match event.saying {
            Saying::Flapping { .. } => {
                self.tally.flapping += 1;
                account.is_flapping = true;
            }
            Saying::Steady { .. } => {
                assert!(std::mem::take(&mut account.is_flapping), "steady after flapping: {event:?}");
            }
            Saying::Verdict if verdict.kind.is_condition() => {}
            Saying::Verdict => {
                assert!(!is_silenced, "silenced: {event:?}");
                let before = std::mem::replace(&mut account.told, after(verdict));
                assert!(before.is_none() || before != account.told, "told twice: {event:?}");
                if verdict.kind == VerdictKind::Failed {
                    self.tally.failures += 1;
                    self.tally.held += u64::from(!event.held.is_zero());
                    account.waits_since = None;
                }
                self.causes.extend(event.cause);
                let has = |(dimension, value): &(Box<str>, Box<str>)| {
                    let facts = account.facts.as_deref().expect("it had a label, if it has not told it anew");
                    if **dimension == *"zone" {
                        facts.zone == *value
                    } else {
                        facts.labels.iter().any(|label| label.0 == *dimension && label.1 == *value)
                    }
                };
                let label = event.cause.and_then(|cause| self.groups.get(&cause));
                assert!(label.is_none_or(has), "of {label:?}: {event:?}");
            }
        }
        let node_id = verdict.node_id;
        self.fresh.push(event);
        self.drop_if_gone(node_id);
    }

    /// Whoever is known to nobody begins anew, should it come back; but for its flaps.
    fn drop_if_gone(&mut self, node_id: NodeId) {
        let is_gone = |account: &Account| account.seen.is_none() && account.told.is_none();
        if self.nodes.get(&node_id).is_some_and(is_gone) {
            let account = self.nodes.remove(&node_id).expect("it is there");
            self.flaps_of_the_gone.insert(node_id, account.flaps);
        }
    }

    /// What must be true at any time, looked at now and then.
    pub(crate) fn check(&mut self) {
        let (counters, waiting) = (self.publication.counters(), self.publication.waiting());
        let ended = counters.published + counters.cancelled + counters.damped + counters.silenced;
        assert_eq!(counters.taken, ended + waiting.verdicts() as u64, "{counters:?} {waiting:?}");
        self.tally.silenced = self.tally.silenced.max(counters.silenced);
        let guard = &self.config.guard;
        let bound =
            self.config.correlation.settle + guard.hold_max + guard.release_max + self.longest_stall * 2;
        let is_quiet = waiting.verdicts() + waiting.catching_up + waiting.flapping + waiting.silenced == 0;
        for (id, account) in &self.nodes {
            let waits = account.waits_since.map(|since| self.now.since(since));
            assert!(waits.is_none_or(|waits| waits <= bound), "{id} waits for {waits:?}: {account:?}");
            assert!(
                !is_quiet || account.told == account.seen,
                "{id}: the world believes otherwise: {account:?}"
            );
            let steady_by = account.flaps.last().map(|&(at, _)| at + self.config.damping.suppress_max);
            let is_late = steady_by.is_some_and(|by| by + self.longest_stall + SECOND < self.now);
            assert!(!account.is_flapping || !is_late, "{id} flaps for ever: {account:?}");
        }
        // An incident may be told a while after the last of its failures.
        let all_is_told = self.causes.iter().all(|cause| self.groups.contains_key(cause));
        assert!(
            all_is_told || self.publication.next_deadline().is_some(),
            "an incident that nobody is told of"
        );
    }
}

const SECOND: Duration = Duration::from_secs(1);
