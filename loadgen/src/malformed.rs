//! Datagrams that are no heartbeats, drawn from a seed: what a gateway must refuse, each for one named
//! reason.
//!
//! Several kinds start from a good frame of the fleet that `run` simulates, in a later incarnation: if the
//! gateway accepted such a datagram by mistake, a living node would restart or a new one appear, and the
//! judge of that run would see it. Pure.

use pulsegate_codec::encode::Compression;
use pulsegate_codec::frame::{
    FLAG_ACK_WANTED, FLAG_AUTHENTICATED, FLAG_DICTIONARY, FLAG_ZSTD, HEADER_BYTES, LANE_OFFSET, VERSION,
};
use pulsegate_codec::{FrameHeader, Incarnation, Lane, NodeId};

use crate::compose::{Composer, SentAt};
use crate::fleet::{BatchIndex, Fleet, FleetOptions};
use crate::moment::Moment;
use crate::random::Random;

/// The kinds of bad datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum BadKind {
    /// Random bytes, up to the longest datagram.
    RandomBytes,
    /// A good frame, cut.
    Truncated,
    /// A good frame and some bytes.
    Extended,
    /// A good frame with one to eight bits flipped.
    BitsFlipped,
    /// A good frame of another version of the wire.
    UnknownVersion,
    /// A good frame with flags that do not exist or are not built.
    UnknownFlags,
    /// A right header and checksum around random bytes, said to be zstd or not.
    RandomPayload,
    /// A kilobyte of zstd that grows to megabytes, with a true or a false word about its size.
    ZstdBomb,
    /// Heartbeats with more sequences than ids.
    UnequalColumns,
    /// A good frame that claims to be of another lane.
    ForeignLane,
}

impl BadKind {
    /// All kinds, in order.
    pub const ALL: [Self; 10] = [
        Self::RandomBytes,
        Self::Truncated,
        Self::Extended,
        Self::BitsFlipped,
        Self::UnknownVersion,
        Self::UnknownFlags,
        Self::RandomPayload,
        Self::ZstdBomb,
        Self::UnequalColumns,
        Self::ForeignLane,
    ];

    /// The kind in one word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RandomBytes => "random_bytes",
            Self::Truncated => "truncated",
            Self::Extended => "extended",
            Self::BitsFlipped => "bits_flipped",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownFlags => "unknown_flags",
            Self::RandomPayload => "random_payload",
            Self::ZstdBomb => "zstd_bomb",
            Self::UnequalColumns => "unequal_columns",
            Self::ForeignLane => "foreign_lane",
        }
    }
}

/// An endless supply of bad datagrams.
#[derive(Debug)]
pub struct BadDatagrams {
    random: Random,
    good: Vec<Vec<u8>>,
    payload: Vec<u8>,
}

const DATAGRAM_BYTES_MAX: usize = pulsegate_codec::limits::DATAGRAM_BYTES_DEFAULT;
const VERSION_OFFSET: usize = 2;
const FLAGS_OFFSET: usize = 3;

impl BadDatagrams {
    /// The supply of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = Random::for_purpose(seed, "bad datagrams");
        Self { random, good: good_frames(), payload: Vec::new() }
    }

    /// Writes the next one into `target` (cleared first).
    pub fn next(&mut self, target: &mut Vec<u8>) -> BadKind {
        let kind = BadKind::ALL[self.random.index(BadKind::ALL.len())];
        target.clear();
        match kind {
            BadKind::RandomBytes => self.append_random(0, DATAGRAM_BYTES_MAX, target),
            BadKind::RandomPayload => self.random_payload(target),
            BadKind::ZstdBomb => self.zstd_bomb(target),
            BadKind::UnequalColumns => self.unequal_columns(target),
            _ => {
                target.extend_from_slice(&self.good[self.random.index(self.good.len())]);
                self.spoil(kind, target);
            }
        }
        kind
    }

    fn spoil(&mut self, kind: BadKind, frame: &mut Vec<u8>) {
        match kind {
            BadKind::Truncated => frame.truncate(self.random.index(frame.len())),
            BadKind::Extended => self.append_random(1, 64, frame),
            BadKind::BitsFlipped => self.flip_bits(frame),
            BadKind::UnknownVersion => frame[VERSION_OFFSET] = self.byte_other_than(VERSION),
            BadKind::UnknownFlags => {
                let unbuilt = [FLAG_ACK_WANTED, FLAG_AUTHENTICATED, FLAG_DICTIONARY, 1 << 5, 1 << 6, 1 << 7];
                frame[FLAGS_OFFSET] |= unbuilt[self.random.index(unbuilt.len())];
            }
            BadKind::ForeignLane => {
                let lane = self.byte_other_than(frame[LANE_OFFSET]);
                let payload = frame.split_off(HEADER_BYTES);
                write_frame(0, Lane(lane), None, &payload, frame);
            }
            _ => unreachable!("kinds that start from a good frame"),
        }
    }

    /// Different bits, so that no flip undoes another.
    fn flip_bits(&mut self, frame: &mut [u8]) {
        let bits = frame.len() * 8;
        let flips = 1 + self.random.index(8);
        let first = self.random.index(bits);
        for flip in 0..flips {
            let bit = (first + flip * (1 + bits / 16)) % bits;
            frame[bit / 8] ^= 1 << (bit % 8);
        }
    }

    fn random_payload(&mut self, target: &mut Vec<u8>) {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        self.append_random(1, 1_000, &mut payload);
        let flags = if self.random.chance(0.5) { FLAG_ZSTD } else { 0 };
        let declared_bytes = (flags != 0).then(|| self.random_u32(65_536));
        write_frame(flags, self.random_lane(), declared_bytes, &payload, target);
        self.payload = payload;
    }

    /// An ordinary zstd frame (RFC 8878, section 3.1) of blocks that each repeat one byte up to 128 KiB
    /// times.
    fn zstd_bomb(&mut self, target: &mut Vec<u8>) {
        const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
        /// No content size, no dictionary; a window of 128 KiB (2 to the power of 10 + 7).
        const FRAME_HEADER: [u8; 2] = [0, 7 << 3];
        const BLOCK_BYTES_MAX: u32 = 128 << 10;
        const RLE_BLOCK: u32 = 1 << 1;
        let blocks = 1 + self.random_u32(340);
        self.payload.clear();
        self.payload.extend_from_slice(&MAGIC);
        self.payload.extend_from_slice(&FRAME_HEADER);
        for block in 1..=blocks {
            let header = BLOCK_BYTES_MAX << 3 | RLE_BLOCK | u32::from(block == blocks);
            self.payload.extend_from_slice(&header.to_le_bytes()[..3]);
            self.payload.push(0);
        }
        let true_bytes = blocks * BLOCK_BYTES_MAX;
        let declared_bytes = if self.random.chance(0.5) { true_bytes } else { self.random_u32(65_537) };
        let lane = self.random_lane();
        write_frame(FLAG_ZSTD, lane, Some(declared_bytes), &self.payload, target);
    }

    fn unequal_columns(&mut self, target: &mut Vec<u8>) {
        let lane = self.random_lane();
        let ids = 1 + self.random.index(20);
        let sequences = ids + 1 + self.random.index(20);
        self.payload.clear();
        // Packed fields 4 (node_id, fixed64) and 5 (sequence, one-byte varints): tag, length below 128 or two
        // bytes.
        self.payload.push(4 << 3 | 2);
        append_length(ids * 8, &mut self.payload);
        for _ in 0..ids {
            let node_id = u64::from_be_bytes([lane.0, 0, 0, 0, 0, 0, 0, 1]);
            self.payload.extend_from_slice(&NodeId(node_id).0.to_le_bytes());
        }
        self.payload.push(5 << 3 | 2);
        append_length(sequences, &mut self.payload);
        self.payload.resize(self.payload.len() + sequences, 1);
        write_frame(0, lane, None, &self.payload, target);
    }

    fn append_random(&mut self, least: usize, most: usize, target: &mut Vec<u8>) {
        let length = least + self.random.index(most - least + 1);
        for _ in 0..length.div_ceil(8) {
            target.extend_from_slice(&self.random.next().to_ne_bytes());
        }
        target.truncate(target.len() - (length.next_multiple_of(8) - length));
    }

    fn random_u32(&mut self, bound: u32) -> u32 {
        u32::try_from(self.random.below(u64::from(bound))).expect("below a 32-bit number")
    }

    fn random_lane(&mut self) -> Lane {
        Lane(self.random.next().to_be_bytes()[0])
    }

    fn byte_other_than(&mut self, byte: u8) -> u8 {
        let distance = 1 + self.random.index(255);
        byte.wrapping_add(u8::try_from(distance).expect("from 1 to 255"))
    }
}

fn append_length(length: usize, target: &mut Vec<u8>) {
    let [low, high] = [length % 128, length / 128].map(|part| u8::try_from(part).expect("below 128 squared"));
    if high == 0 { target.push(low) } else { target.extend_from_slice(&[low | 0x80, high]) }
}

/// A frame with a right header and checksum. `declared_bytes` is the size after decompression.
fn write_frame(flags: u8, lane: Lane, declared_bytes: Option<u32>, payload: &[u8], target: &mut Vec<u8>) {
    let payload_bytes = u16::try_from(payload.len()).expect("a datagram's payload");
    let decompressed_bytes = declared_bytes.unwrap_or(u32::from(payload_bytes));
    FrameHeader { flags, lane, key_id: 0, payload_bytes, decompressed_bytes }.write(payload, target);
}

/// Frames of the first nodes of a fleet, as `run` sends them.
fn good_frames() -> Vec<Vec<u8>> {
    let options = FleetOptions {
        nodes: 4_096,
        first_incarnation: Incarnation(u32::MAX / 2),
        described_beats: 0,
        ..FleetOptions::default()
    };
    let mut fleet = Fleet::new(options);
    let mut composer = Composer::new(1, Compression::Off);
    let sent_at = SentAt { moment: Moment::ZERO, unix_us: 0 };
    let (mut beats, mut datagrams) = (Vec::new(), Vec::new());
    for batch in 0..fleet.batches().len() {
        beats.clear();
        fleet.beat(BatchIndex(u32::try_from(batch).expect("few batches")), &mut beats);
        let relay = fleet.batches()[batch].relay;
        composer.beats(&fleet, relay, &beats, Moment::ZERO, sent_at, &mut datagrams);
    }
    datagrams.into_iter().map(|datagram| datagram.bytes).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pulsegate_codec::{Decoder, RejectReason};

    use super::*;

    /// Every kind is refused, and for the reason that its name promises. Only random bytes under a right
    /// checksum may, once in a while, be a frame after all.
    #[test]
    fn what_is_supplied_is_bad() {
        let (mut supply, mut decoder) = (BadDatagrams::new(1), Decoder::new());
        let mut datagram = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..20_000 {
            let kind = supply.next(&mut datagram);
            let result = decoder.decode(&datagram).map(|_| ());
            seen.insert(kind.label());
            let expected: &[RejectReason] = match kind {
                BadKind::RandomBytes => {
                    &[RejectReason::TooShort, RejectReason::BadMagic, RejectReason::UnknownVersion]
                }
                BadKind::Truncated => &[RejectReason::TooShort, RejectReason::LengthMismatch],
                BadKind::Extended => &[RejectReason::LengthMismatch],
                BadKind::UnknownVersion => &[RejectReason::UnknownVersion],
                BadKind::ZstdBomb => {
                    &[RejectReason::DecompressedSizeAboveBound, RejectReason::DecompressedSizeMismatch]
                }
                BadKind::UnequalColumns => &[RejectReason::UnequalColumns],
                BadKind::ForeignLane => &[RejectReason::LaneMismatch],
                BadKind::BitsFlipped | BadKind::UnknownFlags | BadKind::RandomPayload => &RejectReason::ALL,
            };
            match result {
                Ok(()) => assert_eq!(kind, BadKind::RandomPayload),
                Err(reason) => assert!(expected.contains(&reason), "{kind:?} is refused as {reason:?}"),
            }
            assert!(datagram.len() <= 1_500);
        }
        assert_eq!(seen.len(), BadKind::ALL.len());
    }

    #[test]
    fn good_frames_are_good() {
        let mut decoder = Decoder::new();
        for frame in good_frames() {
            assert!(decoder.decode(&frame).is_ok());
        }
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let draw = |seed| {
            let (mut supply, mut datagram) = (BadDatagrams::new(seed), Vec::new());
            (0..100).map(|_| (supply.next(&mut datagram), datagram.clone())).collect::<Vec<_>>()
        };
        assert_eq!(draw(9), draw(9));
        assert_ne!(draw(9), draw(10));
    }
}
