//! Opening a partition after anything: which batches count, what is cut, what is refused.
//!
//! Every segment is walked from its start, each batch checked against the offset that must come next, its bounds and
//! its checksum.
//!
//! ```text
//! sealed     sealed     active
//! [b][b][b]  [b][b][b]  [b][b][b?????        a bad end, and nothing valid after it: torn, cut to the last good batch
//! [b][b][b]  [b][b][b]  [b][b][b]0000000     zeros: the rest of a file that grew and was not written, cut
//! [b][b][b]  [b][b][b]  [b][?][b]            something valid after it: damage, refused
//! [b][b][b]  [b][?][b]  …                    anything in a sealed segment: damage, refused
//! [b][b][b]             [b]                  a gap between two segments: damage, refused
//! ```
//!
//! Why a bad end may be cut: an append counts as committed only after its sync, the next one starts only then, and the
//! active segment was synced before the sealing. So what a crash can tear is the last append, which nobody was told of.
//! Damage to the last batch after it was committed looks the same and is cut as well: this is why cuts are reported.
//! A batch whose checksum is right but whose offset, magic or epoch is not cannot come from a torn write; it is damage.
//!
//! Damage is refused and the files stay as they are: cutting it would drop committed records without a word. Where the
//! log is told to ([`OnDamage::Quarantine`]), `quarantine.rs` sets it aside instead, and then the partition is opened anew.

mod search;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[cfg(doc)]
use crate::OnDamage;
use crate::error::{Corruption, FileError, IoFailure};
use crate::quarantine::{self, Gap, Gaps, SetAside};
use crate::record_batch::BatchFault;
use crate::segment::{
    BatchCursor, Segment, list_segments, remove_unfinished_rewrites, segment_path, sync_directory,
};
use crate::view::SegmentIndex;

pub(crate) use search::examine_tail;

/// What opening a log found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryReport {
    /// One a partition, by number.
    pub partitions: Vec<RecoveredPartition>,
}

impl RecoveryReport {
    /// The tails that were cut.
    pub fn cut_tails(&self) -> impl Iterator<Item = &CutTail> {
        self.partitions.iter().filter_map(|partition| partition.cut_tail.as_ref())
    }

    /// What was damaged and was set aside.
    pub fn set_aside(&self) -> impl Iterator<Item = &SetAside> {
        self.partitions.iter().flat_map(|partition| &partition.set_aside)
    }
}

/// What was found of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveredPartition {
    /// Which one.
    pub partition: u32,
    /// How many segments it has.
    pub segments: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// The oldest record's offset.
    pub start_offset: u64,
    /// The offset that the next record gets.
    pub next_offset: u64,
    /// The tail of the active segment, if it had to be cut.
    pub cut_tail: Option<CutTail>,
    /// What was damaged and was set aside.
    pub set_aside: Vec<SetAside>,
    /// What damage has cost, now or at an earlier opening, as long as [`crate::EventLog::confirm_told`] was not called.
    pub untold: Vec<Gap>,
}

/// A tail that was no valid batch, and is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutTail {
    /// The segment.
    pub file: PathBuf,
    /// Where it was cut: its length now.
    pub position: u64,
    /// How many bytes went.
    pub bytes: u64,
    /// Offset that the first record of the tail would have had; the next record gets it.
    pub offset: u64,
    /// What was wrong with the first batch of the tail.
    pub fault: BatchFault,
    /// Whether all of them were zero: the file had grown and nothing had been written. Else a write was torn.
    pub was_zero: bool,
}

/// A partition that is ready for appends.
#[derive(Debug)]
pub(crate) struct OpenedPartition {
    /// Oldest first; the last one is active.
    pub(crate) segments: Vec<Segment>,
    /// Where their batches are.
    pub(crate) indexes: Vec<SegmentIndex>,
    /// The active segment.
    pub(crate) file: File,
    pub(crate) next_offset: u64,
    pub(crate) cut_tail: Option<CutTail>,
    pub(crate) set_aside: Vec<SetAside>,
    pub(crate) untold: Vec<Gap>,
}

/// How a partition is opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) directory: PathBuf,
    /// Compaction may have taken records out.
    pub(crate) has_gaps: bool,
    /// Where damage is set aside; `None`: it is refused.
    pub(crate) quarantine: Option<PathBuf>,
    pub(crate) writing: Writing,
}

/// What a write to the active segment means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Writing {
    /// When it returns, the data is on the disk: `O_DSYNC`, a write and an `fdatasync` in one operation.
    Synced,
    /// It is in the page cache.
    Cached,
}

/// Opens a partition: creates it if it is not there, verifies it, cuts a torn tail.
pub(crate) fn open_partition(opening: &Opening) -> Result<OpenedPartition, FileError> {
    let Opening { directory, has_gaps, quarantine, writing } = opening;
    remove_unfinished_rewrites(directory)?;
    let mut set_aside = Vec::new();
    // Each turn leaves fewer damaged bytes, or one gap more that is legal.
    loop {
        match (open_verified(directory, *has_gaps, *writing), quarantine) {
            (Err(FileError::Corrupt(corruption)), Some(quarantine)) => {
                set_aside.push(quarantine::set_aside(directory, quarantine, &corruption, *has_gaps)?);
            }
            (opened, _) => return Ok(OpenedPartition { set_aside, ..opened? }),
        }
    }
}

fn open_verified(directory: &Path, has_gaps: bool, writing: Writing) -> Result<OpenedPartition, FileError> {
    let gaps = Gaps::list(directory)?;
    let base_offsets = list_segments(directory)?;
    let Some((&active_offset, sealed_offsets)) = base_offsets.split_last() else {
        let first = gaps.end();
        return Ok(OpenedPartition {
            file: create_segment(directory, first, writing)?,
            segments: vec![Segment { base_offset: first, bytes: 0 }],
            indexes: vec![SegmentIndex::new(first)],
            next_offset: first,
            cut_tail: None,
            set_aside: Vec::new(),
            untold: gaps.into_untold(),
        });
    };
    let mut segments = Vec::with_capacity(base_offsets.len());
    let mut indexes = Vec::with_capacity(base_offsets.len());
    let mut next_offset = base_offsets[0];
    for &base_offset in sealed_offsets {
        let path = segment_path(directory, base_offset);
        check_no_gap(&path, next_offset, base_offset)?;
        let file = File::open(&path).map_err(IoFailure::of("open", &path))?;
        let end = walk(&path, &file, base_offset, has_gaps)?;
        if end.fault != BatchFault::EndOfFile {
            return Err(end.corruption(path).into());
        }
        segments.push(Segment { base_offset, bytes: end.position });
        indexes.push(end.index);
        next_offset = pass_gap(&gaps, end.next_offset, indexes.last_mut());
    }
    let path = segment_path(directory, active_offset);
    check_no_gap(&path, next_offset, active_offset)?;
    let file = open_for_writing(&path, writing)?;
    let end = walk(&path, &file, active_offset, has_gaps)?;
    let cut_tail =
        if end.fault == BatchFault::EndOfFile { None } else { Some(cut_torn_tail(&path, &file, &end)?) };
    // What a killed writer left in the page cache counts as committed from now on, so it must be on the disk.
    file.sync_all().map_err(IoFailure::of("sync", &path))?;
    sync_directory(directory)?;
    segments.push(Segment { base_offset: active_offset, bytes: end.position });
    indexes.push(end.index);
    let (next_offset, set_aside) = (end.next_offset, Vec::new());
    let mut opened =
        OpenedPartition { segments, indexes, file, next_offset, cut_tail, set_aside, untold: Vec::new() };
    opened.begin_after(&gaps, directory, writing)?;
    opened.untold = gaps.into_untold();
    Ok(opened)
}

/// Where the offsets go on after a segment; if that is not where it ends, its index is told.
fn pass_gap(gaps: &Gaps, end_offset: u64, index: Option<&mut SegmentIndex>) -> u64 {
    let next_offset = gaps.pass(end_offset);
    if let Some(index) = index
        && next_offset != end_offset
    {
        index.end_before_gap(end_offset);
    }
    next_offset
}

impl OpenedPartition {
    /// Begins a segment after the last gap, if the partition ends before that: no offset in a gap is used again.
    fn begin_after(&mut self, gaps: &Gaps, directory: &Path, writing: Writing) -> Result<(), FileError> {
        let (first_offset, base_offset) = (self.next_offset, gaps.end());
        if first_offset >= base_offset {
            return Ok(());
        }
        if pass_gap(gaps, first_offset, self.indexes.last_mut()) != base_offset {
            // A tail was cut before the gap.
            let gap = Gap { first_offset, next_offset: base_offset, bytes: 0 };
            quarantine::write_gap(directory, gap, "cut before a gap")?;
            if let Some(index) = self.indexes.last_mut() {
                index.end_before_gap(first_offset);
            }
        }
        self.file = create_segment(directory, base_offset, writing)?;
        self.segments.push(Segment { base_offset, bytes: 0 });
        self.indexes.push(SegmentIndex::new(base_offset));
        self.next_offset = base_offset;
        Ok(())
    }
}

/// Opens the active segment again after a failed write or sync, and takes everything after `committed` off it. The
/// rest of the partition was verified before and has not been written since.
pub(crate) fn reopen_partition(
    directory: &Path,
    active: Segment,
    next_offset: u64,
    writing: Writing,
) -> Result<File, FileError> {
    // A segment that was begun and not taken into use holds nothing that was committed.
    for base_offset in list_segments(directory)? {
        if base_offset > active.base_offset {
            let path = segment_path(directory, base_offset);
            std::fs::remove_file(&path).map_err(IoFailure::of("remove", &path))?;
        }
    }
    let path = segment_path(directory, active.base_offset);
    let file = open_for_writing(&path, writing)?;
    // Cut first: nothing after the committed end has a claim to be read.
    file.set_len(active.bytes).map_err(IoFailure::of("cut", &path))?;
    // The active segment is never compacted.
    let end = walk(&path, &file, active.base_offset, false)?;
    if (end.position, end.next_offset) != (active.bytes, next_offset) {
        return Err(end.corruption(path).into());
    }
    file.sync_all().map_err(IoFailure::of("sync", &path))?;
    sync_directory(directory)?;
    Ok(file)
}

/// Creates an empty segment that lasts.
pub(crate) fn create_segment(
    directory: &Path,
    base_offset: u64,
    writing: Writing,
) -> Result<File, FileError> {
    let path = segment_path(directory, base_offset);
    let file = writing.options().create_new(true).open(&path);
    let file = file.map_err(IoFailure::of("create", &path))?;
    sync_directory(directory)?;
    Ok(file)
}

fn open_for_writing(path: &Path, writing: Writing) -> Result<File, FileError> {
    writing.options().open(path).map_err(IoFailure::of("open", path))
}

impl Writing {
    fn options(self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if self == Self::Synced {
            options.custom_flags(libc::O_DSYNC);
        }
        options
    }
}

fn check_no_gap(path: &Path, expected: u64, found: u64) -> Result<(), Corruption> {
    if expected == found {
        return Ok(());
    }
    let fault = BatchFault::SegmentGap { expected, found };
    Err(Corruption { file: path.to_owned(), position: 0, expected_offset: expected, fault })
}

/// Where a walk ended, and why.
struct WalkEnd {
    position: u64,
    next_offset: u64,
    fault: BatchFault,
    /// Of the batches before.
    index: SegmentIndex,
}

impl WalkEnd {
    fn corruption(&self, file: PathBuf) -> Corruption {
        Corruption { file, position: self.position, expected_offset: self.next_offset, fault: self.fault }
    }
}

fn walk(path: &Path, file: &File, base_offset: u64, has_gaps: bool) -> Result<WalkEnd, FileError> {
    let mut cursor = BatchCursor::new(base_offset);
    let mut index = SegmentIndex::new(base_offset);
    loop {
        let position = cursor.position;
        let next_offset = cursor.next_offset;
        let batch = cursor.next_batch(file).map_err(IoFailure::of("read", path))?;
        let checked =
            batch.and_then(
                |(header, _)| {
                    if has_gaps { Ok(header) } else { header.check_dense().map(|()| header) }
                },
            );
        match checked {
            Ok(header) => index.add(header.base_offset, position, header.max_timestamp_ms),
            Err(fault) => {
                index.set_committed_bytes(position);
                return Ok(WalkEnd { position, next_offset, fault, index });
            }
        }
    }
}

fn cut_torn_tail(path: &Path, file: &File, end: &WalkEnd) -> Result<CutTail, FileError> {
    let tail = examine_tail(file, end.position).map_err(IoFailure::of("read", path))?;
    if tail.valid_batch_at.is_some() {
        return Err(end.corruption(path.to_owned()).into());
    }
    let cut = || -> io::Result<u64> {
        let bytes = file.metadata()?.len() - end.position;
        file.set_len(end.position)?;
        file.sync_all()?;
        Ok(bytes)
    };
    let bytes = cut().map_err(IoFailure::of("cut", path))?;
    Ok(CutTail {
        file: path.to_owned(),
        position: end.position,
        bytes,
        offset: end.next_offset,
        fault: end.fault,
        was_zero: tail.is_zero,
    })
}
