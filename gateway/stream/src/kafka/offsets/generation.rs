//! The directories of the store, and the switch from one log to its compacted successor.
//!
//! ```text
//! <directory>/
//!   .lock
//!   generation-00000000000000000007/     the log: a directory of EventLog
//!   compacting/                          a successor that is being written; nothing, after a crash
//! ```
//!
//! The highest generation counts. A successor gets its number by a rename, when all of it is on the disk, and its
//! predecessor is removed only after that rename is on the disk too. So a crash leaves one complete log at least, and
//! what is of no use is known by its name.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{FileError, IoFailure};
use crate::segment::sync_directory;

const COMPACTING: &str = "compacting";
const PREFIX: &str = "generation-";

pub(super) fn generation_path(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{generation:020}"))
}

pub(super) fn compacting_path(directory: &Path) -> PathBuf {
    directory.join(COMPACTING)
}

/// The generations that are there, ascending.
pub(super) fn list(directory: &Path) -> Result<Vec<u64>, FileError> {
    let mut generations = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(IoFailure::of("list", directory))? {
        let name = entry.map_err(IoFailure::of("list", directory))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let generation = number.and_then(|number| number.parse::<u64>().ok());
        // Only a name that it would be given here: a stray one must not count as the newest.
        let is_own = |generation: &u64| generation_path(directory, *generation).file_name() == Some(&name);
        generations.extend(generation.filter(is_own));
    }
    generations.sort_unstable();
    Ok(generations)
}

/// Removes what a crash left behind. Returns the generation that counts; 1 for a new store.
pub(super) fn clean(directory: &Path) -> Result<u64, FileError> {
    remove(&compacting_path(directory))?;
    let current = list(directory)?.last().copied().unwrap_or(1);
    // The rename may not be on the disk yet, if the crash was of the process alone.
    sync_directory(directory)?;
    remove_before(directory, current)?;
    Ok(current)
}

/// Removes all generations before this one, which is on the disk with its name.
pub(super) fn remove_before(directory: &Path, generation: u64) -> Result<(), FileError> {
    for older in list(directory)?.into_iter().filter(|listed| *listed < generation) {
        remove(&generation_path(directory, older))?;
    }
    Ok(())
}

/// Makes the successor the generation that counts. After an error it may count or not.
pub(super) fn switch(directory: &Path, generation: u64) -> Result<(), FileError> {
    let compacting = compacting_path(directory);
    let path = generation_path(directory, generation);
    std::fs::rename(&compacting, &path).map_err(IoFailure::of("rename", &compacting))
}

/// Removes a log, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(IoFailure::of("remove", path)(error)),
        _ => Ok(()),
    }
}
