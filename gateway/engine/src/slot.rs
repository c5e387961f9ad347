//! Where a node's record lies in the registry: the engine's short name for a node it knows.

/// Index of a record. Stays the same while the node is known; is given to another node after that, so whoever keeps
/// one for longer (the wheel does) must ask the record whether it is still meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotIndex(u32);

impl SlotIndex {
    /// The slot at this position.
    ///
    /// # Panics
    /// If the position does not fit into 32 bits; registries are bounded far below.
    #[must_use]
    pub fn from_position(position: usize) -> Self {
        Self(u32::try_from(position).expect("NODES_PER_SHARD_MAX keeps positions within 32 bits"))
    }

    /// The slot with this number, as [`Self::number`] gave it.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The slot as a number to store.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The slot as an array position.
    #[must_use]
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}
