//! The gateway is killed and comes back: it knows whom it knew, its downtime counts for nobody, and nobody is told twice.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate::data_dir::stream_dir;
use pulsegate::gateway::NODES_TOPIC;
use pulsegate_codec::NodeId;
use pulsegate_codec::event::{Event, EventType};
use pulsegate_loadgen::faults::{Amount, FaultOptions};
use pulsegate_loadgen::{Report, RunOptions};
use pulsegate_stream::{LogReader, partition_of_key};

use crate::harness::{FAST, Gateway, Relay, eventually, pause, quiet_addresses};

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
    let addresses = quiet_addresses();
    let mut gateway = Gateway::start_with(directory.path(), addresses, &settings());
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
    gateway.kill();
    pause(Duration::from_secs(2));
    gateway = Gateway::start_with(directory.path(), addresses, &settings().replace("count = 2", "count = 3"));
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

/// Goal: a snapshot that can be neither read nor written stops nothing: it is told in the log and counted, the log of events
/// alone says whom the gateway knew, and once it can be written again it is. A damaged one costs the record that is damaged.
/// Method: a file where the directory should be; then a flipped bit in the last record of four.
#[test]
fn a_snapshot_that_cannot_be_used_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("snapshot"), "in the way").unwrap();
    let addresses = quiet_addresses();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings());
    let nodes = ["a", "b", "c", "d"];
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&nodes);
    eventually("two snapshots have failed", || {
        relay.beat(&nodes);
        gateway.get("/metrics").contains("pulsegate_snapshots_total{outcome=\"failed\"} 2").then_some(())
    });
    gateway.kill();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings());
    assert!(gateway.get("/metrics").contains("pulsegate_known_nodes{source=\"log\"} 4"));
    std::fs::remove_file(directory.path().join("snapshot")).unwrap();
    eventually("a snapshot is written", || {
        relay.beat(&nodes);
        (gateway.metric("pulsegate_snapshot_nodes") == 4).then_some(())
    });
    assert!(gateway.stop().success());
    let snapshot = directory.path().join("snapshot").join("nodes");
    let mut bytes = std::fs::read(&snapshot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&snapshot, bytes).unwrap();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings());
    let page = gateway.get("/metrics");
    for (source, count) in [("snapshot", 3), ("log", 1)] {
        assert!(page.contains(&format!("pulsegate_known_nodes{{source=\"{source}\"}} {count}")), "{page}");
    }
    assert!(page.contains("pulsegate_known_nodes_left_out{reason=\"damaged\"} 1"));
    let log = std::fs::read_to_string(directory.path().join("gateway.log")).unwrap();
    for words in ["the snapshot is ignored", "no snapshot could be written", "the snapshot is damaged"] {
        assert!(log.contains(words), "{words}");
    }
    eventually("all beat on", || {
        relay.beat(&nodes);
        (gateway.status()["nodes"]["alive"] == 4).then_some(())
    });
    assert_eq!(gateway.events().iter().filter(|event| event.event_type == EventType::Joined).count(), 4);
}

/// A number from the environment, or the default.
fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A fleet that beats on while its gateway is killed and away for `down`; what its judge says, with all that the gateway told.
fn killed_under_a_fleet(settings: &str, down: Duration, options: &RunOptions) -> (Report, Vec<Event>) {
    let directory = tempfile::tempdir().unwrap();
    let addresses = quiet_addresses();
    let gateway = Gateway::start_with(directory.path(), addresses, settings);
    let options = RunOptions {
        gateway: addresses[0],
        admin: addresses[1],
        kafka: addresses[2],
        gateway_restarts: 1,
        ..options.clone()
    };
    let fleet = {
        let options = options.clone();
        std::thread::spawn(move || pulsegate_loadgen::run(&options, &mut |_| {}).unwrap())
    };
    // Some of the faults come before, some meanwhile, and some after.
    pause((Duration::from_secs(options.seconds) - down) / 2);
    gateway.kill();
    pause(down);
    let gateway = Gateway::start_with(directory.path(), addresses, settings);
    let report = fleet.join().unwrap();
    let events = gateway.events();
    assert!(gateway.stop().success());
    (report, events)
}

/// Goal: of a fleet that beats on while the gateway is away nobody is called failed who lives, everybody who died before,
/// meanwhile and after is, those of the downtime no later after the start than the failed timeout and half a second; nobody
/// joins twice, and each node's events are numbered without a gap (all of it said by the judge). The environment raises
/// it: `PULSEGATE_RESTART_NODES=50000 PULSEGATE_RESTART_DOWN_S=60` takes two minutes.
#[test]
fn nobody_fails_of_the_gateways_own_downtime_and_all_who_died_do() {
    let nodes = u32::try_from(number_from("PULSEGATE_RESTART_NODES", 4_000)).unwrap();
    let down_s = number_from("PULSEGATE_RESTART_DOWN_S", 3);
    let is_long = down_s > 3;
    let interval_ms = if is_long { 1_000 } else { 200 };
    let settings = format!(
        "[detector]\ninterval-ms = {interval_ms}\n[shards]\ncount = 2\n[registry]\nnodes-max = 100_000\n\
         [restart]\nsnapshot-interval-s = {}\n",
        if is_long { 5 } else { 1 }
    );
    let faults = FaultOptions {
        kill: Amount::Share(0.03),
        restart: Amount::Share(0.01),
        leave: Amount::Share(0.01),
        pause: Amount::Share(0.01),
        degrade: Amount::Share(0.01),
        ..FaultOptions::NONE
    };
    let seconds = if is_long { down_s + 50 } else { 13 };
    let late_ms = u32::try_from(down_s * 1_000 + 5_000).unwrap();
    let options = RunOptions { nodes, seconds, interval_ms, faults, late_ms, ..RunOptions::default() };
    let (report, events) = killed_under_a_fleet(&settings, Duration::from_secs(down_s), &options);
    println!("{report}");
    assert!(report.is_clean(), "{report}");

    let started = events.iter().rfind(|event| event.event_type == EventType::GatewayStarted).unwrap();
    let started_at = started.decided_at_unix_us;
    let timeout_us = u64::from(interval_ms) * 5_000;
    let after = events.iter().filter(|event| event.epoch == 2 && event.event_type == EventType::Failed);
    // Counted as if nobody had been away: who was not heard since the start was heard before it.
    let of_downtime = after.filter(|event| event.last_seen_unix_us.unwrap() <= started_at);
    let latest_us = of_downtime.clone().map(|event| event.decided_at_unix_us - started_at).max().unwrap();
    println!(
        "{} of them had died before the start, reported up to {} ms after it; known {}, away at most {} ms",
        of_downtime.count(),
        latest_us / 1_000,
        started.members.unwrap(),
        started.pause_us.unwrap() / 1_000
    );
    assert!(latest_us <= timeout_us + 500_000, "{latest_us} us after the start");
    assert_eq!(events.iter().filter(|event| event.event_type == EventType::Joined).count(), nodes as usize);
}

/// Goal: failures that a guard held when the gateway was killed are neither lost nor taken for told: each is told after the
/// restart, once, and follows the suspicion that was told before it. Method: eight of ten nodes of a zone fall silent; the second
/// guard lets go after a second.
#[test]
fn failures_that_were_held_are_told_after_the_restart() {
    let directory = tempfile::tempdir().unwrap();
    let addresses = quiet_addresses();
    let settings = |hold_max_s| {
        format!("{FAST}[restart]\nsnapshot-interval-s = 1\n[guard]\nhold-max-s = {hold_max_s}\n")
    };
    let gateway = Gateway::start_with(directory.path(), addresses, &settings(60));
    let names: Vec<String> = (0..10).map(|number| format!("node-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&names);
    eventually("all have joined", || {
        relay.beat(&names);
        names.iter().all(|name| types(&gateway, name) == [EventType::Joined]).then_some(())
    });
    let (living, silent) = names.split_at(2);
    eventually("the guard holds eight failures", || {
        relay.beat(living);
        gateway.get("/metrics").contains("pulsegate_publication_waiting{outcome=\"held\"} 8").then_some(())
    });
    let written = gateway.metric("pulsegate_snapshots_total");
    eventually("a snapshot has been taken since", || {
        relay.beat(living);
        (gateway.metric("pulsegate_snapshots_total") > written + 1).then_some(())
    });
    gateway.kill();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings(1));
    eventually("all are told", || {
        relay.beat(living);
        silent.iter().all(|name| types(&gateway, name).contains(&EventType::Failed)).then_some(())
    });
    for name in silent {
        assert_eq!(
            types(&gateway, name),
            [EventType::Joined, EventType::Suspected, EventType::Failed],
            "{name}"
        );
        assert_eq!(told(&gateway, name)[2].event_sequence, Some(3));
    }
    assert!(living.iter().all(|name| types(&gateway, name) == [EventType::Joined]));
}

/// Goal: a node whose goodbye was taken and not published has left, also after a kill, and does not fail. Method: an operator's
/// silence keeps the goodbye from being told, and ends with the gateway.
#[test]
fn a_goodbye_that_nobody_was_told_of_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let addresses = quiet_addresses();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings());
    let mut relay = Relay::new("relay", &gateway);
    eventually("both have joined", || {
        relay.introduce(&["leaves", "lives"]);
        ["leaves", "lives"].iter().all(|name| types(&gateway, name) == [EventType::Joined]).then_some(())
    });
    let silence = r#"{"node": "leaves", "seconds": 600}"#;
    let (status, answer) =
        gateway.request("POST", "/v1/silences", "Content-Type: application/json\r\n", silence);
    assert_eq!(status, 201, "{answer}");
    relay.leave("leaves");
    eventually("it has left, unheard", || {
        relay.beat(&["lives"]);
        (gateway.status()["nodes"]["left"] == 1).then_some(())
    });
    let written = gateway.metric("pulsegate_snapshots_total");
    eventually("a snapshot knows of it", || {
        relay.beat(&["lives"]);
        (gateway.metric("pulsegate_snapshots_total") > written + 1).then_some(())
    });
    assert_eq!(types(&gateway, "leaves"), [EventType::Joined]);
    gateway.kill();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings());
    eventually("it is told", || {
        relay.beat(&["lives"]);
        (types(&gateway, "leaves").len() > 1).then_some(())
    });
    for _ in 0..20 {
        relay.beat(&["lives"]);
        pause(Duration::from_millis(50));
    }
    assert_eq!(types(&gateway, "leaves"), [EventType::Joined, EventType::Left]);
    assert_eq!(told(&gateway, "leaves")[1].reason.as_deref(), Some("unspecified"));
}

/// Goal: a node that was told of by its id first is one node under its name, to consumers and to the next start, which has
/// more partitions besides: nothing is told of it anew, and nothing of it is left under another key or in another place.
#[test]
fn a_node_that_told_its_name_late_is_one_node_also_in_more_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start(directory.path(), &settings());
    let mut relay = Relay::new("relay", &gateway);
    let id = NodeId::from_name("late").to_string();
    eventually("it has joined without a name", || {
        relay.beat(&["late"]);
        types(&gateway, &id).contains(&EventType::Joined).then_some(())
    });
    relay.introduce(&["late"]);
    eventually("it has failed by its name", || {
        types(&gateway, "late").contains(&EventType::Failed).then_some(())
    });
    gateway.kill();
    gateway = Gateway::start(directory.path(), &format!("{}[stream]\npartitions = 11\n", settings()));
    let mut relay = Relay::new("relay", &gateway);
    relay.skip_to(10_000);
    let recovered = eventually("it has recovered", || {
        relay.beat(&["late"]);
        told(&gateway, "late").into_iter().find(|event| event.event_type == EventType::Recovered)
    });
    assert_eq!((recovered.epoch, recovered.event_sequence), (2, Some(4)), "it goes on where it stood");
    assert_eq!(types(&gateway, &id), [EventType::Joined]);
    assert!(gateway.stop().success());
    let mut reader = LogReader::new(&stream_dir(directory.path()), NODES_TOPIC);
    let mut states = BTreeMap::new();
    for found in reader.poll().unwrap().records {
        states.insert((found.partition, found.record.key.unwrap()), found.record.value);
    }
    states.retain(|_, value| value.is_some());
    let expected = (partition_of_key(Some(b"late"), 11), "late".into());
    assert!(states.keys().eq([&expected]), "{states:?}");
}

/// Goal: nodes that said goodbye and came back after the last snapshot live, in a new run or the same one, and are told nothing of
/// by a restart. Method: a gateway that writes no snapshot sees them come back to the snapshot of the one before.
#[test]
fn nodes_that_came_back_after_the_snapshot_have_not_left() {
    use EventType::{Joined, Left};
    let directory = tempfile::tempdir().unwrap();
    let addresses = quiet_addresses();
    let gateway = Gateway::start_with(directory.path(), addresses, &settings());
    let (mut same, mut anew) = (Relay::new("same", &gateway), Relay::new("anew", &gateway));
    eventually("both have joined", || {
        same.introduce(&["same"]);
        anew.introduce(&["anew"]);
        ["same", "anew"].iter().all(|name| types(&gateway, name) == [Joined]).then_some(())
    });
    same.leave("same");
    anew.leave("anew");
    let both = |gateway: &Gateway, expected: &[EventType]| {
        ["same", "anew"].iter().all(|name| types(gateway, name) == expected)
    };
    eventually("both have left", || both(&gateway, &[Joined, Left]).then_some(()));
    let written = gateway.metric("pulsegate_snapshots_total");
    eventually("a snapshot knows of it", || {
        (gateway.metric("pulsegate_snapshots_total") > written + 1).then_some(())
    });
    gateway.kill();
    let rarely = settings().replace("snapshot-interval-s = 1", "snapshot-interval-s = 3_600");
    let gateway = Gateway::start_with(directory.path(), addresses, &rarely);
    anew.set_incarnation(2);
    anew.skip_to(1);
    eventually("both are back", || {
        same.introduce(&["same"]);
        anew.introduce(&["anew"]);
        both(&gateway, &[Joined, Left, Joined]).then_some(())
    });
    gateway.kill();
    let gateway = Gateway::start_with(directory.path(), addresses, &rarely);
    for _ in 0..20 {
        same.beat(&["same"]);
        anew.beat(&["anew"]);
        pause(Duration::from_millis(50));
    }
    for name in ["same", "anew"] {
        assert_eq!(types(&gateway, name), [Joined, Left, Joined], "{name}");
    }
}
