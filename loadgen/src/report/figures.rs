//! The parts of the report behind its first keys.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ground_truth::Timeouts;
use crate::options::RunOptions;
use crate::verify::{EventKind, Judgement, max_ms, quantile_ms};

use super::Evidence;

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
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
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
    /// Nodes that stop beating and answer pings.
    pub mutes: u32,
    /// Nodes that say for a while that they are degraded.
    pub degrades: u32,
}

/// Events of the kinds that the first keys do not count, and what is wrong with any event.
#[derive(Clone, Debug, Serialize)]
pub struct EventFigures {
    /// Kills and pauses that were planned and did not make their nodes fail, because the generator fell
    /// behind or the simulated network lost too much: nothing is known about how the gateway would have
    /// reported them.
    pub failures_without_effect: u64,
    /// Failures reported of nodes that were heard again in the same run: they had paused, or too many of their heartbeats
    /// were lost.
    pub failures_taken_back: u64,
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
    /// Changes between ok and degraded that nodes told of themselves.
    pub status_changes_injected: u64,
    /// Of those, reported.
    pub status_changes_reported: u64,
    /// Such changes reported that were none.
    pub false_status_changes: u64,
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
    /// Pings of the gateway that were answered for nodes which had stopped beating.
    pub pings_answered: u64,
}

impl EventFigures {
    pub(super) fn new(judgement: &Judgement, evidence: &Evidence) -> Self {
        let tally = |kind| *judgement.tally(kind);
        let [suspected, recovered] = [tally(EventKind::Suspected), tally(EventKind::Recovered)];
        let [restarted, left] = [tally(EventKind::Restarted), tally(EventKind::Left)];
        let joined = tally(EventKind::Joined);
        let [degraded, healthy] = [tally(EventKind::Degraded), tally(EventKind::Healthy)];
        let [kills, pauses, restarts, leaves, moves, mutes, degrades] = evidence.planned;
        let failures_planned = u64::from(kills) + u64::from(pauses);
        Self {
            failures_without_effect: failures_planned.saturating_sub(tally(EventKind::Failed).injected),
            failures_taken_back: judgement.failures_taken_back,
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
            status_changes_injected: degraded.injected + healthy.injected,
            status_changes_reported: degraded.reported + healthy.reported,
            false_status_changes: degraded.invented + healthy.invented,
            tolerated_events: EventKind::ALL.iter().map(|&kind| tally(kind).tolerated).sum(),
            order_violations: judgement.order_violations,
            duplicate_events: judgement.duplicates,
            invented_nodes: evidence.invented_nodes,
            other_events: evidence.other_events,
            gateway_starts: evidence.gateway_starts,
            planned: Planned { kills, pauses, restarts, leaves, moves, mutes, degrades },
            pings_answered: evidence.sender.pongs,
            moves_made: evidence.traffic.total.moves,
        }
    }
}

/// What the gateway says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct GatewayFigures {
    /// Its own account of the lateness of failures.
    pub gateway_lateness_ms: LatenessMs,
    /// Longest time that a thread of the gateway did not run when it wanted to (since it started), in
    /// milliseconds.
    pub gateway_pause_ms_max: f64,
    /// How it receives.
    pub receiver: String,
    /// Why so.
    pub receiver_reason: String,
    /// Receiving threads.
    pub shards: u32,
    /// Its CPU time in the steady part, as a share of one core; 0 if not known.
    pub gateway_cores: f64,
}

impl GatewayFigures {
    pub(super) fn new(judgement: &Judgement, evidence: &Evidence) -> Self {
        let status = &evidence.status_after;
        Self {
            gateway_lateness_ms: LatenessMs::of(&judgement.gateway_lateness_us),
            gateway_pause_ms_max: milliseconds(status.longest_pause_us),
            receiver: status.receiver.clone(),
            receiver_reason: status.receiver_reason.clone(),
            shards: status.shards,
            gateway_cores: evidence.gateway_cores(),
        }
    }
}

/// What became of the datagrams.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficFigures {
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
    /// Waits for a full send queue.
    pub send_waits: u64,
    /// Notices that nobody listened.
    pub send_refusals: u64,
    /// Heartbeats that the simulated network lost.
    pub heartbeats_lost_on_purpose: u64,
    /// Datagrams that the simulated network copied.
    pub datagrams_duplicated: u64,
    /// Datagrams that the simulated network let others overtake.
    pub datagrams_reordered: u64,
    /// Longest time by which the generator was behind its own schedule, in milliseconds.
    pub generator_behind_ms_max: f64,
}

impl TrafficFigures {
    pub(super) fn new(evidence: &Evidence) -> Self {
        let Evidence { status_before: before, status_after: after, traffic, network, sender, .. } = evidence;
        Self {
            datagrams_sent: sender.datagrams,
            datagrams_received: after.datagrams_received.saturating_sub(before.datagrams_received),
            datagrams_rejected: after.datagrams_rejected.saturating_sub(before.datagrams_rejected),
            datagrams_dropped_by_kernel: after.kernel_drops.saturating_sub(before.kernel_drops),
            datagrams_unsent: sender.unsent,
            send_calls: sender.calls,
            send_waits: sender.waits,
            send_refusals: sender.refusals,
            heartbeats_lost_on_purpose: traffic.total.heartbeats_lost,
            datagrams_duplicated: network.duplicated,
            datagrams_reordered: network.reordered,
            generator_behind_ms_max: milliseconds(traffic.total.behind_us_max),
        }
    }
}

/// What was run, and what it was judged by.
#[derive(Clone, Debug, Serialize)]
pub struct RunFigures {
    /// Decides phases, faults and the simulated network.
    pub seed: u64,
    /// How long the fleet beat.
    pub seconds: u64,
    /// Time between two heartbeats of a node.
    pub interval_ms: u32,
    /// How the gateway judges: `fixed`, `ewma` or `phi`.
    pub detector: String,
    /// Least and most silence until a node is suspect.
    pub suspect_timeout_ms: [u64; 2],
    /// Least and most silence until a node has failed.
    pub failed_timeout_ms: [u64; 2],
    /// How far the wall clock was moved during the run, in milliseconds. Verdicts on lateness need it to
    /// stand.
    pub wall_clock_stepped_ms: f64,
}

impl RunFigures {
    pub(super) fn new(options: &RunOptions, timeouts: &Timeouts, evidence: &Evidence) -> Self {
        let whole_ms =
            |timeout: crate::moment::Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self {
            seed: options.seed,
            seconds: options.seconds,
            interval_ms: options.interval_ms,
            detector: evidence.status_before.detector.clone(),
            suspect_timeout_ms: [timeouts.suspect, timeouts.suspect_longest].map(whole_ms),
            failed_timeout_ms: [timeouts.failed, timeouts.failed_longest].map(whole_ms),
            wall_clock_stepped_ms: milliseconds(evidence.wall_clock_stepped_us),
        }
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}
