//! Goal: what it costs to turn a frame into heartbeats, with our decoder and with prost on the same payload.
//! Not a goal: receiving the frame, or doing anything with the heartbeats.
//!
//! `cargo bench -p pulsegate-benches --bench decode`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use pulsegate_benches::fleet::Fleet;
use pulsegate_benches::load::{Load, LoadConfig};
use pulsegate_codec::proto::HeartbeatBatch;
use pulsegate_codec::{Compression, Decoder, FrameHeader};

/// Frames that take turns, so that no branch predictor learns one by heart.
const FRAMES: usize = 256;

fn decode(criterion: &mut Criterion) {
    let fleet = Fleet::new(20_000);
    for (name, compression) in [("plain", Compression::Off), ("zstd", Compression::Zstd { level: 1 })] {
        let mut group = criterion.benchmark_group(format!("decode, {name}"));
        for heartbeats_per_frame in [1, 32, 64] {
            let config = LoadConfig {
                heartbeats_per_frame,
                compression,
                frame_count: FRAMES,
                frames_per_second: 1_000,
            };
            let load = Load::build(&fleet, &config);
            let frames: Vec<&[u8]> = load.frames().collect();
            group.throughput(Throughput::Elements(heartbeats_per_frame as u64));
            let mut decoder = Decoder::new();
            let mut turn = 0;
            group.bench_function(BenchmarkId::new("ours", heartbeats_per_frame), |bencher| {
                bencher.iter(|| {
                    turn = (turn + 1) % FRAMES;
                    let batch = decoder.decode(black_box(frames[turn])).expect("a good frame");
                    batch.heartbeats.len()
                });
            });
            group.bench_function(BenchmarkId::new("prost", heartbeats_per_frame), |bencher| {
                bencher.iter(|| {
                    turn = (turn + 1) % FRAMES;
                    with_prost(black_box(frames[turn])).node_id.len()
                });
            });
        }
        group.finish();
    }
}

/// What one writes without thinking about it: a fresh buffer and a fresh message a frame.
fn with_prost(frame: &[u8]) -> HeartbeatBatch {
    let (header, payload) = FrameHeader::parse(frame).expect("a good frame");
    if header.is_compressed() {
        let payload =
            zstd::bulk::decompress(payload, header.decompressed_bytes as usize).expect("a zstd frame");
        HeartbeatBatch::decode(&payload[..]).expect("a good payload")
    } else {
        HeartbeatBatch::decode(payload).expect("a good payload")
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
