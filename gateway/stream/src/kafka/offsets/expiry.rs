//! Which offsets are no longer kept: those of groups that have had neither a member nor a commit for the retention.
//!
//! A group that has nothing to commit is active all the same as long as it has members. So that a restart does not forget
//! that, the time is noted on the disk twice a step ([`ACTIVITY_STEP_MS`]): one of the group's offsets is written again,
//! with a new time. After a restart a group counts as active for a step longer than the disk says: that may keep offsets
//! for a day too long, and never loses them too early.

use super::limits::{ACTIVITY_STEP_MS, RECORDS_PER_APPEND, START_GRACE_MS};
use super::{CommittedOffset, GroupOffsets, OffsetStore, OffsetStoreError, TopicPartition, format};

impl OffsetStore {
    /// Deletes the offsets of groups that have had no member and no commit for the retention. Call it every few
    /// minutes: what it sees is how it knows when a group had members. Returns how many offsets were deleted.
    ///
    /// # Errors
    /// As [`Self::delete_group`]; the next call goes on.
    pub async fn expire(
        &mut self,
        now_ms: i64,
        has_members: impl Fn(&str) -> bool,
    ) -> Result<usize, OffsetStoreError> {
        let first_expiry_ms = *self.first_expiry_ms.get_or_insert(now_ms);
        let mut unnoted = Vec::new();
        for (group_id, group) in &mut self.groups {
            if has_members(group_id) {
                group.active_ms = group.active_ms.max(now_ms);
                unnoted.extend(
                    group.unnoted(now_ms).map(|(partition, offset)| (group_id.clone(), partition, offset)),
                );
            }
        }
        self.note(unnoted).await?;
        if now_ms.saturating_sub(first_expiry_ms) < START_GRACE_MS {
            return Ok(0);
        }
        let is_over = |group: &GroupOffsets| now_ms.saturating_sub(group.active_ms) >= self.retention_ms;
        let over = self.groups.iter().filter(|(_, group)| is_over(group));
        let over: Vec<String> = over.map(|(group_id, _)| group_id.clone()).collect();
        let mut deleted = 0;
        for group_id in &over {
            deleted += self.delete_group(group_id, now_ms).await?;
        }
        Ok(deleted)
    }

    /// After opening: members may have been there since the time that the disk has.
    pub(super) fn allow_for_unnoted_activity(&mut self) {
        for group in self.groups.values_mut() {
            group.active_ms = group.active_ms.saturating_add(ACTIVITY_STEP_MS);
        }
    }

    /// Writes offsets again, with the time that they have now.
    async fn note(
        &mut self,
        offsets: Vec<(String, TopicPartition, CommittedOffset)>,
    ) -> Result<(), OffsetStoreError> {
        for some in offsets.chunks(RECORDS_PER_APPEND) {
            let record = |(group_id, partition, offset): &(String, TopicPartition, CommittedOffset)| {
                format::encode(group_id, partition, Some(offset), offset.commit_timestamp_ms)
            };
            self.append(&some.iter().map(record).collect::<Vec<_>>()).await?;
            for (group_id, partition, offset) in some {
                self.put(group_id, partition.clone(), offset.clone());
            }
        }
        self.compact_if_due().await;
        Ok(())
    }
}

impl GroupOffsets {
    /// The offset to write again if the disk does not know yet that the group is active, with the time of now.
    fn unnoted(&self, now_ms: i64) -> Option<(TopicPartition, CommittedOffset)> {
        let noted_ms = self.offsets.values().map(|offset| offset.commit_timestamp_ms).max()?;
        // Twice a step, so that a step is enough even if nobody looks for some hours.
        if now_ms.saturating_sub(noted_ms) < ACTIVITY_STEP_MS / 2 {
            return None;
        }
        let (partition, offset) = self.offsets.first_key_value()?;
        Some((partition.clone(), CommittedOffset { commit_timestamp_ms: now_ms, ..offset.clone() }))
    }
}
