//! What is committed, and why it may be refused.

use std::path::PathBuf;

use super::GroupOffsets;
use super::limits::GROUP_OVERHEAD_BYTES;
use crate::error::{FileError, LogError};

/// A partition of a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// As on the wire.
    pub partition: i32,
}

/// What a consumer committed for a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedOffset {
    /// Of the record that it wants next.
    pub offset: i64,
    /// As on the wire; -1 if it did not say.
    pub leader_epoch: i32,
    /// In milliseconds since the Unix epoch, by the caller's clock: of the commit, or later if the group was seen active.
    pub commit_timestamp_ms: i64,
    /// Whatever the consumer wants to remember.
    pub metadata: String,
}

/// Why one offset of a commit was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetRefusal {
    /// More metadata than [`super::limits::METADATA_BYTES_MAX`].
    MetadataTooLarge,
    /// A negative offset or partition, or a name that is empty or too long.
    Invalid,
    /// [`super::limits::ENTRIES_MAX`] or [`super::limits::STATE_BYTES_MAX`] is reached: the client tries again after its backoff.
    Full,
}

impl OffsetRefusal {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            // OFFSET_METADATA_TOO_LARGE, COORDINATOR_LOAD_IN_PROGRESS, INVALID_REQUEST
            Self::MetadataTooLarge => 12,
            Self::Full => 14,
            Self::Invalid => 42,
        }
    }
}

/// Why the store does not open, or did not take a commit.
#[derive(Debug, thiserror::Error)]
pub enum OffsetStoreError {
    /// The log does not open or did not take it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record of the log is not of the format.
    #[error("record {offset} of {} is no committed offset: it was written by a newer version, or not by Pulsegate", .log.display())]
    Format {
        /// The directory of the log.
        log: PathBuf,
        /// Of the record.
        offset: u64,
    },
}

impl From<FileError> for OffsetStoreError {
    fn from(error: FileError) -> Self {
        Self::Log(error.into())
    }
}

/// What a commit adds to what is kept.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Growth {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// Offsets that a node of a map has room for.
const NODE_ENTRIES: usize = 11;

const _: () = assert!(
    NODE_ENTRIES * size_of::<(TopicPartition, CommittedOffset)>() + 2 * size_of::<(String, GroupOffsets)>()
        < GROUP_OVERHEAD_BYTES
);

/// Bytes that a group takes in memory besides its offsets, about.
pub(super) const fn group_bytes(group_id: &str) -> usize {
    GROUP_OVERHEAD_BYTES + group_id.len()
}

/// Bytes that an offset takes in memory, about.
pub(super) const fn entry_bytes(partition: &TopicPartition, offset: &CommittedOffset) -> usize {
    size_of::<TopicPartition>() + size_of::<CommittedOffset>() + partition.topic.len() + offset.metadata.len()
}
