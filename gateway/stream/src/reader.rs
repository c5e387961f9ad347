//! A reader of the files, in any process, beside the writer or without it.
//!
//! A poll takes what is complete: in each partition the batches from the last position on, each verified as recovery
//! would, from segment to segment. It never blocks, sleeps or locks, and takes a bounded number of bytes; whoever
//! follows a log polls again later.
//!
//! ```text
//! what stands at the position            what the reader makes of it
//! a valid batch                          records
//! nothing, and no later segment          not yet
//! half a batch, zeros, a bad checksum    not yet: it is being written, or torn and will be cut by the writer
//!   … and a valid batch after it         damage: an error
//!   … and a later segment                damage: an error
//! nothing, and the next segment          on to it
//! nothing, and only later segments       removed by retention before they were read: counted as skipped
//! ```
//!
//! A batch may be read before its sync. If that sync fails, the writer cuts the batch and writes anew, and the reader
//! follows: when the file is shorter than the position, or nothing valid stands there, it looks for its place again
//! from the segment's start, and yields the offsets from there on once more. So delivery is at least once; consumers
//! of events drop duplicates by `ce_id`. A reader that must not see what is not synced asks the writer's process.
//!
//! A log that is deleted and made anew while it is read is not followed.

mod partition;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{FileError, IoFailure};
use crate::limits::POLL_BYTES_MAX;
use crate::partition::{directory_name, partition_of_directory};
use crate::record::Record;

use partition::PartitionReader;

/// One record and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Partition of the topic.
    pub partition: u32,
    /// Offset within the partition.
    pub offset: u64,
    /// The record.
    pub record: Record,
}

/// What one poll found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Poll {
    /// New records; those of one partition in the order of their offsets.
    pub records: Vec<LogRecord>,
    /// Records that retention removed before this reader came to them.
    pub skipped_records: u64,
    /// The poll stopped at its bound: poll again at once.
    pub has_more: bool,
}

/// Follows a topic.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    topic: String,
    partitions: BTreeMap<u32, PartitionReader>,
    poll_bytes_max: usize,
    /// Whose turn it is when the bound stops a poll.
    turn: u32,
    /// Read these partitions and no others.
    is_fixed: bool,
}

impl LogReader {
    /// Reads from the oldest record on. The directory need not exist yet.
    #[must_use]
    pub fn new(directory: &Path, topic: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            topic: topic.to_owned(),
            partitions: BTreeMap::new(),
            poll_bytes_max: POLL_BYTES_MAX,
            turn: 0,
            is_fixed: false,
        }
    }

    /// Reads these partitions, each from this offset on; records of them that retention has removed already count as
    /// skipped.
    #[must_use]
    pub fn starting_at(directory: &Path, topic: &str, offsets: &BTreeMap<u32, u64>) -> Self {
        let reader = |(number, offset): (&u32, &u64)| {
            let path = directory.join(directory_name(topic, *number));
            (*number, PartitionReader::starting_at(path, *offset))
        };
        let partitions = offsets.iter().map(reader).collect();
        Self { partitions, is_fixed: true, ..Self::new(directory, topic) }
    }

    /// As [`Self::poll`], but each partition only up to this offset: what the writer says is committed, so a boundary
    /// of batches.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub fn poll_to(&mut self, end_of: impl Fn(u32) -> u64) -> Result<Poll, FileError> {
        for (number, partition) in &mut self.partitions {
            partition.set_end(end_of(*number));
        }
        self.poll()
    }

    /// Takes what is newly complete, in bounded memory.
    ///
    /// # Errors
    /// If files cannot be read or are damaged. Nothing that was read is lost: it was handed over by the poll before. A
    /// damaged partition gives the same error again, and the others are not read any more.
    pub fn poll(&mut self) -> Result<Poll, FileError> {
        self.find_partitions()?;
        let mut poll = Poll::default();
        let mut budget_bytes = self.poll_bytes_max;
        let numbers: Vec<u32> = self.partitions.keys().copied().collect();
        // Each poll begins with the partition after the one that the bound stopped at, so that none starves.
        let first = numbers.iter().position(|number| *number >= self.turn).unwrap_or(0);
        for number in numbers[first..].iter().chain(&numbers[..first]) {
            let partition = self.partitions.get_mut(number).expect("a key of the map");
            match partition.poll(*number, &mut budget_bytes, &mut poll) {
                Ok(()) => {}
                // What was taken is handed over first; the next poll begins here and fails again.
                Err(_) if !poll.records.is_empty() => {
                    poll.has_more = true;
                    self.turn = *number;
                    break;
                }
                Err(error) => return Err(error),
            }
            if poll.has_more {
                self.turn = number + 1;
                break;
            }
        }
        Ok(poll)
    }

    /// Passes over all records that are complete now. Returns how many those were.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub fn skip_to_end(&mut self) -> Result<u64, FileError> {
        let mut skipped_records = 0;
        loop {
            let poll = self.poll()?;
            skipped_records += poll.records.len() as u64;
            if !poll.has_more {
                return Ok(skipped_records);
            }
        }
    }

    fn find_partitions(&mut self) -> Result<(), FileError> {
        if self.is_fixed {
            return Ok(());
        }
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(IoFailure::of("list", &self.directory))?,
        };
        for entry in entries {
            let name = entry.map_err(IoFailure::of("list", &self.directory))?.file_name();
            let Some(number) = name.to_str().and_then(|name| partition_of_directory(name, &self.topic))
            else {
                continue;
            };
            let path = self.directory.join(directory_name(&self.topic, number));
            self.partitions.entry(number).or_insert_with(|| PartitionReader::new(path));
        }
        Ok(())
    }
}
