//! Takes a snapshot every so often: asks the shards, streams what they give into a file, renames it over the one before.
//!
//! ```text
//!   control thread:  ask ──mailbox──▶ shards, a piece a turn ──desk──▶ gather ─▶ blocking pool: write … sync, rename
//! ```
//!
//! No heartbeat waits: a shard copies a bounded number of slots between two turns and drops nothing if the desk is full, it
//! tries again. The memory is that of the desk and one write. The disk has what one write in so many seconds costs: the interval
//! grows with the file ([`BYTES_PER_SECOND_MAX`]).
//!
//! A snapshot that fails is counted and told; the one before stays, and the next is tried when it is due.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::queue::ArrayQueue;
use pulsegate_engine::Duration;
use pulsegate_engine::snapshot::RECORD_BYTES;
use pulsegate_stream::LogView;

use super::gauges::RestartGauges;
use super::snapshot::Header;
use crate::handoff::{Mailbox, Parcel};
use crate::io::Clock;
use crate::io::control_wake::{ControlSleep, ControlWake};

/// Pieces that wait to be written at most. With [`crate::shard::SNAPSHOT_SLOTS_PER_TURN`] slots each: 5 MiB.
pub const PIECES_MAX: usize = 32;

/// On average no more is written, however large the fleet is: a million nodes every 20 seconds.
pub const BYTES_PER_SECOND_MAX: u64 = 2 * 1_048_576;

/// Longest wait for the next piece. A shard that takes longer is stuck, or far behind.
pub const PIECE_WAIT_MAX: Duration = Duration::from_secs(10);

/// What one shard gives in one turn.
#[derive(Debug)]
pub struct Piece {
    /// Of which snapshot.
    pub number: u64,
    /// Records.
    pub bytes: Vec<u8>,
    /// The shard has no more.
    pub is_last: bool,
}

/// The way from the shards to the writer. Nobody waits.
#[derive(Clone, Debug)]
pub struct SnapshotDesk {
    pieces: Arc<ArrayQueue<Piece>>,
    wake: ControlWake,
}

impl SnapshotDesk {
    /// A desk without pieces.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { pieces: Arc::new(ArrayQueue::new(PIECES_MAX)), wake: ControlWake::new()? })
    }

    /// Hands a piece over; gives it back when there is no room yet.
    ///
    /// # Errors
    /// The piece.
    pub fn post(&self, piece: Piece) -> Result<(), Piece> {
        self.pieces.push(piece)?;
        self.wake.wake();
        Ok(())
    }

    /// Whether a piece finds no room. What it says may have changed a moment later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pieces.is_full()
    }
}

/// Why there is no new snapshot.
#[derive(Debug, thiserror::Error)]
pub enum WriteFault {
    /// The file system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A shard cannot be asked: its mailbox is full.
    #[error("shard {shard} is too far behind to be asked")]
    ShardBusy {
        /// Which.
        shard: usize,
    },
    /// Shards do not answer.
    #[error("{shards} shards gave no piece for {} s", PIECE_WAIT_MAX.as_secs())]
    ShardsSilent {
        /// How many.
        shards: usize,
    },
}

/// What is written, where, and how often.
#[derive(Clone, Debug)]
pub struct SnapshotPlan {
    /// The file.
    pub path: PathBuf,
    /// Time between two, at least.
    pub interval: Duration,
    /// The run of the gateway.
    pub epoch: u64,
    /// Names of the profiles, in the engine's order.
    pub profiles: Vec<String>,
}

/// Takes the snapshots of one run of a gateway.
pub struct SnapshotWriter {
    plan: SnapshotPlan,
    desk: SnapshotDesk,
    mailboxes: Arc<[Mailbox]>,
    events: Rc<LogView>,
    gauges: Arc<RestartGauges>,
    clock: Clock,
    /// Counts the snapshots, so that a piece of one that was given up is not taken for one of the next.
    number: u64,
}

impl std::fmt::Debug for SnapshotWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SnapshotWriter").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl SnapshotWriter {
    /// A writer that has taken none.
    #[must_use]
    pub const fn new(
        plan: SnapshotPlan,
        desk: SnapshotDesk,
        mailboxes: Arc<[Mailbox]>,
        events: Rc<LogView>,
        gauges: Arc<RestartGauges>,
        clock: Clock,
    ) -> Self {
        Self { plan, desk, mailboxes, events, gauges, clock, number: 0 }
    }

    /// Takes snapshots until the task is dropped.
    ///
    /// # Errors
    /// When the runtime cannot poll the desk's eventfd.
    pub async fn serve(mut self) -> io::Result<()> {
        let sleeper = self.desk.wake.sleeper()?;
        let mut wait = self.plan.interval;
        loop {
            tokio::time::sleep(wait).await;
            match self.take(&sleeper).await {
                Ok(bytes) => wait = self.plan.interval.max(pace(bytes)),
                Err(fault) => {
                    // Relaxed: see `RestartGauges`.
                    self.gauges.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        file = %self.plan.path.display(),
                        %fault,
                        "no snapshot could be written; the one before is kept"
                    );
                }
            }
        }
    }

    /// Takes one; returns its bytes.
    async fn take(&mut self, sleeper: &ControlSleep) -> Result<u64, WriteFault> {
        self.number += 1;
        let mut header = self.header();
        let (path, bytes) = (temporary(&self.plan.path), header.encode());
        let mut file = blocking("beginning the file", move || begin(&path, &bytes)).await?;
        for (shard, mailbox) in self.mailboxes.iter().enumerate() {
            if !mailbox.post(Parcel::Snapshot(self.number)) {
                return Err(WriteFault::ShardBusy { shard });
            }
            mailbox.owner().wake();
        }
        let mut shards_left = self.mailboxes.len();
        while shards_left > 0 {
            sleeper.begin_pass();
            let mut gathered = Vec::new();
            while let Some(piece) = self.desk.pieces.pop() {
                if piece.number == self.number {
                    shards_left -= usize::from(piece.is_last);
                    gathered.extend_from_slice(&piece.bytes);
                }
            }
            if gathered.is_empty() && shards_left > 0 {
                let silent = || WriteFault::ShardsSilent { shards: shards_left };
                let woken = tokio::time::timeout(PIECE_WAIT_MAX, sleeper.woken()).await;
                woken.map_err(|_elapsed| silent())?.map_err(io_fault("waiting for a piece"))?;
                continue;
            }
            header.records += (gathered.len() / RECORD_BYTES) as u64;
            file = blocking("writing", move || file.write_all(&gathered).map(|()| file)).await?;
        }
        header.taken_at_unix_us = self.clock.unix_us();
        let (path, bytes) = (self.plan.path.clone(), header.encode());
        let written = blocking("finishing the file", move || finish(file, &path, &bytes)).await?;
        self.note(&header, written);
        Ok(written)
    }

    fn header(&self) -> Header {
        let ends = (0..self.events.partition_count()).map(|partition| self.events.range(partition));
        Header {
            epoch: self.plan.epoch,
            taken_at_unix_us: 0,
            shards: u32::try_from(self.mailboxes.len()).unwrap_or(u32::MAX),
            records: 0,
            event_offsets: ends.map(|range| range.map_or(0, |range| range.end)).collect(),
            profiles: self.plan.profiles.clone(),
        }
    }

    fn note(&self, header: &Header, bytes: u64) {
        let gauges = &self.gauges;
        // Relaxed: see `RestartGauges`.
        gauges.written.fetch_add(1, Ordering::Relaxed);
        gauges.bytes.store(bytes, Ordering::Relaxed);
        gauges.nodes.store(header.records, Ordering::Relaxed);
        gauges.taken_at_unix_us.store(header.taken_at_unix_us, Ordering::Relaxed);
    }
}

/// How long this many bytes pay for.
fn pace(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1_000) / BYTES_PER_SECOND_MAX)
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn io_fault(action: &'static str) -> impl FnOnce(io::Error) -> WriteFault {
    move |source| WriteFault::Io { action, source }
}

async fn blocking<Done: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> io::Result<Done> + Send + 'static,
) -> Result<Done, WriteFault> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(io::Error::from).flatten().map_err(io_fault(action))
}

/// A new file with a header that is not the last word, in a directory that is there.
fn begin(path: &Path, header: &[u8]) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::create(path)?;
    file.write_all(header)?;
    Ok(file)
}

/// Writes the header's last word, and puts the file into its place, on disk; returns its bytes.
fn finish(mut file: File, path: &Path, header: &[u8]) -> io::Result<u64> {
    file.rewind()?;
    file.write_all(header)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    fs::rename(temporary(path), path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_grows_with_the_file() {
        assert_eq!(pace(40 * 1_048_576), Duration::from_secs(20));
        assert!(pace(100_000) < Duration::from_secs(1));
    }

    #[test]
    fn a_new_file_replaces_the_old_one_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("snapshot").join("nodes");
        for round in [b"one", b"two"] {
            let mut file = begin(&temporary(&path), b"...").unwrap();
            file.write_all(b" and records").unwrap();
            let before = fs::read(&path).ok();
            assert!(before.is_none_or(|before| before.starts_with(b"one")), "not touched yet");
            assert_eq!(finish(file, &path, round).unwrap(), 15);
            assert!(fs::read(&path).unwrap().starts_with(round));
            assert!(!temporary(&path).exists());
        }
    }
}
