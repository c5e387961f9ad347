//! The report of a run: numbers for programs as JSON, and the same for people as text.
//!
//! The first keys of the JSON are what scripts rely on, and keep their names: `nodes`, `heartbeats_sent`,
//! `heartbeats_accepted`, `failures_injected`, `failures_reported`, `false_failures`, `missed_failures`,
//! `recoveries_injected`, `recoveries_reported`, `early_verdicts`, `lateness_ms` with `p50`, `p99`, `p999` and `max`,
//! `heartbeats_per_cpu_second` and `bytes_per_heartbeat`. More may follow them.

mod text;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::admin_client::Status;
use crate::faults::FaultKind;
use crate::ground_truth::Timeouts;
use crate::network::NetworkCounters;
use crate::options::RunOptions;
use crate::sender::SenderCounters;
use crate::verify::{EventKind, Judgement, max_ms, quantile_ms};
use crate::watch::TimedStatus;

/// The traffic up to one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrafficCounts {
    /// Heartbeats handed to the kernel that were news.
    pub heartbeats: u64,
    /// The same, with copies and late arrivals.
    pub heartbeats_handed: u64,
    /// Heartbeats that the simulated network lost.
    pub heartbeats_lost: u64,
    /// Bytes handed to the kernel, without IP and UDP headers.
    pub bytes: u64,
    /// Longest time by which the generator was behind its schedule, in microseconds.
    pub behind_us_max: u64,
    /// Nodes that changed their relay.
    pub moves: u64,
}

/// The traffic of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Until all nodes had joined.
    pub settled: TrafficCounts,
    /// In all.
    pub total: TrafficCounts,
}

/// What was gathered beside the judgement.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The gateway before the run …
    pub status_before: Status,
    /// … and after.
    pub status_after: Status,
    /// The first and the last status of the steady part.
    pub steady: Option<[TimedStatus; 2]>,
    /// Events that bring a node into being that the fleet does not have.
    pub invented_nodes: u64,
    /// Other events that are not about the fleet.
    pub other_events: u64,
    /// Starts of a gateway during the run.
    pub gateway_starts: u64,
    /// What was sent.
    pub traffic: Traffic,
    /// What the simulated network did.
    pub network: NetworkCounters,
    /// What the sockets did.
    pub sender: SenderCounters,
    /// Faults of each kind that were planned.
    pub planned: [u32; FaultKind::ALL.len()],
    /// How far the wall clock was moved during the run.
    pub wall_clock_stepped_us: u64,
}

/// Quantiles of a lateness, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct LatenessMs {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are not later.
    pub p99: f64,
    /// 999 of 1,000 are not later.
    pub p999: f64,
    /// The latest.
    pub max: f64,
}

impl LatenessMs {
    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: quantile_ms(histogram, 0.5),
            p99: quantile_ms(histogram, 0.99),
            p999: quantile_ms(histogram, 0.999),
            max: max_ms(histogram),
        }
    }
}

/// Faults that were planned, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "named after the kinds of faults")]
pub struct Planned {
    pub kills: u32,
    pub pauses: u32,
    pub restarts: u32,
    pub leaves: u32,
    pub moves: u32,
}

/// What a run found. The order of the fields is the order in the JSON.
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
    /// Decision of a failure minus its deadline, where the deadline is the handing over of the node's last heartbeat plus
    /// the failed timeout.
    pub lateness_ms: LatenessMs,
    /// Heartbeats that the gateway accepted per second of its CPU time, in the steady part; 0 if not known.
    pub heartbeats_per_cpu_second: f64,
    /// UDP payload per heartbeat, in the steady part.
    pub bytes_per_heartbeat: f64,

    /// Whether everything that happened was reported, and nothing else.
    pub clean: bool,
    /// Suspicions that had to be reported and were.
    pub suspicions_reported: u64,
    /// Suspicions of nodes that were not silent.
    pub false_suspicions: u64,
    /// Suspicions not reported.
    pub missed_suspicions: u64,
    /// Recoveries reported that were none.
    pub false_recoveries: u64,
    /// Recoveries not reported.
    pub missed_recoveries: u64,
    /// Restarts that took effect.
    pub restarts_injected: u64,
    /// Of those, reported.
    pub restarts_reported: u64,
    /// Restarts reported that were none.
    pub false_restarts: u64,
    /// Goodbyes that were sent.
    pub leaves_injected: u64,
    /// Of those, reported.
    pub leaves_reported: u64,
    /// Goodbyes reported that were none.
    pub false_leaves: u64,
    /// Nodes that were heard twice.
    pub joins_injected: u64,
    /// Of those, reported as joined (or restarted, if known from an earlier run).
    pub joins_reported: u64,
    /// Joins reported that were none.
    pub false_joins: u64,
    /// Events about silences so near to a timeout that either verdict is right.
    pub tolerated_events: u64,
    /// Events of a node that do not follow the one before.
    pub order_violations: u64,
    /// Events that came twice.
    pub duplicate_events: u64,
    /// Events that bring a node into being that the fleet does not have.
    pub invented_nodes: u64,
    /// Other events that are not about the fleet; not judged.
    pub other_events: u64,
    /// Starts of a gateway during the run.
    pub gateway_starts: u64,
    /// Faults that were planned.
    pub planned: Planned,
    /// Nodes that changed their relay: those that were planned, unless a small fleet has no place for them.
    pub moves_made: u64,

    /// What the gateway itself says of the lateness.
    pub gateway_lateness_ms: LatenessMs,
    /// Longest time that a thread of the gateway did not run when it wanted to (since it started), in milliseconds.
    pub gateway_pause_ms_max: f64,
    /// How the gateway receives.
    pub receiver: String,
    /// Why so.
    pub receiver_reason: String,
    /// Receiving threads of the gateway.
    pub shards: u32,
    /// CPU time of the gateway in the steady part, as a share of one core; 0 if not known.
    pub gateway_cores: f64,

    /// Datagrams that the kernel took.
    pub datagrams_sent: u64,
    /// Datagrams that the gateway took from the kernel during the run.
    pub datagrams_received: u64,
    /// Datagrams that the gateway refused during the run.
    pub datagrams_rejected: u64,
    /// Datagrams that the kernel dropped at the gateway's sockets during the run.
    pub datagrams_dropped_by_kernel: u64,
    /// Datagrams that the sender's kernel did not take.
    pub datagrams_unsent: u64,
    /// System calls that sending took.
    pub send_calls: u64,
    /// Heartbeats that the simulated network lost.
    pub heartbeats_lost_on_purpose: u64,
    /// Datagrams that the simulated network copied.
    pub datagrams_duplicated: u64,
    /// Datagrams that the simulated network let others overtake.
    pub datagrams_reordered: u64,
    /// Longest time by which the generator was behind its own schedule, in milliseconds.
    pub generator_behind_ms_max: f64,
    /// How far the wall clock was moved during the run, in milliseconds. Verdicts on early events need it to stand.
    pub wall_clock_stepped_ms: f64,

    /// Decides phases, faults and the simulated network.
    pub seed: u64,
    /// How long the fleet beat.
    pub seconds: u64,
    /// Time between two heartbeats of a node.
    pub interval_ms: u32,
    /// Silence until a node is suspect.
    pub suspect_timeout_ms: u64,
    /// Silence until a node has failed.
    pub failed_timeout_ms: u64,
    /// The first problems, in words.
    pub problems: Vec<String>,
}

impl Report {
    /// Puts everything together.
    #[must_use]
    pub fn new(options: &RunOptions, timeouts: &Timeouts, judgement: Judgement, evidence: Evidence) -> Self {
        let Evidence { status_before: before, status_after: after, traffic, network, sender, .. } = &evidence;
        let tally = |kind| *judgement.tally(kind);
        let [failed, suspected] = [tally(EventKind::Failed), tally(EventKind::Suspected)];
        let [recovered, restarted] = [tally(EventKind::Recovered), tally(EventKind::Restarted)];
        let [left, joined] = [tally(EventKind::Left), tally(EventKind::Joined)];
        let (heartbeats_per_cpu_second, gateway_cores) = efficiency(&evidence);
        let [kills, pauses, restarts, leaves, moves] = evidence.planned;
        Self {
            nodes: options.nodes,
            heartbeats_sent: traffic.total.heartbeats,
            heartbeats_accepted: after.heartbeats_accepted.saturating_sub(before.heartbeats_accepted),
            failures_injected: failed.injected,
            failures_reported: failed.reported,
            false_failures: failed.invented,
            missed_failures: failed.missed,
            recoveries_injected: recovered.injected,
            recoveries_reported: recovered.reported,
            early_verdicts: judgement.early_verdicts,
            lateness_ms: LatenessMs::of(&judgement.lateness_us),
            heartbeats_per_cpu_second,
            bytes_per_heartbeat: bytes_per_heartbeat(traffic),
            clean: judgement.is_clean() && evidence.invented_nodes == 0 && evidence.gateway_starts == 0,
            suspicions_reported: suspected.reported,
            false_suspicions: suspected.invented,
            missed_suspicions: suspected.missed,
            false_recoveries: recovered.invented,
            missed_recoveries: recovered.missed,
            restarts_injected: restarted.injected,
            restarts_reported: restarted.reported,
            false_restarts: restarted.invented,
            leaves_injected: left.injected,
            leaves_reported: left.reported,
            false_leaves: left.invented,
            joins_injected: joined.injected,
            joins_reported: joined.reported,
            false_joins: joined.invented,
            tolerated_events: EventKind::ALL.iter().map(|&kind| tally(kind).tolerated).sum(),
            order_violations: judgement.order_violations,
            duplicate_events: judgement.duplicates,
            invented_nodes: evidence.invented_nodes,
            other_events: evidence.other_events,
            gateway_starts: evidence.gateway_starts,
            planned: Planned { kills, pauses, restarts, leaves, moves },
            moves_made: traffic.total.moves,
            gateway_lateness_ms: LatenessMs::of(&judgement.gateway_lateness_us),
            gateway_pause_ms_max: milliseconds(after.longest_pause_us),
            receiver: after.receiver.clone(),
            receiver_reason: after.receiver_reason.clone(),
            shards: after.shards,
            gateway_cores,
            datagrams_sent: sender.datagrams,
            datagrams_received: after.datagrams_received.saturating_sub(before.datagrams_received),
            datagrams_rejected: after.datagrams_rejected.saturating_sub(before.datagrams_rejected),
            datagrams_dropped_by_kernel: after.kernel_drops.saturating_sub(before.kernel_drops),
            datagrams_unsent: sender.unsent,
            send_calls: sender.calls,
            heartbeats_lost_on_purpose: traffic.total.heartbeats_lost,
            datagrams_duplicated: network.duplicated,
            datagrams_reordered: network.reordered,
            generator_behind_ms_max: milliseconds(traffic.total.behind_us_max),
            wall_clock_stepped_ms: milliseconds(evidence.wall_clock_stepped_us),
            seed: options.seed,
            seconds: options.seconds,
            interval_ms: options.interval_ms,
            suspect_timeout_ms: u64::try_from(timeouts.suspect.as_millis()).unwrap_or(u64::MAX),
            failed_timeout_ms: u64::try_from(timeouts.failed.as_millis()).unwrap_or(u64::MAX),
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

/// Heartbeats per CPU second, and cores, of the gateway in the steady part.
fn efficiency(evidence: &Evidence) -> (f64, f64) {
    let Some([first, last]) = &evidence.steady else { return (0.0, 0.0) };
    let (TimedStatus { at: from, status: first }, TimedStatus { at: until, status: last }) = (first, last);
    let heartbeats = last.heartbeats_accepted.saturating_sub(first.heartbeats_accepted) as f64;
    let cpu_s = last.cpu_us.saturating_sub(first.cpu_us) as f64 / 1e6;
    let elapsed_s = until.since(*from).as_secs_f64();
    if cpu_s <= 0.0 || elapsed_s <= 0.0 {
        return (0.0, 0.0);
    }
    ((heartbeats / cpu_s).round(), cpu_s / elapsed_s)
}

fn bytes_per_heartbeat(traffic: &Traffic) -> f64 {
    let bytes = (traffic.total.bytes - traffic.settled.bytes) as f64;
    let heartbeats = traffic.total.heartbeats_handed - traffic.settled.heartbeats_handed;
    if heartbeats == 0 { 0.0 } else { bytes / heartbeats as f64 }
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
