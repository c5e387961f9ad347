//! One heartbeat's life through the real binary: datagrams in, events on disk out.

use crate::harness::{FAST, Gateway, Relay, eventually, pause};
use pulsegate_codec::event::{Event, EventType};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Beats of a test relay: the interval of [`FAST`] with room for a slow machine.
const BEAT: Duration = Duration::from_millis(40);

fn types_of(events: &[Event], node: &str) -> Vec<EventType> {
    events.iter().filter(|event| event.node == node).map(|event| event.event_type.clone()).collect()
}

/// Goal: of two nodes the one that falls silent is joined, suspected and failed on disk, with its name and with honest
/// evidence; the other one only joined. The gateway then stops in good order.
fn check_silent_node_is_reported(address: &str, settings: &str, receiver: &str) {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_at(directory.path(), address, &format!("{FAST}{settings}"));
    assert_eq!(gateway.status()["receiver"], receiver);
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&["mortal", "steady"]);
    relay.beat(&["mortal", "steady"]);
    let failed = eventually("the silent node has failed", || {
        relay.beat(&["steady"]);
        pause(BEAT);
        gateway.events().into_iter().find(|event| event.event_type == EventType::Failed)
    });
    assert_eq!((failed.node.as_str(), failed.zone.as_str()), ("mortal", "zone-a"));
    let (deadline, last_seen) = (failed.deadline_unix_us.unwrap(), failed.last_seen_unix_us.unwrap());
    assert_eq!(deadline - last_seen, 500_000, "five intervals of 100 ms after the last heartbeat");
    assert!(failed.decided_at_unix_us >= deadline, "never early");
    let events = gateway.events();
    assert_eq!(types_of(&events, "mortal"), [EventType::Joined, EventType::Suspected, EventType::Failed]);
    assert_eq!(types_of(&events, "steady"), [EventType::Joined]);
    assert_eq!(gateway.metric("pulsegate_nodes"), 2);
    assert!(gateway.stop().success());
    let last = crate::harness::events(directory.path())
        .into_iter()
        .max_by_key(|event| event.gateway_sequence)
        .unwrap();
    assert_eq!(last.event_type, EventType::GatewayStopped);
}

#[test]
fn silent_node_is_reported_with_the_default_receiver() {
    let receiver = if pulsegate::io::probe::io_uring().is_ok() { "io_uring" } else { "recvmmsg" };
    check_silent_node_is_reported("127.0.0.1:0", "", receiver);
}

#[test]
fn silent_node_is_reported_with_recvmmsg_over_ipv6() {
    check_silent_node_is_reported("[::1]:0", "[shards]\ncount = 1\nio = \"recvmmsg\"\n", "recvmmsg");
}

/// Goal: nodes whose lanes belong to different shards live on one relay's mixed frames, and then on another relay's,
/// without a word about them.
#[test]
fn mixed_frames_and_moving_nodes_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[shards]\ncount = 2\n"));
    let names: Vec<String> = (0..40).map(|number| format!("node-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shards: std::collections::BTreeSet<_> =
        names.iter().map(|name| pulsegate_codec::NodeId::from_name(name).lane().shard(2)).collect();
    assert_eq!(shards.len(), 2, "these names must lie on both shards");
    let (mut first, mut second) = (Relay::new("first", &gateway), Relay::new("second", &gateway));
    first.introduce(&names);
    for round in 0..25 {
        // Every few rounds the nodes move to the other relay, which goes on counting where the first one was.
        let relay = if round / 5 % 2 == 0 { &mut first } else { &mut second };
        relay.skip_to(round + 2);
        relay.beat(&names);
        pause(BEAT);
    }
    let events = eventually("all nodes have joined", || {
        Some(gateway.events())
            .filter(|events| events.iter().filter(|event| !event.node.is_empty()).count() >= 40)
    });
    for name in &names {
        assert_eq!(types_of(&events, name), [EventType::Joined], "{name}");
    }
    assert!(gateway.metric("pulsegate_handoff_total") >= 20, "half of each frame belongs to the other shard");
    assert_eq!(gateway.number("handoff_dropped"), 0);
    assert_eq!(gateway.number("heartbeats_accepted"), 26 * 40);
    assert_eq!(gateway.metric("pulsegate_descriptors_total"), 40);
}

/// Goal: the same frames over TCP, cut at awkward places, count as over UDP; a length that no frame has ends the
/// connection; a bad frame does not.
#[test]
fn heartbeats_over_tcp_reach_their_shards() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[shards]\ncount = 2\n"));
    let mut relay = Relay::new("relay", &gateway);
    let mut stream = TcpStream::connect(gateway.endpoints().heartbeats).unwrap();
    let mut bytes = Vec::new();
    for round in 1..=3 {
        for frame in [relay.frame(&["first", "second", "third", "fourth"], round == 1), b"no frame".to_vec()]
        {
            bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&frame);
        }
    }
    for piece in bytes.chunks(7) {
        stream.write_all(piece).unwrap();
    }
    eventually("all have been taken", || (gateway.number("heartbeats_accepted") == 12).then_some(()));
    assert_eq!(gateway.number("datagrams_rejected"), 3);
    let events = eventually("all have joined", || {
        Some(gateway.events())
            .filter(|events| events.iter().filter(|event| !event.node.is_empty()).count() == 4)
    });
    assert_eq!(types_of(&events, "third"), [EventType::Joined]);
    stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "the gateway closes what cannot be read on");
    assert_eq!(gateway.number("datagrams_rejected"), 4);
}

/// Goal: an idle gateway sleeps. Method: CPU time of the process over two seconds, under 1 % of a core.
#[test]
fn idle_gateway_uses_no_cpu() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let before = gateway.number("cpu_us");
    pause(Duration::from_secs(2));
    let used = gateway.number("cpu_us") - before;
    assert!(used < 20_000, "{used} us of CPU in two seconds, the two status requests included");
}
