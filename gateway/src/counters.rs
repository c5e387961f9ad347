//! What a shard counts: plain numbers on its own core, copied out once a turn, summed by whoever reads.
//!
//! [`Tally`] is private to the shard's thread, so counting is an addition. Once a turn the shard stores its tally into
//! its [`CounterPage`]; the page has one writer and is read with relaxed loads, so two cells of one scrape may be one
//! turn apart, and no shard ever waits for a reader.
//!
//! The table below is the only place where a metric of a shard is named.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use pulsegate_codec::RejectReason;

/// How a metric behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One metric of a shard.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Name in the Prometheus format.
    pub name: &'static str,
    /// A label beside `shard`, or two empty strings.
    pub label: (&'static str, &'static str),
    /// Counter or gauge.
    pub kind: Kind,
    /// What it counts.
    pub help: &'static str,
}

/// Makes the enum and the table from one list, so that they cannot drift apart.
macro_rules! cells {
    ($($cell:ident: $kind:ident $name:literal {$key:literal = $value:literal} $help:literal;)+) => {
        /// A cell of a tally.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum Cell { $(#[doc = $help] $cell),+ }

        impl Cell {
            /// All cells, in the order of [`DEFINITIONS`].
            pub const ALL: [Self; [$(Self::$cell),+].len()] = [$(Self::$cell),+];
        }

        /// The metrics of a shard, by cell.
        pub const DEFINITIONS: [Definition; Cell::ALL.len()] = [$(Definition {
            name: $name, label: ($key, $value), kind: Kind::$kind, help: $help,
        }),+];
    };
}

cells! {
    DatagramsReceived: Counter "pulsegate_datagrams_received_total" {"" = ""} "Datagrams taken from the kernel.";
    BytesReceived: Counter "pulsegate_received_bytes_total" {"" = ""} "Payload bytes of all datagrams taken from the kernel.";
    BuffersReceived: Counter "pulsegate_receive_buffers_total" {"" = ""} "Receive buffers used; a train of datagrams (UDP_GRO) shares one.";
    BuffersExhausted: Counter "pulsegate_receive_buffers_exhausted_total" {"" = ""} "Times the kernel found no free receive buffer and the receiver had to be armed again.";
    ReceiveErrors: Counter "pulsegate_receive_errors_total" {"" = ""} "Times the receiver had to be armed again for another passing cause.";
    KernelDrops: Counter "pulsegate_kernel_drops_total" {"" = ""} "Datagrams that the kernel dropped because the socket's buffer was full.";
    FramesReceivedByTcp: Counter "pulsegate_tcp_frames_received_total" {"" = ""} "Frames read from TCP connections.";
    ConnectionsAccepted: Counter "pulsegate_connections_total" {"outcome" = "accepted"} "TCP connections taken.";
    ConnectionsRefused: Counter "pulsegate_connections_total" {"outcome" = "refused"} "TCP connections closed at once because too many were open.";
    ConnectionsIdle: Counter "pulsegate_connections_total" {"outcome" = "idle"} "TCP connections closed because nothing came for too long.";
    FramesAccepted: Counter "pulsegate_frames_accepted_total" {"" = ""} "Frames that decoded.";
    HeartbeatsAccepted: Counter "pulsegate_heartbeats_total" {"outcome" = "accepted"} "Heartbeats that moved a node's last-seen time.";
    HeartbeatsStale: Counter "pulsegate_heartbeats_total" {"outcome" = "stale"} "Duplicates and late arrivals.";
    HeartbeatsOlderIncarnation: Counter "pulsegate_heartbeats_total" {"outcome" = "older_incarnation"} "Heartbeats of an older run of a node than the one known.";
    HeartbeatsRegistryFull: Counter "pulsegate_heartbeats_total" {"outcome" = "registry_full"} "Heartbeats of unknown nodes that found no room.";
    Conflicts: Counter "pulsegate_conflicts_total" {"" = ""} "Times that two sources were found to speak in one node's name at once; once an hour for each node.";
    RivalsNotWatched: Counter "pulsegate_rivals_not_watched_total" {"" = ""} "Heartbeats of what may be a second source of a node, which was not watched because too many are.";
    HandedOff: Counter "pulsegate_handoff_total" {"outcome" = "posted"} "Heartbeats, descriptors and departures passed to the shard that owns them.";
    HandoffDropped: Counter "pulsegate_handoff_total" {"outcome" = "dropped"} "The same, lost because the owner's mailbox was full.";
    DescriptorsStored: Counter "pulsegate_descriptors_total" {"outcome" = "stored"} "Descriptors that were new or changed.";
    DescriptorsRefused: Counter "pulsegate_descriptors_total" {"outcome" = "refused"} "Descriptors of nodes not heard of.";
    IntervalsClamped: Counter "pulsegate_intervals_clamped_total" {"" = ""} "Nodes that asked for an interval outside the allowed range.";
    ProfilesUnknown: Counter "pulsegate_profiles_unknown_total" {"" = ""} "Descriptors that named a profile that does not exist.";
    DeparturesAccepted: Counter "pulsegate_departures_total" {"outcome" = "accepted"} "Goodbyes acted on.";
    DeparturesIgnored: Counter "pulsegate_departures_total" {"outcome" = "ignored"} "Goodbyes of unknown nodes, older runs, or nodes that had left.";
    DeparturesRefused: Counter "pulsegate_departures_total" {"outcome" = "refused"} "Goodbyes lost because too many waited for publication.";
    NodesNeverConfirmed: Counter "pulsegate_nodes_never_confirmed_total" {"" = ""} "Nodes heard once and never again.";
    Verdicts: Counter "pulsegate_verdicts_total" {"" = ""} "Verdicts reached.";
    VerdictsPostponed: Counter "pulsegate_verdicts_postponed_total" {"" = ""} "Transitions put off because publication was behind.";
    WheelEntriesFired: Counter "pulsegate_wheel_entries_total" {"outcome" = "fired"} "Wheel entries looked at.";
    WheelEntriesRearmed: Counter "pulsegate_wheel_entries_total" {"outcome" = "rearmed"} "Wheel entries put back because the node had been heard.";
    Turns: Counter "pulsegate_turns_total" {"" = ""} "Turns of the shard's loop.";
    NodesNew: Gauge "pulsegate_nodes" {"state" = "new"} "Nodes heard once.";
    NodesAlive: Gauge "pulsegate_nodes" {"state" = "alive"} "Nodes alive.";
    NodesSuspect: Gauge "pulsegate_nodes" {"state" = "suspect"} "Nodes suspect.";
    NodesFailed: Gauge "pulsegate_nodes" {"state" = "failed"} "Nodes failed.";
    NodesLeft: Gauge "pulsegate_nodes" {"state" = "left"} "Nodes that said goodbye.";
    NodesInMaintenance: Gauge "pulsegate_nodes_in_maintenance" {"" = ""} "Nodes that are not judged by their silence, by their goodbye or by an operator; they stand in pulsegate_nodes as well.";
    Pauses: Counter "pulsegate_pauses_total" {"" = ""} "Times that the shard did not run for so long that deadlines were moved by it.";
    PausedMicroseconds: Counter "pulsegate_paused_us_total" {"" = ""} "Time by which deadlines were moved because the shard did not run, in microseconds.";
    DropsSeen: Counter "pulsegate_drop_readings_total" {"" = ""} "Times that deadlines were widened because the kernel had dropped datagrams, or another shard had trouble.";
    PeerTroubles: Counter "pulsegate_peer_troubles_total" {"" = ""} "Times that deadlines were widened because a thread by way of which heartbeats come had lost some, or did not run.";
    Pings: Counter "pulsegate_pings_total" {"outcome" = "sent"} "Pings sent to silent nodes.";
    PingsAnswered: Counter "pulsegate_pings_total" {"outcome" = "answered"} "Pings that were answered.";
    PingsSkippedForLoad: Counter "pulsegate_pings_total" {"outcome" = "skipped_for_load"} "Silent nodes that were not asked because too many were silent at once.";
    PingsWithoutAddress: Counter "pulsegate_pings_total" {"outcome" = "without_address"} "Silent nodes that were not asked because their address is not known.";
    PongsUnasked: Counter "pulsegate_pings_total" {"outcome" = "unasked_pong"} "Pongs that answered no open question.";
    ProbeAnswersAccepted: Counter "pulsegate_probe_answers_total" {"outcome" = "accepted"} "Answers that kept a node suspect.";
    ProbeAnswersIgnored: Counter "pulsegate_probe_answers_total" {"outcome" = "ignored"} "Answers of nodes that were not suspect, or one too many.";
    LongestPauseMicroseconds: Gauge "pulsegate_longest_pause_us" {"" = ""} "Longest time since start that the shard's thread did not run when it wanted to, in microseconds.";
}

/// A shard's numbers, on its own thread.
#[derive(Clone, Debug)]
pub struct Tally {
    cells: [u64; Cell::ALL.len()],
    rejected: [u64; RejectReason::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self { cells: [0; Cell::ALL.len()], rejected: [0; RejectReason::ALL.len()] }
    }
}

impl Tally {
    /// Adds to a counter.
    pub fn add(&mut self, cell: Cell, amount: u64) {
        self.cells[cell as usize] += amount;
    }

    /// Sets a gauge, or a counter that somebody else keeps.
    pub fn set(&mut self, cell: Cell, value: u64) {
        self.cells[cell as usize] = value;
    }

    /// Raises a gauge to at least this value.
    pub fn raise(&mut self, cell: Cell, value: u64) {
        self.cells[cell as usize] = self.cells[cell as usize].max(value);
    }

    /// Counts a refused frame.
    pub fn reject(&mut self, reason: RejectReason) {
        self.rejected[reason.index()] += 1;
    }
}

/// A shard's numbers, where others can read them.
#[derive(Debug)]
pub struct CounterPage {
    // Padded: two shards' pages must not share a cache line.
    cells: CachePadded<[AtomicU64; Cell::ALL.len()]>,
    rejected: CachePadded<[AtomicU64; RejectReason::ALL.len()]>,
}

impl Default for CounterPage {
    fn default() -> Self {
        Self {
            cells: CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))),
            rejected: CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}

impl CounterPage {
    /// Copies a tally out. Called by the one shard that owns the page.
    pub fn store(&self, tally: &Tally) {
        // Relaxed: each cell is a number by itself, written by one thread; nothing is published through it.
        for (cell, value) in self.cells.iter().zip(tally.cells) {
            cell.store(value, Ordering::Relaxed);
        }
        for (cell, value) in self.rejected.iter().zip(tally.rejected) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// Reads a cell.
    #[must_use]
    pub fn read(&self, cell: Cell) -> u64 {
        // Relaxed: see `store`.
        self.cells[cell as usize].load(Ordering::Relaxed)
    }

    /// Reads how many frames were refused for this reason.
    #[must_use]
    pub fn read_rejected(&self, reason: RejectReason) -> u64 {
        // Relaxed: see `store`.
        self.rejected[reason.index()].load(Ordering::Relaxed)
    }
}

/// Sums a cell over all shards.
#[must_use]
pub fn sum<'a>(pages: impl IntoIterator<Item = &'a CounterPage>, cell: Cell) -> u64 {
    pages.into_iter().map(|page| page.read(cell)).sum()
}

/// Sums all refused frames over all shards.
#[must_use]
pub fn sum_rejected<'a>(pages: impl IntoIterator<Item = &'a CounterPage>) -> u64 {
    let of_page =
        |page: &CounterPage| RejectReason::ALL.iter().map(|reason| page.read_rejected(*reason)).sum::<u64>();
    pages.into_iter().map(of_page).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_shows_what_was_tallied() {
        let (mut tally, page) = (Tally::default(), CounterPage::default());
        tally.add(Cell::DatagramsReceived, 3);
        tally.raise(Cell::LongestPauseMicroseconds, 7);
        tally.raise(Cell::LongestPauseMicroseconds, 5);
        tally.reject(RejectReason::BadMagic);
        page.store(&tally);
        assert_eq!(page.read(Cell::DatagramsReceived), 3);
        assert_eq!(page.read(Cell::LongestPauseMicroseconds), 7);
        assert_eq!(page.read_rejected(RejectReason::BadMagic), 1);
        assert_eq!(sum([&page, &page], Cell::DatagramsReceived), 6);
        assert_eq!(sum_rejected([&page]), 1);
    }

    #[test]
    fn name_and_label_of_each_metric_are_unique() {
        let mut seen: Vec<_> =
            DEFINITIONS.iter().map(|definition| (definition.name, definition.label)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), DEFINITIONS.len());
    }
}
