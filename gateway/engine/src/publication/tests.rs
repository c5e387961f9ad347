//! Publication in named scenes, and in a random world against a naive account of it.

mod edges;
mod incidents;
mod names;
mod scenes;
mod suppressions;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use pulsegate_codec::{DepartureReason, Incarnation, NodeId, Sequence};

use super::*;
use crate::time::Duration;
use crate::verdict::{Evidence, Terms};

/// A fleet without an engine: nodes change state by hand, and the stage is told.
struct Scene {
    publication: Publication,
    now: Timestamp,
    nodes: BTreeMap<NodeId, Puppet>,
    /// Everything that was published, in order, with the time.
    out: Vec<(Timestamp, Published)>,
    /// Where the world believes each node to be, by what was published.
    believed: BTreeMap<NodeId, (NodeState, Incarnation)>,
    sequences: BTreeMap<NodeId, u32>,
}

#[derive(Clone)]
struct Puppet {
    shard: usize,
    state: NodeState,
    incarnation: Incarnation,
    facts: Option<Arc<NodeFacts>>,
}

fn facts(name: &str, zone: &str, rack: &str) -> Arc<NodeFacts> {
    Arc::new(NodeFacts {
        name: name.into(),
        zone: zone.into(),
        labels: Box::new([("rack".into(), rack.into())]),
        ..NodeFacts::default()
    })
}

impl Scene {
    fn new(config: PublicationConfig, shards: usize) -> Self {
        Self {
            publication: Publication::new(config, shards),
            now: Timestamp::from_milliseconds(1_000),
            nodes: BTreeMap::new(),
            out: Vec::new(),
            believed: BTreeMap::new(),
            sequences: BTreeMap::new(),
        }
    }

    fn join(&mut self, number: u64, shard: usize, zone: &str, rack: &str) -> NodeId {
        let id = NodeId(number);
        let facts = Some(facts(&format!("node-{number}"), zone, rack));
        let state = NodeState::New;
        self.nodes.insert(id, Puppet { shard, state, incarnation: Incarnation(1), facts });
        self.say(id, VerdictKind::Joined);
        id
    }

    /// The engine reaches a verdict; publication takes it.
    fn say(&mut self, id: NodeId, kind: VerdictKind) {
        let puppet = self.nodes.get_mut(&id).unwrap();
        let previous = puppet.state;
        puppet.state = match kind {
            VerdictKind::Joined | VerdictKind::Recovered | VerdictKind::Restarted => NodeState::Alive,
            VerdictKind::Suspected => NodeState::Suspect,
            VerdictKind::Failed => NodeState::Failed,
            VerdictKind::Left { .. } => NodeState::Left,
            VerdictKind::Forgotten => NodeState::New,
            _ => previous,
        };
        if kind == VerdictKind::Restarted {
            puppet.incarnation.0 += 1;
        }
        let verdict = Verdict {
            node_id: id,
            kind,
            previous,
            incarnation: puppet.incarnation,
            event_sequence: 0,
            decided_at: self.now,
            evidence: Evidence {
                second_opinion: None,
                last_seen: self.now,
                deadline: None,
                interval_ms: 1_000,
                last_sequence: Sequence(1),
                intervals_missed: 0,
                terms: Terms::default(),
            },
            facts: puppet.facts.clone(),
        };
        let shard = puppet.shard;
        if kind == VerdictKind::Forgotten {
            self.nodes.remove(&id);
        }
        self.publication.on_verdict(shard, verdict, self.now);
        self.collect();
    }

    /// Ticks whenever the stage asks for it, until `time` has passed.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticks = 0;
        while let Some(next) = self.publication.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.publication.on_tick(self.now);
            self.collect();
            ticks += 1;
            assert!(ticks < 1_000_000, "the stage asks for ticks and does nothing with them");
        }
        self.now = end;
    }

    /// Notes what was published, and checks that each node's story goes on without a gap.
    fn collect(&mut self) {
        while let Some(published) = self.publication.take() {
            if let Published::Node(event) = &published {
                let verdict = &event.verdict;
                let sequence = self.sequences.entry(verdict.node_id).or_default();
                *sequence += 1;
                assert_eq!(verdict.event_sequence, *sequence, "a story without gaps: {event:?}");
                let known = self.believed.get(&verdict.node_id);
                assert!(known.is_none_or(|known| known.0 == verdict.previous), "{known:?}, then {event:?}");
                if event.saying == Saying::Verdict && !verdict.kind.is_condition() {
                    self.believe(verdict.clone());
                }
            }
            self.out.push((self.now, published));
        }
    }

    fn believe(&mut self, verdict: Verdict) {
        let view = View::after(&verdict);
        if let Some(state) = view.state {
            let before = self.believed.insert(verdict.node_id, (state, view.incarnation));
            assert_ne!(before, Some((state, view.incarnation)), "nothing is told twice: {verdict:?}");
        } else {
            self.believed.remove(&verdict.node_id);
            self.sequences.remove(&verdict.node_id);
        }
    }

    /// Both halves of a death, two seconds apart as with the default timeouts.
    fn kill(&mut self, ids: &[NodeId]) {
        for id in ids {
            self.say(*id, VerdictKind::Suspected);
        }
        self.pass(Duration::from_secs(2));
        for id in ids {
            self.say(*id, VerdictKind::Failed);
        }
    }

    fn of_kind(&self, kind: VerdictKind) -> Vec<(Timestamp, NodeEvent)> {
        let of_kind = |(at, published): &(Timestamp, Published)| match published {
            Published::Node(event) if event.verdict.kind == kind && event.saying == Saying::Verdict => {
                Some((*at, event.clone()))
            }
            _ => None,
        };
        self.out.iter().filter_map(of_kind).collect()
    }

    fn guards(&self) -> Vec<GuardEvent> {
        let of_guard = |(_, published): &(Timestamp, Published)| match published {
            Published::Guard(event) => Some(event.clone()),
            _ => None,
        };
        self.out.iter().filter_map(of_guard).collect()
    }

    fn groups(&self) -> Vec<GroupEvent> {
        let of_group = |(_, published): &(Timestamp, Published)| match published {
            Published::Group(event) => Some(event.clone()),
            _ => None,
        };
        self.out.iter().filter_map(of_group).collect()
    }

    /// Every verdict is in exactly one counter, or waits.
    fn check_accounts(&self) {
        let (counters, waiting) = (self.publication.counters(), self.publication.waiting());
        let ended = counters.published + counters.cancelled + counters.damped + counters.silenced;
        assert_eq!(counters.taken, ended + waiting.verdicts() as u64, "{counters:?} {waiting:?}");
        let told = self.out.iter().filter(
            |(_, published)| matches!(published, Published::Node(event) if event.saying == Saying::Verdict),
        );
        assert_eq!(told.count() as u64, counters.published + counters.caught_up);
    }

    /// The world believes what is so.
    fn check_belief(&self) {
        let truth: BTreeMap<_, _> =
            self.nodes.iter().map(|(id, node)| (*id, (node.state, node.incarnation))).collect();
        assert_eq!(self.believed, truth);
    }
}
