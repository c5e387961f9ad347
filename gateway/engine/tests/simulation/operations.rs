//! Anything at all: random calls on a handful of nodes, most of them nonsense.
//!
//! Ids, incarnations and sequences are drawn from small ranges, so that duplicates, late arrivals, restarts and
//! returns happen all the time. Time moves by nothing, by microseconds, by about a timeout, and now and then by
//! weeks. Registry and verdict buffer are often too small.

use std::time::Duration;

use pulsegate_codec::{
    Departure, DepartureReason, Heartbeat, Incarnation, NodeDescriptor, NodeId, NodeStatus, Sequence,
};
use pulsegate_engine::EngineConfig;
use pulsegate_loadgen::random::Random;

use crate::lockstep::Lockstep;
use crate::profiles;

const STEPS: u32 = 1_500;

/// Nodes that have a descriptor, and ids that an implementation might have kept for itself.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const IDS: [NodeId; 3] = [NodeId(0), NodeId(u64::MAX), NodeId(1 << 63)];

pub(crate) fn run(seed: u64) {
    let mut random = Random::for_purpose(seed, "operations");
    let config = config(&mut random);
    let verdicts_max = pick(&mut random, &[1, 1, 2, 5, 1_000]);
    let mut pair = Lockstep::new(&config, verdicts_max, start(&mut random, &config), 10);
    // Sequences rise slowly, so most are near the last one of their node.
    let mut sequence_base = 0;
    for _ in 0..STEPS {
        pair.pass(gap(&mut random, &config));
        if random.chance(0.03) {
            trouble(&mut random, &mut pair);
        }
        match random.below(20) {
            0..10 => {
                sequence_base += u32::from(random.chance(0.3));
                let count = pick(&mut random, &[1, 1, 2, 40]);
                let batch: Vec<_> = (0..count).map(|_| heartbeat(&mut random, sequence_base)).collect();
                pair.heartbeats(&batch);
            }
            10..12 => pair.departure(departure(&mut random, sequence_base)),
            12 => describe(&mut random, &mut pair),
            13..16 => {
                // The worker's horizon lies a little before the latest heartbeat.
                if random.chance(0.05) {
                    pair.distrust_gaps();
                }
                let behind = pick(&mut random, &[0, 0, 1, 5_000_000, 2_000_000_000]);
                pair.tick_up_to(pair.now().saturating_sub(behind));
            }
            _ => {
                let count = pick(&mut random, &[1, 2, usize::MAX]);
                pair.drain(count);
            }
        }
    }
    // Whatever was put off happens once there is room.
    pair.drain(usize::MAX);
    while !pair.tick() {
        pair.drain(usize::MAX);
    }
    pair.compare_thoroughly();
}

/// The gateway was not there, lost datagrams, or asked a node.
fn trouble(random: &mut Random, pair: &mut Lockstep) {
    match random.below(8) {
        0 => pair.pause(random.below(20_000_000_000)),
        1 => pair.drops(),
        2 => {
            let length = pick(
                random,
                &[None, Some(0), Some(5_000_000_000), Some(60_000_000_000), Some(u64::MAX >> 4)],
            );
            pair.maintenance(node_id(random), length);
        }
        _ => pair.probe_answer(node_id(random)),
    }
}

fn config(random: &mut Random) -> EngineConfig {
    let suspect_after_intervals = pick(random, &[1, 2, 3]);
    EngineConfig {
        nodes_max: pick(random, &[1, 2, 5, 7, 16]),
        tick: Duration::from_millis(pick(random, &[1, 7, 10, 100])),
        interval_ms: 1_000,
        interval_ms_min: pick(random, &[1, 100]),
        interval_ms_max: pick(random, &[2_000, 3_600_000]),
        profiles: profiles::any(random, suspect_after_intervals),
        // Also shorter than the failed timeout, which makes little sense but must make no mess.
        forget_after: Duration::from_secs(pick(random, &[2, 60, 86_400])),
        stalled_after: Duration::from_secs(pick(random, &[0, 1, 10])),
        hash_seed: random.next(),
    }
}

/// The beginning of time, any time, or shortly before the ticks need 33 bits.
fn start(random: &mut Random, config: &EngineConfig) -> u64 {
    let tick = u64::try_from(config.tick.as_nanos()).unwrap();
    match random.below(3) {
        0 => 0,
        1 => random.below(1 << 50),
        _ => (tick << 32) - random.below(20_000_000_000),
    }
}

/// Nanoseconds to the next step.
fn gap(random: &mut Random, config: &EngineConfig) -> u64 {
    let tick = u64::try_from(config.tick.as_nanos()).unwrap();
    match random.below(100) {
        0..40 => 0,
        40..60 => random.below(2 * tick),
        // To the next tick exactly: where off-by-one errors live.
        60..70 => tick - 1 - random.below(2).min(tick - 1),
        70..85 => random.below(1_000_000_000),
        85..98 => random.below(10_000_000_000),
        98 => random.below(200_000_000_000),
        _ => random.below(3 * 7 * 86_400_000_000_000),
    }
}

fn node_id(random: &mut Random) -> NodeId {
    let index = random.index(NAMES.len() + IDS.len());
    if index < IDS.len() { IDS[index] } else { NodeId::from_name(NAMES[index - IDS.len()]) }
}

fn incarnation(random: &mut Random) -> Incarnation {
    // Mostly the same, seldom a greater one.
    Incarnation(if random.chance(0.9) { 3 } else { 2 + u32::try_from(random.below(6)).unwrap() })
}

fn sequence(random: &mut Random, base: u32) -> Sequence {
    let near = base + u32::try_from(random.below(6)).unwrap();
    Sequence(if random.chance(0.1) { 0 } else { near })
}

fn heartbeat(random: &mut Random, sequence_base: u32) -> Heartbeat {
    Heartbeat {
        node_id: node_id(random),
        incarnation: incarnation(random),
        sequence: sequence(random, sequence_base),
        progress: pick(random, &[0, 7, 7, 7, 8]),
        pending: pick(random, &[0, 1, 1, 1, 1]),
        status: pick(random, &[NodeStatus::Ok, NodeStatus::Ok, NodeStatus::Degraded]),
        ..Heartbeat::default()
    }
}

fn departure(random: &mut Random, sequence_base: u32) -> Departure {
    Departure {
        node_id: node_id(random),
        incarnation: incarnation(random),
        sequence: sequence(random, sequence_base),
        reason: pick(random, &[DepartureReason::Shutdown, DepartureReason::Maintenance]),
        expected_return_ms: pick(random, &[0, 1, 20_000, u64::MAX]),
    }
}

fn describe(random: &mut Random, pair: &mut Lockstep) {
    let descriptor = NodeDescriptor {
        name: pick(random, &NAMES),
        zone: pick(random, &["", "z", "eu-1"]),
        labels: vec![("k", pick(random, &["v", "w"]))],
        interval_ms: pick(random, &[0, 1, 150, 1_000, 5_000, 600_000, u32::MAX]),
        profile: pick(random, &["", "", "local", "wan", "mine", "nobody's"]),
        services: vec![pick(random, &["s", "t"])],
        round_trip_time_us: pick(random, &[0, 0, 800, 400_000, u32::MAX]),
        probe: pick(random, &["", "tcp://h:1"]),
    };
    pair.descriptor(&descriptor);
}

fn pick<Item: Copy>(random: &mut Random, items: &[Item]) -> Item {
    items[random.index(items.len())]
}
