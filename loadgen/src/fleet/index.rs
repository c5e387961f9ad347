//! Which node, batch or relay of the fleet: indices that cannot be mistaken for one another, and names.

use pulsegate_codec::SenderId;

/// One node of the fleet, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeIndex(pub u32);

/// One batch of the fleet, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BatchIndex(pub u32);

/// One relay of the fleet, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RelayIndex(pub u32);

impl NodeIndex {
    /// The same as an index into a slice.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.0 as usize
    }

    /// The node's name: unique in the fleet.
    #[must_use]
    pub fn name(self) -> String {
        format!("{NODE_NAME_PREFIX}{:06}", self.0)
    }

    /// Reads what [`Self::name`] writes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(NODE_NAME_PREFIX)?;
        let canonical = digits.len() == 6 || (digits.len() > 6 && !digits.starts_with('0'));
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        (canonical && all_digits).then(|| digits.parse().ok().map(Self)).flatten()
    }
}

impl RelayIndex {
    /// The relay's name.
    #[must_use]
    pub fn name(self) -> String {
        format!("relay-{:03}", self.0)
    }

    /// The relay's id on the wire.
    #[must_use]
    pub fn sender_id(self) -> SenderId {
        SenderId::from_name(&self.name())
    }
}

const NODE_NAME_PREFIX: &str = "node-";
