//! What publication lets out: events about nodes, groups, zones and the gateway, in the order in which they are to be
//! written.

use crate::time::{Duration, Timestamp};
use crate::verdict::Verdict;

/// Names an incident: the failures that share it are thought to have one cause. Unique within a run of the gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CauseId(pub u64);

/// One thing to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Published {
    /// About one node.
    Node(NodeEvent),
    /// Many nodes that share a label failed together.
    Group(GroupEvent),
    /// A guard began or ceased to hold.
    Guard(GuardEvent),
}

/// About one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeEvent {
    /// Which shard owns the node.
    pub shard: usize,
    /// The verdict. Its `event_sequence` counts what was published of the node, from 1, with no gap; its `previous`
    /// is the state that was published last. After a suppression its kind is the one that leads from there to where
    /// the node stands.
    pub verdict: Verdict,
    /// What is said of it.
    pub saying: Saying,
    /// The incident that it is a part of.
    pub cause: Option<CauseId>,
    /// How long it was held back; zero if it was not.
    pub held: Duration,
    /// The first with the node's name, after some that were told when only its id was known.
    pub is_named_now: bool,
}

/// What an event says of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saying {
    /// The verdict itself.
    Verdict,
    /// The node flaps: its verdicts are not published until it is steady.
    Flapping {
        /// Flaps that were counted.
        flaps: u32,
    },
    /// It no longer does. Stands in the order before the event that tells where the node is now, if that has changed.
    Steady {
        /// Flaps that were counted.
        flaps: u32,
        /// Verdicts that were not published meanwhile.
        damped: u32,
    },
}

/// Many nodes that share a label failed together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupEvent {
    /// `zone`, or the key of a label.
    pub dimension: Box<str>,
    /// What they share.
    pub value: Box<str>,
    /// How many failed, up to now.
    pub failed: u32,
    /// How many nodes have this value and had not failed before.
    pub members: u32,
    /// What the events of the nodes carry.
    pub cause: CauseId,
    /// When the first of them was decided.
    pub first_at: Timestamp,
    /// When this was decided.
    pub decided_at: Timestamp,
}

/// Whose failures a guard holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GuardScope {
    /// Those of all nodes: the gateway, its host or its network may be the sick one.
    Gateway,
    /// Those of one shard's nodes: its socket or its thread may be the sick one.
    Shard(usize),
    /// Those of a zone: its network may be the sick one.
    Zone(Box<str>),
}

/// A guard began or ceased to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuardEvent {
    /// Whose failures.
    pub scope: GuardScope,
    /// Nodes of the scope that are silent, suspect or failed, as the guard counts them.
    pub silent: u32,
    /// Nodes of the scope, as the guard counts them.
    pub members: u32,
    /// When.
    pub decided_at: Timestamp,
    /// Began or ceased.
    pub change: GuardChange,
}

/// Began or ceased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuardChange {
    /// The first verdict is held.
    Held,
    /// Nothing is held any more.
    Released {
        /// Why.
        reason: ReleaseReason,
        /// Verdicts that are let out because of it.
        released: u64,
        /// Verdicts that came to nothing while they were held: the node was heard again, or said goodbye.
        cancelled: u64,
        /// How long the guard held.
        held: Duration,
    },
}

/// Why a guard let go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReleaseReason {
    /// Enough nodes were heard again, or have left.
    Calm,
    /// It has held for as long as it may.
    Expired,
    /// An operator said so.
    Operator,
    /// There is no room to hold more.
    Full,
    /// The gateway stops.
    Stopped,
}

impl ReleaseReason {
    /// The word used in events.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Expired => "expired",
            Self::Operator => "operator",
            Self::Full => "full",
            Self::Stopped => "stopped",
        }
    }
}
