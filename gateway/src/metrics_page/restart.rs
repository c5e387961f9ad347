//! The numbers of restarts: what was taken over, and how the snapshots go.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::as_float;
use crate::restart::gauges::RestartGauges;

/// Copies the numbers out.
pub(super) fn copy(gauges: &RestartGauges, now_unix_us: u64) {
    let summary = &gauges.summary;
    for (source, nodes) in
        [("snapshot", summary.nodes - summary.without_snapshot), ("log", summary.without_snapshot)]
    {
        gauge!("pulsegate_known_nodes", "source" => source).set(as_float(nodes));
    }
    for (reason, number) in
        [("damaged", summary.damaged), ("untold", summary.untold), ("refused", summary.refused)]
    {
        gauge!("pulsegate_known_nodes_left_out", "reason" => reason).set(as_float(number));
    }
    // Relaxed: see `RestartGauges`.
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    counter!("pulsegate_snapshots_total", "outcome" => "written").absolute(read(&gauges.written));
    counter!("pulsegate_snapshots_total", "outcome" => "failed").absolute(read(&gauges.failed));
    gauge!("pulsegate_snapshot_bytes").set(as_float(read(&gauges.bytes)));
    gauge!("pulsegate_snapshot_nodes").set(as_float(read(&gauges.nodes)));
    if let Some(age_s) = gauges.age_s(now_unix_us) {
        gauge!("pulsegate_snapshot_age_seconds").set(age_s);
    }
}

/// What they are.
pub(super) fn describe() {
    describe_gauge!(
        "pulsegate_known_nodes",
        "Nodes that were known at the start, by whether the snapshot had them or the log alone."
    );
    describe_gauge!(
        "pulsegate_known_nodes_left_out",
        "Records and nodes that a start could not take over: damaged or unreadable, told to nobody, no room."
    );
    describe_counter!(
        "pulsegate_snapshots_total",
        "Snapshots, by outcome; after a failed one the older is kept."
    );
    describe_gauge!("pulsegate_snapshot_bytes", "Bytes of the latest snapshot.");
    describe_gauge!("pulsegate_snapshot_nodes", "Nodes in the latest snapshot.");
    describe_gauge!(
        "pulsegate_snapshot_age_seconds",
        "Time since the latest snapshot was taken; absent while there is none."
    );
}
