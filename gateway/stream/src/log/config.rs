//! The settings of a log, and their bounds.

use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::error::LogError;
use crate::limits::{
    PARTITIONS_MAX, RETENTION_BYTES_DEFAULT, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    TOMBSTONES_KEPT_MS, TOPIC_BYTES_MAX,
};
use crate::recovery::Writing;

/// When appended records are synced to the disk, and so count as committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// Before the append returns. Nothing that was committed is lost by a crash or a power failure.
    #[default]
    Always,
    /// When the caller calls [`crate::EventLog::sync`], which it does every so many milliseconds (the log has no clock). A power failure loses what came
    /// since; it may also leave batches on the disk without those before them, which opening refuses as damage. The end
    /// of the process alone loses nothing.
    IntervalMs(NonZeroU32),
    /// Never, except at the end of a segment: records count as committed when they are written. A power failure as
    /// with `IntervalMs`, without its bound.
    Never,
}

impl SyncPolicy {
    pub(crate) fn writing(self) -> Writing {
        if self == Self::Always { Writing::Synced } else { Writing::Cached }
    }
}

/// What may go from a topic, beside what its bounds remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cleanup {
    /// Whole segments, the oldest first.
    #[default]
    Delete,
    /// Records that a later one of the same key supersedes.
    Compact,
}

/// What opening does about damage before the tail of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum OnDamage {
    /// It refuses, and changes nothing.
    #[default]
    Refuse,
    /// It copies the damaged segment into a folder of this directory, one a partition, and goes on without what is
    /// damaged. Offsets stay, with a gap.
    Quarantine(PathBuf),
}

/// The settings of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// Name of the topic: letters, digits, `.`, `_` and `-`, as in Kafka.
    pub topic: String,
    /// How many partitions. It can only grow, and a key may then change its partition.
    pub partition_count: u32,
    /// A segment is sealed before a batch would make it larger than this.
    pub segment_bytes: u64,
    /// Whole segments are removed, oldest first, while a partition takes more than this. 0 keeps everything.
    pub retention_bytes: u64,
    /// When appended records are synced.
    pub sync: SyncPolicy,
    /// What may go.
    pub cleanup: Cleanup,
    /// Whole segments are removed when all of their records are older than this, by their own time. 0 keeps everything.
    pub retention_ms: u64,
    /// How long compaction keeps a record without a value, so that a slow reader hears that the key is gone.
    pub tombstones_kept_ms: u64,
    /// What opening does about damage.
    pub on_damage: OnDamage,
}

impl LogConfig {
    /// The defaults for a topic.
    #[must_use]
    pub fn new(topic: &str, partition_count: u32) -> Self {
        Self {
            topic: topic.to_owned(),
            partition_count,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            retention_bytes: RETENTION_BYTES_DEFAULT,
            sync: SyncPolicy::default(),
            cleanup: Cleanup::Delete,
            retention_ms: 0,
            tombstones_kept_ms: TOMBSTONES_KEPT_MS,
            on_damage: OnDamage::Refuse,
        }
    }

    /// Checks every setting against its bounds; [`crate::EventLog::open`] does so too.
    ///
    /// # Errors
    /// [`LogError::Setting`] with the first that is out of bounds.
    pub fn check(&self) -> Result<(), LogError> {
        check_topic(&self.topic)?;
        let partitions = 1..=u64::from(PARTITIONS_MAX);
        check_range("partition_count", u64::from(self.partition_count), &partitions)?;
        check_range("segment_bytes", self.segment_bytes, &(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX))?;
        if self.retention_bytes != 0 && self.retention_bytes < self.segment_bytes {
            let bound = format!("0 (keep all) or at least segment_bytes, {}", self.segment_bytes);
            let value = self.retention_bytes.to_string();
            return Err(LogError::Setting { setting: "retention_bytes", value, bound });
        }
        Ok(())
    }
}

fn check_topic(topic: &str) -> Result<(), LogError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let has_legal_length = (1..=TOPIC_BYTES_MAX).contains(&topic.len());
    if has_legal_length && topic.bytes().all(legal) && topic != "." && topic != ".." {
        return Ok(());
    }
    let bound = format!("1 to {TOPIC_BYTES_MAX} letters, digits, '.', '_' and '-', and not \".\" or \"..\"");
    Err(LogError::Setting { setting: "topic", value: format!("{topic:?}"), bound })
}

fn check_range(
    setting: &'static str,
    value: u64,
    range: &std::ops::RangeInclusive<u64>,
) -> Result<(), LogError> {
    if range.contains(&value) {
        return Ok(());
    }
    let bound = format!("from {} to {}", range.start(), range.end());
    Err(LogError::Setting { setting, value: value.to_string(), bound })
}
