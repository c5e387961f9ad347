//! The rules of the engine, one test each. The simulation in `tests/` checks them together.

use pulsegate_codec::{DepartureReason, Incarnation, NodeDescriptor, NodeId, Sequence};

use super::*;
use crate::detector::Profiles;

mod conditions;
mod conflicts;
mod deadlines;
mod departures;
mod learning;
mod maintenance;
mod pressure;
mod protection;
mod restarts;
mod runs;

/// Interval 1 s, suspect after 3, failed after 5, forgotten after a minute; tick 10 ms.
struct Fixture {
    engine: Engine,
    verdicts: Verdicts,
    now_ms: u64,
}

const FIRST: Incarnation = Incarnation(7);
const SECOND: Incarnation = Incarnation(8);

impl Fixture {
    fn new() -> Self {
        Self::with(config(16), 64)
    }

    fn with(config: EngineConfig, verdicts_max: usize) -> Self {
        Self {
            engine: Engine::new(&config, Timestamp::ZERO),
            verdicts: Verdicts::with_capacity(verdicts_max),
            now_ms: 0,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_milliseconds(self.now_ms)
    }

    /// A heartbeat of node 1.
    fn beat(&mut self, incarnation: Incarnation, sequence: u32) {
        self.beat_of(NodeId(1), incarnation, sequence);
    }

    fn beat_of(&mut self, node_id: NodeId, incarnation: Incarnation, sequence: u32) {
        let sequence = Sequence(sequence);
        let heartbeat = Heartbeat { node_id, incarnation, sequence, ..Heartbeat::default() };
        self.engine.on_heartbeats(&[heartbeat], self.now(), &mut self.verdicts);
        self.engine.check_invariants();
    }

    /// A goodbye of node 1.
    fn leave(&mut self, incarnation: Incarnation, sequence: u32) {
        let departure = Departure {
            node_id: NodeId(1),
            incarnation,
            sequence: Sequence(sequence),
            reason: DepartureReason::Shutdown,
            expected_return_ms: 9_000,
        };
        self.engine.on_departure(departure, self.now(), &mut self.verdicts);
        self.engine.check_invariants();
    }

    fn describe(&mut self, name: &str, interval_ms: u32) {
        let descriptor = NodeDescriptor { name, interval_ms, zone: "z", ..NodeDescriptor::default() };
        self.engine.on_descriptor(&descriptor, self.now());
        self.engine.check_invariants();
    }

    /// Goes to a moment and ticks there, once.
    fn tick_at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.engine.on_tick(self.now(), &mut self.verdicts);
        self.engine.check_invariants();
    }

    /// Goes to a moment the way the worker does: ticks whenever the engine asks for it.
    fn run_until(&mut self, now_ms: u64) {
        let end = Timestamp::from_milliseconds(now_ms);
        while let Some(next) = self.engine.next_deadline().filter(|&next| next <= end) {
            self.now_ms = self.now_ms.max(next.as_nanoseconds().div_ceil(1_000_000));
            self.engine.on_tick(self.now(), &mut self.verdicts);
        }
        self.now_ms = now_ms;
    }

    /// What was said since the last time, with the moment of each in milliseconds.
    fn said(&mut self) -> Vec<(&'static str, u64)> {
        let count = self.verdicts.as_slice().len();
        self.verdicts
            .drain(count)
            .map(|verdict| (verdict.kind.label(), verdict.decided_at.as_nanoseconds() / 1_000_000))
            .collect()
    }

    fn taken(&mut self) -> Vec<Verdict> {
        let count = self.verdicts.as_slice().len();
        self.verdicts.drain(count).collect()
    }

    fn state(&self) -> Option<NodeState> {
        self.engine.node(NodeId(1)).map(|node| node.state)
    }

    /// Node 1 alive since time 0, last sequence 2, and `Joined` drained.
    fn with_alive_node(mut self) -> Self {
        self.beat(FIRST, 1);
        self.beat(FIRST, 2);
        assert_eq!(self.said(), [("joined", 0)]);
        self
    }
}

fn config(nodes_max: u32) -> EngineConfig {
    EngineConfig {
        nodes_max,
        tick: Duration::from_millis(10),
        interval_ms: 1_000,
        interval_ms_min: 100,
        interval_ms_max: 600_000,
        profiles: Profiles::built_in(3, 5),
        forget_after: Duration::from_secs(60),
        stalled_after: Duration::from_secs(10),
        hash_seed: 0x5eed,
    }
}
