//! The numbers that scripts rely on, and when a run may not be called clean.

use super::*;
use crate::admin_client::Status;
use crate::faults::FaultKind;
use crate::ground_truth::GroundTruth;
use crate::moment::{Duration, Moment};
use crate::network::NetworkCounters;
use crate::sender::SenderCounters;
use crate::verify::judge;
use crate::watch::TimedStatus;

fn status(heartbeats_accepted: u64, cpu_us: u64) -> Status {
    Status { heartbeats_accepted, cpu_us, receiver: "recvmmsg".to_owned(), ..Status::default() }
}

fn report() -> Report {
    report_of([0, 0, 3, 4, 5, 6, 7])
}

fn report_of(planned: [u32; FaultKind::ALL.len()]) -> Report {
    let timeouts = Timeouts::new(Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(1));
    let facts = GroundTruth::new(10, timeouts).close(Moment::from_milliseconds(30_000));
    let judgement = judge(&facts, Vec::new(), &timeouts, Moment::from_milliseconds(30_000), &[]);
    let steady = |at, status| TimedStatus { at: Moment::from_milliseconds(at), status };
    let total =
        TrafficCounts { heartbeats: 1_000, heartbeats_handed: 1_100, bytes: 23_000, ..Default::default() };
    let settled =
        TrafficCounts { heartbeats: 100, heartbeats_handed: 100, bytes: 3_000, ..Default::default() };
    let evidence = Evidence {
        status_before: status(500, 0),
        status_after: status(1_490, 0),
        steady: Some([steady(5_000, status(600, 1_000_000)), steady(25_000, status(1_400, 1_200_000))]),
        invented_nodes: 0,
        other_events: 0,
        gateway_starts: 0,
        traffic: Traffic { settled, total },
        network: NetworkCounters::default(),
        sender: SenderCounters::default(),
        planned,
        wall_clock_stepped_us: 0,
    };
    Report::new(&RunOptions { nodes: 10, ..RunOptions::default() }, &timeouts, &judgement, &evidence)
}

#[test]
fn the_json_begins_with_the_keys_that_scripts_rely_on() {
    let keys = [
        "nodes",
        "heartbeats_sent",
        "heartbeats_accepted",
        "failures_injected",
        "failures_reported",
        "false_failures",
        "missed_failures",
        "recoveries_injected",
        "recoveries_reported",
        "early_verdicts",
        "lateness_ms",
        "heartbeats_per_cpu_second",
        "bytes_per_heartbeat",
    ];
    let json = report().to_json();
    let positions = keys.map(|key| json.find(&format!("\n  \"{key}\":")).expect(key));
    assert!(positions.is_sorted());
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    for quantile in ["p50", "p99", "p999", "max"] {
        assert!(value["lateness_ms"][quantile].is_f64(), "{quantile}");
    }
}

#[test]
fn figures_are_of_this_run_and_of_its_steady_part() {
    let report = report();
    assert_eq!((report.heartbeats_sent, report.heartbeats_accepted), (1_000, 990));
    assert_eq!((report.heartbeats_per_cpu_second, report.gateway.gateway_cores), (4_000.0, 0.01));
    assert_eq!(report.bytes_per_heartbeat, 20.0);
    assert_eq!(
        report.events.planned,
        Planned { kills: 0, pauses: 0, restarts: 3, leaves: 4, moves: 5, mutes: 6, degrades: 7 }
    );
}

#[test]
fn the_text_ends_with_the_verdict() {
    let text = report().to_string();
    assert!(text.ends_with("nothing was reported that did not happen."), "{text}");
    assert!(text.contains("1000 sent, 990 accepted, 10 not") && text.contains("recvmmsg"), "{text}");
    let unclean = Report { clean: false, problems: vec!["node-000001: …".to_owned()], ..report() };
    assert!(unclean.to_string().contains("! node-000001") && unclean.to_string().ends_with("see above."));
}

#[test]
fn a_run_whose_faults_took_no_effect_is_not_clean() {
    let report = report_of([1, 2, 0, 0, 0, 0, 0]);
    assert_eq!((report.events.failures_without_effect, report.is_clean()), (3, false));
    assert!(report.to_string().contains("planned failures that did not take effect: 3"));
}
