//! The offsets that consumer groups have committed, durable.
//!
//! ```text
//!  commit ──▶ log `__offsets`, appended and synced ──▶ table in memory ──▶ fetch
//!              key: group, topic, partition             the newest of each key
//! ```
//!
//! The log has the format of the event log, one partition; `format.rs` says how an offset lies in a record. Opening
//! reads all of it. When it has grown, the table is written to a new log, which takes the place of the old one
//! (`generation.rs`): after each commit that makes it pass its bound, before that commit returns.
//!
//! A commit that returned is there after a crash. One that failed, or whose future was dropped, may or may not be there
//! after the next opening; until then it is not. Who may commit is the coordinator's business (`group.rs`), and the
//! time is the caller's.

pub mod limits;

mod compaction;
mod entry;
mod expiry;
mod format;
mod generation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use crate::error::{FileError, IoFailure};
use crate::limits::TOPIC_BYTES_MAX;
use crate::log::{EventLog, LogConfig, OnDamage, lock_directory};
use crate::reader::LogReader;
use crate::record::Record;
use crate::recovery::RecoveryReport;
use crate::segment::sync_directory;
use crate::storage::{Storage, run_blocking};

pub use entry::{CommittedOffset, OffsetRefusal, OffsetStoreError, TopicPartition};

use entry::{Growth, entry_bytes, group_bytes};
use limits::{
    COMPACT_BYTES_DEFAULT, ENTRIES_MAX, GROUP_ID_BYTES_MAX, METADATA_BYTES_MAX, RETENTION_MS_DEFAULT,
    STATE_BYTES_MAX,
};

/// Name of the topic of the log.
pub const OFFSETS_TOPIC: &str = "__offsets";

#[derive(Debug, Default)]
struct GroupOffsets {
    offsets: BTreeMap<TopicPartition, CommittedOffset>,
    /// When it was last seen with members, or committed; after a restart, perhaps a little later (`expiry.rs`).
    active_ms: i64,
}

/// All committed offsets, and their one writer.
#[derive(Debug)]
pub struct OffsetStore {
    directory: PathBuf,
    storage: Storage,
    generation: u64,
    /// None after a switch whose new log could not be opened yet.
    log: Option<EventLog>,
    /// A switch to the next generation that has begun.
    switching: Option<JoinHandle<Result<(), FileError>>>,
    log_bytes: u64,
    compact_bytes: u64,
    /// Size of the log at which it is compacted next.
    compact_at_bytes: u64,
    compaction_failure: Option<OffsetStoreError>,
    groups: BTreeMap<String, GroupOffsets>,
    entries: usize,
    entries_max: usize,
    held_bytes: usize,
    state_bytes_max: usize,
    retention_ms: i64,
    first_expiry_ms: Option<i64>,
    on_damage: OnDamage,
    /// What opening found.
    recovery: RecoveryReport,
    _lock: File,
}

impl OffsetStore {
    /// Opens the store in `directory`, creates what is missing, and reads it. In the same runtimes as
    /// [`EventLog::open`]. Where damage is set aside, a group may find an older commit than its last, or none.
    ///
    /// # Errors
    /// If another writer holds the directory, the system refuses an operation, or a file is damaged and that is refused.
    pub async fn open(
        directory: &Path,
        storage: Storage,
        on_damage: OnDamage,
    ) -> Result<Self, OffsetStoreError> {
        let path = directory.to_owned();
        let (lock, generation) = run_blocking("lock", directory, move || {
            Ok::<_, OffsetStoreError>((lock_directory(&path, ".lock")?, generation::clean(&path)?))
        })
        .await?;
        let mut store = Self {
            directory: directory.to_owned(),
            storage,
            generation,
            log: None,
            switching: None,
            log_bytes: 0,
            compact_bytes: COMPACT_BYTES_DEFAULT,
            compact_at_bytes: COMPACT_BYTES_DEFAULT,
            compaction_failure: None,
            groups: BTreeMap::new(),
            entries: 0,
            entries_max: ENTRIES_MAX,
            held_bytes: 0,
            state_bytes_max: STATE_BYTES_MAX,
            retention_ms: RETENTION_MS_DEFAULT,
            first_expiry_ms: None,
            on_damage,
            recovery: RecoveryReport::default(),
            _lock: lock,
        };
        store.open_log().await?;
        store.replay().await?;
        store.allow_for_unnoted_activity();
        Ok(store)
    }

    /// What the last opening of the log found.
    #[must_use]
    pub const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// As [`EventLog::confirm_told`].
    ///
    /// # Errors
    /// As there.
    pub async fn confirm_told(&self) -> Result<(), FileError> {
        match &self.log {
            Some(log) => log.confirm_told().await,
            None => Ok(()),
        }
    }

    /// Sets how long the offsets of a group without members are kept.
    #[must_use]
    pub const fn with_retention_ms(mut self, retention_ms: i64) -> Self {
        self.retention_ms = retention_ms;
        self
    }

    /// Sets the size of the log, in bytes, at which it is compacted.
    #[must_use]
    pub const fn with_compact_bytes(mut self, compact_bytes: u64) -> Self {
        self.compact_bytes = compact_bytes;
        self.compact_at_bytes = compact_bytes;
        self
    }

    /// Takes offsets of one group. When it returns `Ok`, those that were not refused are on the disk. One entry an
    /// offset, in their order.
    ///
    /// # Errors
    /// If the log did not take them: none counts as committed. The same commit may be tried again.
    pub async fn commit(
        &mut self,
        group_id: &str,
        commits: Vec<(TopicPartition, CommittedOffset)>,
    ) -> Result<Vec<Result<(), OffsetRefusal>>, OffsetStoreError> {
        let mut growth = Growth::default();
        let mut results = Vec::with_capacity(commits.len());
        let mut records = Vec::new();
        let mut taken = Vec::new();
        for (partition, offset) in commits {
            let result = self.check(group_id, &partition, &offset, growth);
            results.push(result.map(|_| ()));
            if let Ok(after) = result {
                growth = after;
                records.push(format::encode(group_id, &partition, Some(&offset), offset.commit_timestamp_ms));
                taken.push((partition, offset));
            }
        }
        self.append(&records).await?;
        for (partition, offset) in taken {
            self.put(group_id, partition, offset);
        }
        self.compact_if_due().await;
        Ok(results)
    }

    /// What the group committed for a partition.
    #[must_use]
    pub fn fetch_one(&self, group_id: &str, partition: &TopicPartition) -> Option<&CommittedOffset> {
        self.groups.get(group_id)?.offsets.get(partition)
    }

    /// All that the group committed, by topic and partition.
    pub fn fetch_all(&self, group_id: &str) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        self.groups.get(group_id).into_iter().flat_map(|group| &group.offsets)
    }

    /// How many groups have offsets.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The id of a group, if it has offsets.
    #[must_use]
    pub fn group_id(&self, group_id: &str) -> Option<&str> {
        self.groups.get_key_value(group_id).map(|(group_id, _)| group_id.as_str())
    }

    /// The groups that have offsets.
    pub fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// How many offsets there are.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// Why the last compaction failed, if it did. It is tried again when the log has grown as much again; the commits
    /// are on the disk all the same.
    #[must_use]
    pub const fn compaction_failure(&self) -> Option<&OffsetStoreError> {
        self.compaction_failure.as_ref()
    }

    /// Deletes all offsets of a group. Returns how many there were.
    ///
    /// # Errors
    /// If the log did not take it: the offsets are still there.
    pub async fn delete_group(&mut self, group_id: &str, now_ms: i64) -> Result<usize, OffsetStoreError> {
        let partitions = self.fetch_all(group_id).map(|(partition, _)| partition);
        let records: Vec<Record> =
            partitions.map(|partition| format::encode(group_id, partition, None, now_ms)).collect();
        self.append(&records).await?;
        let partitions: Vec<TopicPartition> =
            self.fetch_all(group_id).map(|(partition, _)| partition.clone()).collect();
        for partition in &partitions {
            self.remove(group_id, partition);
        }
        self.compact_if_due().await;
        Ok(records.len())
    }

    /// What the commit adds with this offset, if it adds so much `before`.
    fn check(
        &self,
        group_id: &str,
        partition: &TopicPartition,
        offset: &CommittedOffset,
        before: Growth,
    ) -> Result<Growth, OffsetRefusal> {
        let has_names = (1..=GROUP_ID_BYTES_MAX).contains(&group_id.len())
            && (1..=TOPIC_BYTES_MAX).contains(&partition.topic.len());
        if !has_names || partition.partition < 0 || offset.offset < 0 {
            return Err(OffsetRefusal::Invalid);
        }
        if offset.metadata.len() > METADATA_BYTES_MAX {
            return Err(OffsetRefusal::MetadataTooLarge);
        }
        let former = self.fetch_one(group_id, partition);
        let former_bytes = former.map_or(0, |former| entry_bytes(partition, former));
        // What becomes smaller makes no room for others before it has.
        let mut more = entry_bytes(partition, offset).saturating_sub(former_bytes);
        if before.entries == 0 && self.group_id(group_id).is_none() {
            more += group_bytes(group_id);
        }
        let after =
            Growth { entries: before.entries + usize::from(former.is_none()), bytes: before.bytes + more };
        let has_room = self.entries + after.entries <= self.entries_max
            && self.held_bytes + after.bytes <= self.state_bytes_max;
        // A consumer that is known goes on even where there is no room.
        let is_growth = former.is_none() || more > 0;
        if is_growth && !has_room { Err(OffsetRefusal::Full) } else { Ok(after) }
    }

    fn put(&mut self, group_id: &str, partition: TopicPartition, offset: CommittedOffset) {
        self.held_bytes += entry_bytes(&partition, &offset);
        let group = self.groups.entry(group_id.to_owned()).or_default();
        if group.offsets.is_empty() {
            self.held_bytes += group_bytes(group_id);
        }
        group.active_ms = group.active_ms.max(offset.commit_timestamp_ms);
        match group.offsets.insert(partition.clone(), offset) {
            Some(former) => self.held_bytes -= entry_bytes(&partition, &former),
            None => self.entries += 1,
        }
    }

    fn remove(&mut self, group_id: &str, partition: &TopicPartition) {
        let Some(group) = self.groups.get_mut(group_id) else { return };
        if let Some(former) = group.offsets.remove(partition) {
            self.held_bytes -= entry_bytes(partition, &former);
            self.entries -= 1;
        }
        if group.offsets.is_empty() {
            self.groups.remove(group_id);
            self.held_bytes -= group_bytes(group_id);
        }
    }

    async fn append(&mut self, records: &[Record]) -> Result<(), OffsetStoreError> {
        if records.is_empty() {
            return Ok(());
        }
        if self.log.is_none() {
            self.open_log().await?;
        }
        let log = self.log.as_mut().expect("opened above");
        let appended = log.append(records).await?;
        self.log_bytes += appended.partitions.iter().map(|partition| partition.bytes).sum::<u64>();
        Ok(())
    }

    /// Opens the log of the generation, with its name on the disk.
    async fn open_log(&mut self) -> Result<(), OffsetStoreError> {
        self.end_switch().await?;
        let directory = self.directory.clone();
        run_blocking("sync", &self.directory, move || sync_directory(&directory)).await?;
        let path = generation::generation_path(&self.directory, self.generation);
        let (log, report) = EventLog::open(&path, self.log_config(), self.storage.clone()).await?;
        self.log_bytes = report.partitions.iter().map(|partition| partition.bytes).sum();
        self.log = Some(log);
        self.recovery = report;
        Ok(())
    }

    async fn replay(&mut self) -> Result<(), OffsetStoreError> {
        let path = generation::generation_path(&self.directory, self.generation);
        let mut reader = LogReader::new(&path, OFFSETS_TOPIC);
        loop {
            let polled = tokio::task::spawn_blocking(move || {
                let poll = reader.poll();
                (reader, poll)
            });
            let ended = polled.await.map_err(|error| IoFailure::of("read", &path)(error.into()));
            let (returned, poll) = ended?;
            reader = returned;
            let poll = poll?;
            for read in poll.records {
                match format::decode(&read.record) {
                    Some((group_id, partition, Some(offset))) => self.put(&group_id, partition, offset),
                    Some((group_id, partition, None)) => self.remove(&group_id, &partition),
                    None => return Err(OffsetStoreError::Format { log: path, offset: read.offset }),
                }
            }
            if !poll.has_more {
                return Ok(());
            }
        }
    }

    fn log_config(&self) -> LogConfig {
        // Everything is kept: compaction is what bounds it.
        let config = LogConfig::new(OFFSETS_TOPIC, 1);
        LogConfig { retention_bytes: 0, on_damage: self.on_damage.clone(), ..config }
    }
}
