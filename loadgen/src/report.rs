//! The report of a run: numbers for programs as JSON, and the same for people as text.
//!
//! The first keys of the JSON are what scripts rely on, and keep their names: `nodes`, `heartbeats_sent`,
//! `heartbeats_accepted`, `failures_injected`, `failures_reported`, `false_failures`, `missed_failures`,
//! `recoveries_injected`, `recoveries_reported`, `early_verdicts`, `lateness_ms` with `p50`, `p99`, `p999`
//! and `max`, `heartbeats_per_cpu_second` and `bytes_per_heartbeat`. More may follow them.

mod evidence;
mod figures;
mod text;

use serde::Serialize;

use crate::ground_truth::Timeouts;
use crate::options::RunOptions;
use crate::verify::{EventKind, Judgement};

pub use evidence::{Evidence, Traffic, TrafficCounts};
pub use figures::{EventFigures, GatewayFigures, LatenessMs, Planned, RunFigures, TrafficFigures};

/// What a run found. The order of the fields is the order in the JSON, where the parts stand without their
/// names.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Nodes of the fleet.
    pub nodes: u32,
    /// Heartbeats handed to the kernel that were news: no copies, nothing that the simulated network lost.
    pub heartbeats_sent: u64,
    /// Heartbeats that the gateway accepted during the run.
    pub heartbeats_accepted: u64,
    /// Silences that truly lasted beyond the failed timeout: kills and pauses that took effect.
    pub failures_injected: u64,
    /// Of those, reported.
    pub failures_reported: u64,
    /// Failures reported of nodes that did not fail.
    pub false_failures: u64,
    /// Failures not reported.
    pub missed_failures: u64,
    /// Nodes that truly spoke again after a silence that had to be reported.
    pub recoveries_injected: u64,
    /// Of those, reported.
    pub recoveries_reported: u64,
    /// Suspicions and failures decided before the node's last heartbeat plus the timeout.
    pub early_verdicts: u64,
    /// Decision of a failure minus its deadline, where the deadline is the handing over of the node's last
    /// heartbeat plus the failed timeout.
    pub lateness_ms: LatenessMs,
    /// Heartbeats that the gateway accepted per second of its CPU time, in the steady part; 0 if not known.
    pub heartbeats_per_cpu_second: f64,
    /// UDP payload per heartbeat, in the steady part.
    pub bytes_per_heartbeat: f64,

    /// Whether everything that happened was reported, nothing else was, and every planned failure took
    /// effect.
    pub clean: bool,
    /// Events of other kinds.
    #[serde(flatten)]
    pub events: EventFigures,
    /// The gateway.
    #[serde(flatten)]
    pub gateway: GatewayFigures,
    /// The datagrams.
    #[serde(flatten)]
    pub traffic: TrafficFigures,
    /// The run.
    #[serde(flatten)]
    pub run: RunFigures,
    /// The first problems, in words.
    pub problems: Vec<String>,
}

impl Report {
    /// Puts everything together.
    #[must_use]
    pub fn new(
        options: &RunOptions,
        timeouts: &Timeouts,
        judgement: &Judgement,
        evidence: &Evidence,
    ) -> Self {
        let Evidence { status_before, status_after, traffic, .. } = evidence;
        let (failed, recovered) = (judgement.tally(EventKind::Failed), judgement.tally(EventKind::Recovered));
        let accepted = status_after.heartbeats_accepted.saturating_sub(status_before.heartbeats_accepted);
        let events = EventFigures::new(judgement, evidence);
        // What a lossy network swallows, or happens while nobody listens, nobody can promise.
        let is_heard = options.network.loss == 0.0 && options.gateway_restarts == 0;
        let effective = events.failures_without_effect == 0 || !is_heard;
        let undisturbed =
            evidence.invented_nodes == 0 && evidence.gateway_starts == u64::from(options.gateway_restarts);
        Self {
            nodes: options.nodes,
            heartbeats_sent: traffic.total.heartbeats,
            heartbeats_accepted: accepted,
            failures_injected: failed.injected,
            failures_reported: failed.reported,
            false_failures: failed.invented,
            missed_failures: failed.missed,
            recoveries_injected: recovered.injected,
            recoveries_reported: recovered.reported,
            early_verdicts: judgement.early_verdicts,
            lateness_ms: LatenessMs::of(&judgement.lateness_us),
            heartbeats_per_cpu_second: evidence.heartbeats_per_cpu_second(),
            bytes_per_heartbeat: traffic.bytes_per_heartbeat(),
            clean: judgement.is_clean() && effective && undisturbed,
            events,
            gateway: GatewayFigures::new(judgement, evidence),
            traffic: TrafficFigures::new(evidence),
            run: RunFigures::new(options, timeouts, evidence),
            problems: judgement.problems.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether every injected fault was reported and nothing was reported that did not happen.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// As JSON, for people's eyes as well.
    ///
    /// # Panics
    /// Never: the report has only text keys and finite numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("text keys and finite numbers")
    }
}

#[cfg(test)]
mod tests;
