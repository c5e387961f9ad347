//! The webhook sink against an endpoint that fails in every way.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::Value;

use crate::endpoint::{Endpoint, Reply, Request};
use crate::fleet::{Fleet, QUIET};
use crate::harness::{Gateway, eventually};
use crate::judge;

fn settings(endpoint: &Endpoint, keys: &str) -> String {
    settings_for(&format!("http://127.0.0.1:{}/hook", endpoint.port), keys)
}

pub fn settings_for(url: &str, keys: &str) -> String {
    format!(
        "{QUIET}[sinks.webhook.pager]\nurl = \"{url}\"\nretry-ms-min = 10\nretry-ms-max = 50\ntimeout-ms = 300\n{keys}\n"
    )
}

pub fn up_to_date(gateway: &Gateway, events: u64) {
    eventually("the sink has caught up", || {
        let is_there = gateway.metric("pulsegate_events_published_total") >= events
            && gateway.metric("pulsegate_sink_lag_events") == 0;
        is_there.then_some(())
    });
}

/// Ids in the order of their first arrival, and how many copies came beside them.
fn ids(requests: &[Request]) -> (Vec<String>, usize) {
    let mut seen = HashSet::new();
    let ids: Vec<String> =
        requests.iter().map(|request| request.header("ce-id").unwrap().to_owned()).collect();
    let first: Vec<String> = ids.iter().filter(|id| seen.insert((*id).clone())).cloned().collect();
    let copies = ids.len() - first.len();
    (first, copies)
}

/// Goal: everything in the log was taken, and each partition in its order (a worker each, so across them there is none).
pub fn assert_all_taken(directory: &Path, taken: &[Request]) -> usize {
    let (first, copies) = ids(taken);
    let places: BTreeMap<&str, usize> =
        first.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let log = judge::in_the_log(directory);
    assert_eq!(log.len(), first.len());
    let mut last: BTreeMap<u32, usize> = BTreeMap::new();
    for event in &log {
        let place = places[event.id.as_str()];
        let before = last.insert(event.partition, place);
        assert!(before.is_none_or(|before| before < place), "{event:?} arrived too early");
    }
    copies
}

/// Goal: errors, hangs, lost answers and nonsense are outlived; each event is taken at least once, in order.
#[test]
fn every_failure_that_may_pass_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(|number, _| match number % 13 {
        1 => Reply::Status(500, ""),
        2 => Reply::Cut,
        4 => Reply::Status(503, "Retry-After: 0\r\n"),
        5 => Reply::Nonsense,
        7 if number < 40 => Reply::Hang,
        8 => Reply::TakeAndCut,
        10 => Reply::Status(429, "Retry-After: 0\r\n"),
        11 => Reply::Status(307, "Location: http://127.0.0.1:1/\r\n"),
        _ => Reply::Status(204, ""),
    });
    let gateway = Gateway::start(directory.path(), &settings(&endpoint, ""));
    let mut fleet = Fleet::new(&gateway);
    fleet.beat(0..100, 1);
    fleet.beat(0..100, 2);
    up_to_date(&gateway, 201);
    assert!(gateway.metric("pulsegate_sink_retries_total") > 100);
    assert_eq!(gateway.metric("pulsegate_sink_dead_letters_total"), 0);
    assert!(gateway.stop().success());
    let copies = assert_all_taken(directory.path(), &endpoint.taken());
    assert!(copies > 0, "an answer that was lost makes a copy");
}

/// Goal: an event that is refused for good is written down and the rest goes on; only the types that were asked for are
/// sent; credentials are sent and never logged.
#[test]
fn refused_events_are_written_down_and_credentials_kept() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "Bearer hunter2\n").unwrap();
    let endpoint = Endpoint::start(|_, request| {
        if request.header("authorization") != Some("Bearer hunter2") {
            return Reply::Status(401, "");
        }
        let is_cursed = request.header("ce-subject") == Some("node-7");
        Reply::Status(if is_cursed { 422 } else { 200 }, "")
    });
    let keys = format!("types = [\"joined\"]\nauthorization-file = \"{}\"", token.display());
    let gateway = Gateway::start(directory.path(), &settings(&endpoint, &keys));
    let mut fleet = Fleet::new(&gateway);
    fleet.beat(0..50, 1);
    fleet.beat(0..50, 2);
    up_to_date(&gateway, 101);
    assert_eq!(gateway.metric("pulsegate_sink_dead_letters_total"), 1);
    assert_eq!(gateway.metric("pulsegate_sink_delivered_total"), 49);
    assert!(gateway.metric("pulsegate_sink_filtered_total") >= 51, "restarts and the start of the gateway");
    assert!(gateway.stop().success());
    assert!(
        endpoint
            .taken()
            .iter()
            .all(|request| request.header("ce-type") == Some("io.pulsegate.node.joined.v1"))
    );
    let letters = std::fs::read_to_string(directory.path().join("sinks/pager.dead.jsonl")).unwrap();
    let letter: Value = serde_json::from_str(letters.lines().next().unwrap()).unwrap();
    assert_eq!((letter["value"]["node"].as_str(), letters.lines().count()), (Some("node-7"), 1));
    assert!(letter["answer"].as_str().unwrap().starts_with("422"), "{letter}");
    let log = std::fs::read_to_string(directory.path().join("gateway.log")).unwrap();
    assert!(!log.contains("hunter2") && !letters.contains("hunter2"));
}

/// Goal: of a batch with a bad event only that one is a dead letter.
#[test]
fn batch_with_a_bad_event_is_sent_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(|number, request| {
        // Slow at first, so that batches form.
        if number < 4 {
            return Reply::Status(503, "Retry-After: 1\r\n");
        }
        Reply::Status(if request.body.contains("\"node-7\"") { 400 } else { 202 }, "")
    });
    let gateway = Gateway::start(directory.path(), &settings(&endpoint, "mode = \"batch\""));
    Fleet::new(&gateway).beat(0..200, 1);
    up_to_date(&gateway, 201);
    assert_eq!(gateway.metric("pulsegate_sink_dead_letters_total"), 1);
    assert!(gateway.stop().success());
    let mut sizes = Vec::new();
    let mut taken = 0;
    for request in endpoint.taken() {
        assert_eq!(request.header("content-type"), Some("application/cloudevents-batch+json; charset=utf-8"));
        let events: Vec<Value> = serde_json::from_str(&request.body).unwrap();
        sizes.push(events.len());
        taken += events.len();
    }
    assert_eq!(taken, judge::in_the_log(directory.path()).len() - 1);
    assert!(sizes.iter().any(|size| *size > 10), "{sizes:?}");
}

/// Goal: a sink whose endpoint hangs slows neither the log nor the other sink, nor the stop beyond its time; the next run
/// goes on where this one ended, and a kill makes copies at most.
#[test]
fn dead_endpoint_holds_up_nobody_and_a_killed_gateway_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let dead = Endpoint::start(|_, _| Reply::Hang);
    let alive = Endpoint::start(|_, _| Reply::Status(204, ""));
    let url = |endpoint: &Endpoint| format!("http://127.0.0.1:{}/", endpoint.port);
    let settings = format!(
        "{QUIET}[sinks.webhook.alive]\nurl = \"{}\"\n[sinks.webhook.dead]\nurl = \"{}\"\nstop-wait-ms = 100\ntimeout-ms = 500\n",
        url(&alive),
        url(&dead)
    );
    let gateway = Gateway::start(directory.path(), &settings);
    Fleet::new(&gateway).beat(0..500, 1);
    let delivered = |gateway: &Gateway, events: u64| {
        eventually("the endpoint that is well has events", || {
            (gateway.metric("pulsegate_sink_delivered_total") >= events).then_some(())
        });
    };
    delivered(&gateway, 501);
    assert!(gateway.metric("pulsegate_sink_lag_events") >= 501);
    let status = gateway.status();
    let line = status["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "dead").unwrap();
    assert!(line["lag_events"].as_u64().unwrap() >= 501, "{line}");
    assert!(gateway.stop().success());

    let gateway = Gateway::start(directory.path(), &settings);
    // Nodes that no gateway knows: the one of before knew the others.
    Fleet::new(&gateway).beat(500..1_000, 1);
    delivered(&gateway, 50);
    gateway.kill();
    let gateway = Gateway::start(directory.path(), &settings);
    delivered(&gateway, 1);
    eventually("the endpoint that is well has all", || {
        (ids(&alive.taken()).0.len() >= judge::in_the_log(directory.path()).len()).then_some(())
    });
    assert!(gateway.stop().success());
    let copies = assert_all_taken(directory.path(), &alive.taken());
    println!("{copies} events arrived twice across a stop and a kill");
}
