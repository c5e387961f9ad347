//! What the tests of this crate share: records, runtimes, faults.

pub(crate) mod power;

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;

use crate::{EventLog, Header, LogConfig, LogReader, LogRecord, Record, Storage};

/// Name of the topic in all tests.
pub(crate) const TOPIC: &str = "pulsegate.events";

/// A record that tells which one it is.
pub(crate) fn record(number: u64) -> Record {
    Record {
        timestamp_ms: 1_795_500_000_000 + i64::try_from(number).unwrap(),
        key: Some(format!("node-{}", number % 7).into()),
        value: Some(format!("{{\"number\":{number}}}").into()),
        headers: vec![Header { name: "ce_id".into(), value: Some(number.to_string().into()) }],
    }
}

pub(crate) fn records(numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(record).collect()
}

/// A configuration with one partition, unless the test changes it.
pub(crate) fn config() -> LogConfig {
    LogConfig::new(TOPIC, 1)
}

/// Runs a test's future where blocking-pool files work.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Runs a test's future where the blocking pool has one thread.
pub(crate) fn run_with_one_blocking_thread<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.max_blocking_threads(1).build().unwrap().block_on(future)
}

/// Keeps one thread of the blocking pool busy until what is returned is dropped.
pub(crate) fn keep_pool_busy() -> Sender<()> {
    let (busy, until_dropped) = channel();
    tokio::task::spawn_blocking(move || until_dropped.recv());
    busy
}

/// Lets a future do what it can at once. Returns whether it waits.
pub(crate) async fn waits(mut future: Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Whether io_uring is refused here; says so, and why.
pub(crate) fn io_uring_is_refused() -> bool {
    let refused = std::panic::catch_unwind(|| tokio_uring::start(async {})).is_err();
    if refused {
        println!("skipped: io_uring is refused here (seccomp profile or kernel.io_uring_disabled)");
    }
    refused
}

/// Opens a log that must open.
pub(crate) async fn open(directory: &Path, config: &LogConfig, storage: &Storage) -> EventLog {
    EventLog::open(directory, config.clone(), storage.clone()).await.unwrap().0
}

/// Everything that a new reader finds.
pub(crate) fn read_all(directory: &Path) -> Vec<LogRecord> {
    let mut reader = LogReader::new(directory, TOPIC);
    let mut records = Vec::new();
    loop {
        let poll = reader.poll().unwrap();
        records.extend(poll.records);
        if !poll.has_more {
            return records;
        }
    }
}

/// The records of all partitions, without their places.
pub(crate) fn read_records(directory: &Path) -> Vec<Record> {
    read_all(directory).into_iter().map(|record| record.record).collect()
}

/// What the faulty storage does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The write succeeds: what is armed after this strikes later.
    WritePasses,
    /// The write stores this many bytes and then finds no space.
    NoSpaceAfter(usize),
    /// The write succeeds, the sync fails and the data may be lost.
    SyncFails,
}

/// A disk that fails when it is told to.
#[derive(Debug, Default)]
pub struct Faults {
    next: Mutex<Vec<Fault>>,
    syncs: AtomicU64,
    /// Fails all at once.
    pub(crate) power: power::Power,
}

impl Faults {
    /// Arms one fault; each strikes once, the first armed first.
    pub(crate) fn arm(&self, fault: Fault) {
        self.next.lock().unwrap().push(fault);
    }

    /// How many syncs have succeeded.
    pub(crate) fn syncs(&self) -> u64 {
        // Relaxed: read by the test that ran the syncs.
        self.syncs.load(Ordering::Relaxed)
    }

    pub(crate) fn write(&self, file: &File, buffer: &[u8], position: u64) -> io::Result<()> {
        match self.take(|fault| fault != Fault::SyncFails) {
            Some(Fault::NoSpaceAfter(bytes)) => {
                file.write_all_at(&buffer[..bytes.min(buffer.len())], position)?;
                Err(io::Error::from_raw_os_error(ENOSPC))
            }
            _ => file.write_all_at(buffer, position),
        }
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        if self.take(|fault| fault == Fault::SyncFails).is_some() {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.syncs.fetch_add(1, Ordering::Relaxed); // Relaxed: a count, nothing is published by it.
        self.power.note_synced(file);
        file.sync_data()
    }

    fn take(&self, wanted: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut next = self.next.lock().unwrap();
        if next.first().is_some_and(|fault| wanted(*fault)) { Some(next.remove(0)) } else { None }
    }
}

/// The numbers of Linux; what `io::Error` shows as "No space left on device" and "Input/output error".
const ENOSPC: i32 = 28;
const EIO: i32 = 5;
