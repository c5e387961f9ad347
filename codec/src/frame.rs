//! The clear 16-byte header in front of every payload.
//!
//! ```text
//! byte  0       2         3       4      5        6              8                    12        16
//!       +-------+---------+-------+------+--------+--------------+--------------------+---------+------------
//!       | magic | version | flags | lane | key id | payload      | decompressed       | CRC-32C | payload …
//!       | "PG"  |    1    |       |      |        | bytes u16 LE | bytes u32 LE       | u32 LE  | (+ tag 16)
//!       +-------+---------+-------+------+--------+--------------+--------------------+---------+------------
//! ```
//!
//! The lane stands at a fixed place so that a classic BPF program in the kernel can read it. The checksum covers
//! bytes 0 to 11 and the payload: UDP's own 16-bit sum lets one flipped pair of bits in 65,536 through, and a flipped
//! id would be a node that does not exist.

use crate::identity::Lane;
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
        let _ = frame;
        todo!()
    }

    /// Writes the header in front of `payload` into `frame` (cleared first), checksum included.
    pub fn write(&self, payload: &[u8], frame: &mut Vec<u8>) {
        let _ = (payload, frame);
        todo!()
    }

    /// Whether the frame carries nodes of more than one lane.
    #[must_use]
    pub const fn mixes_lanes(&self) -> bool {
        self.flags & FLAG_MIXED_LANES != 0
    }
}
