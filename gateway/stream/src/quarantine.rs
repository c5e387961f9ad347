//! Damage that is set aside when a log is opened, so that the rest can be served and nothing is lost in silence.
//!
//! ```text
//! before   00…100.log  [b][b][?][b][b]                        00…180.log
//! after    00…100.log  [b][b]         00…140.log  [b][b]      00…180.log
//!          00…120-00…140.untold-gap    offsets 120 to 139 are gone; renamed to .gap when that was told
//!          <quarantine>/00…100.log     the segment as it was found, for a person to look at
//! ```
//!
//! Offsets stay what they are: the segment is cut before the damage, and what is valid after it begins a segment of its
//! own. A gap between two segments is legal only where a gap file says so, so the next opening still notices a segment
//! that is missing. No offset below the end of a gap is ever given to another record: where nothing valid follows, the
//! gap is as long as the records can have been that the damaged bytes held.
//!
//! The checksum of a batch leaves out its offset. So what follows the damage counts as valid only if its offset is
//! confirmed by what comes after it: the next batch, or the name of the next segment.
//!
//! The order of the steps (copy, gap, rest, cut) is such that a crash between any two leaves files that the next
//! opening brings to the same end.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Corruption, FileError, IoFailure};
use crate::limits::{BATCH_HEADER_BYTES, READ_AHEAD_BYTES, RECORD_BYTES_MIN};
use crate::record_batch::{BatchFault, BatchHeader};
use crate::recovery::examine_tail;
use crate::segment::{
    BatchCursor, base_offset_of_name, create_directory, list_segments, read_up_to, rewrite_path,
    segment_path, sync_directory,
};

const TOLD: &str = ".gap";
const UNTOLD: &str = ".untold-gap";

/// Offsets that are gone because what held them was damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The first that is gone.
    pub first_offset: u64,
    /// The first that is there again, or may be.
    pub next_offset: u64,
    /// How many damaged bytes were set aside; 0 if a whole segment was missing.
    pub bytes: u64,
}

/// What was set aside by this opening.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAside {
    /// Where it was found, and what was wrong.
    pub corruption: Corruption,
    /// The copy of the segment as it was; `None` if there was none to copy.
    pub copy: Option<PathBuf>,
    /// The offsets that are gone: none, if what was damaged held no record.
    pub offsets: std::ops::Range<u64>,
    /// How many bytes are not served any more.
    pub bytes: u64,
}

/// The gaps of a partition.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    next_by_first: BTreeMap<u64, u64>,
    untold: Vec<Gap>,
}

impl Gaps {
    /// Reads the gap files.
    pub(crate) fn list(directory: &Path) -> Result<Self, FileError> {
        let mut gaps = Self::default();
        for entry in std::fs::read_dir(directory).map_err(IoFailure::of("list", directory))? {
            let path = entry.map_err(IoFailure::of("list", directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let untold = name.strip_suffix(UNTOLD);
            let Some((first_offset, next_offset)) =
                untold.or_else(|| name.strip_suffix(TOLD)).and_then(offsets_of_name)
            else {
                continue;
            };
            gaps.next_by_first.insert(first_offset, next_offset);
            if untold.is_some() {
                let text = std::fs::read_to_string(&path).map_err(IoFailure::of("read", &path))?;
                let bytes = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
                gaps.untold.push(Gap { first_offset, next_offset, bytes });
            }
        }
        gaps.untold.sort_unstable_by_key(|gap| gap.first_offset);
        Ok(gaps)
    }

    /// Where offsets go on that have come to `offset`.
    pub(crate) fn pass(&self, mut offset: u64) -> u64 {
        // Each leads to a greater one.
        while let Some(next_offset) = self.next_by_first.get(&offset) {
            offset = *next_offset;
        }
        offset
    }

    /// No offset below this is given to a record any more.
    pub(crate) fn end(&self) -> u64 {
        self.next_by_first.values().copied().max().unwrap_or(0)
    }

    /// Those that nobody has confirmed to have told.
    pub(crate) fn into_untold(self) -> Vec<Gap> {
        self.untold
    }
}

/// Notes that the gaps were told.
pub(crate) fn confirm_told(directory: &Path) -> Result<(), FileError> {
    let gaps = Gaps::list(directory)?;
    for gap in gaps.untold {
        let path = |suffix| gap_path(directory, gap.first_offset, gap.next_offset, suffix);
        std::fs::rename(path(UNTOLD), path(TOLD)).map_err(IoFailure::of("rename", &path(UNTOLD)))?;
    }
    sync_directory(directory)
}

/// Makes a gap legal that lies between two segments.
pub(crate) fn write_gap(directory: &Path, gap: Gap, fault: &str) -> Result<(), FileError> {
    let path = gap_path(directory, gap.first_offset, gap.next_offset, UNTOLD);
    let write = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        writeln!(file, "{} bytes: {fault}", gap.bytes)?;
        file.sync_all()
    };
    write().map_err(IoFailure::of("write", &path))?;
    sync_directory(directory)
}

fn gap_path(directory: &Path, first_offset: u64, next_offset: u64, suffix: &str) -> PathBuf {
    directory.join(format!("{first_offset:020}-{next_offset:020}{suffix}"))
}

fn offsets_of_name(name: &str) -> Option<(u64, u64)> {
    let (first, next) = name.split_once('-')?;
    let (first, next) = (first.parse().ok()?, next.parse().ok()?);
    (first < next).then_some((first, next))
}

/// A segment and the place in it from which on it is not what it should be.
struct Damage {
    base_offset: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
    position: u64,
    expected_offset: u64,
    /// Where the next segment begins.
    next_base_offset: Option<u64>,
}

/// Sets aside what is damaged there, so that the partition can be opened, or shows its next damage.
pub(crate) fn set_aside(
    directory: &Path,
    quarantine: &Path,
    corruption: &Corruption,
    has_gaps: bool,
) -> Result<SetAside, FileError> {
    let fault = corruption.fault.to_string();
    if let BatchFault::SegmentGap { expected, found } = corruption.fault
        && expected < found
    {
        write_gap(directory, Gap { first_offset: expected, next_offset: found, bytes: 0 }, &fault)?;
        let corruption = corruption.clone();
        return Ok(SetAside { corruption, copy: None, offsets: expected..found, bytes: 0 });
    }
    let damage = Damage::find(directory, corruption)?;
    let copy = damage.copy(quarantine)?;
    // A segment with a wrong name is no segment in which to look for more.
    let is_misnamed = matches!(corruption.fault, BatchFault::SegmentGap { .. });
    let rest = if is_misnamed { None } else { damage.rest(has_gaps)? };
    let next_offset = rest.map(|(_, offset)| offset).or(damage.next_base_offset);
    let next_offset = next_offset.unwrap_or_else(|| damage.offset_after_all());
    let bytes = rest.map_or(damage.bytes, |(position, _)| position) - damage.position;
    let first_offset = damage.expected_offset;
    if first_offset < next_offset {
        write_gap(directory, Gap { first_offset, next_offset, bytes }, &fault)?;
    }
    if let Some((position, offset)) = rest {
        damage.write_rest(directory, position, offset)?;
    }
    damage.cut(rest.is_some_and(|(_, offset)| offset == damage.base_offset))?;
    sync_directory(directory)?;
    let corruption = corruption.clone();
    Ok(SetAside { corruption, copy: Some(copy), offsets: first_offset..next_offset, bytes })
}

impl Damage {
    fn find(directory: &Path, corruption: &Corruption) -> Result<Self, FileError> {
        let base_offsets = list_segments(directory)?;
        let named = corruption.file.file_name().and_then(|name| name.to_str()).and_then(base_offset_of_name);
        let named = named.expect("damage is found in segments");
        let (base_offset, position, expected_offset) = match corruption.fault {
            // The segment before has more records than there is room for: one of the two is not what its name says.
            BatchFault::SegmentGap { .. } => {
                let before = base_offsets.iter().rev().find(|base_offset| **base_offset < named);
                let before = *before.expect("an end comes from a segment");
                (before, 0, before)
            }
            _ => (named, corruption.position, corruption.expected_offset),
        };
        let next_base_offset = base_offsets.into_iter().find(|other| *other > base_offset);
        let path = segment_path(directory, base_offset);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(IoFailure::of("open", &path))?;
        let bytes = file.metadata().map_err(IoFailure::of("read", &path))?.len();
        Ok(Self { base_offset, path, file, bytes, position, expected_offset, next_base_offset })
    }

    /// Copies the segment as it is, under a name that is free.
    fn copy(&self, quarantine: &Path) -> Result<PathBuf, FileError> {
        create_directory(quarantine)?;
        let mut path = segment_path(quarantine, self.base_offset);
        let mut number = 1;
        while path.exists() {
            path = quarantine.join(format!("{:020}.{number}.log", self.base_offset));
            number += 1;
        }
        let mut copy = File::create(&path).map_err(IoFailure::of("create", &path))?;
        self.write_from(0, &mut copy).map_err(IoFailure::of("write", &path))?;
        sync_directory(quarantine)?;
        Ok(path)
    }

    /// Where valid batches go on, and with which offset; `None`: nowhere that could be trusted.
    fn rest(&self, has_gaps: bool) -> Result<Option<(u64, u64)>, FileError> {
        let find = || -> io::Result<Option<(u64, u64)>> {
            let mut from = self.position + 1;
            while let Some(position) = examine_tail(&self.file, from)?.valid_batch_at {
                if let Some(offset) = self.offset_confirmed_at(position, has_gaps)? {
                    return Ok(Some((position, offset)));
                }
                from = position + 1;
            }
            Ok(None)
        };
        find().map_err(IoFailure::of("read", &self.path))
    }

    /// The offset of the batch at this position, if it can be trusted.
    fn offset_confirmed_at(&self, position: u64, has_gaps: bool) -> io::Result<Option<u64>> {
        let mut header = [0; BATCH_HEADER_BYTES];
        read_up_to(&self.file, &mut header, position)?;
        let Ok(BatchHeader { base_offset, .. }) = BatchHeader::parse(&header) else { return Ok(None) };
        let mut cursor = BatchCursor::at(position, base_offset);
        let is_sound = match cursor.next_batch(&self.file)? {
            Ok((header, _)) => has_gaps || header.check_dense().is_ok(),
            Err(_) => false,
        };
        let end = cursor.next_offset;
        let is_confirmed = match cursor.next_batch(&self.file)? {
            Ok(_) => true,
            Err(BatchFault::EndOfFile) => self.next_base_offset == Some(end),
            Err(_) => false,
        };
        let has_room = base_offset >= self.expected_offset
            && self.next_base_offset.is_none_or(|next_base_offset| end <= next_base_offset)
            && (has_gaps || base_offset <= self.expected_offset + records_max(position - self.position));
        Ok((is_sound && is_confirmed && has_room).then_some(base_offset))
    }

    /// An offset that no record of the damaged part can have had.
    fn offset_after_all(&self) -> u64 {
        // The last segment is never compacted: its records have no gaps.
        self.expected_offset.saturating_add(records_max(self.bytes - self.position))
    }

    /// Writes the rest as a segment that begins with `offset`.
    fn write_rest(&self, directory: &Path, position: u64, offset: u64) -> Result<(), FileError> {
        // Opening removes what a crash leaves of it.
        let unfinished = rewrite_path(directory, offset);
        let mut rest = File::create(&unfinished).map_err(IoFailure::of("create", &unfinished))?;
        self.write_from(position, &mut rest).map_err(IoFailure::of("write", &unfinished))?;
        let path = segment_path(directory, offset);
        std::fs::rename(&unfinished, &path).map_err(IoFailure::of("rename", &unfinished))?;
        sync_directory(directory)
    }

    /// Leaves what stands before the damage.
    fn cut(&self, was_replaced: bool) -> Result<(), FileError> {
        if was_replaced {
            return Ok(());
        }
        if self.position == 0 {
            return std::fs::remove_file(&self.path).map_err(IoFailure::of("remove", &self.path));
        }
        let cut = || {
            self.file.set_len(self.position)?;
            self.file.sync_all()
        };
        cut().map_err(IoFailure::of("cut", &self.path))
    }

    fn write_from(&self, mut position: u64, target: &mut File) -> io::Result<()> {
        let mut buffer = vec![0; READ_AHEAD_BYTES];
        loop {
            let count = read_up_to(&self.file, &mut buffer, position)?;
            if count == 0 {
                return target.sync_all();
            }
            target.write_all(&buffer[..count])?;
            position += count as u64;
        }
    }
}

/// The most records that so many bytes can hold.
const fn records_max(bytes: u64) -> u64 {
    bytes.div_ceil(RECORD_BYTES_MIN as u64)
}

#[cfg(test)]
mod tests;
