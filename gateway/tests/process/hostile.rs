//! Bad datagrams, many of each kind, beside a living fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_codec::RejectReason;
use pulsegate_codec::event::EventType;
use pulsegate_loadgen::blast::{BlastOptions, blast};

use crate::harness::{FAST, Gateway, Relay, eventually, pause, resident_bytes, sum_of_metric};

/// Bad datagrams in the default suite; `pulsegate-loadgen blast --count 1000000` sends more of the same.
const COUNT: u64 = 200_000;

/// Growth of resident memory that the test allows: what the receive buffers take when they are first used. A leak of
/// 100 bytes a datagram would be twenty times that.
const GROWTH_BYTES_MAX: u64 = 1_048_576;

/// Frames refused so far, by reason.
fn refused(gateway: &Gateway) -> BTreeMap<&'static str, u64> {
    let text = gateway.get("/metrics");
    let of_reason = |reason: RejectReason| {
        let label = format!("reason=\"{}\"", reason.label());
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(&label)).collect();
        (reason.label(), sum_of_metric(&lines.join("\n"), "pulsegate_frames_rejected_total"))
    };
    RejectReason::ALL.into_iter().map(of_reason).filter(|(_, count)| *count > 0).collect()
}

/// Goal: each bad datagram is counted under one named reason, the one that the sender knows it must be; nothing else
/// happens: no node appears, none is harmed, memory stays.
#[test]
fn bad_datagrams_change_one_counter_each_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[shards]\ncount = 2\n"));
    let target = gateway.endpoints().heartbeats;
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&["steady", "stable"]);
    relay.beat(&["steady", "stable"]);
    // A first helping touches every buffer and every code path once.
    let options = move |seed| BlastOptions { gateway: target, count: COUNT / 2, rate: 50_000, seed };
    let mut expected: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut resident = Vec::new();
    for seed in 1..=2 {
        let blasting = std::thread::spawn(move || blast(&options(seed)).unwrap());
        while !blasting.is_finished() {
            relay.beat(&["steady", "stable"]);
            pause(Duration::from_millis(40));
        }
        let report = blasting.join().unwrap();
        assert_eq!(report.unsent, 0);
        for (reason, count) in report.by_reason {
            *expected.entry(reason).or_default() += count;
        }
        eventually("all have been refused", || {
            relay.beat(&["steady", "stable"]);
            (gateway.number("datagrams_rejected") == expected.values().sum::<u64>()).then_some(())
        });
        resident.push(resident_bytes(gateway.process_id()));
    }
    assert_eq!(gateway.number("kernel_drops"), 0, "lost datagrams cannot be counted by reason");
    assert_eq!(refused(&gateway), expected);
    assert!(expected.len() >= 10, "only {expected:?}");
    assert_eq!(gateway.metric("pulsegate_nodes"), 2);
    let growth = resident[1].saturating_sub(resident[0]);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more after the second helping");
    let about_nodes: Vec<_> = gateway.events().into_iter().filter(|event| !event.node.is_empty()).collect();
    assert_eq!(about_nodes.len(), 2, "{about_nodes:?}");
    assert!(about_nodes.iter().all(|event| event.event_type == EventType::Joined));
}
