//! What a partition does beside appends: retention, by bytes after each roll and by age; compaction.
//!
//! Compaction (`compaction.rs`) writes new files in the blocking pool while the partition goes on. What it has finished
//! is put in place here, between two appends: a rename and a new index at once, so that no reader on this thread sees
//! the one without the other.
//!
//! The active segment is left alone by both. So it is sealed when its first record is older than what is to be kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::PartitionLog;
use crate::compaction::{self, Compacted, Pass, Slice};
use crate::error::{FileError, IoFailure};
use crate::log::{Cleanup, LogConfig};
use crate::quarantine;
use crate::segment::{rewrite_path, segment_path, sync_directory};
use crate::storage::run_blocking;

/// What retention removed.
#[derive(Debug, Default)]
pub struct Retention {
    /// How many segments.
    pub segments_removed: u64,
    /// How many records they held.
    pub records_removed: u64,
    /// How many bytes.
    pub bytes_removed: u64,
    /// Why it stopped early, if it did. It is tried again after the next append; the records are in the log all the same.
    pub failure: Option<FileError>,
}

/// What [`crate::EventLog::maintain`] did with one partition.
#[derive(Debug, Default)]
pub struct Maintained {
    /// Which one.
    pub partition: u32,
    /// What was too old.
    pub retention: Retention,
    /// Records that compaction has taken out.
    pub records_compacted: u64,
    /// What went wrong beside retention. It is tried again; nothing is lost.
    pub failure: Option<FileError>,
}

/// What a partition knows of its upkeep.
#[derive(Debug)]
pub(super) struct Upkeep {
    cleanup: Cleanup,
    retention_ms: u64,
    tombstones_kept_ms: u64,
    /// Segments that end before this offset have been compacted.
    compacted_to: u64,
    /// When the last pass began.
    compacted_ms: Option<i64>,
    /// Which keys the next pass is for.
    slice: Slice,
    pass: Option<JoinHandle<Result<Compacted, FileError>>>,
    is_cancelled: Arc<AtomicBool>,
}

impl Upkeep {
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            cleanup: config.cleanup,
            retention_ms: config.retention_ms,
            tombstones_kept_ms: config.tombstones_kept_ms,
            compacted_to: 0,
            compacted_ms: None,
            slice: Slice::ALL,
            pass: None,
            is_cancelled: Arc::default(),
        }
    }

    /// Records older than this go; `None`: age does not matter.
    pub(super) fn oldest_kept_ms(&self, now_ms: i64) -> Option<i64> {
        (self.retention_ms != 0).then(|| now_ms.saturating_sub_unsigned(self.retention_ms))
    }

    /// An active segment that began before this is sealed.
    fn sealed_before_ms(&self, now_ms: i64) -> Option<i64> {
        match self.cleanup {
            Cleanup::Delete => self.oldest_kept_ms(now_ms),
            Cleanup::Compact => Some(now_ms.saturating_sub_unsigned(self.tombstones_kept_ms)),
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        // Relaxed: a hint to end soon. What it leaves is removed when the log is opened again.
        self.is_cancelled.store(true, Ordering::Relaxed);
    }
}

impl PartitionLog {
    /// See [`crate::EventLog::confirm_told`].
    pub(crate) async fn confirm_told(&self) -> Result<(), FileError> {
        let directory = self.directory.clone();
        run_blocking("list", &self.directory, move || quarantine::confirm_told(&directory)).await
    }

    pub(crate) const fn is_compacting(&self) -> bool {
        self.upkeep.pass.is_some()
    }

    /// See [`crate::EventLog::maintain`].
    pub(crate) async fn maintain(&mut self, now_ms: i64, may_compact: bool) -> Maintained {
        let mut maintained = Maintained { partition: self.partition, ..Maintained::default() };
        let result = self.try_maintain(now_ms, may_compact, &mut maintained).await;
        maintained.failure = result.err();
        maintained
    }

    async fn try_maintain(
        &mut self,
        now_ms: i64,
        may_compact: bool,
        maintained: &mut Maintained,
    ) -> Result<(), FileError> {
        let first_ms = self.view.active_first_timestamp_ms();
        let limit_ms = self.upkeep.sealed_before_ms(now_ms);
        if first_ms.zip(limit_ms).is_some_and(|(first_ms, limit_ms)| first_ms < limit_ms) {
            self.reopen_after_failure().await.map_err(|failure| failure.error)?;
            if self.active().bytes > 0 {
                self.roll().await.map_err(|failure| failure.error)?;
            }
        }
        if self.upkeep.oldest_kept_ms(now_ms).is_some() {
            maintained.retention = self.retain(Some(now_ms)).await;
        }
        if self.upkeep.pass.as_ref().is_some_and(JoinHandle::is_finished) {
            maintained.records_compacted = self.finish_compaction().await?;
        }
        if may_compact && self.compaction_is_due(now_ms) {
            self.begin_compaction(now_ms);
        }
        Ok(())
    }

    /// When half of what is sealed has not been compacted, keys wait for their slice, or tombstones have their time.
    fn compaction_is_due(&self, now_ms: i64) -> bool {
        let (upkeep, sealed) = (&self.upkeep, &self.segments[..self.segments.len() - 1]);
        if upkeep.cleanup == Cleanup::Delete || upkeep.pass.is_some() || sealed.is_empty() {
            return false;
        }
        let bytes = |from: u64| -> u64 {
            sealed.iter().filter(|segment| segment.base_offset >= from).map(|segment| segment.bytes).sum()
        };
        let kept_ms = i64::try_from(upkeep.tombstones_kept_ms).unwrap_or(i64::MAX);
        let is_old = upkeep.compacted_ms.is_none_or(|then_ms| now_ms.saturating_sub(then_ms) >= kept_ms);
        !upkeep.slice.is_first() || is_old || bytes(upkeep.compacted_to) * 2 >= bytes(0)
    }

    fn begin_compaction(&mut self, now_ms: i64) {
        let pass = Pass {
            directory: self.directory.clone(),
            segments: self.segments[..self.segments.len() - 1].to_vec(),
            tombstones_before_ms: now_ms.saturating_sub_unsigned(self.upkeep.tombstones_kept_ms),
            slice: self.upkeep.slice,
            is_cancelled: Arc::clone(&self.upkeep.is_cancelled),
        };
        self.upkeep.compacted_ms = Some(now_ms);
        self.upkeep.compacted_to = self.active().base_offset;
        self.upkeep.pass = Some(tokio::task::spawn_blocking(move || compaction::run(&pass)));
    }

    /// Puts the rewritten segments in the places of the old ones. Each alone is right, so a crash in between harms
    /// nothing. Returns how many records are gone.
    async fn finish_compaction(&mut self) -> Result<u64, FileError> {
        let Some(pass) = self.upkeep.pass.take() else { return Ok(0) };
        let ended = pass.await;
        let compacted = ended.map_err(|error| IoFailure::of("compact", &self.directory)(error.into()))??;
        self.upkeep.slice = compacted.next_slice;
        let mut records_removed = 0;
        for rewritten in compacted.segments {
            let base_offset = rewritten.base_offset;
            let (from, to) =
                (rewrite_path(&self.directory, base_offset), segment_path(&self.directory, base_offset));
            let rename = || std::fs::rename(&from, &to).map_err(IoFailure::of("rename", &from));
            // Retention may have removed it meanwhile; opening the log removes what then is left.
            let Some(renamed) = self.view.rewrite(rewritten.index, rename) else { continue };
            renamed?;
            if let Some(segment) = self.segments.iter_mut().find(|segment| segment.base_offset == base_offset)
            {
                segment.bytes = rewritten.bytes;
            }
            records_removed += rewritten.records_removed;
        }
        let directory = self.directory.clone();
        run_blocking("sync", &self.directory, move || sync_directory(&directory)).await?;
        Ok(records_removed)
    }

    /// Removes whole segments, oldest first, until the rest is within its bounds. The active one stays.
    pub(super) async fn retain(&mut self, now_ms: Option<i64>) -> Retention {
        let mut retention = Retention::default();
        let oldest_kept_ms = now_ms.and_then(|now_ms| self.upkeep.oldest_kept_ms(now_ms));
        let mut bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        while self.segments.len() > 1 {
            let latest_ms = self.view.oldest_max_timestamp_ms();
            let is_too_old =
                oldest_kept_ms.zip(latest_ms).is_some_and(|(kept_ms, latest_ms)| latest_ms < kept_ms);
            let is_too_much = self.retention_bytes != 0 && bytes > self.retention_bytes;
            if !is_too_old && !is_too_much {
                break;
            }
            let oldest = self.segments[0];
            let directory = self.directory.clone();
            // One directory sync a removal: after a crash the segments that are left have no gap between them.
            let removed = run_blocking("remove a segment in", &self.directory, move || {
                let path = segment_path(&directory, oldest.base_offset);
                match std::fs::remove_file(&path) {
                    // An earlier try removed it and could not sync.
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(IoFailure::of("remove", &path)(error))
                    }
                    _ => sync_directory(&directory),
                }
            });
            if let Err(error) = removed.await {
                retention.failure = Some(error);
                break;
            }
            self.segments.remove(0);
            self.view.remove_oldest();
            bytes -= oldest.bytes;
            retention.segments_removed += 1;
            retention.records_removed += self.segments[0].base_offset - oldest.base_offset;
            retention.bytes_removed += oldest.bytes;
        }
        retention
    }
}
