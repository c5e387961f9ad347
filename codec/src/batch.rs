//! A frame's payload as the gateway sees it: decoded once, borrowed, bounded.
//!
//! [`Decoder::decode`] checks everything that can be wrong with a datagram before it returns, so whoever reads a
//! [`Batch`] meets no errors. Heartbeats are decoded from their columns into one reused array; descriptors and
//! departures are rare and are parsed on demand from the validated bytes.

use crate::frame::FrameHeader;
use crate::identity::{Incarnation, Lane, NodeId, SenderId, Sequence};
use crate::reject::RejectReason;

/// One node's sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heartbeat {
    /// Whose.
    pub node_id: NodeId,
    /// A counter of work done, never falling within one incarnation.
    pub progress: u64,
    /// Counts heartbeats within the incarnation, from 1; 0 means uncounted.
    pub sequence: Sequence,
    /// Which run of the node.
    pub incarnation: Incarnation,
    /// How long before the frame's sent-at time the node spoke, in microseconds.
    pub sent_offset_us: u32,
    /// Thousandths of the node's capacity.
    pub load_permille: u32,
    /// Work that waits to be done.
    pub pending: u32,
    /// What the node says of itself.
    pub status: NodeStatus,
}

/// What a node says of its own health.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum NodeStatus {
    /// Able to do its work.
    #[default]
    Ok = 0,
    /// Alive, but says itself that it should not be relied on.
    Degraded = 1,
}

/// What does not change from beat to beat. Borrowed from the frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeDescriptor<'a> {
    /// Unique in the fleet; its hash is the node's id. Never empty.
    pub name: &'a str,
    /// Failure domain; empty when not told.
    pub zone: &'a str,
    /// Key and value, in the frame's order. At most [`crate::limits::LABELS_PER_NODE_MAX`].
    pub labels: Vec<(&'a str, &'a str)>,
    /// Time between two heartbeats; 0 means the gateway's default.
    pub interval_ms: u32,
    /// Timeout profile; empty means the default.
    pub profile: &'a str,
    /// What runs on the node. At most [`crate::limits::SERVICES_PER_NODE_MAX`].
    pub services: Vec<&'a str>,
}

impl NodeDescriptor<'_> {
    /// The node that this describes.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId::from_name(self.name)
    }
}

/// A node that goes away on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Which node.
    pub node_id: NodeId,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// Its last heartbeat: anything up to it that arrives later is late, not a return.
    pub sequence: Sequence,
    /// Why.
    pub reason: DepartureReason,
    /// When it means to be back, in milliseconds from now; 0 means not known.
    pub expected_return_ms: u64,
}

/// Why a node goes away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum DepartureReason {
    /// Not told.
    #[default]
    Unspecified = 0,
    /// The process ends.
    Shutdown = 1,
    /// Work on the machine; it will be back.
    Maintenance = 2,
    /// The fleet shrinks; it will not be back.
    ScaleDown = 3,
}

/// One decoded frame. Borrows the datagram and the decoder's scratch space.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The checked header.
    pub header: FrameHeader,
    /// Who built the frame.
    pub sender_id: SenderId,
    /// The sender's count of frames; 0 means uncounted.
    pub sender_sequence: u64,
    /// The sender's wall clock, microseconds since the Unix epoch.
    pub sent_at_unix_us: u64,
    /// The heartbeats, in the frame's order.
    pub heartbeats: &'a [Heartbeat],
}

impl<'a> Batch<'a> {
    /// The lane of the frame.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.header.lane
    }

    /// The descriptors, in the frame's order.
    pub fn descriptors(&self) -> impl Iterator<Item = NodeDescriptor<'a>> + '_ {
        std::iter::empty()
    }

    /// The departures, in the frame's order.
    pub fn departures(&self) -> impl Iterator<Item = Departure> + '_ {
        std::iter::empty()
    }
}

/// Turns datagrams into batches. Owns the zstd context and the scratch space; make one a shard.
#[derive(Debug)]
pub struct Decoder {}

impl Decoder {
    /// A decoder with all the memory it will ever use.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Decodes one frame.
    ///
    /// # Errors
    /// The one reason why the frame is refused. Nothing has changed then.
    pub fn decode<'a>(&'a mut self, frame: &'a [u8]) -> Result<Batch<'a>, RejectReason> {
        let _ = frame;
        todo!()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
