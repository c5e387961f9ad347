//! What nodes declare of their work: a counter of work done, and since when it stands still. By slot, beside the registry.
//!
//! ```text
//!   progress 8 B | since 8 B | stalled 1 B |   24 bytes a slot
//! ```
//!
//! Taken for all slots at once when the first node declares progress: a fleet that declares none pays nothing, and a node
//! that declares none is never looked up here.

use crate::slot::SlotIndex;
use crate::time::Timestamp;

/// What one node has declared in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Work {
    /// Its counter of work done; 0 while it has declared none.
    pub(crate) progress: u64,
    /// When that last rose, or nothing was pending.
    pub(crate) since: Timestamp,
    /// Whether the world was told that it stands still, and not that it moves on.
    pub(crate) is_stalled: bool,
}

impl Work {
    pub(crate) const UNKNOWN: Self = Self { progress: 0, since: Timestamp::ZERO, is_stalled: false };
}

/// The work of all nodes of a shard.
#[derive(Debug, Default)]
pub(crate) struct Works {
    /// One a slot, or none at all.
    works: Box<[Work]>,
}

impl Works {
    /// The node's work.
    pub(crate) fn of(&self, slot: SlotIndex) -> Work {
        self.works.get(slot.position()).copied().unwrap_or(Work::UNKNOWN)
    }

    /// Notes the node's work; there are so many slots.
    pub(crate) fn set(&mut self, slot: SlotIndex, work: Work, slots: usize) {
        if self.works.is_empty() {
            self.works = vec![Work::UNKNOWN; slots].into();
        }
        self.works[slot.position()] = work;
    }

    /// Another run of the node begins, or another node: nothing is known of it.
    pub(crate) fn begin(&mut self, slot: SlotIndex) {
        if let Some(work) = self.works.get_mut(slot.position()) {
            *work = Work::UNKNOWN;
        }
    }

    /// Bytes that were taken.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.works)
    }
}
