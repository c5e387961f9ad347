//! Who is speaking: node ids and their lanes, senders, incarnations and sequences.
//!
//! A node id is 64 bits and means nothing by itself; by convention it is the first 8 bytes of the SHA-256 of the
//! node's name, so that any language computes the same one and ids spread evenly over the 256 lanes. The lane is the
//! id's top byte and decides which shard of the gateway owns the node.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Identifies one node of the fleet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The id of the node with this name: the first 8 bytes of SHA-256 of its UTF-8 bytes, read big-endian.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(first_eight_bytes(name))
    }

    /// The lane that carries this node.
    #[must_use]
    pub const fn lane(self) -> Lane {
        // The first of the eight bytes, not a cast that cuts: nothing is lost by accident.
        Lane(self.0.to_be_bytes()[0])
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = std::num::ParseIntError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The standard parser takes a sign, which `Display` never writes: let it stumble over one more.
        let digits = if text.starts_with('+') { "+" } else { text };
        u64::from_str_radix(digits, 16).map(Self)
    }
}

/// One of 256 classes of nodes; all nodes of a lane belong to the same shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lane(pub u8);

impl Lane {
    /// How many lanes there are.
    pub const COUNT: usize = 256;

    /// The index of the shard that owns this lane, of `shard_count` shards. The kernel's steering program
    /// (`gateway/src/io/steering.rs`) computes the same.
    ///
    /// # Panics
    /// If `shard_count` is 0.
    #[must_use]
    pub const fn shard(self, shard_count: usize) -> usize {
        self.0 as usize % shard_count
    }
}

/// Identifies the process that builds frames: a node for itself, or a relay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SenderId(pub u64);

impl SenderId {
    /// The id of the sender with this name, derived as a node id is.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(first_eight_bytes(name))
    }
}

/// Tells one run of a node from the next: greater after each restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Incarnation(pub u32);

/// Counts heartbeats within an incarnation, from 1; 0 means that the node does not count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sequence(pub u32);

impl Sequence {
    /// The node does not count its heartbeats.
    pub const UNCOUNTED: Self = Self(0);
}

fn first_eight_bytes(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_name_is_the_head_of_its_sha256() {
        // sha256("node-1") = 35971be6e9bb024a… (printf 'node-1' | sha256sum)
        let expected = u64::from_str_radix(SHA256_HEAD_OF_NODE_1, 16).unwrap();
        assert_eq!(NodeId::from_name("node-1"), NodeId(expected));
    }

    const SHA256_HEAD_OF_NODE_1: &str = "35971be6e9bb024a";

    #[test]
    fn lane_is_the_top_byte() {
        assert_eq!(NodeId(0xab00_0000_0000_0001).lane(), Lane(0xab));
        assert_eq!(Lane(0xab).shard(2), 1);
    }

    #[test]
    fn display_and_parse_are_inverse() {
        let id = NodeId(0x00ff_0000_1234_abcd);
        assert_eq!(id.to_string(), "00ff00001234abcd");
        assert_eq!("00ff00001234abcd".parse(), Ok(id));
    }
}
