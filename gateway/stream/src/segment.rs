//! Segment files: their names, and the walk over the batches of one.
//!
//! A segment is nothing but batches, one after the other, and its name is the offset of its first record in 20 digits,
//! as in Kafka. So the end of one segment is the name of the next, and a walk needs no index: [`BatchCursor`] goes from
//! batch to batch and checks each against the offset that must come next. It reads ahead, so that small batches do not
//! cost a system call each.
//!
//! The cursor only ever says what is wrong with the next batch. Whether that is a torn tail, a batch that is being
//! written, or damage is for the caller: `recovery.rs` and `reader.rs` know different things.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{FileError, IoFailure};
use crate::limits::{BATCH_HEADER_BYTES, READ_AHEAD_BYTES};
use crate::record_batch::{BatchFault, BatchHeader};

/// One segment of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// Offset of its first record.
    pub(crate) base_offset: u64,
    /// Bytes of its valid batches.
    pub(crate) bytes: u64,
}

/// The file of the segment that begins at `base_offset`.
pub(crate) fn segment_path(directory: &Path, base_offset: u64) -> PathBuf {
    directory.join(format!("{base_offset:020}.log"))
}

/// The file into which the segment is rewritten, until it takes its place.
pub(crate) fn rewrite_path(directory: &Path, base_offset: u64) -> PathBuf {
    directory.join(format!("{base_offset:020}{REWRITE_SUFFIX}"))
}

const REWRITE_SUFFIX: &str = ".log.compacting";

/// Removes what a compaction that was cut short has left.
pub(crate) fn remove_unfinished_rewrites(directory: &Path) -> Result<(), FileError> {
    let remove = || -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.ends_with(REWRITE_SUFFIX)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().map_err(IoFailure::of("clean up", directory))
}

/// The base offset in a file name; `None` if it is no segment's.
pub(crate) fn base_offset_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// The base offsets of a partition's segments, ascending. Other files are left alone.
pub(crate) fn list_segments(directory: &Path) -> Result<Vec<u64>, FileError> {
    let list = || -> io::Result<Vec<u64>> {
        let mut base_offsets = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            base_offsets.extend(entry?.file_name().to_str().and_then(base_offset_of_name));
        }
        base_offsets.sort_unstable();
        Ok(base_offsets)
    };
    list().map_err(IoFailure::of("list", directory))
}

/// Makes creations and removals in a directory last.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), FileError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(IoFailure::of("sync", directory))
}

/// Creates a directory and those above it, as far as they are missing, and makes them last: after a loss of power they
/// are there.
///
/// # Errors
/// If the system refuses to create or to sync one of them.
pub fn create_directory(directory: &Path) -> Result<(), FileError> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_directory(parent)?;
    match std::fs::create_dir(directory) {
        // By another process, meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => created.map_err(IoFailure::of("create", directory))?,
    }
    sync_directory(parent)
}

/// Walks the batches of a segment.
#[derive(Debug)]
pub(crate) struct BatchCursor {
    /// Byte at which the next batch begins.
    pub(crate) position: u64,
    /// Offset that the next batch must begin with.
    pub(crate) next_offset: u64,
    /// Bytes of the file from `window_at` on.
    window: Vec<u8>,
    window_at: u64,
}

impl BatchCursor {
    /// At the start of the segment with this base offset.
    pub(crate) const fn new(base_offset: u64) -> Self {
        Self::at(0, base_offset)
    }

    /// At the byte where the batch with this base offset begins.
    pub(crate) const fn at(position: u64, next_offset: u64) -> Self {
        Self { position, next_offset, window: Vec::new(), window_at: position }
    }

    /// The next batch, verified, and its bytes; the cursor moves past it. At a fault the cursor stays, and the file is
    /// read again by the next call.
    pub(crate) fn next_batch(&mut self, file: &File) -> io::Result<Result<(BatchHeader, &[u8]), BatchFault>> {
        let checked = self.check_next(file)?;
        match checked {
            Err(fault) => {
                self.window.clear();
                Ok(Err(fault))
            }
            Ok(header) => {
                let start = self.index_of_position();
                self.position += header.batch_bytes as u64;
                self.next_offset = header.next_offset();
                Ok(Ok((header, &self.window[start..start + header.batch_bytes])))
            }
        }
    }

    fn check_next(&mut self, file: &File) -> io::Result<Result<BatchHeader, BatchFault>> {
        self.fill(file, BATCH_HEADER_BYTES)?;
        if self.ahead().is_empty() {
            return Ok(Err(BatchFault::EndOfFile));
        }
        let header = match BatchHeader::parse(self.ahead()) {
            Ok(header) => header,
            Err(fault) => return Ok(Err(fault)),
        };
        self.fill(file, header.batch_bytes)?;
        Ok(header.verify_sparse(self.ahead(), self.next_offset).map(|()| header))
    }

    /// What the window holds from the position on.
    fn ahead(&self) -> &[u8] {
        &self.window[self.index_of_position()..]
    }

    fn index_of_position(&self) -> usize {
        // The position only moves on, and the window with it.
        let index = usize::try_from(self.position - self.window_at).unwrap_or(usize::MAX);
        index.min(self.window.len())
    }

    /// Makes the window hold `bytes` bytes from the position on, or all that the file has.
    fn fill(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        if self.ahead().len() >= bytes {
            return Ok(());
        }
        self.window.resize(bytes.max(READ_AHEAD_BYTES), 0);
        self.window_at = self.position;
        let read = read_up_to(file, &mut self.window, self.position);
        self.window.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|_| ())
    }
}

/// Fills the buffer from `position` on as far as the file goes. Returns how many bytes were read.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twenty_digits_name_a_segment() {
        let path = segment_path(Path::new("p"), 52_113);
        assert_eq!(path, Path::new("p/00000000000000052113.log"));
        assert_eq!(base_offset_of_name("00000000000000052113.log"), Some(52_113));
        for name in ["52113.log", "00000000000000052113.index", "+0000000000000052113.log", ".lock"] {
            assert_eq!(base_offset_of_name(name), None, "{name}");
        }
        // More than 64 bits.
        assert_eq!(base_offset_of_name("99999999999999999999.log"), None);
    }
}
