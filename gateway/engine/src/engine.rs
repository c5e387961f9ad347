//! One shard's engine: takes heartbeats and ticks, keeps every node's state, and says what changed.
//!
//! All branches live here; the registry, the wheel and the detector do plain work and know nothing of each other.

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor};

use crate::time::{Duration, Timestamp};
use crate::verdict::Verdicts;

/// What the engine is told once, checked by the caller's configuration and asserted here.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Most nodes this shard can know. Memory for all of them is taken at start.
    pub nodes_max: u32,
    /// Resolution of the wheel.
    pub tick: Duration,
    /// Interval of nodes that do not tell theirs, in milliseconds.
    pub interval_ms: u32,
    /// A node may ask for an interval in this range, in milliseconds; what is outside is clamped and counted.
    pub interval_ms_min: u32,
    /// See `interval_ms_min`.
    pub interval_ms_max: u32,
    /// Intervals of silence after which a node is suspect.
    pub suspect_after_intervals: u32,
    /// Intervals of silence after which a node has failed. More than `suspect_after_intervals`.
    pub failed_after_intervals: u32,
    /// Silence after which a failed, left or new node is forgotten.
    pub forget_after: Duration,
    /// Seeds the hash of node ids, so that nobody outside can aim at one bucket.
    pub hash_seed: u64,
}

/// What the engine has counted since it was made. Plain numbers: the caller copies them out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineCounters {
    /// Heartbeats that moved a node's last-seen time.
    pub heartbeats_accepted: u64,
    /// Heartbeats not newer than one already seen: duplicates and late arrivals.
    pub heartbeats_stale: u64,
    /// Heartbeats of an older incarnation than the one known.
    pub heartbeats_of_older_incarnation: u64,
    /// Heartbeats of unknown nodes that found the registry full.
    pub heartbeats_refused_registry_full: u64,
    /// Transitions put off because the verdict buffer was full.
    pub verdicts_postponed: u64,
    /// Descriptors stored because they were new or changed.
    pub descriptors_stored: u64,
    /// Descriptors of nodes that have not been heard of (or found no room).
    pub descriptors_refused: u64,
    /// Intervals that were asked for outside the allowed range.
    pub intervals_clamped: u64,
    /// Departures that were acted on.
    pub departures_accepted: u64,
    /// Departures of unknown nodes, older incarnations, or nodes that had already left.
    pub departures_ignored: u64,
    /// Wheel entries that were looked at.
    pub wheel_entries_fired: u64,
    /// Wheel entries that were put back because the node had been heard meanwhile.
    pub wheel_entries_rearmed: u64,
}

/// How many nodes stand in each state now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeCounts {
    /// Heard once.
    pub new: u32,
    /// Alive.
    pub alive: u32,
    /// Suspect.
    pub suspect: u32,
    /// Failed.
    pub failed: u32,
    /// Left.
    pub left: u32,
}

/// The nodes of one shard.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine that knows no node. Takes all the memory for `nodes_max` nodes.
    ///
    /// # Panics
    /// If the configuration breaks a rule that its fields state.
    #[must_use]
    pub fn new(config: &EngineConfig, now: Timestamp) -> Self {
        let _ = (config, now);
        Self {}
    }

    /// Takes the heartbeats of one frame, all received at `received_at`.
    ///
    /// When `verdicts` has no room for a transition, the node's last-seen time moves all the same and the transition
    /// is left to its next heartbeat (or wheel entry): counted in `verdicts_postponed`, never lost.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_heartbeats(
        &mut self,
        heartbeats: &[Heartbeat],
        received_at: Timestamp,
        verdicts: &mut Verdicts,
    ) {
        let _ = (heartbeats, received_at, verdicts);
        todo!()
    }

    /// Takes one descriptor; stored only when it differs from what is known. A descriptor alone is no sign of life.
    pub fn on_descriptor(&mut self, descriptor: &NodeDescriptor<'_>, received_at: Timestamp) {
        let _ = (descriptor, received_at);
        todo!()
    }

    /// Takes one departure.
    pub fn on_departure(&mut self, departure: Departure, received_at: Timestamp, verdicts: &mut Verdicts) {
        let _ = (departure, received_at, verdicts);
        todo!()
    }

    /// Fires what is due at `now`, in tick order, at most [`crate::limits::WHEEL_ENTRIES_PER_CALL_MAX`] entries and
    /// only while `verdicts` has room. When work is left, [`Self::next_deadline`] says `now` or earlier.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_tick(&mut self, now: Timestamp, verdicts: &mut Verdicts) {
        let _ = (now, verdicts);
        todo!()
    }

    /// When `on_tick` is next needed; `None` when nothing is armed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        todo!()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &EngineCounters {
        todo!()
    }

    /// How many nodes stand where.
    #[must_use]
    pub fn node_counts(&self) -> NodeCounts {
        todo!()
    }
}
