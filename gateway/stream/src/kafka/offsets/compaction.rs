//! The table as a new log, in the place of the one that has grown.

use super::limits::RECORDS_PER_APPEND;
use super::{OffsetStore, OffsetStoreError, format, generation};
use crate::error::IoFailure;
use crate::log::EventLog;
use crate::storage::run_blocking;

impl OffsetStore {
    pub(super) async fn compact_if_due(&mut self) {
        if self.log_bytes <= self.compact_at_bytes {
            return;
        }
        self.compaction_failure = self.compact().await.err();
        // Twice what is left: the work stays in proportion to what was appended.
        let doubled = self.log_bytes.saturating_mul(2);
        self.compact_at_bytes = self.compact_bytes.max(doubled);
    }

    async fn compact(&mut self) -> Result<(), OffsetStoreError> {
        self.write_successor().await?;
        self.switch_to_successor().await?;
        self.remove_predecessors().await
    }

    /// Writes the newest of each key to a new log, and closes it.
    pub(super) async fn write_successor(&self) -> Result<(), OffsetStoreError> {
        let path = generation::compacting_path(&self.directory);
        let leftover = path.clone();
        run_blocking("remove", &path, move || generation::remove(&leftover)).await?;
        let (mut log, _) = EventLog::open(&path, self.log_config(), self.storage.clone()).await?;
        let mut records = Vec::with_capacity(RECORDS_PER_APPEND);
        for (group_id, group) in &self.groups {
            for (partition, offset) in &group.offsets {
                let timestamp_ms = offset.commit_timestamp_ms;
                records.push(format::encode(group_id, partition, Some(offset), timestamp_ms));
                if records.len() == RECORDS_PER_APPEND {
                    log.append(&records).await?;
                    records.clear();
                }
            }
        }
        log.append(&records).await?;
        Ok(())
    }

    /// From the rename on, the old log takes nothing any more.
    pub(super) async fn switch_to_successor(&mut self) -> Result<(), OffsetStoreError> {
        // Whoever commits may leave at any moment, and the rename goes on. No log is open until it is known which counts.
        self.log = None;
        let (directory, generation) = (self.directory.clone(), self.generation + 1);
        self.switching =
            Some(tokio::task::spawn_blocking(move || generation::switch(&directory, generation)));
        self.open_log().await
    }

    /// Waits for the end of a switch that has begun.
    pub(super) async fn end_switch(&mut self) -> Result<(), OffsetStoreError> {
        let Some(switching) = &mut self.switching else { return Ok(()) };
        let ended = switching.await;
        self.switching = None;
        ended.map_err(|error| IoFailure::of("rename", &self.directory)(error.into()))??;
        self.generation += 1;
        Ok(())
    }

    /// More than one, if a former compaction was left in the middle.
    async fn remove_predecessors(&self) -> Result<(), OffsetStoreError> {
        let (directory, generation) = (self.directory.clone(), self.generation);
        let remove = move || generation::remove_before(&directory, generation);
        Ok(run_blocking("remove", &self.directory, remove).await?)
    }
}
