//! What others on the writer's thread may read of the log while it is written: the committed part, and how to find an
//! offset in it.
//!
//! ```text
//!  partition:  start offset ────────────────────────────── committed offset
//!              [ segment    ][ segment    ][ segment ░░░░░▓▓]  ▓ written, not committed: not shown
//!  index:       ·    ·    ·    ·   ·    ·    ·    ·            one entry each INDEX_INTERVAL_BYTES, in memory
//! ```
//!
//! The log updates the view as it appends, commits, rolls and removes; whoever waits is woken by each commit. Reading is
//! in two steps. [`LogView::plan`] looks an offset up and says where to read, from memory alone. [`ReadPlan::run`] opens
//! the file, reads and checks the batches; it belongs in the blocking pool, since a file that is not in the page cache
//! would hold up the control thread, and with it the next group commit. What does not verify is not served.
//!
//! The index is made from the batches that opening the log verifies anyway, and never written to disk.

mod index;
mod plan;
#[cfg(test)]
mod tests;
mod topics;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::log::LogConfig;
use crate::segment::segment_path;
pub(crate) use index::SegmentIndex;
use plan::FileVersion;
pub use plan::{ReadFault, ReadPlan, TimePlan};
pub use topics::Topics;

/// The readable part of a topic.
#[derive(Debug)]
pub struct LogView {
    config: LogConfig,
    partitions: Vec<Rc<PartitionView>>,
    /// Tells each commit.
    committed: Rc<Notify>,
}

/// The readable part of a partition. The log changes it, readers look at it; one thread.
#[derive(Debug)]
pub(crate) struct PartitionView {
    directory: PathBuf,
    state: RefCell<State>,
    committed: Rc<Notify>,
}

#[derive(Debug)]
struct State {
    committed_offset: u64,
    /// Oldest first, at least one; the last one is active.
    segments: Vec<SegmentIndex>,
}

/// Why an offset cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlanFault {
    /// No such partition.
    UnknownPartition,
    /// Before the oldest record or after the committed ones.
    OutOfRange,
}

impl LogView {
    pub(crate) const fn new(
        config: LogConfig,
        partitions: Vec<Rc<PartitionView>>,
        committed: Rc<Notify>,
    ) -> Self {
        Self { config, partitions, committed }
    }

    /// Name of the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.config.topic
    }

    /// The settings that the log was opened with.
    #[must_use]
    pub const fn config(&self) -> &LogConfig {
        &self.config
    }

    /// How many partitions the topic has.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).expect("bounded by PARTITIONS_MAX")
    }

    /// The oldest offset and the one after the last committed record; `None` if there is no such partition.
    #[must_use]
    pub fn range(&self, partition: u32) -> Option<std::ops::Range<u64>> {
        let state = self.partitions.get(partition as usize)?.state.borrow();
        Some(state.start_offset()..state.committed_offset)
    }

    /// Resolves at the next commit of any partition. Take it before looking at the range, or a commit may be missed.
    pub fn next_commit(&self) -> Notified<'_> {
        self.committed.notified()
    }

    /// How to read the committed batches from the one with `offset` on. `None`: there are none yet.
    ///
    /// # Errors
    /// If there is no such partition, or the offset is outside its range.
    pub fn plan(&self, partition: u32, offset: u64) -> Result<Option<ReadPlan>, PlanFault> {
        let partition = self.partitions.get(partition as usize).ok_or(PlanFault::UnknownPartition)?;
        let state = partition.state.borrow();
        if !(state.start_offset()..=state.committed_offset).contains(&offset) {
            return Err(PlanFault::OutOfRange);
        }
        let (segment, offset) = state.segment_from(offset);
        if offset == state.committed_offset {
            return Ok(None);
        }
        let (base_offset, position) = segment.floor(offset);
        Ok(Some(ReadPlan {
            path: segment_path(&partition.directory, segment.base_offset()),
            position,
            end: segment.committed_bytes(),
            base_offset,
            offset,
            file: FileVersion::now(segment.rewrites()),
        }))
    }

    /// How to find the first record at this time or later. `None`: there is none, or no such
    /// partition.
    #[must_use]
    pub fn plan_time(&self, partition: u32, timestamp_ms: i64) -> Option<TimePlan> {
        let partition = self.partitions.get(partition as usize)?;
        let state = partition.state.borrow();
        state.segments.iter().find_map(|segment| {
            let (base_offset, position) = segment.first_at(timestamp_ms)?;
            let path = segment_path(&partition.directory, segment.base_offset());
            let file = FileVersion::now(segment.rewrites());
            Some(TimePlan { path, position, end: segment.committed_bytes(), base_offset, timestamp_ms, file })
        })
    }

    /// The latest timestamp of all that is in the partition, in milliseconds.
    #[must_use]
    pub fn max_timestamp_ms(&self, partition: u32) -> Option<i64> {
        let state = self.partitions.get(partition as usize)?.state.borrow();
        state.segments.iter().filter_map(SegmentIndex::max_timestamp_ms).max()
    }
}

impl State {
    fn start_offset(&self) -> u64 {
        self.segments[0].base_offset()
    }

    /// The segment that holds the offset, or the next one that is there after it, and that one.
    fn segment_from(&self, offset: u64) -> (&SegmentIndex, u64) {
        let after = self.segments.partition_point(|segment| segment.base_offset() <= offset);
        let segment = &self.segments[after.saturating_sub(1)];
        match self.segments.get(after) {
            Some(next) if segment.is_before(offset) => (next, next.base_offset()),
            _ => (segment, offset),
        }
    }

    fn active(&mut self) -> &mut SegmentIndex {
        self.segments.last_mut().expect("a partition always has an active segment")
    }
}

impl PartitionView {
    pub(crate) const fn new(
        directory: PathBuf,
        committed_offset: u64,
        segments: Vec<SegmentIndex>,
        committed: Rc<Notify>,
    ) -> Self {
        Self { directory, state: RefCell::new(State { committed_offset, segments }), committed }
    }

    /// A batch was written to the active segment; it is not shown before [`Self::commit`].
    pub(crate) fn append(&self, base_offset: u64, position: u64, max_timestamp_ms: i64) {
        self.state.borrow_mut().active().add(base_offset, position, max_timestamp_ms);
    }

    /// Shows what was written.
    pub(crate) fn commit(&self, committed_offset: u64, committed_bytes: u64) {
        let mut state = self.state.borrow_mut();
        state.active().set_committed_bytes(committed_bytes);
        let has_moved = state.committed_offset != committed_offset;
        state.committed_offset = committed_offset;
        drop(state);
        if has_moved {
            self.committed.notify_waiters();
        }
    }

    /// Forgets what was written and never committed.
    pub(crate) fn forget_uncommitted(&self) {
        let mut state = self.state.borrow_mut();
        let committed_offset = state.committed_offset;
        state.active().truncate(committed_offset);
    }

    /// A new active segment.
    pub(crate) fn roll(&self, base_offset: u64) {
        self.state.borrow_mut().segments.push(SegmentIndex::new(base_offset));
    }

    /// Puts a rewritten segment in the place of the one with this base offset; `rename` moves its file. Nobody reads
    /// the one by the index of the other: plans that were made before find out. `None`: there is no such segment.
    pub(crate) fn rewrite<E>(
        &self,
        index: SegmentIndex,
        rename: impl FnOnce() -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let mut state = self.state.borrow_mut();
        let segment =
            state.segments.iter_mut().find(|segment| segment.base_offset() == index.base_offset())?;
        segment.begin_rewrite();
        let renamed = rename();
        if renamed.is_ok() {
            *segment = index.in_place_of(segment);
        }
        Some(renamed)
    }

    /// The latest time of the oldest segment.
    pub(crate) fn oldest_max_timestamp_ms(&self) -> Option<i64> {
        self.state.borrow().segments[0].max_timestamp_ms()
    }

    /// About the time of the first record of the active segment, if it has any.
    pub(crate) fn active_first_timestamp_ms(&self) -> Option<i64> {
        self.state.borrow().segments.last().and_then(SegmentIndex::first_timestamp_ms)
    }

    /// The oldest segment is gone.
    pub(crate) fn remove_oldest(&self) {
        self.state.borrow_mut().segments.remove(0);
    }
}
