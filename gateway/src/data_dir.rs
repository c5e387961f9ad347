//! The small files beside the event log: the epoch, and where a running gateway can be reached.
//!
//! ```text
//! <data-dir>/epoch            a number, one more at every start; fences events of an earlier run
//! <data-dir>/maintenance.json  which nodes operators have put into maintenance, and until when
//! <data-dir>/endpoints.json   addresses and process id of the gateway that runs here
//! <data-dir>/stream/          the event log (pulsegate-stream)
//! <data-dir>/stream/log-id    which log this is, made up once; cursors of sinks name it
//! <data-dir>/sinks/           cursors and dead letters of sinks
//! <data-dir>/groups/          what Kafka consumer groups have committed (pulsegate-stream)
//! <data-dir>/snapshot/nodes   how long each node has been silent, for the next start (`restart.rs`)
//! ```
//!
//! A file is written beside its place, forced to disk and renamed over it, so a reader sees the old one or the new
//! one, whatever happens in between.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What can go wrong with the small files.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The file system refused.
    #[error("{}: {action} failed: {source}; check that the directory exists, is writable and has room", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The directory itself cannot be made.
    #[error("{0}; choose a data directory that can be written")]
    Directory(pulsegate_stream::FileError),
    /// The epoch file holds something else than a number.
    #[error(
        "{}: {text:?} is not an epoch; an epoch must never fall, so write a number above the highest `epoch` in the \
         event log into this file",
        path.display()
    )]
    BadEpoch {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// The file with the nodes in maintenance holds something else.
    #[error(
        "{}: not a list of nodes in maintenance ({reason}); mend it, or remove it and order the maintenance again",
        path.display()
    )]
    BadMaintenance {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No gateway has written its addresses here.
    #[error("{}: no gateway runs with this data directory ({source}); start one with `pulsegate serve`", path.display())]
    NotRunning {
        /// Which file.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
}

/// Where a running gateway can be reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoints {
    /// UDP, heartbeats.
    pub heartbeats: SocketAddr,
    /// TCP, metrics and status.
    pub admin: SocketAddr,
    /// TCP, Kafka clients.
    pub kafka: SocketAddr,
    /// Process id.
    pub process_id: u32,
    /// The run of the gateway.
    pub epoch: u64,
}

/// The directory of the event log below the data directory.
#[must_use]
pub fn stream_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("stream")
}

/// The directory of the committed offsets below the data directory.
#[must_use]
pub fn groups_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("groups")
}

/// The directory of the sinks' cursors and dead letters below the data directory.
#[must_use]
pub fn sinks_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("sinks")
}

/// The file of the snapshot below the data directory.
#[must_use]
pub fn snapshot_path(data_dir: &Path) -> PathBuf {
    data_dir.join("snapshot").join("nodes")
}

/// The identity of the event log: made up when it is first asked for, and kept beside the log's segments, so that it goes
/// when they go.
///
/// # Errors
/// When the file system refuses.
pub fn log_identity(data_dir: &Path) -> Result<String, DataDirError> {
    let path = stream_dir(data_dir).join("log-id");
    if let Some(text) = read_optional(&path)? {
        return Ok(String::from_utf8_lossy(&text).trim().to_owned());
    }
    let mut random = [0; 16];
    let source = Path::new("/dev/urandom");
    let filled = File::open(source).and_then(|mut file| file.read_exact(&mut random));
    filled.map_err(|error| io_error(source, "reading", error))?;
    let identity: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    replace(&path, format!("{identity}\n").as_bytes())?;
    Ok(identity)
}

/// The contents of a file; `None` if there is none.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, DataDirError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io_error(path, "reading", source)),
    }
}

/// Makes the data directory if it is not there, so that a loss of power leaves it where it is.
///
/// # Errors
/// When the file system refuses.
pub fn create(data_dir: &Path) -> Result<(), DataDirError> {
    pulsegate_stream::create_directory(data_dir).map_err(DataDirError::Directory)
}

/// Begins a new epoch: one more than the last one that began here. It is on disk before this returns.
///
/// # Errors
/// When the file system refuses, or the file holds something else than a number.
pub fn begin_epoch(data_dir: &Path) -> Result<u64, DataDirError> {
    let path = data_dir.join("epoch");
    let last = match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse::<u64>() {
            Ok(epoch) => epoch,
            Err(_) => return Err(DataDirError::BadEpoch { path, text }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(source) => return Err(io_error(&path, "reading", source)),
    };
    let epoch = last + 1;
    replace(&path, format!("{epoch}\n").as_bytes())?;
    Ok(epoch)
}

/// Tells others where this gateway can be reached.
///
/// # Errors
/// When the file system refuses.
pub fn write_endpoints(data_dir: &Path, endpoints: &Endpoints) -> Result<(), DataDirError> {
    let text = serde_json::to_string_pretty(endpoints).expect("addresses and numbers are JSON");
    replace(&data_dir.join("endpoints.json"), text.as_bytes())
}

/// Reads where the gateway of this data directory can be reached.
///
/// # Errors
/// When no gateway has written it.
pub fn read_endpoints(data_dir: &Path) -> Result<Endpoints, DataDirError> {
    let path = data_dir.join("endpoints.json");
    let text = fs::read(&path).map_err(|source| DataDirError::NotRunning { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|source| DataDirError::NotRunning { path, source: source.into() })
}

/// Says that nobody can be reached here any more. An absent file is as good.
pub fn remove_endpoints(data_dir: &Path) {
    // A file left behind names a process that is gone; readers find that out when they connect.
    let _ = fs::remove_file(data_dir.join("endpoints.json"));
}

/// Puts `contents` into the place of a file, whole and on disk, or leaves the old one.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<(), DataDirError> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let directory = path.parent().expect("the path was made by joining a file name to a directory");
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| io_error(path, "writing", source))
}

fn io_error(path: &Path, action: &'static str, source: std::io::Error) -> DataDirError {
    DataDirError::Io { path: path.to_path_buf(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_grows_by_one_a_start() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(begin_epoch(directory.path()).unwrap(), 1);
        assert_eq!(begin_epoch(directory.path()).unwrap(), 2);
    }

    #[test]
    fn log_has_one_identity_and_a_new_log_another() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(stream_dir(directory.path())).unwrap();
        let identity = log_identity(directory.path()).unwrap();
        assert_eq!((log_identity(directory.path()).unwrap(), identity.len()), (identity.clone(), 32));
        fs::remove_file(stream_dir(directory.path()).join("log-id")).unwrap();
        assert_ne!(log_identity(directory.path()).unwrap(), identity);
    }

    #[test]
    fn damaged_epoch_is_refused_not_restarted() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("epoch"), "12x").unwrap();
        let message = begin_epoch(directory.path()).unwrap_err().to_string();
        assert!(message.contains("12x") && message.contains("epoch"), "{message}");
    }

    #[test]
    fn endpoints_are_read_as_written() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read_endpoints(directory.path()), Err(DataDirError::NotRunning { .. })));
        let endpoints = Endpoints {
            heartbeats: "127.0.0.1:7400".parse().unwrap(),
            admin: "[::1]:7480".parse().unwrap(),
            kafka: "127.0.0.1:7492".parse().unwrap(),
            process_id: 7,
            epoch: 3,
        };
        write_endpoints(directory.path(), &endpoints).unwrap();
        assert_eq!(read_endpoints(directory.path()).unwrap(), endpoints);
    }
}
