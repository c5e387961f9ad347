//! The log as its caller sees it: what is appended is read back, whatever the storage, through rolls, retention and
//! restarts.

mod compaction;
mod faults;
mod power;

use std::pin::pin;

use pulsegate_codec::event::{Event, EventId, EventType};

use super::*;
use crate::testing::{
    TOPIC, config, io_uring_is_refused, keep_pool_busy, open, read_all, read_records, record, records, run,
    run_with_one_blocking_thread, waits,
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

/// Goal: opening does nothing on the caller's thread that may wait for the disk. Method: as long as the blocking pool does
/// nothing, nothing is there, neither the directory nor what opening finds wrong in one.
#[test]
fn opening_touches_files_in_the_blocking_pool_alone() {
    run_with_one_blocking_thread(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("log");
        let busy = keep_pool_busy();
        let mut opening = pin!(EventLog::open(&path, config(), Storage::Tokio));
        assert!(waits(opening.as_mut()).await);
        assert!(!directory.path().join("new").exists());
        drop(busy);
        opening.await.unwrap();

        std::fs::create_dir(path.join(format!("{TOPIC}-3"))).unwrap();
        let busy = keep_pool_busy();
        let mut opening = pin!(EventLog::open(&path, config(), Storage::Tokio));
        assert!(waits(opening.as_mut()).await);
        drop(busy);
        let error = opening.await.unwrap_err();
        assert!(matches!(error, LogError::PartitionsShrunk { found: 4, configured: 1, .. }), "{error}");
    });
}

/// Goal: what is said of keys that have left a partition stands there, in its order, and nowhere else.
#[test]
fn records_can_be_put_into_a_partition_that_is_not_that_of_their_keys() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { partition_count: 4, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        let all = records(0..10);
        assert_eq!(log.append_to(3, &[]).await.unwrap().records(), 0);
        log.append_to(3, &all[..4]).await.unwrap();
        let appended = log.append_to(3, &all[4..]).await.unwrap();
        assert_eq!((appended.partitions[0].partition, appended.partitions[0].first_offset), (3, 4));
        let read = read_all(directory.path());
        assert!(read.iter().all(|found| found.partition == 3));
        assert!(read.into_iter().map(|found| found.record).eq(all));
    });
}

#[test]
fn event_comes_back_as_it_was_appended() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        let id = EventId { gateway: "gw-1".into(), epoch: 3, gateway_sequence: 1042 };
        let event =
            Event { node: "node-7".into(), ..Event::new(EventType::Failed, id, 1_795_500_000_123_456) };
        log.append(&[event.to_record(pulsegate_codec::event::ValueFormat::Json).into()]).await.unwrap();
        let [read] = &read_records(directory.path())[..] else { panic!("one record") };
        assert_eq!(Event::from_json(read.value.as_ref().unwrap()).unwrap(), event);
        assert_eq!(read.header("ce_id").unwrap(), "gw-1/3/1042");
        assert_eq!(read.header("absent"), None);
        assert_eq!((read.key.as_deref(), read.timestamp_ms), (Some(&b"node-7"[..]), 1_795_500_000_123));
    });
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
