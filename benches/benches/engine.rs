//! Goal: what a heartbeat of a known node costs the engine at a million nodes, alone and in batches. Not a goal:
//! decoding, timers that fire (see `src/bin/mass_expiry.rs`).
//!
//! `cargo bench -p pulsegate-benches --bench engine`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pulsegate_benches::fleet::{Fleet, engine_config, heartbeat};
use pulsegate_codec::{Heartbeat, Sequence};
use pulsegate_engine::{Engine, Timestamp, Verdicts};

const NODES: usize = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };

fn on_heartbeats(criterion: &mut Criterion) {
    let fleet = Fleet::new(NODES);
    let mut engine = Engine::new(&engine_config(NODES), Timestamp::ZERO);
    let mut verdicts = Verdicts::with_capacity(1 << 16);
    let mut heartbeats: Vec<Heartbeat> = fleet.ids().iter().map(|id| heartbeat(*id, 0)).collect();
    for piece in heartbeats.chunks(1_024) {
        engine.on_heartbeats(piece, Timestamp::ZERO, &mut verdicts);
    }
    let mut group = criterion.benchmark_group(format!("engine, {NODES} nodes"));
    for batch_size in [1, 32, 64] {
        group.throughput(Throughput::Elements(batch_size as u64));
        group.bench_function(BenchmarkId::new("on_heartbeats", batch_size), |bencher| {
            let mut start = 0;
            bencher.iter(|| {
                let batch = &mut heartbeats[start..start + batch_size];
                for heartbeat in batch.iter_mut() {
                    heartbeat.sequence = Sequence(heartbeat.sequence.0 + 1);
                }
                engine.on_heartbeats(black_box(batch), Timestamp::ZERO, &mut verdicts);
                // Joined verdicts of the second beat.
                drop(verdicts.drain(verdicts.as_slice().len()));
                start = (start + batch_size) % (NODES - batch_size);
            });
        });
    }
    group.finish();
    assert_eq!(engine.counters().heartbeats_stale, 0, "every heartbeat was new");
}

criterion_group!(benches, on_heartbeats);
criterion_main!(benches);
