//! One node as a snapshot keeps it: 40 bytes with a checksum, so that a gateway that restarts knows whom it knew.
//!
//! ```text
//!   0         8            16           20        24           28              32     33     34       35  36         40
//!   | node id | silence us | incarnation| sequence| interval ms| event sequence| state| flags| profile| 0 | CRC-32C  |
//! ```
//!
//! All numbers are little-endian. Each record has one size and carries its own checksum: of a snapshot that was torn or has
//! a flipped bit, [`read`] gives every record that is whole. Times are kept as
//! silences, because a monotonic clock means nothing to the next process. The profile is a place among those that the writer
//! was configured with; their names, and those of nodes, are the writer's business. So are file format and I/O.

use pulsegate_codec::{Incarnation, NodeId, Sequence};

use crate::limits::INTERVAL_MS_MAX;
use crate::time::Duration;
use crate::verdict::NodeState;

/// Bytes of one encoded record.
pub const RECORD_BYTES: usize = 40;

const CHECKSUM_OFFSET: usize = RECORD_BYTES - 4;

/// What a snapshot keeps of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    /// Which node.
    pub node_id: NodeId,
    /// How long it had been silent, in whole microseconds.
    pub silence: Duration,
    /// Its run.
    pub incarnation: Incarnation,
    /// Its last sequence; of a node that left and has been heard once since, the one before that.
    pub sequence: Sequence,
    /// The interval that it is held to, in milliseconds.
    pub interval_ms: u32,
    /// Verdicts on it so far.
    pub event_sequence: u32,
    /// Where it stood: never `New`, which was told to nobody.
    pub state: NodeState,
    /// Whether the world was told that it is degraded: bit 0 of the flags.
    pub is_degraded: bool,
    /// Whether the world was told that it is stalled: bit 1 of the flags.
    pub is_stalled: bool,
    /// How it is judged: a place among the profiles of the engine that wrote this.
    pub profile: u8,
}

impl NodeRecord {
    /// The record as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let silence_us = u64::try_from(self.silence.as_micros()).unwrap_or(u64::MAX);
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.node_id.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&silence_us.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.incarnation.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.sequence.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.interval_ms.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.event_sequence.to_le_bytes());
        bytes[32] = self.state as u8;
        bytes[33] = u8::from(self.is_degraded) | u8::from(self.is_stalled) << 1;
        bytes[34] = self.profile;
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The record in these bytes; `None` if they are damaged or make no sense.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let word = |offset: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
        };
        let long = |offset: usize| -> Option<u64> {
            Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
        };
        if word(CHECKSUM_OFFSET)? != checksum(bytes) {
            return None;
        }
        let state = [NodeState::Alive, NodeState::Suspect, NodeState::Failed, NodeState::Left]
            .into_iter()
            .find(|&state| state as u8 == bytes[32])?;
        Some(Self {
            node_id: NodeId(long(0)?),
            silence: Duration::from_micros(long(8)?),
            incarnation: Incarnation(word(16)?),
            sequence: Sequence(word(20)?),
            interval_ms: word(24).filter(|&interval_ms| interval_ms <= INTERVAL_MS_MAX)?,
            event_sequence: word(28)?,
            state,
            is_degraded: bytes[33] & 1 != 0,
            is_stalled: bytes[33] & 2 != 0,
            profile: bytes[34],
        })
    }
}

/// The records that stand one after the other in these bytes; `None` for one that is damaged. One that is cut off at the end is
/// left out.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = Option<NodeRecord>> + '_ {
    bytes.as_chunks().0.iter().map(NodeRecord::decode)
}

fn checksum(bytes: &[u8; RECORD_BYTES]) -> u32 {
    // Not of nothing: a stretch of zeros, as a torn file has, must not pass.
    !crc32c::crc32c(&bytes[..CHECKSUM_OFFSET])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: NodeRecord = NodeRecord {
        node_id: NodeId(0x0102_0304_0506_0708),
        silence: Duration::from_micros(2_900_001),
        incarnation: Incarnation(7),
        sequence: Sequence(9),
        interval_ms: 1_000,
        event_sequence: 3,
        state: NodeState::Suspect,
        is_degraded: true,
        is_stalled: false,
        profile: 3,
    };

    #[test]
    fn a_record_comes_back_as_it_was() {
        for state in [NodeState::Alive, NodeState::Suspect, NodeState::Failed, NodeState::Left] {
            let record = NodeRecord {
                state,
                is_degraded: state == NodeState::Alive,
                is_stalled: state == NodeState::Left,
                ..RECORD
            };
            assert_eq!(NodeRecord::decode(&record.encode()), Some(record));
        }
    }

    /// Shows: a damaged record is no record.
    #[test]
    fn no_flipped_bit_and_no_zeros_are_believed() {
        for bit in 0..RECORD_BYTES * 8 {
            let mut bytes = RECORD.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(NodeRecord::decode(&bytes), None, "bit {bit}");
        }
        assert_eq!(NodeRecord::decode(&[0; RECORD_BYTES]), None);
    }

    /// Shows: a record that is whole and makes no sense is no record: a state that was never written, an interval that no node
    /// may have.
    #[test]
    fn what_makes_no_sense_is_not_believed_with_a_sound_checksum_either() {
        let sealed = |change: &dyn Fn(&mut [u8; RECORD_BYTES])| {
            let mut bytes = RECORD.encode();
            change(&mut bytes);
            let checksum = checksum(&bytes);
            bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
            NodeRecord::decode(&bytes)
        };
        let with_interval = |interval_ms: u32| {
            sealed(&|bytes| bytes[24..28].copy_from_slice(&interval_ms.to_le_bytes())).is_some()
        };
        assert_eq!(sealed(&|_| ()), Some(RECORD));
        assert_eq!(sealed(&|bytes| bytes[32] = NodeState::New as u8), None);
        assert_eq!(sealed(&|bytes| bytes[32] = 200), None);
        assert_eq!([INTERVAL_MS_MAX, INTERVAL_MS_MAX + 1].map(with_interval), [true, false]);
    }

    #[test]
    fn damage_costs_the_record_that_it_is_in() {
        let mut bytes = RECORD.encode().repeat(5);
        assert_eq!(read(&bytes[..5 * RECORD_BYTES - 1]).count(), 4, "torn");
        bytes[2 * RECORD_BYTES + 17] ^= 4;
        let whole: Vec<bool> = read(&bytes).map(|record| record.is_some()).collect();
        assert_eq!(whole, [true, true, false, true, true], "flipped");
    }
}
