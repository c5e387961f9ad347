//! Goal: how long the engine takes to call all of its nodes suspect and then failed when they fall silent in the same
//! tick, as after the loss of a switch. Not a goal: publishing the verdicts.
//!
//! `cargo bench -p pulsegate-benches --bench wheel`

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pulsegate_benches::fleet::{Fleet, heartbeat};
use pulsegate_codec::Heartbeat;
use pulsegate_engine::{Duration, Engine, EngineConfig, Profiles, Timestamp, Verdicts};

const NODES: usize = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

fn storm(criterion: &mut Criterion) {
    let fleet = Fleet::new(NODES);
    let mut group = criterion.benchmark_group("wheel");
    group.sample_size(10);
    group.throughput(Throughput::Elements(NODES as u64));
    group.bench_function(format!("{NODES} nodes fall silent in one tick"), |bencher| {
        bencher.iter_batched_ref(|| alive(&fleet), all_fail, BatchSize::PerIteration);
    });
    group.finish();
}

/// An engine whose nodes have all spoken twice, the last time at once.
fn alive(fleet: &Fleet) -> Engine {
    let mut engine = Engine::new(&config(), Timestamp::ZERO);
    let mut verdicts = Verdicts::with_capacity(2_048);
    for sweep in 0..2 {
        let heartbeats: Vec<Heartbeat> = fleet.ids().iter().map(|id| heartbeat(*id, sweep)).collect();
        for piece in heartbeats.chunks(1_024) {
            engine.on_heartbeats(piece, Timestamp::from_milliseconds(u64::from(sweep)), &mut verdicts);
            drop(verdicts.drain(verdicts.as_slice().len()));
        }
    }
    engine
}

/// Passes the suspect and the failed deadline; returns how many verdicts that made.
fn all_fail(engine: &mut Engine) -> usize {
    let mut verdicts = Verdicts::with_capacity(16_384);
    let mut count = 0;
    for now in [Timestamp::from_milliseconds(4_000), Timestamp::from_milliseconds(6_000)] {
        while engine.next_deadline().is_some_and(|deadline| deadline <= now) {
            engine.on_tick(now, &mut verdicts);
            let ready = verdicts.as_slice().len();
            count += verdicts.drain(ready).count();
        }
    }
    assert_eq!(count, 2 * NODES, "every node was called suspect, then failed");
    count
}

fn config() -> EngineConfig {
    EngineConfig {
        nodes_max: u32::try_from(NODES).unwrap_or(u32::MAX),
        tick: Duration::from_millis(10),
        interval_ms: 1_000,
        interval_ms_min: 100,
        interval_ms_max: 60_000,
        profiles: Profiles::built_in(3, 5),
        forget_after: Duration::from_secs(3_600),
        stalled_after: Duration::ZERO,
        hash_seed: 0x5eed,
    }
}

criterion_group!(benches, storm);
criterion_main!(benches);
