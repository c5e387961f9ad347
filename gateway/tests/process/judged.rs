//! A fleet with faults against the real gateway, judged by the load generator, in the shapes that the demo leaves out.

use pulsegate_loadgen::faults::{Amount, FaultOptions};
use pulsegate_loadgen::network::NetworkOptions;
use pulsegate_loadgen::{Report, RunOptions};

use crate::harness::Gateway;

/// A short run with fast timeouts: failed after a second.
fn options(gateway: &Gateway) -> RunOptions {
    RunOptions {
        gateway: gateway.endpoints().heartbeats,
        admin: gateway.endpoints().admin,
        kafka: gateway.endpoints().kafka,
        nodes: 4_000,
        seconds: 10,
        interval_ms: 200,
        ..RunOptions::default()
    }
}

/// Goal: the verdict on this run is clean. `change` makes the run that is meant.
fn check_clean(change: impl FnOnce(RunOptions) -> RunOptions) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let settings = "[detector]\ninterval-ms = 200\n[shards]\ncount = 2\n[registry]\nnodes-max = 10_000\n";
    let gateway = Gateway::start(directory.path(), settings);
    let options = change(options(&gateway));
    let report = pulsegate_loadgen::run(&options, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
    report
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
