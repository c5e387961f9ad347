//! The gateway is killed and comes back: it knows whom it knew, its downtime counts for nobody, and nobody is told twice.

use std::time::Duration;

use pulsegate_codec::event::{Event, EventType};

use crate::harness::{FAST, Gateway, Relay, eventually, pause};

/// Snapshots as often as may be, and no guard: it would hold the failures of fleets as small as these.
fn settings() -> String {
    format!("{FAST}[guard]\nenabled = false\n[restart]\nsnapshot-interval-s = 1\n[shards]\ncount = 2\n")
}

/// What was told of a node, in order.
fn told(gateway: &Gateway, node: &str) -> Vec<Event> {
    gateway.events().into_iter().filter(|event| event.node == node).collect()
}

fn types(gateway: &Gateway, node: &str) -> Vec<EventType> {
    told(gateway, node).into_iter().map(|event| event.event_type).collect()
}

/// Goal: after a kill and a downtime of many timeouts the gateway goes on with every node where the world was told that it
/// stands: who lives is told nothing of, who left or failed is not told so again, who failed can recover, who died meanwhile
/// fails with its name, zone and the next number. Method: four nodes, one of each; the shards become three.
#[test]
fn every_node_goes_on_where_the_world_was_told_that_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start(directory.path(), &settings());
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&["lives", "dies", "left", "failed"]);
    let all = ["lives", "dies", "left"];
    eventually("one has failed", || {
        relay.beat(if types(&gateway, "failed").is_empty() {
            &["lives", "dies", "left", "failed"]
        } else {
            &all
        });
        types(&gateway, "failed").contains(&EventType::Failed).then_some(())
    });
    relay.leave("left");
    eventually("one has left", || {
        relay.beat(&["lives", "dies"]);
        types(&gateway, "left").contains(&EventType::Left).then_some(())
    });
    let written = gateway.metric("pulsegate_snapshots_total");
    eventually("a snapshot has been taken since", || {
        relay.beat(&["lives", "dies"]);
        (gateway.metric("pulsegate_snapshots_total") > written + 1).then_some(())
    });
    let addresses = gateway.endpoints().clone();
    gateway.kill();
    pause(Duration::from_secs(2));
    gateway =
        Gateway::start_again(directory.path(), &addresses, &settings().replace("count = 2", "count = 3"));
    assert!(gateway.get("/metrics").contains("pulsegate_known_nodes{source=\"snapshot\"} 4"));
    eventually("one has failed that died meanwhile", || {
        relay.beat(&["lives"]);
        types(&gateway, "dies").contains(&EventType::Failed).then_some(())
    });
    eventually("one has recovered", || {
        relay.beat(&["lives", "failed"]);
        types(&gateway, "failed").contains(&EventType::Recovered).then_some(())
    });
    use EventType::{Failed, Joined, Left, Recovered, Suspected};
    for (node, expected) in [
        ("lives", &[Joined][..]),
        ("dies", &[Joined, Suspected, Failed]),
        ("left", &[Joined, Left]),
        ("failed", &[Joined, Suspected, Failed, Recovered]),
    ] {
        assert_eq!(types(&gateway, node), expected, "{node}");
        let numbers: Vec<_> =
            told(&gateway, node).iter().map(|event| event.event_sequence.unwrap()).collect();
        assert!(
            numbers.iter().copied().eq(1..=u32::try_from(expected.len()).unwrap()),
            "{node}: {numbers:?}"
        );
    }
    let died = told(&gateway, "dies").pop().unwrap();
    assert_eq!((&*died.zone, died.epoch), ("zone-a", 2));
    let started = gateway.events().into_iter().rfind(|event| event.event_type == EventType::GatewayStarted);
    let started = started.unwrap();
    assert_eq!((started.epoch, started.members), (2, Some(4)));
    let pause_us = started.pause_us.unwrap();
    assert!((2_000_000..10_000_000).contains(&pause_us), "{pause_us}");
    assert!(gateway.stop().success());
}
