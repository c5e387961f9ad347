//! The writer of a topic: records in, one batch a partition, committed when the append returns.
//!
//! An append groups its records by the partition of their keys; the partitions then write and sync side by side, since
//! a file system joins syncs that wait together. A partition that fails does not hold the others up, and the error says
//! which records are to be appended again.
//!
//! One task uses the log at a time (`&mut`), and one process at a time (a lock file). Nothing is queued here: whoever
//! appends keeps the records until the append has returned. There is no timer: with [`SyncPolicy::IntervalMs`] the
//! caller calls [`EventLog::sync`].

mod config;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::future::{Future, poll_fn};
use std::path::Path;
use std::rc::Rc;
use std::task::Poll;

use tokio::sync::Notify;

use crate::error::{AppendFailure, FileError, IoFailure, LogError, PartitionFailure};
use crate::limits::RECORD_BYTES_MAX;
use crate::partition::{directory_name, partition_of_directory, partition_of_key};
use crate::partition_log::{AppendedPartition, Maintained, PartitionLog};
use crate::record::Record;
use crate::record_batch::record_bytes;
use crate::recovery::{OpenedPartition, Opening, RecoveredPartition, RecoveryReport, open_partition};
use crate::segment::create_directory;
use crate::storage::{Storage, run_blocking};
use crate::view::LogView;

pub use config::{Cleanup, LogConfig, OnDamage, SyncPolicy};

/// What an append did, one entry for each partition that took records.
#[derive(Debug, Default)]
pub struct Appended {
    /// By number, ascending.
    pub partitions: Vec<AppendedPartition>,
}

impl Appended {
    /// How many records were taken, over all partitions.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.records).sum()
    }

    /// How many segments and records retention removed, over all partitions.
    #[must_use]
    pub fn removed(&self) -> (u64, u64) {
        let retentions = self.partitions.iter().map(|partition| &partition.retention);
        retentions.fold((0, 0), |(segments, records), retention| {
            (segments + retention.segments_removed, records + retention.records_removed)
        })
    }
}

/// The one writer of a topic.
#[derive(Debug)]
pub struct EventLog {
    partitions: Vec<PartitionLog>,
    view: Rc<LogView>,
    /// Held until the log is dropped; the system gives the lock back when the process ends, however it ends.
    _lock: File,
}

impl EventLog {
    /// Opens the log in `directory`, creates what is missing, verifies every byte of what is there (it is read once),
    /// and cuts torn tails.
    ///
    /// Runs in a tokio runtime; in a `tokio_uring` one if `storage` is [`Storage::Uring`]. The log stays on the thread
    /// that opened it.
    ///
    /// # Errors
    /// If a setting is out of bounds, another writer holds the directory, the system refuses an operation, or a
    /// segment is damaged and [`OnDamage::Refuse`] is set: damaged files are then left as they are.
    pub async fn open(
        directory: &Path,
        config: LogConfig,
        storage: Storage,
    ) -> Result<(Self, RecoveryReport), LogError> {
        config.check()?;
        let lock = lock_for(directory, &config).await?;
        // All at once: reading is what takes long.
        let openings: Vec<_> = (0..config.partition_count)
            .map(|partition| {
                let opening = opening(directory, &config, partition);
                let directory = opening.directory.clone();
                (partition, directory, tokio::task::spawn_blocking(move || create_and_open(&opening)))
            })
            .collect();
        let mut report = RecoveryReport::default();
        let mut partitions = Vec::with_capacity(openings.len());
        let committed = Rc::new(Notify::new());
        for (partition, directory, task) in openings {
            let ended = task.await;
            let opened = ended.map_err(|error| IoFailure::of("open", &directory)(error.into()))??;
            report.partitions.push(describe(partition, &opened));
            partitions.push(PartitionLog::new(partition, directory, opened, &config, &storage, &committed));
        }
        let views = partitions.iter().map(|partition| Rc::clone(partition.view())).collect();
        let view = Rc::new(LogView::new(config, views, committed));
        Ok((Self { partitions, view, _lock: lock }, report))
    }

    /// Appends records, in their order within each partition. When it returns, they are committed as far as the sync
    /// policy says.
    ///
    /// Run it to its end. If the future is dropped before, a part of the records may be in the log; the partitions that
    /// were at work are verified again by the next append.
    ///
    /// # Errors
    /// [`LogError::RecordTooLarge`] before anything was written. [`LogError::Append`] if some partitions failed: append
    /// what [`AppendFailure::retain_refused`] keeps again, before any newer record.
    pub async fn append(&mut self, records: &[Record]) -> Result<Appended, LogError> {
        check_record_sizes(records)?;
        self.stage(records);
        let at_work = self.partitions.iter_mut().filter(|partition| partition.has_staged());
        let results = join_all(at_work.map(|partition| partition.append(records)).collect()).await;
        self.gather(results)
    }

    /// As [`Self::append`], but all into this partition, whatever their keys: for records that say of keys that they have
    /// left it.
    ///
    /// # Errors
    /// As there, but who gets [`LogError::Append`] knows itself what was refused: the last records.
    ///
    /// # Panics
    /// If there is no such partition.
    pub async fn append_to(&mut self, partition: u32, records: &[Record]) -> Result<Appended, LogError> {
        check_record_sizes(records)?;
        self.partitions.iter_mut().for_each(PartitionLog::clear_staged);
        if records.is_empty() {
            return Ok(Appended::default());
        }
        let log = &mut self.partitions[partition as usize];
        (0..records.len()).for_each(|index| log.stage(index));
        let result = log.append(records).await;
        self.gather(vec![result])
    }

    /// Commits what was appended since the last sync. Needed only with [`SyncPolicy::IntervalMs`].
    ///
    /// # Errors
    /// If some partitions failed: records that were not synced are gone, and the failures count them.
    pub async fn sync(&mut self) -> Result<(), LogError> {
        let results = join_all(self.partitions.iter_mut().map(PartitionLog::sync).collect()).await;
        let failures: Vec<PartitionFailure> = results.into_iter().filter_map(Result::err).collect();
        self.check(failures, Appended::default()).map(|_| ())
    }

    /// What time brings: removes what is too old, and goes on with compaction, which runs in the blocking pool meanwhile
    /// and takes effect here, piece by piece. To be called every so many seconds; `now_ms` is the time, in milliseconds
    /// since the Unix epoch.
    pub async fn maintain(&mut self, now_ms: i64) -> Vec<Maintained> {
        let mut all = Vec::with_capacity(self.partitions.len());
        for index in 0..self.partitions.len() {
            // One compaction at a time: its memory is bounded, and so is that of all.
            let others_compact = self.partitions.iter().any(PartitionLog::is_compacting);
            all.push(self.partitions[index].maintain(now_ms, !others_compact).await);
        }
        all
    }

    /// Notes that what damage has cost was told to whom it concerns: the next opening does not report it again.
    ///
    /// # Errors
    /// If the system refuses; it is then told again.
    pub async fn confirm_told(&self) -> Result<(), FileError> {
        for partition in &self.partitions {
            partition.confirm_told().await?;
        }
        Ok(())
    }

    /// What may be read of it on this thread, kept up to date by the appends.
    #[must_use]
    pub fn view(&self) -> Rc<LogView> {
        Rc::clone(&self.view)
    }

    /// How many partitions the topic has.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).expect("bounded by PARTITIONS_MAX")
    }

    /// Where a record goes.
    #[must_use]
    pub fn partition_of(&self, record: &Record) -> u32 {
        partition_of_key(record.key.as_deref(), self.partition_count())
    }

    /// The offset after the last committed record: what consumers may read up to.
    ///
    /// # Panics
    /// If there is no such partition.
    #[must_use]
    pub fn committed_offset(&self, partition: u32) -> u64 {
        self.partitions[partition as usize].committed_offset()
    }

    /// The offset of the oldest record that is kept.
    ///
    /// # Panics
    /// If there is no such partition.
    #[must_use]
    pub fn start_offset(&self, partition: u32) -> u64 {
        self.partitions[partition as usize].start_offset()
    }

    fn stage(&mut self, records: &[Record]) {
        self.partitions.iter_mut().for_each(PartitionLog::clear_staged);
        for (index, record) in records.iter().enumerate() {
            let partition = self.partition_of(record) as usize;
            self.partitions[partition].stage(index);
        }
    }

    fn gather(
        &self,
        results: Vec<Result<AppendedPartition, PartitionFailure>>,
    ) -> Result<Appended, LogError> {
        let mut appended = Appended::default();
        let mut failures = Vec::new();
        for result in results {
            match result {
                Ok(partition) => appended.partitions.push(partition),
                Err(failure) => failures.push(failure),
            }
        }
        self.check(failures, appended)
    }

    fn check(&self, failures: Vec<PartitionFailure>, appended: Appended) -> Result<Appended, LogError> {
        if failures.is_empty() {
            return Ok(appended);
        }
        Err(AppendFailure { failures, appended, partition_count: self.partition_count() }.into())
    }
}

fn check_record_sizes(records: &[Record]) -> Result<(), LogError> {
    let sizes = records.iter().map(record_bytes).enumerate();
    match sizes.into_iter().find(|(_, bytes)| *bytes > RECORD_BYTES_MAX) {
        Some((index, bytes)) => Err(LogError::RecordTooLarge { index, bytes, bytes_max: RECORD_BYTES_MAX }),
        None => Ok(()),
    }
}

/// The lock of the topic's directory, in which there are no more partitions than configured. In the blocking pool, as the
/// offsets of consumer groups are opened anew while the gateway serves.
async fn lock_for(directory: &Path, config: &LogConfig) -> Result<File, LogError> {
    let (topic, partition_count) = (config.topic.clone(), config.partition_count);
    let path = directory.to_owned();
    run_blocking("lock", directory, move || {
        let lock = lock_directory(&path, &format!("{topic}.lock"))?;
        check_partitions_not_shrunk(&path, topic, partition_count)?;
        Ok(lock)
    })
    .await
}

/// Waits for the disk.
pub(crate) fn lock_directory(directory: &Path, lock_file: &str) -> Result<File, LogError> {
    create_directory(directory)?;
    let lock_file = directory.join(lock_file);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&lock_file);
    let file = file.map_err(IoFailure::of("open", &lock_file))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Locked { lock_file }),
        Err(TryLockError::Error(error)) => Err(IoFailure::of("lock", &lock_file)(error).into()),
    }
}

fn check_partitions_not_shrunk(directory: &Path, topic: String, configured: u32) -> Result<(), LogError> {
    let entries = std::fs::read_dir(directory).map_err(IoFailure::of("list", directory))?;
    let mut found = 0;
    for entry in entries {
        let name = entry.map_err(IoFailure::of("list", directory))?.file_name();
        let partition = name.to_str().and_then(|name| partition_of_directory(name, &topic));
        found = found.max(partition.map_or(0, |partition| partition.saturating_add(1)));
    }
    if found <= configured {
        return Ok(());
    }
    Err(LogError::PartitionsShrunk { topic, found, configured })
}

fn opening(directory: &Path, config: &LogConfig, partition: u32) -> Opening {
    let name = directory_name(&config.topic, partition);
    Opening {
        directory: directory.join(&name),
        has_gaps: config.cleanup == Cleanup::Compact,
        writing: config.sync.writing(),
        quarantine: match &config.on_damage {
            OnDamage::Refuse => None,
            OnDamage::Quarantine(quarantine) => Some(quarantine.join(&name)),
        },
    }
}

fn create_and_open(opening: &Opening) -> Result<OpenedPartition, FileError> {
    create_directory(&opening.directory)?;
    open_partition(opening)
}

fn describe(partition: u32, opened: &OpenedPartition) -> RecoveredPartition {
    RecoveredPartition {
        partition,
        segments: opened.segments.len(),
        bytes: opened.segments.iter().map(|segment| segment.bytes).sum(),
        start_offset: opened.segments[0].base_offset,
        next_offset: opened.next_offset,
        cut_tail: opened.cut_tail.clone(),
        set_aside: opened.set_aside.clone(),
        untold: opened.untold.clone(),
    }
}

/// Runs futures side by side in one task. All are polled at each wake: there are as many as partitions, so a few.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|context| {
        let mut all_ready = true;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_some() {
                continue;
            }
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => all_ready = false,
            }
        }
        if all_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().map(|output| output.expect("all are ready")).collect()
}
