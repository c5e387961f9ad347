//! How bytes reach the disk: through io_uring, or through tokio's blocking pool where io_uring is refused.
//!
//! Only appends and syncs go this way, since only they happen all the time while the gateway serves. Opening, reading and
//! cutting files is done with `std::fs`, in the blocking pool.
//!
//! Buffers are owned by the operation while it runs (the kernel reads them) and come back with its result, so one
//! buffer serves all commits of a partition. An operation whose future is dropped goes on by itself: the partition then
//! counts as failed (`partition_log.rs`), and [`StorageFile::close`] waits for it, so that no write lands late.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::error::{FileError, IoFailure};

/// Which interface writes and syncs.
#[derive(Clone, Debug)]
pub enum Storage {
    /// io_uring. The caller runs in a `tokio_uring` runtime, or the first append panics.
    Uring,
    /// System calls in the blocking pool of the tokio runtime that the caller runs in.
    Tokio,
    /// Fails when the test says so.
    #[cfg(test)]
    Faulty(Arc<crate::testing::Faults>),
}

/// An open file that is appended to.
#[derive(Debug)]
pub(crate) enum StorageFile {
    Uring(tokio_uring::fs::File),
    Tokio {
        file: Arc<std::fs::File>,
        /// Held by the operation that runs, to its end, even if nobody waits for it any more.
        at_work: Arc<Mutex<()>>,
    },
    #[cfg(test)]
    Faulty(std::fs::File, Arc<crate::testing::Faults>),
}

impl Storage {
    /// Takes over an open file.
    pub(crate) fn adopt(&self, file: std::fs::File) -> StorageFile {
        match self {
            Self::Uring => StorageFile::Uring(tokio_uring::fs::File::from_std(file)),
            Self::Tokio => StorageFile::Tokio { file: Arc::new(file), at_work: Arc::default() },
            #[cfg(test)]
            Self::Faulty(faults) => StorageFile::Faulty(file, Arc::clone(faults)),
        }
    }
}

/// Which half of a commit failed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The write, or the sync that is a part of it.
    Write(io::Error),
    /// A sync of its own.
    #[cfg_attr(not(test), expect(dead_code, reason = "the faulty disk of the tests has one"))]
    Sync(io::Error),
}

impl StorageFile {
    /// Writes the whole buffer at `position`. Gives the buffer back. `sync`: the data must be on the disk when it returns
    /// (data and file size, not times). Files of which that is asked were opened for it ([`crate::recovery::Writing::Synced`]), so it costs
    /// no second operation.
    pub(crate) async fn commit(
        &self,
        buffer: Vec<u8>,
        position: u64,
        #[cfg_attr(not(test), expect(unused_variables, reason = "the file was opened for it"))] sync: bool,
    ) -> (Result<(), CommitError>, Vec<u8>) {
        match self {
            Self::Uring(file) => {
                let (written, buffer) = file.write_all_at(buffer, position).await;
                (written.map_err(CommitError::Write), buffer)
            }
            Self::Tokio { file, at_work } => {
                let file = Arc::clone(file);
                let guard = Arc::clone(at_work).lock_owned().await;
                let task = tokio::task::spawn_blocking(move || {
                    let result = file.write_all_at(&buffer, position).map_err(CommitError::Write);
                    drop(guard);
                    (result, buffer)
                });
                task.await
                    .unwrap_or_else(|error| (Err(CommitError::Write(io::Error::other(error))), Vec::new()))
            }
            #[cfg(test)]
            Self::Faulty(file, faults) => {
                faults.power.step().await;
                let mut result = faults.write(file, &buffer, position).map_err(CommitError::Write);
                if sync && result.is_ok() {
                    faults.power.step().await;
                    result = faults.sync(file).map_err(CommitError::Sync);
                }
                (result, buffer)
            }
        }
    }

    /// Waits until all data written so far is on the disk.
    pub(crate) async fn sync(&self) -> io::Result<()> {
        match self {
            Self::Uring(file) => file.sync_data().await,
            Self::Tokio { file, at_work } => {
                let file = Arc::clone(file);
                let guard = Arc::clone(at_work).lock_owned().await;
                let task = tokio::task::spawn_blocking(move || {
                    let result = file.sync_data();
                    drop(guard);
                    result
                });
                task.await.unwrap_or_else(|error| Err(io::Error::other(error)))
            }
            #[cfg(test)]
            Self::Faulty(file, faults) => {
                faults.power.step().await;
                faults.sync(file)
            }
        }
    }

    /// Waits until no operation uses the file any more, also those whose futures were dropped, and closes it.
    pub(crate) async fn close(self) {
        match self {
            // Waits for the operations in flight. Nothing is lost by a close that fails: what counts was synced.
            Self::Uring(file) => drop(file.close().await),
            Self::Tokio { at_work, .. } => drop(at_work.lock().await),
            #[cfg(test)]
            Self::Faulty(..) => {}
        }
    }
}

/// Runs what may wait for the disk in the blocking pool; both runtimes have one.
pub(crate) async fn run_blocking<T: Send + 'static, E: From<FileError> + Send + 'static>(
    operation: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The pool is being shut down, or the work panicked.
        Err(error) => Err(IoFailure::of(operation, path)(io::Error::other(error)).into()),
    }
}
