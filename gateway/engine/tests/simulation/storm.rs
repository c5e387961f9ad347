//! More work than fits into one call: twenty thousand nodes fall silent together, and come back together.

use std::time::Duration;

use pulsegate_codec::{Heartbeat, Incarnation, NodeId, Sequence};
use pulsegate_engine::{EngineConfig, Profiles};

use crate::lockstep::Lockstep;

const NODES: u32 = 20_000;

/// Shows: a mass expiry takes many bounded calls, and every node has its verdicts.
#[test]
fn a_storm_is_worked_off_in_bounded_calls_and_nothing_is_lost() {
    let config = EngineConfig {
        nodes_max: NODES,
        tick: Duration::from_millis(10),
        interval_ms: 10_000,
        interval_ms_min: 100,
        interval_ms_max: 60_000,
        profiles: Profiles::built_in(3, 5),
        forget_after: Duration::from_secs(3_600),
        stalled_after: Duration::ZERO,
        hash_seed: 1,
    };
    // A buffer between one and two budgets: calls stop for either reason.
    let mut pair = Lockstep::new(&config, 10_000, 0, 50);
    beat_all(&mut pair, 1);
    beat_all(&mut pair, 2);
    for seconds in [29, 2, 20, 3_600] {
        pair.pass(seconds * 1_000_000_000);
        work_off(&mut pair);
        beat_all(&mut pair, 3 + u32::try_from(seconds).unwrap());
    }
    pair.compare_thoroughly();
    assert_eq!(pair.engine.node_counts().known(), NODES);
    assert_eq!(pair.engine.node_counts().new, NODES, "all were forgotten, and heard again once");
}

/// Each node beats once, in frames of 64, and verdicts are drained after each frame.
fn beat_all(pair: &mut Lockstep, sequence: u32) {
    let ids: Vec<u64> = (0..u64::from(NODES)).collect();
    for frame in ids.chunks(64) {
        let beat = |&id: &u64| Heartbeat {
            node_id: NodeId(id << 40 | id),
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
            ..Heartbeat::default()
        };
        pair.heartbeats(&frame.iter().map(beat).collect::<Vec<_>>());
        pair.drain(usize::MAX);
    }
}

fn work_off(pair: &mut Lockstep) {
    let mut calls = 0;
    while !pair.tick() {
        pair.drain(usize::MAX);
        calls += 1;
        assert!(calls < 20, "three verdicts a node are eight budgets");
    }
    pair.drain(usize::MAX);
}
