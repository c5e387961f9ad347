//! The table as a new log, in the place of the one that has grown.

use super::limits::RECORDS_PER_APPEND;
use super::{OffsetStore, OffsetStoreError, format, generation};
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
        self.remove_predecessor().await
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
        generation::switch(&self.directory, self.generation + 1)?;
        self.generation += 1;
        self.log = None;
        self.open_log().await
    }

    async fn remove_predecessor(&self) -> Result<(), OffsetStoreError> {
        let path = generation::generation_path(&self.directory, self.generation - 1);
        let removed = path.clone();
        Ok(run_blocking("remove", &path, move || generation::remove(&removed)).await?)
    }
}
