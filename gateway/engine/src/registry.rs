//! Who is known: an open-addressing table from node id to record, of exact size, that never moves a record.
//!
//! **Layout.** Slots stand in groups of eight. A group's tags are one 64-bit word: per slot one byte of the id's hash,
//! or zero for a free slot. A lookup compares eight tags at once (the SWAR trick of Lamport 1975,
//! "Multiple byte processing with full-word instructions") and then reads the one record that fits. The tags of
//! a million nodes are little more than a megabyte and stay in the caches, so a heartbeat goes to memory once: for its
//! record, half a cache line, which it must write anyhow.
//!
//! ```text
//!   tags      | t0 t1 t2 t3 t4 t5 t6 t7 | t8 …      1 byte a slot
//!   overflow  | 2                       | 0  …      nodes that wanted a slot here or before and live further on
//!   nodes     | 32 B | 32 B | …                     hot records
//!   cold      | event sequence, facts | …           only verdicts and descriptors come here
//! ```
//!
//! **Removal.** A group counts the nodes that had to go past it. A lookup goes on past a group only while that count is
//! not zero, and a removal takes back the counts that its insertion had made (the idea is F14's,
//! github.com/facebook/folly, folly/container/detail/F14Table.h). So there are no tombstones: churn leaves no trace,
//! and an id may be any 64 bits.
//!
//! **Probing.** From its home group a search goes on in strides that depend on the hash: from group to neighbouring group,
//! full stretches would grow together under churn, to twice the groups a lookup. The number of groups is a prime, so
//! every stride comes past every group.
//!
//! **Hash.** Two rounds of folded multiplication, keyed by a secret seed, so that nobody outside can aim many ids at
//! one group. The range of groups is reduced by multiplication (Lemire 2019), so any size will do.
//!
//! It does not know what the states mean, and it does not grow: what is full is full.

use std::sync::Arc;

use pulsegate_codec::NodeId;

use crate::counters::NodeCounts;
use crate::node::Node;
use crate::slot::SlotIndex;
use crate::verdict::{NodeFacts, NodeState};

/// Slots of one group: the bytes of a word.
const GROUP_SLOTS: usize = 8;

/// Of the slots, four in five may be taken. In a full table after long churn, a lookup then reads 1.4 groups if it finds
/// and 4 if it does not; at seven in eight it would be 1.8 and 22.
const LOAD_NUMERATOR: usize = 4;
const LOAD_DENOMINATOR: usize = 5;

/// The lowest bit of each byte.
const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
/// All bits of each byte but the highest.
const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
/// The tag of a free slot.
const FREE: u8 = 0;

/// The nodes of one shard.
#[derive(Debug)]
pub struct Registry {
    seeds: [u64; 2],
    tags: Box<[u64]>,
    overflow: Box<[u32]>,
    nodes: Box<[Node]>,
    event_sequences: Box<[u32]>,
    facts: Box<[Option<Arc<NodeFacts>>]>,
    counts: NodeCounts,
    nodes_max: u32,
}

impl Registry {
    /// An empty registry with all memory for `nodes_max` nodes.
    #[must_use]
    pub fn new(nodes_max: u32, hash_seed: u64) -> Self {
        let slots = (nodes_max as usize * LOAD_DENOMINATOR).div_ceil(LOAD_NUMERATOR);
        let groups = prime_at_least(slots.div_ceil(GROUP_SLOTS));
        let slots = groups * GROUP_SLOTS;
        Self {
            // Odd and unlike each other, whatever the seed.
            seeds: [hash_seed, hash_seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15],
            tags: vec![0; groups].into(),
            overflow: vec![0; groups].into(),
            nodes: vec![Node::FREE; slots].into(),
            event_sequences: vec![0; slots].into(),
            facts: vec![None; slots].into(),
            counts: NodeCounts::default(),
            nodes_max,
        }
    }

    /// Address and bytes of records and tags.
    #[must_use]
    pub fn hot_memory(&self) -> [(usize, usize); 2] {
        [
            (self.nodes.as_ptr().addr(), size_of_val(&*self.nodes)),
            (self.tags.as_ptr().addr(), size_of_val(&*self.tags)),
        ]
    }

    /// Where the node's record is, if the node is known.
    #[inline]
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<SlotIndex> {
        let Home { mut group, tag, hash } = self.home(id);
        // Where every group has overflowed, as a small table may, nothing else ends the search.
        for _ in 0..self.tags.len() {
            let word = self.tags[group];
            let mut candidates = bytes_equal_to(word, tag);
            while candidates != 0 {
                let lane = candidates.trailing_zeros() as usize / 8;
                let position = group * GROUP_SLOTS + lane;
                if self.nodes[position].id == id {
                    return Some(SlotIndex::from_position(position));
                }
                candidates &= candidates - 1;
            }
            if self.overflow[group] == 0 {
                return None;
            }
            group = self.next_group(group, hash);
        }
        None
    }

    /// Makes room for a node that is not known and returns its slot, in state `New` and with an empty record; `None`
    /// when `nodes_max` nodes are known.
    pub fn insert(&mut self, id: NodeId) -> Option<SlotIndex> {
        debug_assert!(self.find(id).is_none(), "a node is inserted once");
        if self.counts.known() == self.nodes_max {
            return None;
        }
        let Home { mut group, tag, hash } = self.home(id);
        // Ends: a fifth of all slots is free.
        while bytes_equal_to(self.tags[group], FREE) == 0 {
            self.overflow[group] += 1;
            group = self.next_group(group, hash);
        }
        let lane = bytes_equal_to(self.tags[group], FREE).trailing_zeros() as usize / 8;
        let position = group * GROUP_SLOTS + lane;
        let slot = SlotIndex::from_position(position);
        self.set_tag(slot, tag);
        self.nodes[position] = Node::of(id);
        *self.counts.of_mut(NodeState::New) += 1;
        Some(slot)
    }

    /// Forgets the node in this slot.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove(&mut self, slot: SlotIndex) {
        let state = self.state(slot).expect("only a known node can be removed");
        *self.counts.of_mut(state) -= 1;
        let Home { mut group, hash, .. } = self.home(self.nodes[slot.position()].id);
        while group != slot.position() / GROUP_SLOTS {
            self.overflow[group] -= 1;
            group = self.next_group(group, hash);
        }
        self.set_tag(slot, FREE);
        self.nodes[slot.position()] = Node::FREE;
        self.event_sequences[slot.position()] = 0;
        self.facts[slot.position()] = None;
    }

    /// How many slots there are, taken or free.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.nodes.len()
    }

    /// Where the node in this slot stands; `None` if the slot is free.
    #[inline]
    #[must_use]
    pub fn state(&self, slot: SlotIndex) -> Option<NodeState> {
        self.nodes[slot.position()].state()
    }

    /// Moves the node in this slot to another state.
    ///
    /// # Panics
    /// If the slot is free.
    pub fn set_state(&mut self, slot: SlotIndex, state: NodeState) {
        let previous = self.state(slot).expect("only a known node has a state");
        *self.counts.of_mut(previous) -= 1;
        *self.counts.of_mut(state) += 1;
        self.nodes[slot.position()].set_state(state);
    }

    /// The record in this slot.
    #[inline]
    #[must_use]
    pub fn node(&self, slot: SlotIndex) -> &Node {
        &self.nodes[slot.position()]
    }

    /// The record in this slot, to change it. Its id and its state must stay.
    #[inline]
    pub fn node_mut(&mut self, slot: SlotIndex) -> &mut Node {
        &mut self.nodes[slot.position()]
    }

    /// How many verdicts were given on the node in this slot.
    #[must_use]
    pub fn event_sequence(&self, slot: SlotIndex) -> u32 {
        self.event_sequences[slot.position()]
    }

    /// Counts one more verdict on the node in this slot and returns the new count.
    pub fn advance_event_sequence(&mut self, slot: SlotIndex) -> u32 {
        let sequence = &mut self.event_sequences[slot.position()];
        // 4 billion verdicts on one node: a century at one a second. Stays gapless, then starts again.
        *sequence = sequence.wrapping_add(1);
        *sequence
    }

    /// Goes on counting verdicts on the node in this slot from here.
    pub fn set_event_sequence(&mut self, slot: SlotIndex, event_sequence: u32) {
        self.event_sequences[slot.position()] = event_sequence;
    }

    /// What the node in this slot told of itself.
    #[must_use]
    pub fn facts(&self, slot: SlotIndex) -> Option<&Arc<NodeFacts>> {
        self.facts[slot.position()].as_ref()
    }

    /// Stores what the node in this slot tells of itself.
    pub fn set_facts(&mut self, slot: SlotIndex, facts: Arc<NodeFacts>) {
        self.facts[slot.position()] = Some(facts);
    }

    /// Loads what only a verdict on the node in this slot needs, so that it is there soon; not yet what the node told of
    /// itself. Returns something of it.
    #[inline]
    #[must_use]
    pub fn load_cold(&self, slot: SlotIndex) -> u32 {
        self.event_sequences[slot.position()] ^ u32::from(self.facts[slot.position()].is_some())
    }

    /// The same of what the node told of itself: a verdict shares it and does not read it, so what it waits for is the
    /// cache line with the count of those that do.
    #[inline]
    #[must_use]
    pub fn load_facts(&self, slot: SlotIndex) -> u32 {
        let shares = self.facts[slot.position()].as_ref().map_or(0, Arc::strong_count);
        u32::try_from(shares).unwrap_or(u32::MAX)
    }

    /// How many nodes stand where.
    #[must_use]
    pub const fn counts(&self) -> NodeCounts {
        self.counts
    }

    /// The slots of all known nodes, in no order that means anything.
    pub fn slots(&self) -> impl Iterator<Item = SlotIndex> + '_ {
        (0..self.nodes.len()).map(SlotIndex::from_position).filter(|&slot| self.state(slot).is_some())
    }

    /// The slots of the known nodes from `position` up to `end`. Reads the tags, and of the records only those that are
    /// taken.
    pub fn slots_between(&self, position: usize, end: usize) -> impl Iterator<Item = SlotIndex> + '_ {
        let groups = position / GROUP_SLOTS..end.div_ceil(GROUP_SLOTS).min(self.tags.len());
        let taken = groups.filter(|&group| self.tags[group] != 0);
        taken
            .flat_map(|group| group * GROUP_SLOTS..(group + 1) * GROUP_SLOTS)
            .filter(move |slot| (position..end).contains(slot))
            .map(SlotIndex::from_position)
            .filter(|&slot| self.state(slot).is_some())
    }

    /// Bytes of memory that were taken at start, for records and lookup (first) and for cold data (second; what facts
    /// themselves hold is not in it).
    #[must_use]
    pub fn memory_bytes(&self) -> (usize, usize) {
        let hot = size_of_val(&*self.tags) + size_of_val(&*self.overflow) + size_of_val(&*self.nodes);
        (hot, size_of_val(&*self.event_sequences) + size_of_val(&*self.facts))
    }

    #[inline]
    fn home(&self, id: NodeId) -> Home {
        let hash = fold(fold(id.0 ^ self.seeds[0], 0xa076_1d64_78bd_642f), self.seeds[1] | 1);
        // Group from the high bits, tag from the low ones: nodes of one group have unlike tags.
        let group = reduce(hash, self.tags.len());
        Home { group, tag: hash.to_le_bytes()[0].max(FREE + 1), hash }
    }

    /// Where a search that has come to `group` goes on.
    #[inline]
    fn next_group(&self, group: usize, hash: u64) -> usize {
        // Other bits than those that chose the home: nodes that share a home part ways.
        let stride = 1 + reduce(hash.rotate_left(32), self.tags.len() - 1);
        let next = group + stride;
        if next < self.tags.len() { next } else { next - self.tags.len() }
    }

    fn set_tag(&mut self, slot: SlotIndex, tag: u8) {
        let word = &mut self.tags[slot.position() / GROUP_SLOTS];
        let mut bytes = word.to_le_bytes();
        bytes[slot.position() % GROUP_SLOTS] = tag;
        *word = u64::from_le_bytes(bytes);
    }
}

/// Where a node's search begins.
struct Home {
    group: usize,
    /// A byte of the hash. Not zero: that is the tag of a free slot.
    tag: u8,
    hash: u64,
}

/// The highest bit of each byte that is zero, and no other bit.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// The highest bit of each byte that is equal to this one, and no other bit.
#[inline]
fn bytes_equal_to(word: u64, byte: u8) -> u64 {
    zero_bytes(word ^ (u64::from(byte) * EACH_BYTE))
}

/// Both halves of the product, mixed.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    left.wrapping_mul(right) ^ multiply_high(left, right)
}

/// A number below `range`, which is not zero, that the high bits of the hash choose.
#[inline]
fn reduce(hash: u64, range: usize) -> usize {
    usize::try_from(multiply_high(hash, range as u64)).expect("less than the range")
}

#[inline]
fn multiply_high(left: u64, right: u64) -> u64 {
    u64::try_from((u128::from(left) * u128::from(right)) >> 64).expect("the high half of 128 bits")
}

/// The first prime from `number` on, and at least 2. Trial division: once, at start, over numbers below 2^24.
fn prime_at_least(number: usize) -> usize {
    let is_prime = |candidate: usize| {
        (2..)
            .take_while(|divisor| divisor * divisor <= candidate)
            .all(|divisor| !candidate.is_multiple_of(divisor))
    };
    (number.max(2)..).find(|&candidate| is_prime(candidate)).expect("there are infinitely many primes")
}

#[cfg(test)]
mod tests;
