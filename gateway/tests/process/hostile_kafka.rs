//! Hostile clients at the Kafka port of a real gateway, one kind after the other, beside a fleet and a consumer.
//!
//! ```text
//!   fleet     2,000 nodes that beat, five more each quarter of a second           ─▶ nobody suspected, counters exact
//!   consumer  librdkafka, reads every event as it comes                            ─▶ once, in order, in time
//!   memory    sampled every 10 ms                                                  ─▶ below what the limits name
//!   attacks   nonsense, stalled requests, slow readers, floods, 10,000 connections ─▶ one counter each
//! ```
//!
//! `PULSEGATE_HOSTILE_ROUNDS` repeats the attacks (once by default); `PULSEGATE_HOSTILE_SEED` chooses other nonsense.

mod attacker;
mod attacks;
mod bystanders;

use std::net::SocketAddr;
use std::time::Duration;

use pulsegate::io::clock::Clock;
use pulsegate_codec::event::EventType;
use pulsegate_stream::kafka::limits;

use crate::harness::{Gateway, eventually, pause, resident_bytes, sum_of_metric};
use bystanders::{Consumer, Fleet, MemoryWatch};

const SETTINGS: &str =
    "[detector]\ninterval-ms = 1000\n[shards]\ncount = 2\n[registry]\nnodes-max = 20_000\n";
/// Four for the events, four for the states of the nodes.
const PARTITIONS: usize = 8;
/// What the process takes besides the Kafka port while it runs, and what the allocator keeps for later.
const SLACK_BYTES: usize = 48 * 1024 * 1024;
/// Longest that an event may be on its way to the consumer: two turns of [`limits::PROGRESS_INTERVAL`] for each crowd of
/// slow readers that fills the memory for records, and there are four of those among all connections; and as much again
/// on a machine that has other things to do.
const LATE_MAX: Duration = Duration::from_secs(20);

/// What an attack needs.
struct Target<'a> {
    gateway: &'a Gateway,
    kafka: SocketAddr,
    seed: u64,
}

impl Target<'_> {
    /// Connections so far that came to this end.
    fn ended(&self, outcome: &str) -> u64 {
        let page = self.gateway.get("/metrics");
        let label = format!("outcome=\"{outcome}\"");
        let lines: Vec<&str> = page.lines().filter(|line| line.contains(&label)).collect();
        sum_of_metric(&lines.join("\n"), "pulsegate_kafka_connections_total")
    }

    /// Waits until so many connections have come to this end.
    fn expect_ended(&self, outcome: &str, count: u64) {
        eventually(&format!("{count} connections are {outcome}"), || {
            (self.ended(outcome) >= count).then_some(())
        });
        assert_eq!(self.ended(outcome), count, "{outcome}");
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// Goal: whatever comes to the Kafka port, the process lives, its memory stays below the bound that the limits name, each
/// connection that was dropped is in a counter, the consumer gets every event once, in order and in time, and detection
/// goes on as if nothing were.
#[test]
fn hostile_clients_harm_nobody_but_themselves() {
    let seed = from_environment("PULSEGATE_HOSTILE_SEED", 1);
    let rounds = from_environment("PULSEGATE_HOSTILE_ROUNDS", 1);
    println!("seed {seed}, {rounds} rounds");
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), SETTINGS);
    let kafka = gateway.endpoints().kafka;
    let fleet = Fleet::start(&gateway);
    let consumer = Consumer::start(kafka);
    eventually("the fleet has joined", || (gateway.number("events_published") > 2_000).then_some(()));
    pause(Duration::from_millis(500));
    let (memory, watching) = MemoryWatch::start(gateway.process_id());
    let before = resident_bytes(gateway.process_id());
    let mut bound =
        usize::try_from(before).unwrap() + SLACK_BYTES + limits::CONNECTIONS_MAX * limits::CONNECTION_BYTES;

    for round in 0..rounds {
        let target = Target { gateway: &gateway, kafka, seed: seed + round };
        let loris = attacks::begin_slow_requests(&target);
        for attack in attacks::ALL {
            if round == 0 {
                bound += attack.memory_bytes;
            }
            let begin = Clock::new().now();
            (attack.run)(&target);
            eventually("the attackers are gone", || {
                let connections = gateway.metric("pulsegate_kafka_connections");
                (connections <= attacks::CONNECTIONS_OF_OTHERS_MAX as u64).then_some(())
            });
            let peak = memory.take_peak();
            println!(
                "{} for {:?}: at most {} KiB resident, {} KiB allowed",
                attack.name,
                Clock::new().now().since(begin),
                peak / 1024,
                bound / 1024
            );
            assert!(peak < bound as u64, "{}: {peak} bytes resident, {bound} allowed", attack.name);
        }
        attacks::end_slow_requests(&target, loris);
    }
    let named = before + SLACK_BYTES as u64 + limits::memory_bytes_max(PARTITIONS) as u64;
    assert!(bound as u64 <= named, "the attacks are allowed no more than the limits name together");

    let mut consumer = consumer.finish();
    let fleet = fleet.finish();
    watching.finish();
    consumer.read_to_end();
    eventually("all heartbeats are counted", || {
        (gateway.number("heartbeats_accepted") >= fleet.heartbeats).then_some(())
    });
    let status = gateway.status();
    assert_eq!(status["heartbeats_accepted"], fleet.heartbeats);
    assert_eq!(status["datagrams_received"], fleet.frames);
    assert_eq!((&status["datagrams_rejected"], &status["kernel_drops"]), (&0.into(), &0.into()));
    let events = gateway.events();
    let joined = events.iter().filter(|event| event.event_type == EventType::Joined).count();
    let about_nodes = events.iter().filter(|event| !event.node.is_empty()).count();
    assert_eq!((joined, about_nodes), (fleet.nodes, fleet.nodes), "nobody was suspected");
    assert_eq!(consumer.events.len(), events.len());
    println!("{} events read, the latest after {} ms", events.len(), consumer.late_us_max / 1_000);
    assert!(u128::from(consumer.late_us_max) < LATE_MAX.as_micros(), "{} us late", consumer.late_us_max);
    assert!(gateway.stop().success());
}
