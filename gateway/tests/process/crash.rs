//! kill -9 in the middle of a mass failure: the log opens again, and what was written before is all there.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::harness::{Gateway, Relay, eventually, pause};
use pulsegate_codec::event::{Event, EventType};

/// Small partitions of many commits: every event in a commit of its own would be too slow, all in one too easy.
const SETTINGS: &str =
    "[detector]\ninterval-ms = 100\n[guard]\nenabled = false\n[registry]\nnodes-max = 20_000\n";
const NODES: usize = 3_000;

fn failed(events: &[Event]) -> usize {
    events.iter().filter(|event| event.event_type == EventType::Failed).count()
}

/// Goal: after each kill the next start succeeds, has a greater epoch, and still holds every event that a reader had
/// seen before the kill, in the same order in each node's history. Method: all nodes fall silent at once; the gateway
/// is killed as soon as a first few of their events are visible; five times over.
#[test]
fn killed_in_a_mass_failure_it_loses_nothing_that_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..NODES).map(|number| format!("node-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen: Vec<Event> = Vec::new();
    let mut cut_short = 0;
    for round in 1..=5_u32 {
        let gateway = Gateway::start(directory.path(), SETTINGS);
        let mut relay = Relay::new("relay", &gateway);
        for part in names.chunks(100) {
            // Later than anything that the gateway before had heard of these nodes.
            relay.skip_to(2 * round);
            relay.introduce(part);
            relay.beat(part);
            // Deadlines follow each other over a third of a second, so that the kill finds some before and some behind.
            pause(Duration::from_millis(10));
        }
        let before = failed(&seen);
        let visible = eventually("some nodes have failed", || {
            Some(gateway.events()).filter(|events| failed(events) > before)
        });
        gateway.kill();
        check_all_there(&seen, &visible);
        seen = visible;
        cut_short += usize::from(failed(&crate::harness::events(directory.path())) < round as usize * NODES);
    }
    assert!(cut_short > 0, "no kill came in the middle of a mass failure: the test shows nothing");
    let gateway = Gateway::start(directory.path(), SETTINGS);
    let events = gateway.events();
    check_all_there(&seen, &events);
    assert_eq!(gateway.number("epoch"), 6);
    let epochs: HashSet<u64> = events.iter().map(|event| event.epoch).collect();
    assert_eq!(epochs.len(), 6, "every run left its mark");
    assert!(gateway.stop().success());
}

/// Every event of `before` is in `after`, and each node's history of `after` begins with its history of `before`.
fn check_all_there(before: &[Event], after: &[Event]) {
    let history = |events: &[Event]| {
        let mut histories: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        for event in events {
            histories
                .entry(event.subject().into_owned())
                .or_default()
                .push((event.epoch, event.gateway_sequence));
        }
        histories
    };
    let after = history(after);
    for (subject, events) in history(before) {
        assert!(
            after[&subject].starts_with(&events),
            "{subject}: {events:?} is not the beginning of {:?}",
            after[&subject]
        );
    }
}
