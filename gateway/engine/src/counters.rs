//! What the engine counts. Plain numbers: one thread writes them, and the caller copies them out.

use crate::verdict::NodeState;

/// What the engine has counted since it was made.
///
/// Each heartbeat counts under exactly one of the first four names, each departure under exactly one of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineCounters {
    /// Heartbeats that moved a node's last-seen time.
    pub heartbeats_accepted: u64,
    /// Heartbeats not newer than one already seen: duplicates and late arrivals.
    pub heartbeats_stale: u64,
    /// Heartbeats of an older incarnation than the one known.
    pub heartbeats_of_older_incarnation: u64,
    /// Verdicts that two sources speak in one node's name.
    pub conflicts: u64,
    /// Heartbeats of what may be a second source of a node, which was not watched for want of room.
    pub rivals_not_watched: u64,
    /// Heartbeats of unknown nodes that found the registry full.
    pub heartbeats_refused_registry_full: u64,
    /// Times that a transition was put off because the verdict buffer was full: once a heartbeat, once a departure,
    /// once a call of `on_tick`.
    pub verdicts_postponed: u64,
    /// Descriptors stored because they were new or changed.
    pub descriptors_stored: u64,
    /// Descriptors of nodes that have not been heard of (or found no room).
    pub descriptors_refused: u64,
    /// Intervals that were asked for outside the allowed range.
    pub intervals_clamped: u64,
    /// Descriptors that named a profile that does not exist, when they were stored.
    pub profiles_unknown: u64,
    /// Departures that were acted on.
    pub departures_accepted: u64,
    /// Departures of unknown nodes, of older incarnations, of nodes that had already left, or overtaken by a newer
    /// heartbeat.
    pub departures_ignored: u64,
    /// Departures that found neither room for a verdict nor room to wait for it.
    pub departures_refused: u64,
    /// Nodes that were heard once and then not again: removed, or left as before, without a verdict.
    pub new_nodes_never_confirmed: u64,
    /// Pauses of the gateway that it was told of.
    pub pauses: u64,
    /// Times that it was told of datagrams which the kernel had dropped.
    pub drops_seen: u64,
    /// Answers to probes that kept a node suspect.
    pub probe_answers_accepted: u64,
    /// Answers to probes of nodes that were not suspect (any more), or beyond what can be kept.
    pub probe_answers_ignored: u64,
    /// Wheel entries that were looked at.
    pub wheel_entries_fired: u64,
    /// Wheel entries that were put back because the node had been heard meanwhile, or waits for something far away.
    pub wheel_entries_rearmed: u64,
    /// Wheel entries that were dropped because their node had been given an earlier deadline, or was gone.
    pub wheel_entries_stale: u64,
    /// Wheel entries that moved from the coarse level to the fine one.
    pub wheel_entries_cascaded: u64,
    /// Times that the wheel was made anew because stale entries had filled it.
    pub wheel_rebuilds: u64,
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

impl NodeCounts {
    /// How many nodes are known at all.
    #[must_use]
    pub const fn known(&self) -> u32 {
        self.new + self.alive + self.suspect + self.failed + self.left
    }

    /// How many stand in this state.
    #[must_use]
    pub const fn of(&self, state: NodeState) -> u32 {
        match state {
            NodeState::New => self.new,
            NodeState::Alive => self.alive,
            NodeState::Suspect => self.suspect,
            NodeState::Failed => self.failed,
            NodeState::Left => self.left,
        }
    }

    pub(crate) const fn of_mut(&mut self, state: NodeState) -> &mut u32 {
        match state {
            NodeState::New => &mut self.new,
            NodeState::Alive => &mut self.alive,
            NodeState::Suspect => &mut self.suspect,
            NodeState::Failed => &mut self.failed,
            NodeState::Left => &mut self.left,
        }
    }
}
