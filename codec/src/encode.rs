//! Builds frames: the sender's half of the wire.
//!
//! ```text
//!  heartbeat() ─▶ rows, and the size of every column so far ─┐
//!  descriptor() ─▶ written at once ──────────────────────────┼─ finish() ─▶ payload ─▶ zstd, if shorter ─▶ frame
//!  departure() ──▶ written at once ──────────────────────────┘
//! ```
//!
//! A sender that wants to keep its datagrams below some size asks before it adds:
//!
//! ```
//! use pulsegate_codec::{BatchEncoder, Compression, Heartbeat, NodeId, SenderId, limits::DATAGRAM_BYTES_DEFAULT};
//!
//! let mut encoder = BatchEncoder::new(SenderId::from_name("relay-1"), Compression::Off);
//! let (mut frame, mut sender_sequence, sent_at_unix_us) = (Vec::new(), 0, 1_760_000_000_000_000);
//! let mut frame_bytes = Vec::new();
//! for index in 0..1_000 {
//!     let heartbeat = Heartbeat { node_id: NodeId(index), ..Heartbeat::default() };
//!     if !encoder.has_room_for_heartbeat(&heartbeat, DATAGRAM_BYTES_DEFAULT) {
//!         sender_sequence += 1;
//!         encoder.finish(sender_sequence, sent_at_unix_us, &mut frame)?;
//!         frame_bytes.push(frame.len()); // A real sender sends here.
//!     }
//!     encoder.heartbeat(heartbeat);
//! }
//! encoder.finish(sender_sequence + 1, sent_at_unix_us, &mut frame)?;
//! assert!(frame_bytes.iter().all(|bytes| (1_380..=1_400).contains(bytes)));
//! # Ok::<(), pulsegate_codec::EncodeError>(())
//! ```
//!
//! The encoder does not split, send or group by lane: it writes what it is given.

use crate::batch::{DEPARTURE, DESCRIPTOR, SENDER_ID, SENDER_SEQUENCE, SENT_AT_UNIX_US};
use crate::batch::{Departure, Heartbeat, NodeDescriptor};
use crate::columns::{
    COLUMN_COUNT, INCARNATION, LOAD_PERMILLE, NODE_ID, PENDING, PROGRESS, SENT_OFFSET_US, SEQUENCE, STATUS,
};
use crate::compression::Compressor;
use crate::frame::{FLAG_MIXED_LANES, FLAG_ZSTD, FrameHeader, HEADER_BYTES};
use crate::identity::{Lane, NodeId, SenderId};
use crate::limits::{
    DEPARTURES_PER_FRAME_MAX, DESCRIPTORS_PER_FRAME_MAX, FRAME_BYTES_MAX, HEARTBEATS_PER_FRAME_MAX,
    PAYLOAD_BYTES_MAX,
};
use crate::protobuf::{
    VARINT_BYTES_MAX, bytes_field_bytes, put_fixed64_field, put_length, put_varint, put_varint_field,
    varint_bytes,
};

/// Header, sender id, and the longest sequence and wall clock.
const FRAME_BYTES_BEFORE_ELEMENTS: usize = HEADER_BYTES + 9 + 2 * (1 + VARINT_BYTES_MAX);

/// Collects heartbeats of one lane (or of several, and says so) and writes them as one frame.
///
/// All buffers and the zstd context are reused from frame to frame.
#[derive(Debug)]
pub struct BatchEncoder {
    sender_id: SenderId,
    compressor: Option<Compressor>,
    heartbeats: Vec<Heartbeat>,
    columns: ColumnSizes,
    /// Descriptors and departures, as fields of the batch.
    submessages: Vec<u8>,
    descriptor_count: usize,
    departure_count: usize,
    /// Lane of the first node that was added.
    lane: Option<Lane>,
    mixes_lanes: bool,
    /// The first thing that cannot be written; reported by `finish`.
    error: Option<EncodeError>,
    payload: Vec<u8>,
}

/// Whether to try zstd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Never.
    Off,
    /// Whenever it makes the frame smaller by an eighth or more, at this zstd level.
    Zstd {
        /// zstd compression level, 1 to 19; others are clamped.
        level: i32,
    },
}

impl BatchEncoder {
    /// An empty encoder for frames of this sender.
    #[must_use]
    pub fn new(sender_id: SenderId, compression: Compression) -> Self {
        let compressor = match compression {
            Compression::Off => None,
            Compression::Zstd { level } => Some(Compressor::new(level.clamp(1, 19))),
        };
        Self {
            sender_id,
            compressor,
            heartbeats: Vec::new(),
            columns: ColumnSizes::default(),
            submessages: Vec::new(),
            descriptor_count: 0,
            departure_count: 0,
            lane: None,
            mixes_lanes: false,
            error: None,
            payload: Vec::new(),
        }
    }

    /// Changes the sender of the frames that follow (a generator that plays many relays keeps one encoder).
    pub fn set_sender(&mut self, sender_id: SenderId) {
        self.sender_id = sender_id;
    }

    /// Adds a heartbeat.
    pub fn heartbeat(&mut self, heartbeat: Heartbeat) {
        if self.heartbeats.len() == HEARTBEATS_PER_FRAME_MAX {
            return self.fail(EncodeError::TooManyElements);
        }
        self.add_lane(heartbeat.node_id);
        self.columns = self.columns.with(&heartbeat);
        self.heartbeats.push(heartbeat);
    }

    /// Adds a descriptor.
    pub fn descriptor(&mut self, descriptor: &NodeDescriptor<'_>) {
        if self.descriptor_count == DESCRIPTORS_PER_FRAME_MAX || descriptor.has_too_many_elements() {
            return self.fail(EncodeError::TooManyElements);
        }
        if !descriptor.has_valid_texts() {
            return self.fail(EncodeError::BadText);
        }
        self.descriptor_count += 1;
        self.add_lane(descriptor.node_id());
        descriptor.write(DESCRIPTOR, &mut self.submessages);
    }

    /// Adds a departure.
    pub fn departure(&mut self, departure: Departure) {
        if self.departure_count == DEPARTURES_PER_FRAME_MAX {
            return self.fail(EncodeError::TooManyElements);
        }
        self.departure_count += 1;
        self.add_lane(departure.node_id);
        departure.write(DEPARTURE, &mut self.submessages);
    }

    /// Whether nothing was added since the last `finish`.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lane.is_none() && self.error.is_none()
    }

    /// Upper bound of the frame's size if it were finished now, in bytes: what it takes without compression and with
    /// the longest `sender_sequence` and `sent_at_unix_us`.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_BEFORE_ELEMENTS + self.submessages.len() + self.columns.field_bytes(self.heartbeats.len())
    }

    /// Whether the frame stays within `frame_bytes_limit` when this heartbeat is added, compressed or not.
    #[must_use]
    pub fn has_room_for_heartbeat(&self, heartbeat: &Heartbeat, frame_bytes_limit: usize) -> bool {
        let columns_bytes = self.columns.with(heartbeat).field_bytes(self.heartbeats.len() + 1);
        let frame_bytes = FRAME_BYTES_BEFORE_ELEMENTS + self.submessages.len() + columns_bytes;
        self.heartbeats.len() < HEARTBEATS_PER_FRAME_MAX && frame_bytes <= frame_bytes_limit
    }

    /// Whether the frame stays within `frame_bytes_limit` when this descriptor is added, compressed or not.
    #[must_use]
    pub fn has_room_for_descriptor(&self, descriptor: &NodeDescriptor<'_>, frame_bytes_limit: usize) -> bool {
        self.descriptor_count < DESCRIPTORS_PER_FRAME_MAX
            && self.frame_bytes_max() + descriptor.field_bytes() <= frame_bytes_limit
    }

    /// Whether the frame stays within `frame_bytes_limit` when this departure is added, compressed or not.
    #[must_use]
    pub fn has_room_for_departure(&self, departure: &Departure, frame_bytes_limit: usize) -> bool {
        self.departure_count < DEPARTURES_PER_FRAME_MAX
            && self.frame_bytes_max() + departure.field_bytes() <= frame_bytes_limit
    }

    /// Writes everything added since the last `finish` as one frame into `frame` (cleared first) and empties the
    /// encoder. Sets the mixed-lanes flag by itself.
    ///
    /// # Errors
    /// [`EncodeError`] when the frame would break a bound; the encoder is empty then, too, and so is `frame`.
    pub fn finish(
        &mut self,
        sender_sequence: u64,
        sent_at_unix_us: u64,
        frame: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        frame.clear();
        let written = match (self.error, self.lane) {
            (Some(error), _) => Err(error),
            (None, None) => Err(EncodeError::Empty),
            (None, Some(lane)) => {
                self.write_payload(sender_sequence, sent_at_unix_us);
                self.write_frame(lane, frame)
            }
        };
        self.clear();
        written
    }

    fn write_payload(&mut self, sender_sequence: u64, sent_at_unix_us: u64) {
        let payload = &mut self.payload;
        payload.clear();
        put_fixed64_field(SENDER_ID, self.sender_id.0, payload);
        put_varint_field(SENDER_SEQUENCE, sender_sequence, payload);
        put_varint_field(SENT_AT_UNIX_US, sent_at_unix_us, payload);
        if !self.heartbeats.is_empty() {
            put_length(NODE_ID, self.heartbeats.len() * 8, payload);
            for heartbeat in &self.heartbeats {
                payload.extend_from_slice(&heartbeat.node_id.0.to_le_bytes());
            }
        }
        self.write_column(SEQUENCE, |heartbeat| heartbeat.sequence.0.into());
        self.write_column(INCARNATION, |heartbeat| heartbeat.incarnation.0.into());
        self.write_column(SENT_OFFSET_US, |heartbeat| heartbeat.sent_offset_us.into());
        self.write_column(STATUS, |heartbeat| heartbeat.status as u64);
        self.write_column(LOAD_PERMILLE, |heartbeat| heartbeat.load_permille.into());
        self.write_column(PROGRESS, |heartbeat| heartbeat.progress);
        self.write_column(PENDING, |heartbeat| heartbeat.pending.into());
        self.payload.extend_from_slice(&self.submessages);
    }

    #[inline]
    fn write_column(&mut self, number: u32, value: impl Fn(&Heartbeat) -> u64) {
        let column = &self.columns.0[(number - NODE_ID) as usize];
        if column.all_bits == 0 {
            return;
        }
        put_length(number, column.value_bytes, &mut self.payload);
        for heartbeat in &self.heartbeats {
            put_varint(value(heartbeat), &mut self.payload);
        }
    }

    fn write_frame(&mut self, lane: Lane, frame: &mut Vec<u8>) -> Result<(), EncodeError> {
        let payload_bytes = self.payload.len();
        let above_bound = EncodeError::PayloadAboveBound { payload_bytes };
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(above_bound);
        }
        let compressed = self.compressor.as_mut().and_then(|compressor| compressor.compress(&self.payload));
        let zstd_flag = if compressed.is_some() { FLAG_ZSTD } else { 0 };
        let lanes_flag = if self.mixes_lanes { FLAG_MIXED_LANES } else { 0 };
        let travelling = compressed.unwrap_or(&self.payload);
        if travelling.len() > FRAME_BYTES_MAX - HEADER_BYTES {
            return Err(above_bound);
        }
        let header = FrameHeader {
            flags: zstd_flag | lanes_flag,
            lane,
            key_id: 0,
            payload_bytes: u16::try_from(travelling.len()).map_err(|_| above_bound)?,
            decompressed_bytes: u32::try_from(payload_bytes).map_err(|_| above_bound)?,
        };
        header.write(travelling, frame);
        Ok(())
    }

    fn clear(&mut self) {
        self.heartbeats.clear();
        self.columns = ColumnSizes::default();
        self.submessages.clear();
        self.descriptor_count = 0;
        self.departure_count = 0;
        self.lane = None;
        self.mixes_lanes = false;
        self.error = None;
    }

    fn add_lane(&mut self, node_id: NodeId) {
        let lane = *self.lane.get_or_insert(node_id.lane());
        self.mixes_lanes |= lane != node_id.lane();
    }

    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }
}

/// Sizes of the varint columns, kept while heartbeats are added. The first entry, `node_id`, is not used.
#[derive(Clone, Copy, Default, Debug)]
struct ColumnSizes([ColumnSize; COLUMN_COUNT]);

#[derive(Clone, Copy, Default, Debug)]
struct ColumnSize {
    /// Bytes of all values as varints, zeros included.
    value_bytes: usize,
    /// The values, one over the other. A column of zeros alone is not written.
    all_bits: u64,
}

impl ColumnSizes {
    /// The sizes after this heartbeat is added.
    #[inline]
    fn with(mut self, heartbeat: &Heartbeat) -> Self {
        let [_, sequence, incarnation, sent_offset_us, status, load_permille, progress, pending] =
            &mut self.0;
        sequence.add(heartbeat.sequence.0.into());
        incarnation.add(heartbeat.incarnation.0.into());
        sent_offset_us.add(heartbeat.sent_offset_us.into());
        status.add(heartbeat.status as u64);
        load_permille.add(heartbeat.load_permille.into());
        progress.add(heartbeat.progress);
        pending.add(heartbeat.pending.into());
        self
    }

    /// Bytes of all columns of `count` heartbeats as fields of the batch.
    fn field_bytes(&self, count: usize) -> usize {
        let node_ids = if count == 0 { 0 } else { bytes_field_bytes(count * 8) };
        let is_written = |column: &&ColumnSize| column.all_bits != 0;
        let columns = self.0.iter().filter(is_written).map(|column| bytes_field_bytes(column.value_bytes));
        node_ids + columns.sum::<usize>()
    }
}

impl ColumnSize {
    #[inline]
    const fn add(&mut self, value: u64) {
        self.value_bytes += varint_bytes(value);
        self.all_bits |= value;
    }
}

/// Why a frame cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// Nothing was added.
    #[error("nothing to send: add a heartbeat, a descriptor or a departure first")]
    Empty,
    /// More heartbeats, descriptors or departures than [`crate::limits`] allows in one frame, or more labels or
    /// services than one node may have.
    #[error("too many elements for one frame: split the batch")]
    TooManyElements,
    /// A text is longer than [`crate::limits::NAME_BYTES_MAX`], or an empty name.
    #[error("a name, label or service is empty or longer than 255 bytes")]
    BadText,
    /// The payload is larger than a frame can carry.
    #[error("payload of {payload_bytes} bytes is above the bound: split the batch")]
    PayloadAboveBound {
        /// Bytes of the payload before compression.
        payload_bytes: usize,
    },
}
