//! What can go wrong with the log, one variant a decision that the caller can take.
//!
//! Damage is never an I/O error and never the other way round: an I/O error may pass, damage needs a person.

use std::io;
use std::path::{Path, PathBuf};

use crate::log::Appended;
use crate::partition::partition_of_key;
use crate::record::Record;
use crate::record_batch::BatchFault;

/// Why a log does not open, or did not take records.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A setting outside its bounds. Nothing was touched.
    #[error("{setting} is {value}: it must be {bound}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// As given.
        value: String,
        /// What is allowed.
        bound: String,
    },
    /// Another process, or another log of this process, writes there.
    #[error("{} is held by another writer: stop it or choose another directory", .lock_file.display())]
    Locked {
        /// The file whose lock is taken.
        lock_file: PathBuf,
    },
    /// Fewer partitions are asked for than there are: the records of the others would be hidden.
    #[error(
        "topic {topic} has {found} partitions on disk and {configured} in the configuration: they can only grow"
    )]
    PartitionsShrunk {
        /// The topic.
        topic: String,
        /// On disk.
        found: u32,
        /// In the configuration.
        configured: u32,
    },
    /// One record is too large for any batch. Nothing was written; the same append without it will do.
    #[error(
        "record {index} takes {bytes} bytes, more than RECORD_BYTES_MAX = {bytes_max}: shorten or drop it"
    )]
    RecordTooLarge {
        /// Its place in the slice that was appended.
        index: usize,
        /// What it takes.
        bytes: usize,
        /// [`crate::limits::RECORD_BYTES_MAX`].
        bytes_max: usize,
    },
    /// Files could not be opened, read or cut, or are damaged.
    #[error(transparent)]
    File(#[from] FileError),
    /// Some partitions did not take their records; others did.
    #[error(transparent)]
    Append(#[from] AppendFailure),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused an operation.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The content is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
}

/// The system refused an operation on a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", .path.display())]
pub struct IoFailure {
    /// A verb: `open`, `write`, `sync`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Damage that is no torn tail: records that were committed would be lost by cutting it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{} is damaged at byte {position}, where offset {expected_offset} should be: {fault}. Nothing was changed. \
     Restore the file from a copy, or set `stream.on-damage = \"quarantine\"`: what is damaged is then set aside at \
     the next start, and the rest is served",
    .file.display()
)]
pub struct Corruption {
    /// The segment.
    pub file: PathBuf,
    /// Byte at which the damaged batch begins.
    pub position: u64,
    /// Offset of the record that should stand there.
    pub expected_offset: u64,
    /// What is wrong with it.
    pub fault: BatchFault,
}

/// Some partitions did not take all of their records. The next append first puts those partitions in order again.
#[derive(Debug, thiserror::Error)]
#[error("{} of {partition_count} partitions failed, first {}", .failures.len(), .failures[0])]
pub struct AppendFailure {
    /// At least one.
    pub failures: Vec<PartitionFailure>,
    /// What the other partitions took.
    pub appended: Appended,
    /// Partitions of the topic.
    pub(crate) partition_count: u32,
}

impl AppendFailure {
    /// Keeps of the records that were appended those that are to be appended again, in order; the others are in the
    /// log. `records` must be what was given to the append that failed.
    pub fn retain_refused(&self, records: &mut Vec<Record>) {
        let mut taken_of_failed: Vec<(u32, usize)> =
            self.failures.iter().map(|failure| (failure.partition, failure.records_taken)).collect();
        records.retain(|record| {
            let partition = partition_of_key(record.key.as_deref(), self.partition_count);
            match taken_of_failed.iter_mut().find(|(failed, _)| *failed == partition) {
                None => false,
                Some((_, 0)) => true,
                Some((_, taken)) => {
                    *taken -= 1;
                    false
                }
            }
        });
    }
}

/// One partition did not take all of its records.
#[derive(Debug, thiserror::Error)]
#[error("partition {partition}: {error}")]
pub struct PartitionFailure {
    /// Which one.
    pub partition: u32,
    /// How many records of this append, the first ones of this partition, are in the log all the same: an append of
    /// several batches may fail after the first.
    pub records_taken: usize,
    /// Records that were taken, by this or earlier appends, had not been synced yet, and are gone. Always 0 with
    /// [`crate::SyncPolicy::Always`].
    pub records_lost: u64,
    /// Why.
    #[source]
    pub error: FileError,
}

impl IoFailure {
    /// For `map_err`: attaches what was tried, on what.
    pub(crate) fn of(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError::Io(Self { operation, path, source })
    }
}
