//! Reading the committed part of one segment: from an index entry on, batch by batch, each checked before it is served.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::limits::{BATCH_HEADER_BYTES, INDEX_INTERVAL_BYTES};
use crate::record::Record;
use crate::record_batch::{BatchFault, BatchHeader, decode_sparse_batch};
use crate::segment::{BatchCursor, read_up_to};

/// Why planned batches are not there.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The system refused. `NotFound` if retention has removed the segment meanwhile.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Compaction has put another file in the segment's place since it was looked up: look it up again.
    #[error("the segment was rewritten meanwhile")]
    Rewritten,
    /// The committed part is damaged. It is not served.
    #[error("{} is damaged at byte {position}: {fault}; consumers cannot get past offset {offset}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the bad batch begins.
        position: u64,
        /// Offset that should stand there.
        offset: u64,
        /// What is wrong with it.
        fault: BatchFault,
    },
}

/// Which of the files that have stood in a segment's place is meant.
#[derive(Clone, Debug)]
pub(super) struct FileVersion {
    rewrites: Arc<AtomicU64>,
    seen: u64,
}

impl FileVersion {
    pub(super) fn now(rewrites: &Arc<AtomicU64>) -> Self {
        // SeqCst: see `check`. Written by this thread alone.
        Self { rewrites: Arc::clone(rewrites), seen: rewrites.load(Ordering::SeqCst) }
    }

    /// Called after the opening: as long as the count has not moved, the name has not either.
    fn check(&self) -> Result<(), ReadFault> {
        // SeqCst: pairs with the increment in `SegmentIndex::begin_rewrite`, which comes before the renaming.
        if self.rewrites.load(Ordering::SeqCst) == self.seen { Ok(()) } else { Err(ReadFault::Rewritten) }
    }
}

/// Where to read the batches from an offset on.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub(super) path: PathBuf,
    /// Where the walk begins, and the end of what is committed.
    pub(super) position: u64,
    pub(super) end: u64,
    /// Offset of the batch at `position`.
    pub(super) base_offset: u64,
    /// What is looked for.
    pub(super) offset: u64,
    pub(super) file: FileVersion,
}

/// Where to look for the first record at a time.
#[derive(Clone, Debug)]
pub struct TimePlan {
    pub(super) path: PathBuf,
    pub(super) position: u64,
    pub(super) end: u64,
    pub(super) base_offset: u64,
    pub(super) timestamp_ms: i64,
    pub(super) file: FileVersion,
}

impl ReadPlan {
    /// Bytes that are there to be read, a little more than from the offset on: the walk begins at an index entry.
    #[must_use]
    pub const fn bytes_ahead(&self) -> u64 {
        self.end - self.position
    }

    /// Whole batches, `bytes_max` bytes at most, the first of them the one that holds the offset. `takes_first`: that
    /// one is taken whatever its size. Blocks on the disk.
    ///
    /// # Errors
    /// If the first batch cannot be read or does not verify. Later ones that do not are left for the next plan.
    pub fn run(&self, bytes_max: usize, takes_first: bool) -> Result<Vec<u8>, ReadFault> {
        let file = File::open(&self.path).map_err(|source| self.io(source))?;
        self.file.check()?;
        let ahead = usize::try_from(self.bytes_ahead()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; ahead.min(bytes_max.saturating_add(WALK_BYTES))];
        let read = read_up_to(&file, &mut bytes, self.position).map_err(|source| self.io(source))?;
        bytes.truncate(read);
        let (mut start, mut at, mut next_offset) = (0, 0, self.base_offset);
        loop {
            let is_first = next_offset <= self.offset;
            let fault = match next_batch(&bytes[at..], next_offset) {
                Ok(header) if header.next_offset() <= self.offset => {
                    (at, next_offset) = (at + header.batch_bytes, header.next_offset());
                    start = at;
                    continue;
                }
                Ok(header) if at + header.batch_bytes - start <= bytes_max || (is_first && takes_first) => {
                    (at, next_offset) = (at + header.batch_bytes, header.next_offset());
                    continue;
                }
                Ok(_) => break,
                // The batch goes on after what was read: read so much more, unless it would not be taken.
                Err(BatchFault::Truncated { needed_bytes, .. }) if is_first && bytes.len() < ahead => {
                    self.read_more(&file, &mut bytes, at.saturating_add(needed_bytes).min(ahead))?;
                    continue;
                }
                Err(fault) => fault,
            };
            if is_first {
                let position = self.position + at as u64;
                return Err(ReadFault::Damaged {
                    path: self.path.clone(),
                    position,
                    offset: next_offset,
                    fault,
                });
            }
            break;
        }
        bytes.truncate(at);
        bytes.drain(..start);
        // The budget of whoever reads counts bytes, not what was reserved for them.
        bytes.shrink_to_fit();
        Ok(bytes)
    }

    fn read_more(&self, file: &File, bytes: &mut Vec<u8>, length: usize) -> Result<(), ReadFault> {
        let had = bytes.len();
        bytes.resize(length, 0);
        let read = read_up_to(file, &mut bytes[had..], self.position + had as u64);
        bytes.truncate(had + read.map_err(|source| self.io(source))?);
        if bytes.len() < length {
            // The file is shorter than what was committed.
            return Err(self.io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn io(&self, source: io::Error) -> ReadFault {
        ReadFault::Io { path: self.path.clone(), source }
    }
}

/// Bytes that are read beyond those that are to be served: the walk from the index entry to the batch.
#[expect(clippy::cast_possible_truncation, reason = "a few KiB")]
const WALK_BYTES: usize = INDEX_INTERVAL_BYTES as usize + BATCH_HEADER_BYTES;

fn next_batch(bytes: &[u8], expected_offset: u64) -> Result<BatchHeader, BatchFault> {
    if bytes.is_empty() {
        return Err(BatchFault::Truncated { needed_bytes: BATCH_HEADER_BYTES, found_bytes: 0 });
    }
    let header = BatchHeader::parse(bytes)?;
    header.verify_sparse(bytes, expected_offset)?;
    Ok(header)
}

impl TimePlan {
    /// Offset and timestamp of the first record at the time or later. Where times go back, that one of the first batch
    /// with such a record, as in Kafka. `None`: there is none after all. Blocks on the disk.
    ///
    /// # Errors
    /// If the system refuses, or a batch on the way does not verify.
    pub fn run(&self) -> Result<Option<(u64, i64)>, ReadFault> {
        let io = |source| ReadFault::Io { path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(io)?;
        self.file.check()?;
        let mut cursor = BatchCursor::at(self.position, self.base_offset);
        while cursor.position < self.end {
            let (position, offset) = (cursor.position, cursor.next_offset);
            let damaged = |fault| ReadFault::Damaged { path: self.path.clone(), position, offset, fault };
            let (header, batch) = cursor.next_batch(&file).map_err(io)?.map_err(damaged)?;
            if header.max_timestamp_ms < self.timestamp_ms {
                continue;
            }
            // A batch of a compacted topic has gaps.
            let records = decode_sparse_batch(&Bytes::copy_from_slice(batch), offset).map_err(damaged)?;
            let is_at_time = |record: &Record| record.timestamp_ms >= self.timestamp_ms;
            if let Some((found, record)) = records.iter().find(|(_, record)| is_at_time(record)) {
                return Ok(Some((*found, record.timestamp_ms)));
            }
        }
        Ok(None)
    }
}
