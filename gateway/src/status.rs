//! What the gateway says of itself: one value, made from the counter pages and the publisher's gauges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pulsegate_engine::{Duration, Publication};
use pulsegate_stream::kafka::KafkaCounters;
use serde::Serialize;

use crate::config::Detector;
use crate::counters::{Cell, CounterPage, sum, sum_rejected};
use crate::prober::ProbeCounters;
use crate::restart::gauges::RestartGauges;
use crate::sinks::progress::{SinkProgress, SinkStatus};

/// Numbers of the control thread. One writer, the publisher; relaxed for the same reason as [`CounterPage`].
#[derive(Debug, Default)]
pub struct StreamGauges {
    /// Events that are on disk.
    pub events_published: AtomicU64,
    /// Verdicts whose events are on disk (events about the gateway itself have no verdict).
    pub verdicts_published: AtomicU64,
    /// Bytes of the records appended.
    pub bytes_appended: AtomicU64,
    /// Group commits.
    pub commits: AtomicU64,
    /// Commits that failed and were tried again.
    pub commits_failed: AtomicU64,
    /// Longest time from a verdict to its event on disk, in microseconds.
    pub publish_latency_us_max: AtomicU64,
    /// Records that retention removed.
    pub records_retired: AtomicU64,
    /// Parts of the logs that were damaged and set aside, as told by this run.
    pub log_damages: AtomicU64,
    /// What publication counted, and what waits in it: see [`PUBLICATION_METRICS`].
    pub publication: [AtomicU64; PUBLICATION_METRICS.len()],
}

/// Names of publication's numbers: the metric, a value for its label `outcome` or `where` if it has one, and what it is.
pub const PUBLICATION_METRICS: [(&str, &str, &str); 16] = [
    ("pulsegate_publication_verdicts_total", "published", "Verdicts, by what became of them."),
    ("pulsegate_publication_verdicts_total", "cancelled", ""),
    ("pulsegate_publication_verdicts_total", "damped", ""),
    ("pulsegate_publication_verdicts_total", "silenced", ""),
    ("pulsegate_publication_held_total", "", "Failures that a guard held."),
    ("pulsegate_publication_released_at_once_total", "", "Failures that found no room to be held."),
    (
        "pulsegate_publication_caught_up_total",
        "",
        "Events that told where a node stands after a suppression.",
    ),
    ("pulsegate_publication_guards_total", "", "Times that a guard began to hold."),
    ("pulsegate_publication_groups_failed_total", "", "Incidents of many nodes that share a label."),
    ("pulsegate_publication_flapping_total", "", "Times that a node began to flap."),
    ("pulsegate_publication_groups_refused_total", "", "Label values without room, so not correlated."),
    ("pulsegate_publication_waiting", "held", "What publication holds back now."),
    ("pulsegate_publication_waiting", "releasing", ""),
    ("pulsegate_publication_waiting", "settling", ""),
    ("pulsegate_publication_guards", "", "Guards that hold now."),
    ("pulsegate_publication_nodes_flapping", "", "Nodes that flap now."),
];

impl StreamGauges {
    /// Copies publication's numbers out.
    pub fn store_publication(&self, publication: &Publication) {
        let (counters, waiting) = (publication.counters(), publication.waiting());
        let numbers = [
            counters.published,
            counters.cancelled,
            counters.damped,
            counters.silenced,
            counters.held,
            counters.released_at_once,
            counters.caught_up,
            counters.guards_held,
            counters.groups_failed,
            counters.flapping,
            counters.groups_refused,
            waiting.held as u64,
            waiting.releasing as u64,
            waiting.settling as u64,
            waiting.guards as u64,
            waiting.flapping as u64,
        ];
        // Relaxed: numbers by themselves, written by this thread alone.
        for (cell, number) in self.publication.iter().zip(numbers) {
            cell.store(number, Ordering::Relaxed);
        }
    }
}

/// What does not change while the gateway runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Name of the gateway.
    pub gateway: String,
    /// The run of the gateway.
    pub epoch: u64,
    /// `io_uring` or `recvmmsg`.
    pub receiver: &'static str,
    /// Why that one.
    pub receiver_reason: String,
    /// Receiving threads.
    pub shards: usize,
    /// The detector's settings.
    pub detector: Detector,
    /// What judges nodes that name no profile.
    pub judge: pulsegate_engine::detector::Detector,
}

/// Whose numbers, and where they stand.
#[derive(Clone, Debug)]
pub struct NamedPage {
    /// The value of the metric label `shard`: a shard's number, or `tcp`.
    pub shard: String,
    /// The numbers.
    pub page: Arc<CounterPage>,
}

/// Where the numbers stand; shared by everybody who reads them.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Fixed facts.
    pub facts: Arc<Facts>,
    /// One page a shard, and one for heartbeats over TCP.
    pub pages: Arc<[NamedPage]>,
    /// Numbers of the publisher.
    pub stream: Arc<StreamGauges>,
    /// Numbers of the Kafka port.
    pub kafka: Arc<KafkaCounters>,
    /// Numbers of the probes that descriptors name.
    pub probes: Arc<ProbeCounters>,
    /// What the sinks have done.
    pub sinks: Arc<[Arc<SinkProgress>]>,
    /// What was taken over at the start, and how the snapshots go.
    pub restart: Arc<RestartGauges>,
}

/// The answer to `GET /v1/status`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Name of the gateway.
    pub gateway: String,
    /// The run of the gateway.
    pub epoch: u64,
    /// `io_uring` or `recvmmsg`.
    pub receiver: &'static str,
    /// Why that one.
    pub receiver_reason: String,
    /// Receiving threads.
    pub shards: usize,
    /// Resolution of the wheel.
    pub tick_ms: u128,
    /// Interval of nodes that do not tell theirs.
    pub interval_ms: u32,
    /// The profile of nodes that name none.
    pub profile: String,
    /// How that one judges: `fixed`, `ewma` or `phi`.
    pub detector: &'static str,
    /// Least and most silence until such a node, with that interval, is suspect, in milliseconds.
    pub suspect_ms: [u64; 2],
    /// The same until it has failed.
    pub failed_ms: [u64; 2],
    /// Heartbeats that moved a node's last-seen time.
    pub heartbeats_accepted: u64,
    /// Datagrams taken from the kernel.
    pub datagrams_received: u64,
    /// Datagrams refused, for whatever reason.
    pub datagrams_rejected: u64,
    /// Datagrams that the kernel dropped at the socket.
    pub kernel_drops: u64,
    /// Parcels between shards that were lost.
    pub handoff_dropped: u64,
    /// Events on disk.
    pub events_published: u64,
    /// Verdicts that are not events on disk yet.
    pub events_waiting: u64,
    /// Longest time that a shard's thread did not run when it wanted to.
    pub longest_pause_us: u64,
    /// CPU time of the process since its start.
    pub cpu_us: u64,
    /// Nodes by state.
    pub nodes: Nodes,
    /// Where events are sent beside the log.
    pub sinks: Vec<SinkStatus>,
}

/// Nodes by state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Nodes {
    /// Heard once.
    pub new: u64,
    /// Alive.
    pub alive: u64,
    /// Suspect.
    pub suspect: u64,
    /// Failed.
    pub failed: u64,
    /// Left.
    pub left: u64,
}

impl Observed {
    /// Sums everything up. `cpu_us` is the CPU time of the process.
    #[must_use]
    pub fn status(&self, cpu_us: u64) -> Status {
        let cell = |cell| sum(self.counter_pages(), cell);
        let longest = self.counter_pages().map(|page| page.read(Cell::LongestPauseMicroseconds)).max();
        // Relaxed: see `StreamGauges`.
        let published = self.stream.events_published.load(Ordering::Relaxed);
        let bounds = self.facts.judge.bounds(self.facts.detector.interval_ms);
        let milliseconds = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Status {
            gateway: self.facts.gateway.clone(),
            epoch: self.facts.epoch,
            receiver: self.facts.receiver,
            receiver_reason: self.facts.receiver_reason.clone(),
            shards: self.facts.shards,
            tick_ms: self.facts.detector.tick.as_millis(),
            interval_ms: self.facts.detector.interval_ms,
            profile: self.facts.judge.profile().name.to_string(),
            detector: self.facts.judge.profile().method.label(),
            suspect_ms: bounds.map(|timeouts| milliseconds(timeouts.suspect)),
            failed_ms: bounds.map(|timeouts| milliseconds(timeouts.failed)),
            heartbeats_accepted: cell(Cell::HeartbeatsAccepted),
            datagrams_received: cell(Cell::DatagramsReceived),
            datagrams_rejected: sum_rejected(self.counter_pages()),
            kernel_drops: cell(Cell::KernelDrops),
            handoff_dropped: cell(Cell::HandoffDropped),
            events_published: published,
            events_waiting: self.events_waiting(),
            longest_pause_us: longest.unwrap_or(0),
            cpu_us,
            nodes: Nodes {
                new: cell(Cell::NodesNew),
                alive: cell(Cell::NodesAlive),
                suspect: cell(Cell::NodesSuspect),
                failed: cell(Cell::NodesFailed),
                left: cell(Cell::NodesLeft),
            },
            sinks: self.sinks.iter().map(|sink| sink.status()).collect(),
        }
    }

    /// Verdicts handed over by the shards that are not on disk yet.
    #[must_use]
    pub fn events_waiting(&self) -> u64 {
        // Published first: read the other way round, a commit in between could make the difference negative.
        // Relaxed: see `StreamGauges`.
        let published = self.stream.verdicts_published.load(Ordering::Relaxed);
        sum(self.counter_pages(), Cell::Verdicts).saturating_sub(published)
    }

    fn counter_pages(&self) -> impl Iterator<Item = &CounterPage> {
        self.pages.iter().map(|named| named.page.as_ref())
    }
}
