//! The reader of one partition: where it stands, and what it makes of a place where no valid batch stands.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{LogRecord, Poll};
use crate::error::{Corruption, FileError, IoFailure};
use crate::record_batch::{BatchFault, decode_sparse_batch};
use crate::recovery::examine_tail;
use crate::segment::{BatchCursor, list_segments, segment_path};

/// Reads one partition.
#[derive(Debug)]
pub(super) struct PartitionReader {
    directory: PathBuf,
    segment: Option<OpenSegment>,
    /// The first offset that is wanted; `None`: whatever is the oldest.
    start: Option<u64>,
    /// Batches from this offset on are left alone.
    end: u64,
}

#[derive(Debug)]
struct OpenSegment {
    base_offset: u64,
    path: PathBuf,
    file: File,
    cursor: BatchCursor,
    /// A later segment was seen before the last read: nothing is appended here any more.
    is_sealed: bool,
    /// Position and file length at the last look at something invalid: it is looked at again when either changes.
    examined: Option<(u64, u64)>,
}

/// What to do at a place where no valid batch stands.
enum Next {
    /// Nothing more for now.
    Wait,
    /// Read again: something changed.
    Read,
}

impl PartitionReader {
    pub(super) const fn new(directory: PathBuf) -> Self {
        Self { directory, segment: None, start: None, end: u64::MAX }
    }

    pub(super) const fn starting_at(directory: PathBuf, offset: u64) -> Self {
        Self { directory, segment: None, start: Some(offset), end: u64::MAX }
    }

    pub(super) const fn set_end(&mut self, offset: u64) {
        self.end = offset;
    }

    /// Takes batches until there are no more or the budget is used up.
    pub(super) fn poll(
        &mut self,
        number: u32,
        budget_bytes: &mut usize,
        poll: &mut Poll,
    ) -> Result<(), FileError> {
        loop {
            let Some(segment) = &mut self.segment else {
                self.open_first(poll)?;
                if self.segment.is_none() {
                    // Not there yet, or removed by retention since the listing: next time.
                    return Ok(());
                }
                continue;
            };
            let fault = loop {
                if segment.cursor.next_offset >= self.end {
                    return Ok(());
                }
                if *budget_bytes == 0 {
                    poll.has_more = true;
                    return Ok(());
                }
                if let Err(fault) = segment.take_batch(number, self.start, budget_bytes, poll)? {
                    break fault;
                }
            };
            match self.after(fault, poll)? {
                Next::Read => {}
                Next::Wait => return Ok(()),
            }
        }
    }

    /// Opens the segment that holds the first wanted offset.
    fn open_first(&mut self, poll: &mut Poll) -> Result<(), FileError> {
        let base_offsets = list_segments(&self.directory)?;
        let Some(oldest) = base_offsets.first() else { return Ok(()) };
        let start = self.start.unwrap_or(*oldest);
        let holder = base_offsets.iter().rev().find(|base_offset| **base_offset <= start).unwrap_or(oldest);
        let Some(mut opened) = OpenSegment::open(&self.directory, *holder)? else { return Ok(()) };
        if start > *holder {
            opened.cursor = BatchCursor::at(0, start);
            opened.find_place_again()?;
        }
        poll.skipped_records += holder.saturating_sub(start);
        self.segment = Some(opened);
        Ok(())
    }

    /// Decides what a place without a valid batch means.
    fn after(&mut self, fault: BatchFault, poll: &mut Poll) -> Result<Next, FileError> {
        let segment = self.segment.as_mut().expect("a fault comes from an open segment");
        let base_offsets = list_segments(&self.directory)?;
        let later = base_offsets.iter().copied().find(|base_offset| *base_offset > segment.base_offset);
        if later.is_none() {
            // A segment that was begun after it and undone does not seal it.
            segment.is_sealed = false;
        }
        match (later, fault) {
            (Some(_), _) if !segment.is_sealed => {
                // The rest may have been written between the last read and the listing.
                segment.is_sealed = true;
                Ok(Next::Read)
            }
            (Some(later), BatchFault::EndOfFile) => self.open_next(later, poll),
            (None, BatchFault::EndOfFile) if segment.was_replaced()? => self.open_again(&base_offsets),
            (None, BatchFault::EndOfFile) => segment.after_end_of_file(),
            (_, fault) => segment.examine(fault),
        }
    }

    /// On to the segment that follows; `later` is the first that is listed after the current one.
    fn open_next(&mut self, later: u64, poll: &mut Poll) -> Result<Next, FileError> {
        let segment = self.segment.as_ref().expect("a fault comes from an open segment");
        let next_offset = segment.cursor.next_offset;
        if later < next_offset {
            return Err(segment.corruption(BatchFault::SegmentGap { expected: next_offset, found: later }));
        }
        // By name first: a listing may miss what is created meanwhile.
        let following = OpenSegment::open(&self.directory, next_offset)?;
        if following.is_none() && later > next_offset {
            // Retention removes the oldest segments, so all up to the later one are gone.
            let Some(opened) = OpenSegment::open(&self.directory, later)? else { return Ok(Next::Wait) };
            poll.skipped_records += later - next_offset;
            self.segment = Some(opened);
        } else {
            self.segment = following;
        }
        Ok(Next::Read)
    }

    /// The writer has undone the segment that it had begun, after a failure: back to where the next offset is now.
    fn open_again(&mut self, base_offsets: &[u64]) -> Result<Next, FileError> {
        let segment = self.segment.as_ref().expect("a fault comes from an open segment");
        let next_offset = segment.cursor.next_offset;
        let holder = base_offsets.iter().rev().find(|base_offset| **base_offset <= next_offset);
        let Some(holder) = holder else { return Ok(Next::Wait) };
        let Some(mut opened) = OpenSegment::open(&self.directory, *holder)? else { return Ok(Next::Wait) };
        opened.cursor = BatchCursor::at(0, next_offset);
        opened.find_place_again()?;
        self.segment = Some(opened);
        Ok(Next::Read)
    }
}

impl OpenSegment {
    /// `None` if there is no such segment.
    fn open(directory: &Path, base_offset: u64) -> Result<Option<Self>, FileError> {
        let path = segment_path(directory, base_offset);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IoFailure::of("open", &path)(error)),
            Ok(file) => {
                let cursor = BatchCursor::new(base_offset);
                Ok(Some(Self { base_offset, path, file, cursor, is_sealed: false, examined: None }))
            }
        }
    }

    fn take_batch(
        &mut self,
        partition: u32,
        start: Option<u64>,
        budget_bytes: &mut usize,
        poll: &mut Poll,
    ) -> Result<Result<(), BatchFault>, FileError> {
        let position = self.cursor.position;
        let batch = self.cursor.next_batch(&self.file).map_err(IoFailure::of("read", &self.path))?;
        let (header, bytes) = match batch {
            Ok(batch) => batch,
            Err(fault) => return Ok(Err(fault)),
        };
        let batch = Bytes::copy_from_slice(bytes);
        let records = match decode_sparse_batch(&batch, header.base_offset) {
            Ok(records) => records,
            Err(fault) => {
                self.cursor = BatchCursor::at(position, header.base_offset);
                return Err(self.corruption(fault));
            }
        };
        *budget_bytes = budget_bytes.saturating_sub(batch.len());
        // A batch may begin before the first wanted offset.
        let wanted = records.into_iter().filter(|(offset, _)| Some(*offset) >= start);
        poll.records.extend(wanted.map(|(offset, record)| LogRecord { partition, offset, record }));
        Ok(Ok(()))
    }

    /// Whether the file's name is gone or stands for another file.
    fn was_replaced(&self) -> Result<bool, FileError> {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let open = self.file.metadata().map_err(IoFailure::of("read", &self.path))?;
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            named => Ok(identity(named.map_err(IoFailure::of("read", &self.path))?) != identity(open)),
        }
    }

    /// Nothing stands at the position, and no later segment is there.
    fn after_end_of_file(&mut self) -> Result<Next, FileError> {
        if self.file_bytes()? >= self.cursor.position {
            return Ok(Next::Wait);
        }
        // The writer has cut what had been read.
        self.find_place_again()?;
        Ok(Next::Read)
    }

    /// Something stands at the position that is no valid batch. Is it being written, was it written anew since it was
    /// read, or is it damaged?
    fn examine(&mut self, fault: BatchFault) -> Result<Next, FileError> {
        let place = (self.cursor.position, self.file_bytes()?);
        if !self.is_sealed && self.examined == Some(place) {
            return Ok(Next::Wait);
        }
        self.examined = Some(place);
        if self.find_place_again()? {
            return Ok(Next::Read);
        }
        if !self.is_sealed {
            let tail = examine_tail(&self.file, self.cursor.position);
            if tail.map_err(IoFailure::of("read", &self.path))?.valid_batch_at.is_none() {
                return Ok(Next::Wait);
            }
        }
        // The valid one that was found may be the very batch, complete by now. If another follows, then this one was
        // complete before: the writer begins a batch after the one before.
        let mut probe = BatchCursor::at(self.cursor.position, self.cursor.next_offset);
        match probe.next_batch(&self.file).map_err(IoFailure::of("read", &self.path))? {
            Ok(_) => Ok(Next::Read),
            Err(_) => {
                // The next poll comes to the same end.
                self.examined = None;
                Err(self.corruption(fault))
            }
        }
    }

    /// Walks from the start of the segment to the batch that holds the next offset, or as far as there are batches.
    /// Returns whether that is another place.
    fn find_place_again(&mut self) -> Result<bool, FileError> {
        let target = self.cursor.next_offset;
        let mut cursor = BatchCursor::new(self.base_offset);
        let mut place = (cursor.position, cursor.next_offset);
        while place.1 < target {
            let batch = cursor.next_batch(&self.file).map_err(IoFailure::of("read", &self.path))?;
            if batch.is_err() || cursor.next_offset > target {
                break;
            }
            place = (cursor.position, cursor.next_offset);
        }
        let has_moved = place != (self.cursor.position, target);
        self.cursor = BatchCursor::at(place.0, place.1);
        Ok(has_moved)
    }

    fn file_bytes(&self) -> Result<u64, FileError> {
        let metadata = self.file.metadata().map_err(IoFailure::of("read", &self.path))?;
        Ok(metadata.len())
    }

    fn corruption(&self, fault: BatchFault) -> FileError {
        let (position, expected_offset) = (self.cursor.position, self.cursor.next_offset);
        Corruption { file: self.path.clone(), position, expected_offset, fault }.into()
    }
}
