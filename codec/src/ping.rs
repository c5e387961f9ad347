//! The question "are you there?" that a gateway asks a node that has gone silent, and the answer.
//!
//! ```text
//! byte  0       2         3     4      5         8              16             24          28
//!       +-------+---------+-----+------+---------+--------------+--------------+-----------+
//!       | magic | version |  0  | lane | 0, 0, 0 | node id      | nonce        | CRC-32C   |
//!       | PI/PO |    1    |     |      |         | u64 LE       | u64 LE       | u32 LE    |
//!       +-------+---------+-----+------+---------+--------------+--------------+-----------+
//! ```
//!
//! A ping (`PI`) and its pong (`PO`) differ in the magic alone, so an answer is never longer than the question. The lane
//! stands where it stands in a heartbeat frame: the kernel steers the pong to the shard that asked. The nonce is the
//! gateway's secret of the moment; who did not see the ping cannot make the pong.
//!
//! A pong says that the node's host and the process that answers are there. It says nothing about the work that the
//! heartbeats stand for, so it is no heartbeat. `WIRE.md`, section 12, tells senders what to do with a ping.

use crate::frame::{LANE_OFFSET, VERSION};
use crate::identity::NodeId;

/// Bytes of a ping and of a pong.
pub const PING_BYTES: usize = 28;

const PING_MAGIC: [u8; 2] = *b"PI";
const PONG_MAGIC: [u8; 2] = *b"PO";
const NODE_ID_OFFSET: usize = 8;
const NONCE_OFFSET: usize = 16;
const CHECKSUM_OFFSET: usize = 24;

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PingKind {
    /// The question, from the gateway.
    Ping,
    /// The answer, from the node or from who speaks for it.
    Pong,
}

/// A ping or a pong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ping {
    /// Question or answer.
    pub kind: PingKind,
    /// Which node is asked for.
    pub node_id: NodeId,
    /// Chosen by the gateway for this question, repeated in the answer.
    pub nonce: u64,
}

impl Ping {
    /// The answer to this question.
    #[must_use]
    pub const fn pong(self) -> Self {
        Self { kind: PingKind::Pong, ..self }
    }

    /// As it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PING_BYTES] {
        let mut bytes = [0; PING_BYTES];
        bytes[..2].copy_from_slice(match self.kind {
            PingKind::Ping => &PING_MAGIC,
            PingKind::Pong => &PONG_MAGIC,
        });
        bytes[2] = VERSION;
        bytes[LANE_OFFSET] = self.node_id.lane().0;
        bytes[NODE_ID_OFFSET..NONCE_OFFSET].copy_from_slice(&self.node_id.0.to_le_bytes());
        bytes[NONCE_OFFSET..CHECKSUM_OFFSET].copy_from_slice(&self.nonce.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a datagram. `None` if it is anything but one sound ping or pong of this version.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let bytes: &[u8; PING_BYTES] = datagram.try_into().ok()?;
        let kind = match [bytes[0], bytes[1]] {
            PING_MAGIC => PingKind::Ping,
            PONG_MAGIC => PingKind::Pong,
            _ => return None,
        };
        let ping =
            Self { kind, node_id: NodeId(u64_at(bytes, NODE_ID_OFFSET)), nonce: u64_at(bytes, NONCE_OFFSET) };
        // One spelling for each: version, lane, zeros and checksum follow from the rest.
        (ping.to_bytes() == *bytes).then_some(ping)
    }

    /// Whether a datagram is a sound pong. One flipped bit makes the magic of a frame into that of a pong, so the magic
    /// alone says nothing.
    #[must_use]
    pub fn is_pong(datagram: &[u8]) -> bool {
        Self::parse(datagram).is_some_and(|ping| ping.kind == PingKind::Pong)
    }
}

fn u64_at(bytes: &[u8; PING_BYTES], offset: usize) -> u64 {
    let number = bytes[offset..].first_chunk().expect("both numbers lie within the datagram");
    u64::from_le_bytes(*number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Ping {
        Ping { kind: PingKind::Ping, node_id: NodeId::from_name("node-1"), nonce: 0x0102_0304_0506_0708 }
    }

    #[test]
    fn a_ping_travels_as_the_specification_says() {
        let bytes = ping().to_bytes();
        let before_checksum =
            *b"PI\x01\x00\x35\x00\x00\x00\x4a\x02\xbb\xe9\xe6\x1b\x97\x35\x08\x07\x06\x05\x04\x03\x02\x01";
        assert_eq!(bytes[..24], before_checksum);
        assert_eq!(bytes[24..], crc32c::crc32c(&before_checksum).to_le_bytes());
    }

    #[test]
    fn what_is_written_is_read_and_the_answer_differs_in_its_magic_alone() {
        let (ping, pong) = (ping(), ping().pong());
        assert_eq!(Ping::parse(&ping.to_bytes()), Some(ping));
        assert_eq!(Ping::parse(&pong.to_bytes()), Some(pong));
        assert_eq!(ping.to_bytes()[2..24], pong.to_bytes()[2..24]);
        assert!(Ping::is_pong(&pong.to_bytes()) && !Ping::is_pong(&ping.to_bytes()) && !Ping::is_pong(b"PO"));
    }

    #[test]
    fn a_flipped_bit_or_another_length_is_no_ping() {
        // Method: every bit is flipped once. One flip turns "PI" into no other magic, and the checksum covers the rest.
        let sound = ping().pong().to_bytes();
        for bit in 0..PING_BYTES * 8 {
            let mut bytes = sound;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Ping::parse(&bytes), None, "bit {bit}");
        }
        assert_eq!(Ping::parse(&sound[..27]), None);
        assert_eq!(Ping::parse(&[sound.as_slice(), &[0]].concat()), None);
        assert_eq!(Ping::parse(b""), None);
    }
}
