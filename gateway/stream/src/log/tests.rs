//! The log as its caller sees it: what is appended is read back, whatever the storage, through rolls, retention,
//! restarts and a disk that fails.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::error::Corruption;
use crate::record_batch::BatchFault;
use crate::testing::{
    Fault, Faults, TOPIC, config, io_uring_is_refused, open, read_all, read_records, record, records, run,
};

async fn appended_records_are_read_back(storage: Storage) {
    let directory = tempfile::tempdir().unwrap();
    let config = LogConfig { partition_count: 4, ..config() };
    let all = records(0..100);
    let mut log = open(directory.path(), &config, &storage).await;
    for chunk in all.chunks(9) {
        assert_eq!(log.append(chunk).await.unwrap().records(), chunk.len() as u64);
    }
    let read = read_all(directory.path());
    assert_eq!(read.len(), all.len());
    for partition in 0..4 {
        let of_partition = |record: &&Record| log.partition_of(record) == partition;
        let expected: Vec<&Record> = all.iter().filter(of_partition).collect();
        let found: Vec<_> = read.iter().filter(|record| record.partition == partition).collect();
        assert!(found.iter().map(|record| record.offset).eq(0..expected.len() as u64));
        assert!(found.iter().map(|record| &record.record).eq(expected));
        assert_eq!(log.committed_offset(partition), found.len() as u64);
    }
}

#[test]
fn appended_records_are_read_back_with_tokio() {
    run(appended_records_are_read_back(Storage::Tokio));
}

#[test]
fn appended_records_are_read_back_with_io_uring() {
    if !io_uring_is_refused() {
        tokio_uring::start(appended_records_are_read_back(Storage::Uring));
    }
}

#[test]
fn tokio_storage_works_in_a_uring_runtime() {
    if !io_uring_is_refused() {
        tokio_uring::start(appended_records_are_read_back(Storage::Tokio));
    }
}

#[test]
fn one_append_is_one_batch_a_partition() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        let appended = log.append(&records(0..50)).await.unwrap();
        let [partition] = &appended.partitions[..] else { panic!("one partition, one entry") };
        let file = std::fs::read(first_segment(directory.path())).unwrap();
        let header = crate::BatchHeader::parse(&file).unwrap();
        assert_eq!((header.record_count, header.batch_bytes), (50, file.len()));
        assert_eq!((partition.first_offset, partition.records), (0, 50));
        assert_eq!(partition.bytes, file.len() as u64);
    });
}

fn first_segment(directory: &Path) -> std::path::PathBuf {
    directory.join(directory_name(TOPIC, 0)).join("00000000000000000000.log")
}

#[test]
fn large_append_becomes_several_batches_within_bounds() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        let value = bytes::Bytes::from(vec![b'x'; 200 * 1024]);
        let all: Vec<Record> =
            (0..12).map(|number| Record { value: Some(value.clone()), ..record(number) }).collect();
        let appended = log.append(&all).await.unwrap();
        assert_eq!(appended.partitions[0].first_offset, 0);
        assert_eq!(read_records(directory.path()), all);
        // More records than one batch may have, each tiny.
        let tiny = vec![Record::default(); crate::limits::RECORDS_PER_BATCH_MAX + 1];
        let appended = log.append(&tiny).await.unwrap();
        assert_eq!(appended.partitions[0].first_offset, 12);
        assert_eq!(appended.records(), tiny.len() as u64);
        assert_eq!(read_records(directory.path()).len(), 12 + tiny.len());
    });
}

#[test]
fn oversized_record_is_refused_and_nothing_is_written() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        let largest = |bytes: usize| Record { value: Some(vec![0; bytes].into()), ..Record::default() };
        let overhead = record_bytes(&largest(RECORD_BYTES_MAX)) - RECORD_BYTES_MAX;
        let error = log.append(&[record(0), largest(RECORD_BYTES_MAX - overhead + 1)]).await.unwrap_err();
        let LogError::RecordTooLarge { index: 1, bytes, bytes_max } = error else { panic!("{error}") };
        assert_eq!((bytes, bytes_max), (RECORD_BYTES_MAX + 1, RECORD_BYTES_MAX));
        assert!(error.to_string().contains("RECORD_BYTES_MAX = 262144"), "{error}");
        assert!(read_all(directory.path()).is_empty());
        // One byte less is taken.
        assert_eq!(log.append(&[largest(RECORD_BYTES_MAX - overhead)]).await.unwrap().records(), 1);
    });
}

#[test]
fn log_goes_on_where_it_stopped_across_restarts_and_rolls() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, ..config() };
        for round in 0..10 {
            let (mut log, report) =
                EventLog::open(directory.path(), config.clone(), Storage::Tokio).await.unwrap();
            assert_eq!(report.partitions[0].next_offset, round * 20);
            assert_eq!(report.cut_tails().count(), 0);
            for number in round * 20..round * 20 + 20 {
                log.append(&[record(number)]).await.unwrap();
            }
        }
        assert_eq!(read_records(directory.path()), records(0..200));
        let segments = std::fs::read_dir(directory.path().join(directory_name(TOPIC, 0))).unwrap();
        let sizes: Vec<u64> = segments.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        assert!(sizes.len() > 10 && sizes.iter().all(|size| *size <= 1024), "{sizes:?}");
    });
}

#[test]
fn retention_removes_whole_segments_and_counts_them() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, retention_bytes: 4096, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        let (mut segments_removed, mut records_removed) = (0, 0);
        for number in 0..300 {
            let removed = log.append(&[record(number)]).await.unwrap().removed();
            segments_removed += removed.0;
            records_removed += removed.1;
        }
        assert!(segments_removed > 10);
        assert_eq!(log.start_offset(0), records_removed);
        assert_eq!(read_records(directory.path()), records(records_removed..300));
        let bytes = std::fs::read_dir(directory.path().join(directory_name(TOPIC, 0)))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum::<u64>();
        // Checked at a roll, so the active segment may have grown since.
        assert!(bytes <= 4096 + 1024, "{bytes}");
        drop(log);
        let (log, report) = EventLog::open(directory.path(), config, Storage::Tokio).await.unwrap();
        assert_eq!(report.partitions[0].start_offset, records_removed);
        assert_eq!((log.start_offset(0), log.committed_offset(0)), (records_removed, 300));
    });
}

#[test]
fn retention_of_zero_keeps_everything() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, retention_bytes: 0, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        for number in 0..100 {
            assert_eq!(log.append(&[record(number)]).await.unwrap().removed(), (0, 0));
        }
        assert_eq!(log.start_offset(0), 0);
    });
}

#[test]
fn second_writer_is_refused() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path(), &config(), &Storage::Tokio).await;
        let error = EventLog::open(directory.path(), config(), Storage::Tokio).await.unwrap_err();
        assert!(matches!(error, LogError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("another writer"), "{error}");
        drop(log);
        open(directory.path(), &config(), &Storage::Tokio).await;
    });
}

#[test]
fn partitions_may_grow_and_not_shrink() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let with = |partition_count| LogConfig { partition_count, ..config() };
        drop(open(directory.path(), &with(2), &Storage::Tokio).await);
        assert_eq!(open(directory.path(), &with(3), &Storage::Tokio).await.partition_count(), 3);
        let error = EventLog::open(directory.path(), with(2), Storage::Tokio).await.unwrap_err();
        assert!(matches!(error, LogError::PartitionsShrunk { found: 3, configured: 2, .. }), "{error}");
    });
}

#[test]
fn settings_out_of_bounds_are_named() {
    for (config, setting) in [
        (LogConfig { topic: String::new(), ..config() }, "topic"),
        (LogConfig { topic: "a/b".into(), ..config() }, "topic"),
        (LogConfig { topic: "..".into(), ..config() }, "topic"),
        (LogConfig { topic: "x".repeat(250), ..config() }, "topic"),
        (LogConfig { partition_count: 0, ..config() }, "partition_count"),
        (LogConfig { partition_count: 1025, ..config() }, "partition_count"),
        (LogConfig { segment_bytes: 1023, ..config() }, "segment_bytes"),
        (LogConfig { segment_bytes: (1 << 30) + 1, ..config() }, "segment_bytes"),
        (LogConfig { segment_bytes: 4096, retention_bytes: 4095, ..config() }, "retention_bytes"),
    ] {
        let error = config.check().unwrap_err();
        assert!(error.to_string().starts_with(setting), "{error}");
    }
    config().check().unwrap();
}

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
