//! A frame's payload as the gateway sees it: decoded once, borrowed, bounded.
//!
//! [`Decoder::decode`] checks everything that can be wrong with a datagram before it returns, so whoever reads a
//! [`Batch`] meets no errors. Heartbeats are decoded from their columns into one reused array; descriptors and
//! departures are rare and are parsed on demand from the validated bytes.
//!
//! ```text
//!  frame ──FrameHeader::parse──▶ payload ──zstd, if the flag says so──▶ HeartbeatBatch
//!                                                                        │ columns       ─▶ array of Heartbeat
//!                                                                        │ descriptors   ─▶ checked, left in place
//!                                                                        └ departures    ─▶ checked, left in place
//! ```
//!
//! Nothing is allocated after [`Decoder::new`], and nothing that a frame says makes the work grow beyond
//! [`PAYLOAD_BYTES_MAX`]. The decoder is stricter than a protobuf library; the tests compare the two on every input,
//! and `WIRE.md` lists the differences.

use crate::columns::{self, Columns};
use crate::compression::Decompressor;
use crate::frame::FrameHeader;
use crate::identity::{Incarnation, Lane, NodeId, SenderId, Sequence};
use crate::limits::{DEPARTURES_PER_FRAME_MAX, DESCRIPTORS_PER_FRAME_MAX, PAYLOAD_BYTES_MAX};
use crate::protobuf::{FieldReader, Value};
use crate::reject::{Faults, RejectReason};

pub use crate::departure::{Departure, DepartureReason};
pub use crate::descriptor::NodeDescriptor;

pub(crate) const SENDER_ID: u32 = 1;
pub(crate) const SENDER_SEQUENCE: u32 = 2;
pub(crate) const SENT_AT_UNIX_US: u32 = 3;
pub(crate) const DESCRIPTOR: u32 = 12;
pub(crate) const DEPARTURE: u32 = 13;

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
    /// The checked protobuf message.
    message: &'a [u8],
    descriptor_count: usize,
    departure_count: usize,
}

impl<'a> Batch<'a> {
    /// The lane of the frame.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.header.lane
    }

    /// Whether the frame brings more than heartbeats: descriptors or departures.
    #[must_use]
    pub const fn has_more_than_heartbeats(&self) -> bool {
        self.descriptor_count + self.departure_count > 0
    }

    /// The descriptors, in the frame's order. Allocates the lists of labels and services; nothing if there are none.
    pub fn descriptors(&self) -> impl Iterator<Item = NodeDescriptor<'a>> + '_ {
        Submessages::new(self.message, DESCRIPTOR, self.descriptor_count).map(NodeDescriptor::read)
    }

    /// The departures, in the frame's order.
    pub fn departures(&self) -> impl Iterator<Item = Departure> + '_ {
        Submessages::new(self.message, DEPARTURE, self.departure_count)
            .filter_map(|message| Departure::read(message, &mut Faults::default()).ok())
    }
}

/// Finds the occurrences of one repeated message in a batch that was checked before.
struct Submessages<'a> {
    fields: FieldReader<'a>,
    number: u32,
    /// How many are still to come. Nothing is read once all were handed out, and nothing at all if there are none.
    left_count: usize,
}

impl<'a> Submessages<'a> {
    const fn new(message: &'a [u8], number: u32, count: usize) -> Self {
        Self { fields: FieldReader::new(message), number, left_count: count }
    }
}

impl<'a> Iterator for Submessages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left_count = self.left_count.checked_sub(1)?;
        while let Ok(Some((number, value))) = self.fields.next_field() {
            if let (true, Value::Bytes(bytes)) = (number == self.number, value) {
                return Some(bytes);
            }
        }
        None
    }
}

/// Turns datagrams into batches. Owns the zstd context and the scratch space; make one a shard.
#[derive(Debug)]
pub struct Decoder {
    decompressor: Decompressor,
    /// [`PAYLOAD_BYTES_MAX`] bytes for what a compressed payload becomes.
    decompressed: Box<[u8]>,
    columns: Columns,
}

impl Decoder {
    /// A decoder with all the memory it will ever use.
    #[must_use]
    pub fn new() -> Self {
        Self {
            decompressor: Decompressor::new(),
            decompressed: vec![0; PAYLOAD_BYTES_MAX].into_boxed_slice(),
            columns: Columns::new(),
        }
    }

    /// Decodes one frame.
    ///
    /// # Errors
    /// The one reason why the frame is refused: of all that is wrong with it, what stands first in
    /// [`RejectReason::ALL`]. Nothing has changed then.
    pub fn decode<'a>(&'a mut self, frame: &'a [u8]) -> Result<Batch<'a>, RejectReason> {
        let (header, payload) = FrameHeader::parse(frame)?;
        let message = if header.is_compressed() {
            let bytes = header.decompressed_bytes as usize;
            let target =
                self.decompressed.get_mut(..bytes).ok_or(RejectReason::DecompressedSizeAboveBound)?;
            self.decompressor.decompress(payload, target)?;
            &*target
        } else {
            payload
        };
        decode_message(header, message, &mut self.columns)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

fn decode_message<'a>(
    header: FrameHeader,
    message: &'a [u8],
    columns: &'a mut Columns,
) -> Result<Batch<'a>, RejectReason> {
    let mut batch = Batch {
        header,
        sender_id: SenderId(0),
        sender_sequence: 0,
        sent_at_unix_us: 0,
        heartbeats: &[],
        message,
        descriptor_count: 0,
        departure_count: 0,
    };
    let mut faults = Faults::default();
    columns.begin(header.lane);
    let mut fields = FieldReader::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            SENDER_ID => batch.sender_id = SenderId(value.fixed64()?),
            SENDER_SEQUENCE => batch.sender_sequence = value.varint()?,
            SENT_AT_UNIX_US => batch.sent_at_unix_us = value.varint()?,
            columns::NODE_ID..=columns::PENDING => columns.field(number, value, &mut faults)?,
            DESCRIPTOR => {
                batch.descriptor_count += 1;
                let name = NodeDescriptor::check(value.bytes()?, &mut faults)?;
                // A hash costs more than all the rest of a descriptor, so it waits until nothing else is wrong.
                if batch.descriptor_count <= DESCRIPTORS_PER_FRAME_MAX && faults.is_empty() {
                    check_lane(&header, || NodeId::from_name(name), &mut faults);
                }
            }
            DEPARTURE => {
                batch.departure_count += 1;
                let departure = Departure::read(value.bytes()?, &mut faults)?;
                check_lane(&header, || departure.node_id, &mut faults);
            }
            // A field of a later version: skipped.
            _ => {}
        }
    }
    let has_too_many = batch.descriptor_count > DESCRIPTORS_PER_FRAME_MAX
        || batch.departure_count > DEPARTURES_PER_FRAME_MAX;
    faults.note_if(has_too_many, RejectReason::TooManyElements);
    batch.heartbeats = columns.finish(header.mixes_lanes(), &mut faults);
    let is_empty = batch.heartbeats.is_empty() && batch.descriptor_count == 0 && batch.departure_count == 0;
    faults.note_if(is_empty, RejectReason::Empty);
    faults.verdict().map(|()| batch)
}

/// Notes a node that has no place in this frame: it would reach a shard that does not own it.
fn check_lane(header: &FrameHeader, node_id: impl FnOnce() -> NodeId, faults: &mut Faults) {
    if !header.mixes_lanes() {
        faults.note_if(node_id().lane() != header.lane, RejectReason::LaneMismatch);
    }
}
