//! A fleet with faults against the real gateway, judged by the load generator, in the shapes that the demo leaves out.

use pulsegate_codec::event::EventType;
use pulsegate_loadgen::faults::{Amount, FaultOptions, MassKill};
use pulsegate_loadgen::network::NetworkOptions;
use pulsegate_loadgen::{Report, RunOptions};

use crate::harness::Gateway;

const SETTINGS: &str = "[shards]\ncount = 2\n[registry]\nnodes-max = 10_000\n[detector]\ninterval-ms = 200\n";

/// Goal: the verdict on this run is clean. `change` makes the run that is meant.
fn check_clean(change: impl FnOnce(RunOptions) -> RunOptions) -> Report {
    check_clean_with("", change).0
}

/// The same with further settings, which begin with keys of `[detector]`; and the gateway, for a look at its events.
fn check_clean_with(
    settings: &str,
    change: impl FnOnce(RunOptions) -> RunOptions,
) -> (Report, Gateway, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{SETTINGS}{settings}"));
    let options = change(gateway.fast_run());
    let report = pulsegate_loadgen::run(&options, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
    (report, gateway, directory)
}

/// Goal: frames that mix lanes, and nodes that move from one relay to another, lose nothing and report nothing false.
/// (A heartbeat that one shard had received and another took from its mailbox was once stamped before its arrival, and
/// its node failed a millisecond early.)
#[test]
fn mixed_lanes_and_moving_nodes() {
    let report = check_clean(|options| RunOptions {
        mix_lanes: true,
        relays: Some(4),
        faults: FaultOptions { moves: Amount::Share(0.05), ..FaultOptions::default() },
        ..options
    });
    assert!(report.failures_reported >= 60 && report.events.planned.moves == 200, "{report}");
}

/// Goal: copies, late arrivals and jitter change no verdict; compressed frames are as good as plain ones.
#[test]
fn duplicates_reordering_jitter_and_compression() {
    check_clean(|options| RunOptions {
        zstd: true,
        jitter_share: 0.1,
        network: NetworkOptions { duplicate: 0.1, reorder: 0.1, ..options.network },
        ..options
    });
}

/// Goal: a lost share of datagrams makes nodes fail only if the judge, who knows what was lost, agrees; and a fleet
/// that beats all at once is taken whole.
#[test]
fn loss_and_a_thundering_herd() {
    let report = check_clean(|options| RunOptions {
        herd: true,
        network: NetworkOptions { loss: 0.05, ..options.network },
        ..options
    });
    assert_eq!(report.traffic.datagrams_dropped_by_kernel, 0, "{report}");
}

/// Goal: a profile that learns keeps its bounds against a lossy network, and a judge that knows them agrees: nobody who
/// lives is called failed, and the dead are found.
#[test]
fn a_learning_profile_in_a_lossy_network() {
    let (report, ..) = check_clean_with("profile = \"same-dc\"\n", |options| RunOptions {
        seconds: 12,
        faults: FaultOptions { kill: Amount::Count(40), ..FaultOptions::NONE },
        network: NetworkOptions { loss: 0.1, ..options.network },
        ..options
    });
    assert_eq!((report.failures_reported, report.events.failures_taken_back), (40, 0), "{report}");
    assert_eq!(report.run.detector, "phi");
}

/// Goal: a rack that dies is one event that names it, and the failures of its nodes carry the same cause.
#[test]
fn a_rack_that_dies_is_one_incident() {
    let mass = MassKill { racks: 1, ..MassKill::NONE };
    let (report, gateway, _directory) = check_clean_with("", |options| RunOptions {
        faults: FaultOptions { mass, ..FaultOptions::NONE },
        ..options
    });
    assert_eq!(report.failures_reported, 40, "{report}");
    let events = gateway.events();
    let groups: Vec<_> = events.iter().filter(|event| event.event_type == EventType::GroupFailed).collect();
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!((groups[0].dimension.as_str(), groups[0].count), ("rack", Some(40)));
    let failed = events.iter().filter(|event| event.event_type == EventType::Failed);
    assert!(failed.into_iter().all(|event| event.cause_id == groups[0].cause_id));
}

/// Goal: most of a zone dies; its failures are held, and told when the time for holding is over, none lost.
#[test]
fn most_of_a_zone_dies_and_is_held_for_a_bounded_time() {
    let mass = MassKill { zone_share: 0.6, ..MassKill::NONE };
    let (report, gateway, _directory) =
        check_clean_with("[guard]\nhold-max-s = 2\nrelease-max-s = 1\n", |options| RunOptions {
            seconds: 12,
            faults: FaultOptions { mass, ..FaultOptions::NONE },
            late_ms: 6_000,
            ..options
        });
    let events = gateway.events();
    let count = |event_type| events.iter().filter(|event| event.event_type == event_type).count();
    assert_eq!((count(EventType::ZoneHeld), count(EventType::ZoneReleased)), (1, 1));
    assert!(report.failures_reported > 700, "{report}");
    let held_us =
        events.iter().filter(|event| event.event_type == EventType::Failed).map(|event| event.held_us);
    assert!(held_us.into_iter().all(|held_us| held_us.is_some_and(|held_us| held_us >= 2_000_000)));
}
