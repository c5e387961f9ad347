//! One partition: batches to the active segment, rolls, retention, and what happens after a failure.
//!
//! ```text
//!  segments: [sealed][sealed][active ███████▓▓▓▓]
//!                                           │   └ written: the next batch goes here
//!                                           └ committed: synced, whatever happens now
//! ```
//!
//! With [`SyncPolicy::Always`] the two ends are one whenever no append is running. A batch is written and synced before
//! the next one is written, so that a crash can tear one batch at most: that is what recovery counts on.
//!
//! A write or sync that failed leaves the file in an unknown state, and on Linux a second `fsync` may succeed although
//! the pages of the first are lost. So the file is in doubt from the start of every operation until its success. An
//! append that finds it in doubt waits for what may still run, opens the file again, cuts it to the last end that is
//! certain, and verifies what is left. A future that was dropped half-way ends in the same place.

mod upkeep;

use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::error::{FileError, IoFailure, PartitionFailure};
use crate::log::{LogConfig, SyncPolicy};
use crate::record::Record;
use crate::record_batch::{BatchHeader, BatchWriter};
use crate::recovery::{OpenedPartition, create_segment, reopen_partition};
use crate::segment::{Segment, segment_path};
use crate::storage::{CommitError, Storage, StorageFile};
use crate::view::PartitionView;
use upkeep::Upkeep;
pub use upkeep::{Maintained, Retention};

/// What one partition took of an append.
#[derive(Debug)]
pub struct AppendedPartition {
    /// Which one.
    pub partition: u32,
    /// The first record's offset; the others follow without a gap.
    pub first_offset: u64,
    /// How many records.
    pub records: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
    /// What was removed to keep the partition within its bound.
    pub retention: Retention,
}

/// The writer of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    pub(crate) partition: u32,
    directory: PathBuf,
    storage: Storage,
    sync: SyncPolicy,
    segment_bytes: u64,
    retention_bytes: u64,
    upkeep: Upkeep,
    /// Oldest first; the last one is active, and its bytes are those written.
    segments: Vec<Segment>,
    /// The active segment.
    file: Option<StorageFile>,
    /// An operation on the file has begun and has not succeeded: its state is unknown.
    is_in_doubt: bool,
    /// Opening or creating a segment, in the blocking pool. It is kept here so that the next one waits for it even if
    /// the future that began it was dropped: an old one that cuts the file late would cut what is newer.
    opening: Option<JoinHandle<Result<File, FileError>>>,
    next_offset: u64,
    committed_offset: u64,
    /// Bytes of the active segment that are synced.
    committed_bytes: u64,
    retention_is_due: bool,
    /// What readers of this process see.
    view: Rc<PartitionView>,
    buffer: Vec<u8>,
    /// Which records of the append are for this partition.
    staged: Vec<usize>,
}

impl PartitionLog {
    pub(crate) fn new(
        partition: u32,
        directory: PathBuf,
        opened: OpenedPartition,
        config: &LogConfig,
        storage: &Storage,
        committed: &Rc<Notify>,
    ) -> Self {
        let active = opened.segments.last().expect("an opened partition has an active segment");
        let view =
            PartitionView::new(directory.clone(), opened.next_offset, opened.indexes, Rc::clone(committed));
        Self {
            partition,
            view: Rc::new(view),
            directory,
            storage: storage.clone(),
            sync: config.sync,
            segment_bytes: config.segment_bytes,
            retention_bytes: config.retention_bytes,
            upkeep: Upkeep::new(config),
            committed_bytes: active.bytes,
            segments: opened.segments,
            file: Some(storage.adopt(opened.file)),
            is_in_doubt: false,
            opening: None,
            next_offset: opened.next_offset,
            committed_offset: opened.next_offset,
            retention_is_due: true,
            buffer: Vec::new(),
            staged: Vec::new(),
        }
    }

    pub(crate) fn start_offset(&self) -> u64 {
        self.segments[0].base_offset
    }

    pub(crate) const fn committed_offset(&self) -> u64 {
        self.committed_offset
    }

    pub(crate) const fn view(&self) -> &Rc<PartitionView> {
        &self.view
    }

    /// Adds a record, by its index, to the next append.
    pub(crate) fn stage(&mut self, index: usize) {
        self.staged.push(index);
    }

    pub(crate) fn has_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Forgets what an append that was dropped had staged.
    pub(crate) fn clear_staged(&mut self) {
        self.staged.clear();
    }

    /// Appends the staged ones of `records`, one batch after the other.
    pub(crate) async fn append(&mut self, records: &[Record]) -> Result<AppendedPartition, PartitionFailure> {
        let staged = std::mem::take(&mut self.staged);
        let mut appended = AppendedPartition {
            partition: self.partition,
            first_offset: self.next_offset,
            records: 0,
            bytes: 0,
            retention: Retention::default(),
        };
        let mut taken = 0;
        let mut failure = None;
        while taken < staged.len() && failure.is_none() {
            match self.append_batch(records, &staged[taken..]).await {
                Ok((count, bytes)) => {
                    if taken == 0 {
                        appended.first_offset = self.next_offset - count as u64;
                    }
                    taken += count;
                    appended.bytes += bytes;
                }
                Err(error) => failure = Some(PartitionFailure { records_taken: taken, ..error }),
            }
        }
        self.staged = staged;
        self.staged.clear();
        if let Some(failure) = failure {
            return Err(failure);
        }
        appended.records = taken as u64;
        if self.retention_is_due {
            appended.retention = self.retain(None).await;
            self.retention_is_due = appended.retention.failure.is_some();
        }
        Ok(appended)
    }

    /// Appends as many records as one batch takes. Returns how many those were, and the batch's bytes.
    async fn append_batch(
        &mut self,
        records: &[Record],
        staged: &[usize],
    ) -> Result<(usize, u64), PartitionFailure> {
        self.reopen_after_failure().await?;
        let count = self.encode(records, staged);
        let batch_bytes = self.buffer.len() as u64;
        let active_bytes = self.active().bytes;
        if active_bytes > 0 && active_bytes + batch_bytes > self.segment_bytes {
            self.roll().await?;
        }
        let sync = self.sync == SyncPolicy::Always;
        let position = self.active().bytes;
        let buffer = std::mem::take(&mut self.buffer);
        self.is_in_doubt = true;
        let (result, buffer) = self.file().commit(buffer, position, sync).await;
        self.buffer = buffer;
        match result {
            Ok(()) => self.is_in_doubt = false,
            Err(CommitError::Write(error)) => return Err(self.failure("write", error)),
            Err(CommitError::Sync(error)) => return Err(self.failure_of_sync(error)),
        }
        if let Ok(header) = BatchHeader::parse(&self.buffer) {
            self.view.append(self.next_offset, position, header.max_timestamp_ms);
        }
        self.active_mut().bytes += batch_bytes;
        self.next_offset += count as u64;
        if !matches!(self.sync, SyncPolicy::IntervalMs(_)) {
            self.commit();
        }
        Ok((count, batch_bytes))
    }

    /// Fills the buffer with one batch. Returns how many records it has.
    fn encode(&mut self, records: &[Record], staged: &[usize]) -> usize {
        self.buffer.clear();
        let mut batch = BatchWriter::new(&mut self.buffer, self.next_offset);
        let mut count = 0;
        for &index in staged {
            // The first record fits always: the caller has checked its size.
            if count > 0 && !batch.has_room_for(&records[index]) {
                break;
            }
            batch.push(&records[index]);
            count += 1;
        }
        batch.finish();
        count
    }

    /// Seals the active segment and begins the next one. The sealed one is synced whatever the policy: recovery takes
    /// anything wrong in it for damage.
    async fn roll(&mut self) -> Result<(), PartitionFailure> {
        self.is_in_doubt = true;
        if let Err(error) = self.file().sync().await {
            return Err(self.failure_of_sync(error));
        }
        self.commit();
        let directory = self.directory.clone();
        let (base_offset, writing) = (self.next_offset, self.sync.writing());
        match self.open_segment(move || create_segment(&directory, base_offset, writing)).await {
            Ok(file) => self.put_in_use(file),
            Err(error) => return Err(self.failed(0, error)),
        }
        self.segments.push(Segment { base_offset, bytes: 0 });
        self.view.roll(base_offset);
        self.committed_bytes = 0;
        self.retention_is_due = true;
        Ok(())
    }

    /// Syncs what was written since the last sync.
    pub(crate) async fn sync(&mut self) -> Result<(), PartitionFailure> {
        self.reopen_after_failure().await?;
        if self.committed_offset == self.next_offset && self.sync != SyncPolicy::Never {
            return Ok(());
        }
        self.is_in_doubt = true;
        match self.file().sync().await {
            Ok(()) => self.is_in_doubt = false,
            Err(error) => return Err(self.failure_of_sync(error)),
        }
        self.commit();
        Ok(())
    }

    async fn reopen_after_failure(&mut self) -> Result<(), PartitionFailure> {
        if !self.is_in_doubt {
            return Ok(());
        }
        if let Some(file) = self.file.take() {
            file.close().await;
        }
        let (directory, active, next_offset) = (self.directory.clone(), self.active(), self.next_offset);
        let writing = self.sync.writing();
        match self.open_segment(move || reopen_partition(&directory, active, next_offset, writing)).await {
            Ok(file) => self.put_in_use(file),
            Err(error) => {
                let records_lost = self.forget_unsynced();
                return Err(self.failed(records_lost, error));
            }
        }
        // It was synced as well.
        self.commit();
        Ok(())
    }

    /// Runs one opening at a time in the blocking pool.
    async fn open_segment(
        &mut self,
        open: impl FnOnce() -> Result<File, FileError> + Send + 'static,
    ) -> Result<File, FileError> {
        if let Some(dropped) = &mut self.opening {
            // Whatever came of it, the new one starts from the files.
            let _ = dropped.await;
            self.opening = None;
        }
        let opening = self.opening.insert(tokio::task::spawn_blocking(open));
        let opened = opening.await;
        self.opening = None;
        opened.map_err(|error| IoFailure::of("open a segment in", &self.directory)(error.into()))?
    }

    fn active(&self) -> Segment {
        *self.segments.last().expect("a partition always has an active segment")
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a partition always has an active segment")
    }

    fn file(&self) -> &StorageFile {
        self.file.as_ref().expect("missing only while in doubt, and every operation reopens first")
    }

    fn put_in_use(&mut self, file: File) {
        self.file = Some(self.storage.adopt(file));
        self.is_in_doubt = false;
    }

    /// All that is written counts from now on.
    fn commit(&mut self) {
        self.committed_offset = self.next_offset;
        self.committed_bytes = self.active().bytes;
        self.view.commit(self.committed_offset, self.committed_bytes);
    }

    /// Takes back what was written since the last sync. Returns how many records that were.
    fn forget_unsynced(&mut self) -> u64 {
        let records_lost = self.next_offset - self.committed_offset;
        self.next_offset = self.committed_offset;
        self.active_mut().bytes = self.committed_bytes;
        self.view.forget_uncommitted();
        records_lost
    }

    fn failure_of_sync(&mut self, error: std::io::Error) -> PartitionFailure {
        let path = segment_path(&self.directory, self.active().base_offset);
        let records_lost = self.forget_unsynced();
        self.failed(records_lost, IoFailure::of("sync", &path)(error))
    }

    fn failure(&self, operation: &'static str, error: std::io::Error) -> PartitionFailure {
        let path = segment_path(&self.directory, self.active().base_offset);
        self.failed(0, IoFailure::of(operation, &path)(error))
    }

    const fn failed(&self, records_lost: u64, error: FileError) -> PartitionFailure {
        PartitionFailure { partition: self.partition, records_taken: 0, records_lost, error }
    }
}
