//! A disk that fails, and callers that give up half-way: what the append said is what the log holds.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::error::Corruption;
use crate::record_batch::BatchFault;
use crate::testing::{Fault, Faults};

/// A log on a disk that fails on demand.
async fn open_faulty(directory: &Path, config: &LogConfig) -> (EventLog, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    (open(directory, config, &Storage::Faulty(Arc::clone(&faults))).await, faults)
}

fn append_failure(error: LogError) -> AppendFailure {
    let LogError::Append(failure) = error else { panic!("{error}") };
    failure
}

#[test]
fn failed_write_is_cut_and_the_retry_takes_its_place() {
    // Goal: whatever a failed write or sync left in the file, the next append removes it, and the same records go where
    // they would have gone. Method: each length that a full disk may store of a batch, and a failed sync.
    run(async {
        let faults_to_try = (0..200).step_by(7).map(Fault::NoSpaceAfter).chain([Fault::SyncFails]);
        for fault in faults_to_try {
            let directory = tempfile::tempdir().unwrap();
            let (mut log, faults) = open_faulty(directory.path(), &config()).await;
            log.append(&records(0..3)).await.unwrap();
            faults.arm(fault);
            let failure = append_failure(log.append(&records(3..5)).await.unwrap_err());
            assert_eq!(log.committed_offset(0), 3, "{fault:?}");
            assert_eq!((failure.failures[0].records_taken, failure.failures[0].records_lost), (0, 0));
            let mut again = records(3..5);
            failure.retain_refused(&mut again);
            assert_eq!(again, records(3..5));
            assert_eq!(log.append(&again).await.unwrap().partitions[0].first_offset, 3, "{fault:?}");
            assert_eq!(read_records(directory.path()), records(0..5), "{fault:?}");
        }
    });
}

#[test]
fn failure_that_is_never_retried_is_cut_by_the_next_open() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, faults) = open_faulty(directory.path(), &config()).await;
        log.append(&records(0..3)).await.unwrap();
        faults.arm(Fault::NoSpaceAfter(70));
        log.append(&records(3..5)).await.unwrap_err();
        drop(log);
        let (_, report) = EventLog::open(directory.path(), config(), Storage::Tokio).await.unwrap();
        let cut = report.cut_tails().next().expect("70 bytes of a batch");
        assert_eq!((cut.bytes, cut.offset, cut.was_zero), (70, 3, false));
        assert_eq!(read_records(directory.path()), records(0..3));
    });
}

#[test]
fn one_failed_partition_does_not_hold_up_the_others() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { partition_count: 4, ..config() };
        let (mut log, faults) = open_faulty(directory.path(), &config).await;
        faults.arm(Fault::SyncFails);
        let mut pending = records(0..60);
        let failure = append_failure(log.append(&pending).await.unwrap_err());
        let failed: Vec<u32> = failure.failures.iter().map(|failure| failure.partition).collect();
        assert_eq!(failed.len(), 1);
        let refused: Vec<Record> =
            pending.iter().filter(|record| failed.contains(&log.partition_of(record))).cloned().collect();
        failure.retain_refused(&mut pending);
        assert_eq!(pending, refused);
        assert_eq!(failure.appended.records() + refused.len() as u64, 60);
        log.append(&pending).await.unwrap();
        let mut numbers: Vec<i64> =
            read_records(directory.path()).iter().map(|record| record.timestamp_ms).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().eq(records(0..60).iter().map(|record| &record.timestamp_ms)));
    });
}

#[test]
fn append_that_fails_at_its_second_batch_keeps_the_first() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, faults) = open_faulty(directory.path(), &config()).await;
        let value = bytes::Bytes::from(vec![b'x'; 200 * 1024]);
        let all: Vec<Record> =
            (0..8).map(|number| Record { value: Some(value.clone()), ..record(number) }).collect();
        // The first batch takes five; the second write finds no space.
        faults.arm(Fault::WritePasses);
        faults.arm(Fault::NoSpaceAfter(1000));
        let failure = append_failure(log.append(&all).await.unwrap_err());
        assert_eq!(failure.failures[0].records_taken, 5);
        assert_eq!(log.committed_offset(0), 5);
        let mut again = all.clone();
        failure.retain_refused(&mut again);
        assert_eq!(again, all[5..]);
        assert_eq!(log.append(&again).await.unwrap().partitions[0].first_offset, 5);
        assert_eq!(read_records(directory.path()), all);
    });
}

#[test]
fn failed_roll_is_undone() {
    // Goal: a roll whose sync fails leaves the partition as it was. Method: a segment that the next append fills.
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, ..config() };
        let (mut log, faults) = open_faulty(directory.path(), &config).await;
        let first = records(0..8);
        log.append(&first).await.unwrap();
        let rest = records(8..40);
        let leftover = directory.path().join(directory_name(TOPIC, 0)).join("00000000000000000008.log");
        faults.arm(Fault::SyncFails);
        append_failure(log.append(&rest).await.unwrap_err());
        assert!(!leftover.exists(), "the roll failed before it made a segment");
        // What a roll that created its segment and then failed would leave.
        std::fs::write(&leftover, b"").unwrap();
        log.append(&rest).await.unwrap();
        assert_eq!(read_records(directory.path()), records(0..40));
        assert!(leftover.metadata().unwrap().len() > 0);
    });
}

#[test]
fn damage_found_after_a_failure_keeps_the_partition_closed() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, faults) = open_faulty(directory.path(), &config()).await;
        log.append(&records(0..3)).await.unwrap();
        log.append(&records(3..6)).await.unwrap();
        faults.arm(Fault::SyncFails);
        log.append(&records(6..9)).await.unwrap_err();
        let file = first_segment(directory.path());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[80] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        for _ in 0..2 {
            let failure = append_failure(log.append(&records(6..9)).await.unwrap_err());
            let FileError::Corrupt(Corruption { position: 0, fault, .. }) = &failure.failures[0].error else {
                panic!("{failure}")
            };
            assert!(matches!(fault, BatchFault::WrongChecksum { .. }));
        }
    });
}

#[test]
fn interval_policy_commits_at_the_sync() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let sync = SyncPolicy::IntervalMs(NonZeroU32::new(5).unwrap());
        let (mut log, faults) = open_faulty(directory.path(), &LogConfig { sync, ..config() }).await;
        let syncs_of_open = faults.syncs();
        log.append(&records(0..3)).await.unwrap();
        log.append(&records(3..6)).await.unwrap();
        assert_eq!((log.committed_offset(0), faults.syncs()), (0, syncs_of_open));
        log.sync().await.unwrap();
        assert_eq!((log.committed_offset(0), faults.syncs()), (6, syncs_of_open + 1));
        // Nothing new: nothing to sync.
        log.sync().await.unwrap();
        assert_eq!(faults.syncs(), syncs_of_open + 1);
        log.append(&records(6..10)).await.unwrap();
        faults.arm(Fault::SyncFails);
        let failure = append_failure(log.sync().await.unwrap_err());
        assert_eq!(failure.failures[0].records_lost, 4);
        assert_eq!(log.committed_offset(0), 6);
        log.append(&records(6..10)).await.unwrap();
        assert_eq!(read_records(directory.path()), records(0..10));
    });
}

#[test]
fn never_policy_commits_at_the_write() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { sync: SyncPolicy::Never, ..config() };
        let (mut log, faults) = open_faulty(directory.path(), &config).await;
        log.append(&records(0..3)).await.unwrap();
        assert_eq!((log.committed_offset(0), faults.syncs()), (3, 0));
    });
}

/// Goal: a future that is dropped while its write runs neither loses the partition nor lets that write land later, over
/// newer data. Method: one poll, which hands the write over, then drop; the next append must wait for it and cut it.
async fn append_that_was_dropped_half_way_leaves_the_log_usable(storage: Storage) {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path(), &config(), &storage).await;
    log.append(&records(0..3)).await.unwrap();
    for _ in 0..20 {
        let dropped = records(100..160);
        let mut append = Box::pin(log.append(&dropped));
        let is_pending = poll_fn(|context| Poll::Ready(append.as_mut().poll(context).is_pending())).await;
        assert!(is_pending, "a write and a sync take longer than one poll");
    }
    log.append(&records(3..9)).await.unwrap();
    assert_eq!(read_records(directory.path()), records(0..9));
    drop(log);
    let log = open(directory.path(), &config(), &storage).await;
    assert_eq!(log.committed_offset(0), 9);
}

#[test]
fn dropped_append_leaves_the_log_usable_with_tokio() {
    run(append_that_was_dropped_half_way_leaves_the_log_usable(Storage::Tokio));
}

#[test]
fn dropped_append_leaves_the_log_usable_with_io_uring() {
    if !io_uring_is_refused() {
        tokio_uring::start(append_that_was_dropped_half_way_leaves_the_log_usable(Storage::Uring));
    }
}

#[test]
fn append_dropped_at_any_point_harms_nothing() {
    // Goal: rolls, reopenings and writes that nobody waits for any more do not touch what is appended later. Method:
    // small segments, and appends dropped after a number of polls, between which the blocking pool gets its turn.
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        let mut completed = Vec::new();
        for round in 0..60 {
            for attempt in 0..2 {
                let dropped = records(1_000..1_010);
                let mut append = Box::pin(log.append(&dropped));
                for _ in 0..=(round + attempt) % 6 {
                    if poll_fn(|context| Poll::Ready(append.as_mut().poll(context).is_ready())).await {
                        break;
                    }
                    tokio::task::spawn_blocking(|| ()).await.unwrap();
                }
            }
            let kept = record(round);
            log.append(std::slice::from_ref(&kept)).await.unwrap();
            completed.push(kept);
        }
        drop(log);
        let (_, report) = EventLog::open(directory.path(), config, Storage::Tokio).await.unwrap();
        assert_eq!(report.cut_tails().count(), 0);
        let first_dropped = record(1_000).timestamp_ms;
        let mut found = read_records(directory.path());
        found.retain(|record| record.timestamp_ms < first_dropped);
        assert_eq!(found, completed);
    });
}

/// Goal: a write that must be on the disk when it returns goes to a file that was opened so, after a roll and a failure
/// too; others do not pay for it.
#[test]
fn only_files_that_must_be_synced_are_opened_so() {
    run(async {
        for sync in [SyncPolicy::Always, SyncPolicy::Never, SyncPolicy::IntervalMs(NonZeroU32::MIN)] {
            let directory = tempfile::tempdir().unwrap();
            let config = LogConfig { sync, segment_bytes: 1_024, ..config() };
            let (mut log, faults) = open_faulty(directory.path(), &config).await;
            assert_eq!(is_synced(directory.path()), sync == SyncPolicy::Always, "opened, {sync:?}");
            log.append(&records(0..12)).await.unwrap();
            log.append(&records(12..24)).await.unwrap();
            assert_eq!(is_synced(directory.path()), sync == SyncPolicy::Always, "rolled, {sync:?}");
            faults.arm(Fault::NoSpaceAfter(3));
            log.append(&records(24..25)).await.unwrap_err();
            log.append(&records(24..25)).await.unwrap();
            assert_eq!(is_synced(directory.path()), sync == SyncPolicy::Always, "reopened, {sync:?}");
        }
    });
}

/// Whether the one segment below this directory that is open here is open with `O_DSYNC`.
fn is_synced(directory: &Path) -> bool {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let is_segment = std::fs::read_link(&path).is_ok_and(|target| {
            target.starts_with(directory) && target.extension().is_some_and(|extension| extension == "log")
        });
        if is_segment {
            let number = path.file_name().unwrap().to_str().unwrap().to_owned();
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            found.push(i32::from_str_radix(flags.trim(), 8).unwrap() & libc::O_DSYNC != 0);
        }
    }
    let [is_synced] = found[..] else { panic!("one segment is open: {found:?}") };
    is_synced
}
