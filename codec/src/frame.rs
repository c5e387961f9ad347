//! The clear 16-byte header in front of every payload.
//!
//! ```text
//! byte  0       2         3       4      5        6              8                    12        16
//!       +-------+---------+-------+------+--------+--------------+--------------------+---------+---------
//!       | magic | version | flags | lane | key id | payload      | decompressed       | CRC-32C | payload
//!       | "PG"  |    1    |       |      |        | bytes u16 LE | bytes u32 LE       | u32 LE  |
//!       +-------+---------+-------+------+--------+--------------+--------------------+---------+---------
//! ```
//!
//! Behind the payload of an authenticated frame will stand 8 bytes of sender id and a tag of [`TAG_BYTES`]; such
//! frames are refused by name until the gateway can check them (`WIRE.md`, section 9).
//!
//! The lane stands at a fixed place so that a classic BPF program in the kernel can read it. The checksum covers
//! bytes 0 to 11 and the payload: UDP's own 16-bit sum lets one flipped pair of bits in 65,536 through, and a flipped
//! id would be a node that does not exist.

use crate::identity::Lane;
use crate::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::reject::RejectReason;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;
/// Where the lane stands, for the kernel's steering program.
pub const LANE_OFFSET: usize = 4;
/// The first two bytes of every frame.
pub const MAGIC: [u8; 2] = *b"PG";
/// The version of the wire that this crate speaks.
pub const VERSION: u8 = 1;
/// Bytes of the tag behind the payload of an authenticated frame (specified, not built yet).
pub const TAG_BYTES: usize = 16;

/// The payload is one zstd frame.
pub const FLAG_ZSTD: u8 = 1 << 0;
/// The payload was compressed with the shared dictionary (specified, not built yet).
pub const FLAG_DICTIONARY: u8 = 1 << 1;
/// A tag follows the payload (specified, not built yet).
pub const FLAG_AUTHENTICATED: u8 = 1 << 2;
/// The sender asks for an ack (specified, not built yet).
pub const FLAG_ACK_WANTED: u8 = 1 << 3;
/// The nodes of this frame belong to more than one lane.
pub const FLAG_MIXED_LANES: u8 = 1 << 4;

/// Where the checksum stands; it covers the bytes before it and the payload.
const CHECKSUM_OFFSET: usize = 12;
const FLAGS_KNOWN: u8 = FLAG_ZSTD | FLAG_DICTIONARY | FLAG_AUTHENTICATED | FLAG_ACK_WANTED | FLAG_MIXED_LANES;

/// A header whose every field was checked, the checksum included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Flag bits.
    pub flags: u8,
    /// The lane of all nodes in the frame; of its first node if the frame mixes lanes.
    pub lane: Lane,
    /// Which key the tag was made with; 0 in unauthenticated frames.
    pub key_id: u8,
    /// Bytes of the payload as it travels.
    pub payload_bytes: u16,
    /// Bytes of the payload after decompression; equal to `payload_bytes` when it is not compressed.
    pub decompressed_bytes: u32,
}

impl FrameHeader {
    /// Splits a frame into its checked header and its payload.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`RejectReason`].
    pub fn parse(frame: &[u8]) -> Result<(Self, &[u8]), RejectReason> {
        let Some((header, payload)) = frame.split_first_chunk::<HEADER_BYTES>() else {
            return Err(RejectReason::TooShort);
        };
        if frame.len() > FRAME_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        let &[magic_0, magic_1, version, flags, lane, key_id, p0, p1, d0, d1, d2, d3, c0, c1, c2, c3] =
            header;
        if [magic_0, magic_1] != MAGIC {
            return Err(RejectReason::BadMagic);
        }
        if version != VERSION {
            return Err(RejectReason::UnknownVersion);
        }
        check_flags(flags, key_id)?;
        let parsed = Self {
            flags,
            lane: Lane(lane),
            key_id,
            payload_bytes: u16::from_le_bytes([p0, p1]),
            decompressed_bytes: u32::from_le_bytes([d0, d1, d2, d3]),
        };
        if payload.len() != usize::from(parsed.payload_bytes) {
            return Err(RejectReason::LengthMismatch);
        }
        if checksum(header, payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(RejectReason::ChecksumMismatch);
        }
        if parsed.decompressed_bytes as usize > PAYLOAD_BYTES_MAX {
            return Err(RejectReason::DecompressedSizeAboveBound);
        }
        if !parsed.is_compressed() && parsed.decompressed_bytes != u32::from(parsed.payload_bytes) {
            return Err(RejectReason::DecompressedSizeMismatch);
        }
        Ok((parsed, payload))
    }

    /// Writes the header in front of `payload` into `frame` (cleared first), checksum included.
    ///
    /// # Panics
    /// If `payload` is not [`Self::payload_bytes`] long.
    pub fn write(&self, payload: &[u8], frame: &mut Vec<u8>) {
        assert_eq!(payload.len(), usize::from(self.payload_bytes), "the header is not this payload's");
        frame.clear();
        frame.reserve(HEADER_BYTES + payload.len());
        frame.extend_from_slice(&MAGIC);
        frame.extend_from_slice(&[VERSION, self.flags, self.lane.0, self.key_id]);
        frame.extend_from_slice(&self.payload_bytes.to_le_bytes());
        frame.extend_from_slice(&self.decompressed_bytes.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(frame), payload);
        frame.extend_from_slice(&checksum.to_le_bytes());
        frame.extend_from_slice(payload);
    }

    /// Whether the payload is a zstd frame.
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.flags & FLAG_ZSTD != 0
    }

    /// Whether the frame carries nodes of more than one lane.
    #[must_use]
    pub const fn mixes_lanes(&self) -> bool {
        self.flags & FLAG_MIXED_LANES != 0
    }
}

/// Refuses flags that do not exist yet, or at all, and a key id without a tag that it could belong to.
const fn check_flags(flags: u8, key_id: u8) -> Result<(), RejectReason> {
    if flags & !FLAGS_KNOWN != 0 {
        return Err(RejectReason::UnknownFlag);
    }
    if flags & FLAG_AUTHENTICATED != 0 {
        return Err(RejectReason::AuthenticationUnsupported);
    }
    if flags & FLAG_ACK_WANTED != 0 {
        return Err(RejectReason::AckUnsupported);
    }
    if flags & FLAG_DICTIONARY != 0 {
        return Err(RejectReason::DictionaryUnsupported);
    }
    if key_id != 0 {
        return Err(RejectReason::KeyIdWithoutTag);
    }
    Ok(())
}

fn checksum(header: &[u8; HEADER_BYTES], payload: &[u8]) -> u32 {
    let (covered, _) = header.split_at(CHECKSUM_OFFSET);
    crc32c::crc32c_append(crc32c::crc32c(covered), payload)
}
