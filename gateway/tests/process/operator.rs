//! What an operator asks for over HTTP, and what the stream makes of it.

use pulsegate_codec::event::{Event, EventType};
use serde_json::{Value, json};

use crate::harness::{FAST, Gateway, Relay, eventually};

const JSON: &str = "Content-Type: application/json\r\n";

/// The answer to a POST; it must have this status.
fn post(gateway: &Gateway, path: &str, body: &Value, expected: u16) -> Value {
    let (status, answer) = gateway.request("POST", path, JSON, &body.to_string());
    assert_eq!(status, expected, "{path} {body}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn list(gateway: &Gateway, path: &str, key: &str) -> Vec<Value> {
    let mut answer: Value = serde_json::from_str(&gateway.get(path)).unwrap();
    serde_json::from_value(answer[key].take()).unwrap()
}

/// What was told of a node, in order.
fn told(gateway: &Gateway, node: &str) -> Vec<Event> {
    gateway.events().into_iter().filter(|event| event.node == node).collect()
}

fn types(events: &[Event]) -> Vec<EventType> {
    events.iter().map(|event| event.event_type.clone()).collect()
}

/// Introduces nodes and waits until all of them have joined.
fn join(gateway: &Gateway, relay: &mut Relay, names: &[&str]) {
    eventually("all have joined", || {
        relay.introduce(names);
        names.iter().all(|name| !told(gateway, name).is_empty()).then_some(())
    });
}

/// Goal: of a silenced node nothing is published when it dies; when the silence ends, where it stands is, once. Method: its
/// neighbours beat on, so that the guard has nothing to doubt.
#[test]
fn a_silenced_node_dies_unheard_and_is_told_when_the_silence_ends() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let mut relay = Relay::new("relay", &gateway);
    join(&gateway, &mut relay, &["node-0", "node-1", "node-2", "node-3"]);
    let order = json!({ "node": "node-0", "seconds": 4, "comment": "new disks" });
    let silence = post(&gateway, "/v1/silences", &order, 201);
    assert_eq!((&silence["node"], &silence["comment"]), (&json!("node-0"), &json!("new disks")));
    let until = silence["until_unix_us"].as_u64().unwrap();
    assert_eq!(until - silence["from_unix_us"].as_u64().unwrap(), 4_000_000);

    let others = ["node-1", "node-2", "node-3"];
    eventually("it has failed", || {
        relay.beat(&others);
        (gateway.status()["nodes"]["failed"] == 1).then_some(())
    });
    eventually("both verdicts were kept", || {
        relay.beat(&others);
        (list(&gateway, "/v1/silences", "silences").first()?["silenced"] == 2).then_some(())
    });
    assert_eq!(types(&told(&gateway, "node-0")), [EventType::Joined]);
    eventually("it is told", || {
        relay.beat(&others);
        (told(&gateway, "node-0").len() > 1).then_some(())
    });
    assert!(pulsegate::io::Clock::new().unix_us() >= until, "and not before the silence ended");
    let events = told(&gateway, "node-0");
    assert_eq!(types(&events), [EventType::Joined, EventType::Failed]);
    assert_eq!(events[1].event_sequence, Some(2), "what was silenced took no number");
    assert_eq!(list(&gateway, "/v1/silences", "silences"), [] as [Value; 0]);
    assert!(others.iter().all(|node| types(&told(&gateway, node)) == [EventType::Joined]));
}

/// Goal: a silence that is ended by hand ends at once, for a zone as for a node.
#[test]
fn a_silence_can_be_ended_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let (mut here, mut there) =
        (Relay::new("here", &gateway), Relay::new("there", &gateway).in_zone("zone-b"));
    join(&gateway, &mut here, &["node-0", "node-1"]);
    join(&gateway, &mut there, &["other-0", "other-1"]);
    let silence = post(&gateway, "/v1/silences", &json!({ "zone": "zone-a", "seconds": 3_600 }), 201);
    eventually("zone-a has failed", || {
        there.beat(&["other-0", "other-1"]);
        (list(&gateway, "/v1/silences", "silences").first()?["silenced"] == 4).then_some(())
    });
    assert_eq!(types(&told(&gateway, "node-1")), [EventType::Joined]);
    let path = format!("/v1/silences/{}", silence["id"]);
    assert_eq!(gateway.request("DELETE", &path, "", ""), (204, String::new()));
    for node in ["node-0", "node-1"] {
        eventually("it is told", || {
            there.beat(&["other-0", "other-1"]);
            (types(&told(&gateway, node)) == [EventType::Joined, EventType::Failed]).then_some(())
        });
    }
    let (status, words) = gateway.request("DELETE", &path, "", "");
    assert_eq!(status, 404);
    assert!(words.contains("no silence") && words.contains("GET /v1/silences"), "{words}");
}

/// Goal: what the guard holds is listed, and let go of when an operator says so, long before the bound.
#[test]
fn a_zone_that_is_held_is_listed_and_released() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[guard]\nhold-max-s = 3_600\n"));
    let dead = ["node-0", "node-1", "node-2", "node-3"];
    let alive = ["other-0", "other-1", "other-2", "other-3", "other-4", "other-5", "other-6", "other-7"];
    let (mut here, mut there) =
        (Relay::new("here", &gateway), Relay::new("there", &gateway).in_zone("zone-b"));
    join(&gateway, &mut there, &alive);
    eventually("all have joined", || {
        there.beat(&alive);
        here.introduce(&dead);
        dead.iter().all(|name| !told(&gateway, name).is_empty()).then_some(())
    });
    let hold = eventually("zone-a is held", || {
        there.beat(&alive);
        list(&gateway, "/v1/guard", "holds").into_iter().find(|hold| hold["held"] == 4)
    });
    assert_eq!((&hold["scope"], &hold["name"]), (&json!("zone"), &json!("zone-a")));
    assert_eq!((&hold["alive"], &hold["failed"]), (&json!(0), &json!(4)));
    let until = hold["until_unix_us"].as_u64().unwrap();
    assert_eq!(until - hold["since_unix_us"].as_u64().unwrap(), 3_600_000_000);
    assert!(!types(&told(&gateway, "node-0")).contains(&EventType::Failed));

    let refused = post(&gateway, "/v1/guard/release", &json!({ "zone": "zone-c" }), 404);
    assert!(refused["error"].as_str().unwrap().contains("zone-c"), "{refused}");
    let released = post(&gateway, "/v1/guard/release", &json!({ "zone": "zone-a" }), 200);
    assert_eq!(released, json!({ "released": 4 }));
    for node in dead {
        eventually("it is told", || {
            there.beat(&alive);
            types(&told(&gateway, node)).contains(&EventType::Failed).then_some(())
        });
    }
    assert_eq!(list(&gateway, "/v1/guard", "holds"), [] as [Value; 0]);
    let events = gateway.events();
    let released = events.iter().find(|event| event.event_type == EventType::ZoneReleased).unwrap();
    assert_eq!(
        (released.reason.as_deref(), &*released.zone, released.count),
        (Some("operator"), "zone-a", Some(4))
    );
    assert_eq!(post(&gateway, "/v1/guard/release", &json!({ "all": true }), 200), json!({ "released": 0 }));
}

/// Goal: whatever is wrong with a request is said in words, with the status that fits, and nothing is done.
#[test]
fn what_cannot_be_done_is_said_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let long = format!(r#"{{"node": "n", "seconds": 1, "comment": "{}"}}"#, "x".repeat(1_025));
    let huge = format!(r#"{{"node": "{}", "seconds": 1}}"#, "x".repeat(5_000));
    let cases = [
        ("/v1/silences", JSON, r#"{"seconds": 1}"#, 400, "exactly one of"),
        ("/v1/silences", JSON, r#"{"zone": "a", "node": "b", "seconds": 1}"#, 400, "exactly one of"),
        ("/v1/silences", JSON, r#"{"zone": "", "seconds": 1}"#, 400, "empty one means nobody"),
        ("/v1/silences", JSON, r#"{"zone": "a", "seconds": 0}"#, 400, "outside 1 to 2592000"),
        ("/v1/silences", JSON, r#"{"zone": "a", "seconds": 2592001}"#, 400, "outside 1 to 2592000"),
        ("/v1/silences", JSON, r#"{"zone": "a", "minutes": 1}"#, 400, "unknown field `minutes`"),
        ("/v1/silences", JSON, "zone-a, please", 400, "When many fail at once"),
        ("/v1/silences", JSON, &long, 400, "at most 1024"),
        ("/v1/silences", JSON, &huge, 413, "at most 4096 bytes"),
        ("/v1/silences", "", r#"{"zone": "a", "seconds": 1}"#, 415, "application/json"),
        ("/v1/guard/release", JSON, "{}", 400, "say whose failures"),
        ("/v1/guard/release", JSON, r#"{"all": true, "zone": "a"}"#, 400, "say whose failures"),
        ("/v1/guard/release", "Content-Type: text/plain\r\n", r#"{"all": true}"#, 415, "application/json"),
    ];
    for (path, headers, body, expected, words) in cases {
        let (status, answer) = gateway.request("POST", path, headers, body);
        assert_eq!(status, expected, "{body:.80}: {answer}");
        let error: Value = serde_json::from_str(&answer).unwrap();
        assert!(error["error"].as_str().unwrap().contains(words), "{body:.80}: {answer}");
    }
    let (status, answer) = gateway.request("DELETE", "/v1/silences/mine", "", "");
    assert_eq!((status, answer.contains("is a number")), (400, true), "{answer}");
    assert_eq!(list(&gateway, "/v1/silences", "silences"), [] as [Value; 0]);

    for number in 0..256 {
        post(&gateway, "/v1/silences", &json!({ "node": format!("n-{number}"), "seconds": 60 }), 201);
    }
    let refused = post(&gateway, "/v1/silences", &json!({ "node": "n", "seconds": 60 }), 409);
    assert!(refused["error"].as_str().unwrap().contains("end one of them first"), "{refused}");
}
