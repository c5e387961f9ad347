//! Columns of a batch on their way into an array of heartbeats.
//!
//! Each column arrives as one packed field, or in several pieces, or as single values, and in any order among the
//! others; all of them write into the one reused array, each at its own position:
//!
//! ```text
//!  heartbeats   [0]      [1]      [2]      [3]      [4]   …   HEARTBEATS_PER_FRAME_MAX
//!  node_id       x        x        x        x     │ counts[0] = 4
//!  sequence      x        x        x        x     │ counts[1] = 4
//!  incarnation   x        x      │ counts[2] = 2              the rest may come in another piece
//!                                                 │ clean_count = 4: from here on there are leftovers of older frames
//! ```
//!
//! An entry is reset the first time that a column of this frame reaches it. When all fields are read, every column
//! must be empty or as long as `node_id`. Nothing is stored beyond the array's end; it is counted, and the frame is
//! refused for it.

use crate::batch::{Heartbeat, NodeStatus};
use crate::identity::{Incarnation, Lane, NodeId, Sequence};
use crate::limits::HEARTBEATS_PER_FRAME_MAX;
use crate::protobuf::{CONTINUATION_BITS, Value, join_groups, read_varint};
use crate::reject::{Faults, RejectReason};

/// Field number of the first column in `HeartbeatBatch`; the others follow without a gap.
pub(crate) const NODE_ID: u32 = 4;
pub(crate) const SEQUENCE: u32 = 5;
pub(crate) const INCARNATION: u32 = 6;
pub(crate) const SENT_OFFSET_US: u32 = 7;
pub(crate) const STATUS: u32 = 8;
pub(crate) const LOAD_PERMILLE: u32 = 9;
pub(crate) const PROGRESS: u32 = 10;
pub(crate) const PENDING: u32 = 11;

/// How many columns there are.
pub(crate) const COLUMN_COUNT: usize = (PENDING - NODE_ID + 1) as usize;

const U32_MAX: u64 = u32::MAX as u64;
/// The greatest number of a [`NodeStatus`].
const STATUS_MAX: u64 = NodeStatus::Degraded as u64;

/// The array of heartbeats and how far each column has come in it.
#[derive(Debug)]
pub(crate) struct Columns {
    heartbeats: Box<[Heartbeat]>,
    /// Entries below this belong to this frame.
    clean_count: usize,
    /// Values seen of each column, stored or not.
    counts: [usize; COLUMN_COUNT],
    /// Bits of the node ids' top bytes that differ from the frame's lane.
    stray_bits: u64,
    lane: Lane,
}

impl Columns {
    pub(crate) fn new() -> Self {
        Self {
            heartbeats: vec![Heartbeat::default(); HEARTBEATS_PER_FRAME_MAX].into_boxed_slice(),
            clean_count: 0,
            counts: [0; COLUMN_COUNT],
            stray_bits: 0,
            lane: Lane(0),
        }
    }

    /// Begins a new frame.
    pub(crate) fn begin(&mut self, lane: Lane) {
        self.clean_count = 0;
        self.counts = [0; COLUMN_COUNT];
        self.stray_bits = 0;
        self.lane = lane;
    }

    /// Takes in one field of the batch: a packed piece of a column, or a single value of it.
    ///
    /// # Errors
    /// [`RejectReason::BadProtobuf`]. What is wrong with the values goes to `faults`.
    #[inline]
    pub(crate) fn field(
        &mut self,
        number: u32,
        value: Value<'_>,
        faults: &mut Faults,
    ) -> Result<(), RejectReason> {
        match number {
            NODE_ID => self.node_ids(value),
            SEQUENCE => self.varints::<1, U32_MAX>(value, faults, |heartbeat, value| {
                heartbeat.sequence = Sequence(low_half(value));
            }),
            INCARNATION => self.varints::<2, U32_MAX>(value, faults, |heartbeat, value| {
                heartbeat.incarnation = Incarnation(low_half(value));
            }),
            SENT_OFFSET_US => self.varints::<3, U32_MAX>(value, faults, |heartbeat, value| {
                heartbeat.sent_offset_us = low_half(value);
            }),
            STATUS => self.varints::<4, STATUS_MAX>(value, faults, |heartbeat, value| {
                heartbeat.status = if value == 0 { NodeStatus::Ok } else { NodeStatus::Degraded };
            }),
            LOAD_PERMILLE => self.varints::<5, U32_MAX>(value, faults, |heartbeat, value| {
                heartbeat.load_permille = low_half(value);
            }),
            PROGRESS => self.varints::<6, { u64::MAX }>(value, faults, |heartbeat, value| {
                heartbeat.progress = value;
            }),
            _ => self.varints::<7, U32_MAX>(value, faults, |heartbeat, value| {
                heartbeat.pending = low_half(value);
            }),
        }
    }

    /// The heartbeats, once all fields are in. What is wrong with them as a whole goes to `faults`.
    pub(crate) fn finish(&self, mixes_lanes: bool, faults: &mut Faults) -> &[Heartbeat] {
        let count = self.counts[0];
        let is_unequal = self.counts.iter().any(|&other| other != 0 && other != count);
        faults.note_if(is_unequal, RejectReason::UnequalColumns);
        faults.note_if(count > HEARTBEATS_PER_FRAME_MAX, RejectReason::TooManyElements);
        faults.note_if(!mixes_lanes && self.stray_bits >> 56 != 0, RejectReason::LaneMismatch);
        self.heartbeats.get(..count).unwrap_or_default()
    }

    #[inline]
    fn node_ids(&mut self, value: Value<'_>) -> Result<(), RejectReason> {
        let single;
        let (ids, rest) = match value {
            Value::Bytes(bytes) => bytes.as_chunks::<8>(),
            Value::Fixed64(id) => {
                single = id.to_le_bytes();
                single.as_chunks::<8>()
            }
            _ => return Err(RejectReason::BadProtobuf),
        };
        if !rest.is_empty() {
            return Err(RejectReason::BadProtobuf);
        }
        let start = self.counts[0];
        self.counts[0] += ids.len();
        self.clean_until(self.counts[0]);
        let lane_bits = u64::from(self.lane.0) << 56;
        for (heartbeat, id) in self.heartbeats.iter_mut().skip(start).zip(ids) {
            let id = u64::from_le_bytes(*id);
            self.stray_bits |= id ^ lane_bits;
            heartbeat.node_id = NodeId(id);
        }
        Ok(())
    }

    /// Takes in values of column `COLUMN`, none of which may have a bit that `VALUE_MAX` has not.
    #[inline]
    fn varints<const COLUMN: usize, const VALUE_MAX: u64>(
        &mut self,
        value: Value<'_>,
        faults: &mut Faults,
        set: impl Fn(&mut Heartbeat, u64),
    ) -> Result<(), RejectReason> {
        const {
            assert!((VALUE_MAX & VALUE_MAX.wrapping_add(1)) == 0, "one bit pattern checks all values at once")
        };
        let bytes = match value {
            Value::Bytes(bytes) => bytes,
            Value::Varint(value) => {
                faults.note_if(value > VALUE_MAX, RejectReason::ValueOutOfRange);
                self.push::<COLUMN>(|heartbeat| set(heartbeat, value));
                return Ok(());
            }
            _ => return Err(RejectReason::BadProtobuf),
        };
        // The usual case: `node_id` came first and has made room for all values.
        let start = self.counts[COLUMN];
        let room = self.heartbeats.get_mut(start..self.clean_count).unwrap_or_default();
        let all_bits = match fill_of_equal_width(room, bytes, &set) {
            Some(all_bits) => {
                self.counts[COLUMN] += room.len();
                all_bits
            }
            None => self.fill_one_by_one::<COLUMN>(bytes, set)?,
        };
        faults.note_if(all_bits > VALUE_MAX, RejectReason::ValueOutOfRange);
        Ok(())
    }

    /// Takes in varints of any width. Returns all values, one over the other.
    fn fill_one_by_one<const COLUMN: usize>(
        &mut self,
        mut bytes: &[u8],
        set: impl Fn(&mut Heartbeat, u64),
    ) -> Result<u64, RejectReason> {
        let mut all_bits = 0;
        let start = self.counts[COLUMN];
        for heartbeat in self.heartbeats.get_mut(start..self.clean_count).unwrap_or_default() {
            if bytes.is_empty() {
                break;
            }
            let value = read_varint(&mut bytes)?;
            all_bits |= value;
            set(heartbeat, value);
            self.counts[COLUMN] += 1;
        }
        while !bytes.is_empty() {
            let value = read_varint(&mut bytes)?;
            all_bits |= value;
            self.push::<COLUMN>(|heartbeat| set(heartbeat, value));
        }
        Ok(all_bits)
    }

    /// Sets the next value of a column, or only counts it when the array is full.
    fn push<const COLUMN: usize>(&mut self, set: impl Fn(&mut Heartbeat)) {
        let index = self.counts[COLUMN];
        self.counts[COLUMN] += 1;
        self.clean_until(index + 1);
        if let Some(heartbeat) = self.heartbeats.get_mut(index) {
            set(heartbeat);
        }
    }

    /// Resets leftovers of older frames, up to `count`.
    #[inline]
    fn clean_until(&mut self, count: usize) {
        let count = count.min(HEARTBEATS_PER_FRAME_MAX);
        if let Some(leftovers) = self.heartbeats.get_mut(self.clean_count..count) {
            leftovers.fill(Heartbeat::default());
            self.clean_count = count;
        }
    }
}

/// Fills the whole of `room` if `bytes` holds that many varints of one and the same width.
///
/// Most columns are like that, and decode several times faster so: where a value begins does not depend on the value
/// before it. Returns all values, one over the other; `None` if the widths differ, and `room` holds nonsense then.
#[inline]
fn fill_of_equal_width(
    room: &mut [Heartbeat],
    bytes: &[u8],
    set: &impl Fn(&mut Heartbeat, u64),
) -> Option<u64> {
    match bytes.len() {
        length if length == room.len() => fill_of_width::<1>(room, bytes, set),
        length if length == room.len() * 2 => fill_of_width::<2>(room, bytes, set),
        length if length == room.len() * 3 => fill_of_width::<3>(room, bytes, set),
        length if length == room.len() * 4 => fill_of_width::<4>(room, bytes, set),
        length if length == room.len() * 5 => fill_of_width::<5>(room, bytes, set),
        _ => None,
    }
}

#[inline]
fn fill_of_width<const WIDTH: usize>(
    room: &mut [Heartbeat],
    bytes: &[u8],
    set: &impl Fn(&mut Heartbeat, u64),
) -> Option<u64> {
    // All bytes but the last have their continuation bit set.
    let continuation_bits = CONTINUATION_BITS & ((1 << (8 * (WIDTH - 1))) - 1);
    let value_bits = u64::MAX >> (64 - 8 * WIDTH);
    let mut stray_bits = 0;
    let mut all_bits = 0;
    let (values, _) = bytes.as_chunks::<WIDTH>();
    for (heartbeat, value) in room.iter_mut().zip(values) {
        let mut word = [0; 8];
        word[..WIDTH].copy_from_slice(value);
        let word = u64::from_le_bytes(word);
        stray_bits |= (word & CONTINUATION_BITS & value_bits) ^ continuation_bits;
        let value = join_groups(word);
        all_bits |= value;
        set(heartbeat, value);
    }
    (stray_bits == 0).then_some(all_bits)
}

/// The low 32 bits; what the column does not hold has been noted as a fault.
#[inline]
const fn low_half(value: u64) -> u32 {
    (value & U32_MAX) as u32
}
