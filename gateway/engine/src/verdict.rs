//! What the engine says: one verdict a transition, with the evidence that led to it.

use std::sync::Arc;

use pulsegate_codec::{DepartureReason, Incarnation, NodeDescriptor, NodeId, SenderId, Sequence};

use crate::detector::ProfileIndex;
use crate::time::{Duration, Timestamp};

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum NodeState {
    /// Heard once. Not told to anyone yet: a single datagram may be a mistake.
    New = 0,
    /// Heard often enough and lately.
    Alive = 1,
    /// Silent past its suspect deadline.
    Suspect = 2,
    /// Silent past its failed deadline.
    Failed = 3,
    /// Said goodbye.
    Left = 4,
}

impl NodeState {
    /// The word used in events and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

/// What happened to a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VerdictKind {
    /// A node counts from now on: it was new, or had left, and has been heard twice.
    Joined,
    /// Silent past its suspect deadline.
    Suspected,
    /// Silent past its failed deadline.
    Failed,
    /// A suspect or failed node of the same incarnation was heard again, twice within its failed timeout.
    Recovered,
    /// A greater incarnation was heard: the node restarted, whatever it was before.
    Restarted,
    /// The node said goodbye.
    Left {
        /// Why.
        reason: DepartureReason,
        /// When it means to be back, in milliseconds from its goodbye; 0 means not known.
        expected_return_ms: u64,
    },
    /// Nothing was heard of a failed or left node for the retention: the gateway no longer knows it.
    Forgotten,
    /// An alive node says that it should not be relied on. After `Joined` and after `Restarted` a node counts as not
    /// degraded until this is said, so nothing is said of a run that ended degraded.
    Degraded,
    /// It says that it is well again.
    Healthy,
    /// An alive node beats and has work pending, and its counter of work done stands still.
    Stalled {
        /// That counter.
        progress: u64,
        /// How much work waits.
        pending: u32,
    },
    /// The node is not judged by its silence until a time is over: it said so with its goodbye, or an operator did.
    MaintenanceStarted {
        /// How long that is.
        length: Duration,
        /// Whether an operator said so.
        by_operator: bool,
    },
    /// That time is over, or the node is back, or the operator says so.
    MaintenanceEnded {
        /// Whether an operator had begun it.
        by_operator: bool,
    },
    /// Two sources speak in its name at the same time.
    Conflict {
        /// Who sends for the run that counts, and for the other, as far as that is known. The same sender twice is a
        /// copy that calls itself the same.
        senders: [Option<SenderId>; 2],
    },
    /// It moves on, or nothing is pending any more.
    Progressing {
        /// Its counter of work done.
        progress: u64,
        /// How much work waits.
        pending: u32,
    },
}

impl VerdictKind {
    /// Whether this tells of a node's condition and moves it to no other state.
    #[must_use]
    pub const fn is_condition(self) -> bool {
        matches!(
            self,
            Self::Degraded
                | Self::Healthy
                | Self::Stalled { .. }
                | Self::Progressing { .. }
                | Self::MaintenanceStarted { .. }
                | Self::MaintenanceEnded { .. }
                | Self::Conflict { .. }
        )
    }

    /// The word used for the event's type.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Suspected => "suspected",
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Restarted => "restarted",
            Self::Left { .. } => "left",
            Self::Forgotten => "forgotten",
            Self::Degraded => "degraded",
            Self::Healthy => "healthy",
            Self::MaintenanceStarted { .. } => "maintenance_started",
            Self::MaintenanceEnded { .. } => "maintenance_ended",
            Self::Conflict { .. } => "conflict",
            Self::Stalled { .. } => "stalled",
            Self::Progressing { .. } => "progressing",
        }
    }
}

/// One transition of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Which node.
    pub node_id: NodeId,
    /// What happened.
    pub kind: VerdictKind,
    /// Where it stood before.
    pub previous: NodeState,
    /// Which run of the node this is about.
    pub incarnation: Incarnation,
    /// Counts the verdicts on this node since the gateway first heard of it, from 1, with no gap. Once published it
    /// counts what was published of it, from 1, with no gap: see [`crate::publication`].
    pub event_sequence: u32,
    /// When the engine decided.
    pub decided_at: Timestamp,
    /// Why.
    pub evidence: Evidence,
    /// What the node told of itself, if it has.
    pub facts: Option<Arc<NodeFacts>>,
}

/// Why a verdict was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// When the node was last heard before the verdict. For `Joined`, `Recovered` and `Restarted`: before the
    /// heartbeat that led to it. For `Degraded`, `Healthy`, `Stalled` and `Progressing`: that heartbeat.
    pub last_seen: Timestamp,
    /// The deadline that passed; `None` when no deadline was involved.
    pub deadline: Option<Timestamp>,
    /// The interval that the node was held to, in milliseconds.
    pub interval_ms: u32,
    /// The last sequence that was accepted before the verdict.
    pub last_sequence: Sequence,
    /// Whole intervals that passed since `last_seen`.
    pub intervals_missed: u32,
    /// How long the node might be silent, and why so long.
    pub terms: Terms,
    /// What the node said when it was asked in this silence; `None` if nobody had asked it. For whoever asks to fill in.
    pub second_opinion: Option<SecondOpinion>,
}

/// What became of asking a silent node itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecondOpinion {
    /// It answered, at least once.
    Answered,
    /// It has not.
    Silent,
}

/// On which terms a node was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Its profile, among those that the engine was configured with.
    pub profile: ProfileIndex,
    /// Silence after which it was to be suspect.
    pub suspect_timeout: Duration,
    /// Silence after which it was to have failed.
    pub failed_timeout: Duration,
    /// Mean gap between its heartbeats, in microseconds; `None` if nothing is learnt of it, or too little was.
    pub mean_us: Option<u32>,
    /// Deviation of the gaps, in microseconds, mean absolute or standard as the method has it; `None` like the mean.
    pub deviation_us: Option<u32>,
    /// Round trip to it in microseconds, by its sender's report; `None` if it has not told.
    pub round_trip_us: Option<u32>,
}

/// The cold facts of a node: owned copy of its descriptor.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeFacts {
    /// Unique name.
    pub name: Box<str>,
    /// Failure domain; empty when not told.
    pub zone: Box<str>,
    /// Key and value.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Asked-for interval in milliseconds; 0 means the gateway's default.
    pub interval_ms: u32,
    /// Timeout profile; empty means the default.
    pub profile: Box<str>,
    /// What runs on the node.
    pub services: Box<[Box<str>]>,
    /// What to ask when the node falls silent; empty means nothing.
    pub probe: Box<str>,
}

impl NodeFacts {
    /// The descriptor that says this.
    #[must_use]
    pub fn descriptor(&self, round_trip_time_us: u32) -> NodeDescriptor<'_> {
        NodeDescriptor {
            name: &self.name,
            zone: &self.zone,
            labels: self.labels.iter().map(|(key, value)| (&**key, &**value)).collect(),
            interval_ms: self.interval_ms,
            profile: &self.profile,
            services: self.services.iter().map(|service| &**service).collect(),
            round_trip_time_us,
            probe: &self.probe,
        }
    }
}

/// A bounded buffer of verdicts: the engine fills it, the caller drains it.
///
/// When it is full the engine postpones transitions instead of losing them; see `Engine::on_heartbeats`.
#[derive(Debug)]
pub struct Verdicts {
    items: Vec<Verdict>,
    capacity: usize,
}

impl Verdicts {
    /// An empty buffer for `capacity` verdicts; all memory is taken now.
    ///
    /// # Panics
    /// If `capacity` is 0.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        assert!(capacity > 0, "a buffer without room would postpone every verdict for ever");
        Self { items: Vec::with_capacity(capacity), capacity }
    }

    /// How many more verdicts fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity - self.items.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The verdicts that wait, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Verdict] {
        &self.items
    }

    /// The evidence of the verdicts from this position on, with their node and kind, for whoever knows more.
    pub fn evidence_mut(
        &mut self,
        from: usize,
    ) -> impl Iterator<Item = (NodeId, VerdictKind, &mut Evidence)> {
        self.items[from..].iter_mut().map(|verdict| (verdict.node_id, verdict.kind, &mut verdict.evidence))
    }

    /// Takes the oldest `count` verdicts out, oldest first.
    ///
    /// # Panics
    /// If fewer than `count` wait.
    pub fn drain(&mut self, count: usize) -> impl Iterator<Item = Verdict> + '_ {
        self.items.drain(..count)
    }

    /// Adds one.
    ///
    /// # Panics
    /// If there is no room: the engine checks before it changes state.
    pub(crate) fn push(&mut self, verdict: Verdict) {
        assert!(self.items.len() < self.capacity, "the engine decides only while there is room");
        self.items.push(verdict);
    }
}
