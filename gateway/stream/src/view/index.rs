//! The sparse index of one segment: which batch begins where, and how late the records up to the next entry are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::INDEX_INTERVAL_BYTES;

/// One entry; the batches up to the next one belong to it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Offset of its first batch.
    base_offset: u64,
    /// Byte at which that begins.
    position: u64,
    /// The latest timestamp of its batches.
    max_timestamp_ms: i64,
}

/// Where the batches of a segment are.
#[derive(Clone, Debug)]
pub(crate) struct SegmentIndex {
    base_offset: u64,
    /// Where the segment ends, if the next one does not begin there.
    end_before_gap: Option<u64>,
    committed_bytes: u64,
    entries: Vec<Entry>,
    /// How often another file was put in the place of this one: 0 or 1 once this index is outdated.
    rewrites: Arc<AtomicU64>,
}

impl SegmentIndex {
    /// Of an empty segment.
    pub(crate) fn new(base_offset: u64) -> Self {
        Self {
            base_offset,
            end_before_gap: None,
            committed_bytes: 0,
            entries: Vec::new(),
            rewrites: Arc::default(),
        }
    }

    /// Damage was set aside between this offset and the next segment.
    pub(crate) const fn end_before_gap(&mut self, end_offset: u64) {
        self.end_before_gap = Some(end_offset);
    }

    /// The offset lies in the gap after this segment.
    pub(super) fn is_before(&self, offset: u64) -> bool {
        self.end_before_gap.is_some_and(|end_offset| offset >= end_offset)
    }

    /// This index in the place of another one of the same segment.
    pub(super) fn in_place_of(self, other: &Self) -> Self {
        Self { end_before_gap: other.end_before_gap, ..self }
    }

    pub(super) const fn base_offset(&self) -> u64 {
        self.base_offset
    }

    pub(super) const fn committed_bytes(&self) -> u64 {
        self.committed_bytes
    }

    pub(crate) const fn set_committed_bytes(&mut self, bytes: u64) {
        self.committed_bytes = bytes;
    }

    /// A batch that follows those before.
    pub(crate) fn add(&mut self, base_offset: u64, position: u64, max_timestamp_ms: i64) {
        match self.entries.last_mut() {
            Some(last) if position - last.position < INDEX_INTERVAL_BYTES => {
                last.max_timestamp_ms = last.max_timestamp_ms.max(max_timestamp_ms);
            }
            _ => self.entries.push(Entry { base_offset, position, max_timestamp_ms }),
        }
    }

    /// Takes back the batches from `offset` on. An entry may keep a time that is too late; it is a hint only.
    pub(super) fn truncate(&mut self, offset: u64) {
        let kept = self.entries.partition_point(|entry| entry.base_offset < offset);
        self.entries.truncate(kept);
    }

    /// Offset and position of the last entry at or before `offset`.
    pub(super) fn floor(&self, offset: u64) -> (u64, u64) {
        let after = self.entries.partition_point(|entry| entry.base_offset <= offset);
        let entry = after.checked_sub(1).map(|index| self.entries[index]);
        entry.map_or((self.base_offset, 0), |entry| (entry.base_offset, entry.position))
    }

    /// Offset and position of the first entry that may have a record at this time or later.
    pub(super) fn first_at(&self, timestamp_ms: i64) -> Option<(u64, u64)> {
        let entry = self.entries.iter().find(|entry| entry.max_timestamp_ms >= timestamp_ms)?;
        Some((entry.base_offset, entry.position))
    }

    pub(super) const fn rewrites(&self) -> &Arc<AtomicU64> {
        &self.rewrites
    }

    /// From now on whoever opens the file by this index's plans may find another one.
    pub(super) fn begin_rewrite(&self) {
        // SeqCst: pairs with the load in `FileVersion::check`.
        self.rewrites.fetch_add(1, Ordering::SeqCst);
    }

    /// About the time of the oldest batches.
    pub(super) fn first_timestamp_ms(&self) -> Option<i64> {
        self.entries.first().map(|entry| entry.max_timestamp_ms)
    }

    pub(super) fn max_timestamp_ms(&self) -> Option<i64> {
        self.entries.iter().map(|entry| entry.max_timestamp_ms).max()
    }
}
