//! What was gathered during a run beside the judgement.

use crate::admin_client::Status;
use crate::faults::FaultKind;
use crate::network::NetworkCounters;
use crate::sender::SenderCounters;
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

impl Evidence {
    /// CPU time of the gateway in the steady part, and the length of that part, in seconds; `None` if not
    /// known.
    fn steady_cpu_s(&self) -> Option<(f64, f64)> {
        let [first, last] = self.steady.as_ref()?;
        let cpu_s = last.status.cpu_us.saturating_sub(first.status.cpu_us) as f64 / 1e6;
        let elapsed_s = last.at.since(first.at).as_secs_f64();
        (cpu_s > 0.0 && elapsed_s > 0.0).then_some((cpu_s, elapsed_s))
    }

    pub(super) fn heartbeats_per_cpu_second(&self) -> f64 {
        let (Some((cpu_s, _)), Some([first, last])) = (self.steady_cpu_s(), &self.steady) else { return 0.0 };
        let accepted = last.status.heartbeats_accepted.saturating_sub(first.status.heartbeats_accepted);
        (accepted as f64 / cpu_s).round()
    }

    /// CPU time of the gateway in the steady part, as a share of one core; 0 if not known.
    pub(super) fn gateway_cores(&self) -> f64 {
        self.steady_cpu_s().map_or(0.0, |(cpu_s, elapsed_s)| cpu_s / elapsed_s)
    }
}

impl Traffic {
    pub(super) fn bytes_per_heartbeat(&self) -> f64 {
        let bytes = self.total.bytes - self.settled.bytes;
        let heartbeats = self.total.heartbeats_handed - self.settled.heartbeats_handed;
        if heartbeats == 0 { 0.0 } else { bytes as f64 / heartbeats as f64 }
    }
}
