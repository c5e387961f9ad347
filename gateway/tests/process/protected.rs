//! The gateway when it is the sick one, and when a node can still answer: nobody is called failed who is there.

use std::process::Command;
use std::time::Duration;

use pulsegate_codec::event::{Event, EventType};
use pulsegate_loadgen::RunOptions;
use pulsegate_loadgen::faults::{Amount, FaultOptions};

use crate::harness::{FAST, Gateway, Relay, eventually, pause};

/// Fast timeouts, and receive buffers that overflow when nobody reads them.
const SETTINGS: &str = "[detector]\ninterval-ms = 200\n[shards]\ncount = 2\nreceive-buffer-bytes = 65_536\n[registry]\nnodes-max = 10_000\n[guard]\nenabled = false\n";

fn options(gateway: &Gateway) -> RunOptions {
    RunOptions { seconds: 14, ..gateway.fast_run() }
}

/// Goal: nodes whose heartbeats stop for longer than the failed timeout, and who answer pings, are suspected and then
/// recovered, never failed; those who answer nothing fail in time.
#[test]
fn a_node_that_answers_when_asked_is_suspect_and_never_failed() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), SETTINGS);
    let faults = FaultOptions {
        mute: Amount::Count(20),
        kill: Amount::Count(20),
        pause: Amount::Count(20),
        degrade: Amount::NONE,
        ..FaultOptions::NONE
    };
    let report = pulsegate_loadgen::run(&RunOptions { faults, ..options(&gateway) }, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.failures_reported, report.recoveries_reported), (40, 40), "{report}");
    assert!(report.events.pings_answered >= 20, "{report}");
    // The events say so: who failed was silent when asked, and those who were suspected wrongly had answered.
    let events = gateway.events();
    let with = |event_type: EventType, probe: &str| {
        let is_such =
            |event: &&Event| event.event_type == event_type && event.probe.as_deref() == Some(probe);
        events.iter().filter(is_such).count()
    };
    assert_eq!((with(EventType::Failed, "silent"), with(EventType::Failed, "answered")), (40, 0));
    assert_eq!(with(EventType::Recovered, "answered"), 20);
}

/// Goal: while the port that a silent node named takes connections the node stays suspect, answer after answer, also where
/// nobody is pinged; once the port is closed the node fails. Method: the failed timeout is half a second, and the port is
/// open for five of them.
#[test]
fn a_node_whose_probe_is_answered_stays_suspect_until_it_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[probe]\nping = false\n"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut relay = Relay::new("relay", &gateway);
    relay.name_probe(format!("tcp://{}", port.local_addr().unwrap()));
    relay.introduce(&["silent"]);
    relay.beat(&["silent"]);
    let count = |event_type: &EventType| {
        gateway.events().iter().filter(|event| event.event_type == *event_type).count()
    };
    eventually("the node is suspect", || (count(&EventType::Suspected) == 1).then_some(()));
    pause(Duration::from_millis(2_500));
    assert_eq!(count(&EventType::Failed), 0, "{:?}", gateway.events());
    drop(port);
    eventually("the node has failed", || (count(&EventType::Failed) == 1).then_some(()));
    let failed = gateway.events().into_iter().find(|event| event.event_type == EventType::Failed);
    assert_eq!(failed.unwrap().probe.as_deref(), Some("answered"), "at first");
    assert!(gateway.get("/metrics").contains("pulsegate_probes_total{outcome=\"answered\"}"));
}

/// Goal: a gateway that was stopped while senders went on reports nobody who lives, although its sockets overflowed, and
/// exactly those who died before, meanwhile and after. Method: SIGSTOP for four times the failed timeout; how late a
/// verdict may be is not judged here.
#[test]
fn a_gateway_that_was_stopped_reports_the_dead_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), SETTINGS);
    let faults = FaultOptions { kill: Amount::Count(100), ..FaultOptions::NONE };
    let options = RunOptions { faults, late_ms: 10_000, ..options(&gateway) };
    let process = gateway.endpoints().process_id.to_string();
    let stopper = std::thread::spawn(move || {
        pause(Duration::from_secs(5));
        signal("-STOP", &process);
        pause(Duration::from_secs(4));
        signal("-CONT", &process);
    });
    let report = pulsegate_loadgen::run(&options, &mut |_| {}).unwrap();
    stopper.join().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.failures_reported, 100, "{report}");
    assert!(report.gateway.gateway_pause_ms_max > 3_500.0, "the gateway was stopped: {report}");
    assert!(report.traffic.datagrams_dropped_by_kernel > 0, "its sockets overflowed: {report}");
    // It says so itself: once for both shards, with the length, and of every datagram that it lost.
    let drops = gateway.number("kernel_drops");
    let directory = directory.path().to_path_buf();
    assert!(gateway.stop().success());
    let events = crate::harness::events(&directory);
    let paused = events
        .iter()
        .filter_map(|event| event.pause_us.filter(|_| event.event_type == EventType::GatewayPaused));
    assert_eq!(paused.filter(|&pause_us| pause_us > 3_500_000).count(), 1, "{events:?}");
    let overloaded: Vec<_> =
        events.iter().filter(|event| event.event_type == EventType::GatewayOverloaded).collect();
    assert_eq!(overloaded.iter().filter_map(|event| event.dropped).sum::<u64>(), drops);
    assert!(overloaded.len() <= 3, "{overloaded:?}");
}

fn signal(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}
