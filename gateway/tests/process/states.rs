//! States beside alive and failed, against the real program.

use std::time::Duration;

use pulsegate_codec::event::{Event, EventType};
use serde_json::{Value, json};

use crate::harness::{FAST, Gateway, Relay, eventually, pause};

const JSON: &str = "Content-Type: application/json\r\n";

fn post(gateway: &Gateway, path: &str, body: &Value, expected: u16) -> Value {
    let (status, answer) = gateway.request("POST", path, JSON, &body.to_string());
    assert_eq!(status, expected, "{path} {body}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn told(gateway: &Gateway, node: &str) -> Vec<Event> {
    gateway.events().into_iter().filter(|event| event.node == node).collect()
}

fn types(gateway: &Gateway, node: &str) -> Vec<EventType> {
    told(gateway, node).into_iter().map(|event| event.event_type).collect()
}

fn join(gateway: &Gateway, relay: &mut Relay, names: &[&str]) {
    eventually("all have joined", || {
        relay.introduce(names);
        names.iter().all(|name| types(gateway, name).contains(&EventType::Joined)).then_some(())
    });
}

/// Shows: a node that an operator has in maintenance falls silent and is not even suspected, its neighbour fails; after
/// `kill -9` and a new start the order holds still, also for a node that was not known when it was given; when the operator
/// ends it the node fails like any other.
#[test]
fn a_node_in_maintenance_may_be_silent_also_after_a_restart() {
    use EventType::{Failed, Joined, MaintenanceEnded, MaintenanceStarted, Suspected};
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let mut relay = Relay::new("relay", &gateway);
    join(&gateway, &mut relay, &["held", "other"]);
    let order = json!({ "nodes": ["held", "later"], "seconds": 3_600, "reason": "new disks" });
    let made = post(&gateway, "/v1/maintenance", &order, 201);
    let mut are_known: Vec<_> = made["maintenance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (&node["node"], &node["is_known"]))
        .collect();
    are_known.sort_by_key(|(node, _)| node.to_string());
    assert_eq!(are_known, [(&json!("held"), &json!(true)), (&json!("later"), &json!(false))]);
    // Both are silent for as long; one of them is judged.
    eventually("the other has failed", || types(&gateway, "other").contains(&Failed).then_some(()));
    assert_eq!(types(&gateway, "held"), [Joined, MaintenanceStarted]);
    let started = told(&gateway, "held").remove(1);
    assert_eq!((started.reason.as_deref(), started.state.as_deref()), (Some("operator"), Some("alive")));
    // From when its shard took the order.
    assert!((3_590_000..=3_600_000).contains(&started.expected_return_ms.unwrap()), "{started:?}");
    assert_eq!(gateway.metric("pulsegate_nodes_in_maintenance"), 1);
    gateway.kill();

    let gateway = Gateway::start(directory.path(), FAST);
    let list: Value = serde_json::from_str(&gateway.get("/v1/maintenance")).unwrap();
    let reasons: Vec<_> =
        list["maintenance"].as_array().unwrap().iter().map(|node| &node["reason"]).collect();
    assert_eq!(reasons, [&json!("new disks"), &json!("new disks")]);
    let mut relay = Relay::new("relay", &gateway);
    relay.skip_to(10_000);
    let is_held = |name| {
        let told = told(&gateway, name);
        told.iter().any(|event| event.event_type == MaintenanceStarted && event.epoch == 2)
    };
    eventually("both are held again", || {
        relay.introduce(&["held", "later", "third"]);
        (is_held("held") && is_held("later")).then_some(())
    });
    eventually("the third has failed", || types(&gateway, "third").contains(&Failed).then_some(()));
    assert!(["held", "later"].iter().all(|name| !types(&gateway, name).contains(&Suspected)));

    assert_eq!(gateway.request("DELETE", "/v1/maintenance/held", "", ""), (204, String::new()));
    eventually("it is judged again", || {
        types(&gateway, "held").ends_with(&[Suspected, Failed]).then_some(())
    });
    let events = types(&gateway, "held");
    assert_eq!(events[events.len() - 3], MaintenanceEnded, "{events:?}");
    assert_eq!(gateway.request("DELETE", "/v1/maintenance/held", "", "").0, 404);
    let ended = post(&gateway, "/v1/maintenance/end", &json!({ "nodes": ["held", "later"] }), 200);
    assert_eq!(ended, json!({ "ended": 1 }));
    assert_eq!(gateway.get("/v1/maintenance"), r#"{"maintenance":[]}"#);
    assert!(!types(&gateway, "later").contains(&Suspected));
}

/// Goal: whatever is wrong with an order is said in words, and nothing is done.
#[test]
fn a_wrong_order_for_maintenance_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let many = json!({ "nodes": vec!["n"; 1_001], "seconds": 1 }).to_string();
    let cases = [
        (r#"{"seconds": 60}"#, 400, "a request is about 1 to 1000"),
        (&many, 400, "name 1001 nodes"),
        (r#"{"nodes": ["a"]}"#, 400, "exactly one of `seconds` and `until_unix_s`"),
        (r#"{"nodes": ["a"], "seconds": 1, "until_unix_s": 1}"#, 400, "exactly one of"),
        (r#"{"nodes": ["a"], "until_unix_s": 1}"#, 400, "would last 0 s"),
        (r#"{"nodes": ["a"], "seconds": 2592001}"#, 400, "1 to 2592000 (30 days)"),
        (r#"{"nodes": [""], "seconds": 1}"#, 400, "1 to 255 bytes"),
        (r#"{"node_ids": ["12"], "seconds": 1}"#, 400, "16 hexadecimal digits"),
        (r#"{"nodes": ["a"], "minutes": 1}"#, 400, "unknown field `minutes`"),
        ("db-1, please", 400, "Maintenance"),
    ];
    for (body, expected, words) in cases {
        let (status, answer) = gateway.request("POST", "/v1/maintenance", JSON, body);
        assert_eq!(status, expected, "{body:.80}: {answer}");
        let error: Value = serde_json::from_str(&answer).unwrap();
        assert!(error["error"].as_str().unwrap().contains(words), "{body:.80}: {answer}");
    }
    assert_eq!(gateway.request("POST", "/v1/maintenance", "", r#"{"nodes": ["a"], "seconds": 1}"#).0, 415);
    assert_eq!(gateway.get("/v1/maintenance"), r#"{"maintenance":[]}"#);
}

/// Shows: a copy of a running node, started earlier, which beats beside it in two places is one `conflict` with both senders;
/// the node is alive all the while and nothing else is told of it.
#[test]
fn a_copied_node_is_one_conflict_and_no_flap() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let (mut node, mut copy) = (Relay::new("here", &gateway), Relay::new("there", &gateway));
    node.set_incarnation(2);
    join(&gateway, &mut node, &["copied", "single"]);
    let conflict = eventually("the conflict is told", || {
        node.beat(&["copied", "single"]);
        copy.introduce(&["copied"]);
        told(&gateway, "copied").into_iter().find(|event| event.event_type == EventType::Conflict)
    });
    let senders =
        ["here", "there"].map(|name| format!("{:016x}", pulsegate_codec::SenderId::from_name(name).0));
    assert_eq!((conflict.sources, conflict.incarnation), (senders.to_vec(), Some(2)));
    for _ in 0..50 {
        node.beat(&["copied", "single"]);
        copy.beat(&["copied"]);
        pause(Duration::from_millis(20));
    }
    assert_eq!(types(&gateway, "copied"), [EventType::Joined, EventType::Conflict]);
    assert_eq!(types(&gateway, "single"), [EventType::Joined]);
    assert_eq!(gateway.metric("pulsegate_conflicts_total"), 1);
}
