//! Compaction: of the records with one key the last stays, at its offset.
//!
//! ```text
//! sealed segment, before   0 a=1   1 b=1   2 a=2   3 c=1   4 b=-   5 a=3
//!                 after                            3 c=1   4 b=-   5 a=3
//! ```
//!
//! One pass walks the sealed segments twice. The first walk finds the last offset of each key, the second writes each
//! segment that has superseded records anew, beside the old one. The partition then puts the new files in place
//! (`partition_log/upkeep.rs`). The batches of a new file cover the offsets of the old one without a hole, only their
//! records have gaps: so each base offset can still be checked against the batch before, and the segment ends where it
//! did. For that its last record stays, superseded or not.
//!
//! A record without a value (a tombstone) goes when it is old enough and no earlier record of its key is left: not in
//! the pass that removes those, since a crash may bring a removed segment back.
//!
//! Memory is bounded: keys are kept as hashes of 128 bits by a secret of the pass, at most so many of them. If there are
//! more, the next passes take slices of the keys by their hash. A damaged segment ends the pass; nothing is changed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::error::{Corruption, FileError, IoFailure};
use crate::limits::{COMPACTED_BATCH_BYTES, COMPACTION_KEYS_MAX, RECORDS_PER_BATCH_MAX};
use crate::record::Record;
use crate::record_batch::{BatchFault, BatchWriter, decode_sparse_batch, record_bytes};
use crate::segment::{BatchCursor, Segment, rewrite_path, segment_path};
use crate::view::SegmentIndex;

/// What a pass is to do.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) directory: PathBuf,
    /// The sealed segments, oldest first.
    pub(crate) segments: Vec<Segment>,
    /// Tombstones older than this may go.
    pub(crate) tombstones_before_ms: i64,
    /// Keys of this slice.
    pub(crate) slice: Slice,
    /// Set when the log is closed.
    pub(crate) is_cancelled: Arc<AtomicBool>,
}

/// What a pass has done: files that wait for being put in place.
#[derive(Debug, Default)]
pub(crate) struct Compacted {
    pub(crate) segments: Vec<Rewritten>,
    pub(crate) next_slice: Slice,
}

/// A segment that was written anew.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) base_offset: u64,
    pub(crate) bytes: u64,
    pub(crate) index: SegmentIndex,
    pub(crate) records_removed: u64,
}

/// The keys whose hash leaves this rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    rest: u64,
    divisor: u64,
}

impl Slice {
    pub(crate) const ALL: Self = Self { rest: 0, divisor: 1 };

    /// No pass of this round was made yet.
    pub(crate) const fn is_first(self) -> bool {
        self.rest == 0
    }

    const fn has(self, hash: u64) -> bool {
        hash % self.divisor == self.rest
    }

    /// The one after this; smaller ones, from the first, if this had too many keys.
    const fn next(self, had_too_many: bool) -> Self {
        if had_too_many {
            return Self { rest: 0, divisor: self.divisor.saturating_mul(2) };
        }
        Self { rest: (self.rest + 1) % self.divisor, divisor: self.divisor }
    }
}

impl Default for Slice {
    fn default() -> Self {
        Self::ALL
    }
}

/// The last record of a key.
struct Last {
    offset: u64,
    /// No earlier one was seen.
    is_only: bool,
    is_old_tombstone: bool,
}

/// The last records, by key.
struct Lasts {
    by_key: HashMap<(u64, u64), Last>,
    secrets: (RandomState, RandomState),
    slice: Slice,
    keys_max: usize,
    had_too_many: bool,
}

impl Lasts {
    fn new(slice: Slice, keys_max: usize) -> Self {
        let secrets = (RandomState::new(), RandomState::new());
        Self { by_key: HashMap::new(), secrets, slice, keys_max, had_too_many: false }
    }

    fn add(&mut self, offset: u64, record: &Record, tombstones_before_ms: i64) {
        let Some(key) = &record.key else { return };
        let hash = self.hash(key);
        // The secret changes with each pass; the slice must not.
        if !self.slice.has(u64::from(crate::murmur2(key))) {
            return;
        }
        let is_old_tombstone = record.value.is_none() && record.timestamp_ms < tombstones_before_ms;
        let is_full = self.by_key.len() >= self.keys_max;
        match self.by_key.entry(hash) {
            Entry::Occupied(mut last) => {
                last.insert(Last { offset, is_only: false, is_old_tombstone });
            }
            Entry::Vacant(_) if is_full => self.had_too_many = true,
            Entry::Vacant(place) => {
                place.insert(Last { offset, is_only: true, is_old_tombstone });
            }
        }
    }

    /// Whether nobody needs the record any more.
    fn supersede(&self, offset: u64, record: &Record) -> bool {
        let Some(last) = record.key.as_ref().and_then(|key| self.by_key.get(&self.hash(key))) else {
            return false;
        };
        offset < last.offset || (offset == last.offset && last.is_only && last.is_old_tombstone)
    }

    fn hash(&self, key: &Bytes) -> (u64, u64) {
        (self.secrets.0.hash_one(key), self.secrets.1.hash_one(key))
    }
}

/// Makes one pass. Blocks on the disk.
pub(crate) fn run(pass: &Pass) -> Result<Compacted, FileError> {
    run_with(pass, COMPACTION_KEYS_MAX)
}

pub(crate) fn run_with(pass: &Pass, keys_max: usize) -> Result<Compacted, FileError> {
    let mut lasts = Lasts::new(pass.slice, keys_max);
    for segment in &pass.segments {
        pass.each_record(segment, |offset, record| {
            lasts.add(offset, &record, pass.tombstones_before_ms);
            Ok(())
        })?;
    }
    let mut segments = Vec::new();
    for segment in &pass.segments {
        segments.extend(pass.rewrite(segment, &lasts)?);
    }
    Ok(Compacted { segments, next_slice: pass.slice.next(lasts.had_too_many) })
}

impl Pass {
    /// Walks a segment, which must be whole.
    fn each_record(
        &self,
        segment: &Segment,
        mut take: impl FnMut(u64, Record) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let path = segment_path(&self.directory, segment.base_offset);
        let file = File::open(&path).map_err(IoFailure::of("open", &path))?;
        let mut cursor = BatchCursor::new(segment.base_offset);
        loop {
            // Relaxed: a hint, nothing depends on when it is seen.
            if self.is_cancelled.load(Ordering::Relaxed) {
                let reason = io::Error::new(io::ErrorKind::Interrupted, "the log is being closed");
                return Err(IoFailure::of("compact", &path)(reason));
            }
            let (position, expected_offset) = (cursor.position, cursor.next_offset);
            let damaged = |fault| -> FileError {
                Corruption { file: path.clone(), position, expected_offset, fault }.into()
            };
            match cursor.next_batch(&file).map_err(IoFailure::of("read", &path))? {
                Ok((header, bytes)) => {
                    let batch = Bytes::copy_from_slice(bytes);
                    for (offset, record) in
                        decode_sparse_batch(&batch, header.base_offset).map_err(damaged)?
                    {
                        take(offset, record)?;
                    }
                }
                Err(BatchFault::EndOfFile) if position == segment.bytes => return Ok(()),
                Err(fault) => return Err(damaged(fault)),
            }
        }
    }

    /// Writes a segment anew without what nobody needs. `None`, and no file, if all of it is needed.
    fn rewrite(&self, segment: &Segment, lasts: &Lasts) -> Result<Option<Rewritten>, FileError> {
        let (mut records, mut superseded) = (0_u64, 0_u64);
        let mut last_is_superseded = false;
        self.each_record(segment, |offset, record| {
            records += 1;
            last_is_superseded = lasts.supersede(offset, &record);
            superseded += u64::from(last_is_superseded);
            Ok(())
        })?;
        // The last one stays.
        let records_removed = superseded - u64::from(last_is_superseded);
        if records_removed == 0 {
            return Ok(None);
        }
        let mut rewriter = Rewriter::create(&self.directory, segment.base_offset)?;
        let mut number = 0;
        self.each_record(segment, |offset, record| {
            number += 1;
            if number == records || !lasts.supersede(offset, &record) {
                rewriter.add(offset, record)
            } else {
                Ok(())
            }
        })?;
        let (bytes, index) = rewriter.finish()?;
        Ok(Some(Rewritten { base_offset: segment.base_offset, bytes, index, records_removed }))
    }
}

/// Writes batches that cover all offsets.
struct Rewriter {
    path: PathBuf,
    file: File,
    /// Offset that the next batch begins with.
    base_offset: u64,
    position: u64,
    index: SegmentIndex,
    /// Records of the next batch, and about how many bytes they take.
    gathered: Vec<(u64, Record)>,
    gathered_bytes: usize,
    buffer: Vec<u8>,
}

impl Rewriter {
    fn create(directory: &Path, base_offset: u64) -> Result<Self, FileError> {
        let path = rewrite_path(directory, base_offset);
        let file = File::create(&path).map_err(IoFailure::of("create", &path))?;
        Ok(Self {
            path,
            file,
            base_offset,
            position: 0,
            index: SegmentIndex::new(base_offset),
            gathered: Vec::new(),
            gathered_bytes: 0,
            buffer: Vec::new(),
        })
    }

    fn add(&mut self, offset: u64, record: Record) -> Result<(), FileError> {
        let bytes = record_bytes(&record);
        let is_full = self.gathered_bytes + bytes > COMPACTED_BATCH_BYTES
            || self.gathered.len() == RECORDS_PER_BATCH_MAX;
        if is_full && !self.gathered.is_empty() {
            self.write_batch()?;
        }
        self.gathered.push((offset, record));
        self.gathered_bytes += bytes;
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), FileError> {
        let Some((last_offset, _)) = self.gathered.last() else { return Ok(()) };
        let next_offset = last_offset + 1;
        self.buffer.clear();
        let mut batch = BatchWriter::new(&mut self.buffer, self.base_offset);
        let mut max_timestamp_ms = i64::MIN;
        for (offset, record) in &self.gathered {
            // A segment of a GiB has fewer offsets than fit.
            let delta = usize::try_from(offset - self.base_offset).expect("offsets of one segment");
            batch.push_at(delta, record);
            max_timestamp_ms = max_timestamp_ms.max(record.timestamp_ms);
        }
        batch.finish();
        self.file.write_all(&self.buffer).map_err(IoFailure::of("write", &self.path))?;
        self.index.add(self.base_offset, self.position, max_timestamp_ms);
        self.position += self.buffer.len() as u64;
        self.base_offset = next_offset;
        self.gathered.clear();
        self.gathered_bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(u64, SegmentIndex), FileError> {
        self.write_batch()?;
        self.file.sync_all().map_err(IoFailure::of("sync", &self.path))?;
        self.index.set_committed_bytes(self.position);
        Ok((self.position, self.index))
    }
}
