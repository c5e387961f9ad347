//! The reader beside a writer: what is complete is read once and in order, what is not yet complete is waited for, what
//! is damaged is told.

use std::sync::Arc;

use super::*;
use crate::error::Corruption;
use crate::testing::{Fault, Faults, TOPIC, config, open, read_all, read_records, record, records, run};
use crate::{LogConfig, LogError, Storage};

fn numbers(poll: &Poll) -> Vec<i64> {
    let first = record(0).timestamp_ms;
    poll.records.iter().map(|record| record.record.timestamp_ms - first).collect()
}

fn range(from: i64, to: i64) -> Vec<i64> {
    (from..to).collect()
}

fn corruption(error: FileError) -> Corruption {
    let FileError::Corrupt(corruption) = error else { panic!("{error}") };
    corruption
}

#[test]
fn reader_follows_appends_rolls_and_restarts() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, ..config() };
        let mut reader = LogReader::new(&directory.path().join("log"), TOPIC);
        // Not even the directory is there.
        assert_eq!(reader.poll().unwrap(), Poll::default());
        let mut next = 0;
        for round in 0..6_u64 {
            let mut log = open(&directory.path().join("log"), &config, &Storage::Tokio).await;
            assert_eq!(reader.poll().unwrap(), Poll::default());
            for batch in 0..12 {
                let count = 1 + (round + batch) % 5;
                log.append(&records(next..next + count)).await.unwrap();
                let poll = reader.poll().unwrap();
                let found: Vec<Record> = poll.records.iter().map(|record| record.record.clone()).collect();
                assert_eq!(found, records(next..next + count));
                assert!(poll.records.iter().map(|record| record.offset).eq(next..next + count));
                next += count;
            }
            // Several batches, and perhaps segments, at once.
            for number in next..next + 40 {
                log.append(&[record(number)]).await.unwrap();
            }
            assert_eq!(reader.poll().unwrap().records.len(), 40);
            next += 40;
        }
    });
}

#[test]
fn partitions_that_appear_later_are_found() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let with = |partition_count| LogConfig { partition_count, ..config() };
        let mut log = open(directory.path(), &with(1), &Storage::Tokio).await;
        log.append(&records(0..10)).await.unwrap();
        let mut reader = LogReader::new(directory.path(), TOPIC);
        assert_eq!(numbers(&reader.poll().unwrap()), range(0, 10));
        drop(log);
        let mut log = open(directory.path(), &with(3), &Storage::Tokio).await;
        log.append(&records(10..30)).await.unwrap();
        let mut found = numbers(&reader.poll().unwrap());
        found.sort_unstable();
        assert_eq!(found, range(10, 30));
    });
}

#[test]
fn other_topics_are_not_read() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let other = LogConfig { topic: format!("{TOPIC}-0"), ..config() };
        open(directory.path(), &other, &Storage::Tokio).await.append(&records(0..3)).await.unwrap();
        assert_eq!(LogReader::new(directory.path(), TOPIC).poll().unwrap(), Poll::default());
    });
}

#[test]
fn end_is_skipped_to() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        log.append(&records(0..10)).await.unwrap();
        let mut reader = LogReader::new(directory.path(), TOPIC);
        assert_eq!(reader.skip_to_end().unwrap(), 10);
        log.append(&records(10..12)).await.unwrap();
        assert_eq!(numbers(&reader.poll().unwrap()), range(10, 12));
    });
}

#[test]
fn poll_is_bounded_and_no_partition_starves() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { partition_count: 3, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        for number in 0..300 {
            log.append(&[record(number)]).await.unwrap();
        }
        let mut reader = LogReader::new(directory.path(), TOPIC);
        reader.poll_bytes_max = 1000;
        let mut partitions_of_first_polls = Vec::new();
        let mut total = 0;
        loop {
            let poll = reader.poll().unwrap();
            // A batch of one record is more than 61 bytes.
            assert!(poll.records.len() <= 1000 / 61 + 1);
            total += poll.records.len();
            if partitions_of_first_polls.len() < 3 {
                partitions_of_first_polls.push(poll.records[0].partition);
            }
            if !poll.has_more {
                break;
            }
        }
        assert_eq!(total, 300);
        assert_eq!(partitions_of_first_polls, [0, 1, 2]);
    });
}

/// A log of one segment with these batches, and what lies in its file.
fn sample(directory: &Path) -> (PathBuf, Vec<u8>) {
    run(async {
        let mut log = open(directory, &config(), &Storage::Tokio).await;
        log.append(&records(0..3)).await.unwrap();
        log.append(&records(3..5)).await.unwrap();
    });
    let file = directory.join(directory_name(TOPIC, 0)).join("00000000000000000000.log");
    let bytes = std::fs::read(&file).unwrap();
    (file, bytes)
}

#[test]
fn batch_that_grows_byte_by_byte_is_read_when_it_is_complete() {
    // Goal: the reader never yields a part of a batch, and misses none. Method: the file as a slow writer leaves it,
    // once by growing and once by filling zeros, with a poll at each length.
    for with_zeros in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (file, bytes) = sample(directory.path());
        let second = crate::BatchHeader::parse(&bytes).unwrap().batch_bytes;
        let mut reader = LogReader::new(directory.path(), TOPIC);
        for length in 0..=bytes.len() {
            let mut content = bytes[..length].to_vec();
            if with_zeros {
                content.resize(bytes.len() + 100, 0);
            }
            std::fs::write(&file, content).unwrap();
            let poll = reader.poll().unwrap();
            if length == second {
                assert_eq!(numbers(&poll), range(0, 3));
            } else if length == bytes.len() {
                assert_eq!(numbers(&poll), range(3, 5));
            } else {
                assert_eq!(poll, Poll::default(), "{length}");
            }
        }
    }
}

#[test]
fn damage_in_the_active_segment_is_told_once_more_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let (file, mut bytes) = sample(directory.path());
    let second = crate::BatchHeader::parse(&bytes).unwrap().batch_bytes;
    bytes[second + 90] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let mut reader = LogReader::new(directory.path(), TOPIC);
    assert_eq!(numbers(&reader.poll().unwrap()), range(0, 3));
    // It might still be under way.
    assert_eq!(reader.poll().unwrap(), Poll::default());
    let mut next = Vec::new();
    crate::encode_batch(&mut next, 5, &records(5..7));
    bytes.extend_from_slice(&next);
    std::fs::write(&file, &bytes).unwrap();
    for _ in 0..2 {
        let damage = corruption(reader.poll().unwrap_err());
        assert_eq!((damage.position, damage.expected_offset), (second as u64, 3));
        assert!(matches!(damage.fault, crate::BatchFault::WrongChecksum { .. }));
        assert_eq!(damage.file, file);
    }
}

#[test]
fn damage_in_a_sealed_segment_is_told_after_what_stands_before_it() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        for number in 0..40 {
            log.append(&[record(number)]).await.unwrap();
        }
        let partition = directory.path().join(directory_name(TOPIC, 0));
        let file = partition.join("00000000000000000000.log");
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let mut reader = LogReader::new(directory.path(), TOPIC);
        let before = reader.poll().unwrap();
        assert!(before.has_more && !before.records.is_empty());
        assert_eq!(corruption(reader.poll().unwrap_err()).file, file);
    });
}

#[test]
fn records_that_retention_removed_unread_are_counted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, retention_bytes: 2048, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        let mut reader = LogReader::new(directory.path(), TOPIC);
        log.append(&[record(0)]).await.unwrap();
        assert_eq!(numbers(&reader.poll().unwrap()), [0]);
        for number in 1..200 {
            log.append(&[record(number)]).await.unwrap();
        }
        let poll = reader.poll().unwrap();
        assert!(log.start_offset(0) > 100);
        // The open file of the segment that was removed is still read to its end.
        assert!(poll.skipped_records > 0 && poll.skipped_records < log.start_offset(0));
        assert_eq!(poll.records.len() as u64 + poll.skipped_records, 199);
        assert_eq!(poll.records.last().unwrap().offset, 199);
        // A reader that comes later has missed nothing: it begins at the oldest record.
        assert_eq!(LogReader::new(directory.path(), TOPIC).poll().unwrap().skipped_records, 0);
    });
}

#[test]
fn batch_that_was_read_and_then_cut_is_followed() {
    // Goal: a write whose sync fails is seen by the reader, cut by the writer, and written anew in another shape; the
    // reader finds its place and yields what is in the log now. Method: retries that are shorter, equal, longer and of
    // other batches than the first try.
    run(async {
        // Each a list of offsets at which the batches of the retry end.
        for retry in [&[4][..], &[6], &[9], &[5, 6], &[4, 9, 10]] {
            let directory = tempfile::tempdir().unwrap();
            let faults = Arc::new(Faults::default());
            let storage = Storage::Faulty(Arc::clone(&faults));
            let mut log = open(directory.path(), &config(), &storage).await;
            let mut reader = LogReader::new(directory.path(), TOPIC);
            log.append(&records(0..3)).await.unwrap();
            faults.arm(Fault::SyncFails);
            let error = log.append(&records(3..6)).await.unwrap_err();
            assert!(matches!(error, LogError::Append(_)));
            assert_eq!(numbers(&reader.poll().unwrap()), range(0, 6));
            let mut found = Vec::new();
            let mut next = 3;
            for &end in retry {
                log.append(&records(next..end)).await.unwrap();
                next = end;
                found.extend(numbers(&reader.poll().unwrap()));
            }
            log.append(&records(100..103)).await.unwrap();
            found.extend(numbers(&reader.poll().unwrap()));
            found.sort_unstable();
            found.dedup();
            let in_log = read_records(directory.path());
            let new: Vec<i64> = in_log.iter().map(|new| new.timestamp_ms - record(0).timestamp_ms).collect();
            // Whatever was not read with the first try is read now; some comes twice.
            let missed: Vec<&i64> =
                new.iter().filter(|number| **number >= 6 && !found.contains(number)).collect();
            assert!(missed.is_empty(), "{retry:?}: {missed:?}");
        }
    });
}

#[test]
fn writer_that_dies_in_a_batch_and_comes_back_is_followed() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::new(Faults::default());
        let storage = Storage::Faulty(Arc::clone(&faults));
        let mut log = open(directory.path(), &config(), &storage).await;
        let mut reader = LogReader::new(directory.path(), TOPIC);
        log.append(&records(0..3)).await.unwrap();
        faults.arm(Fault::NoSpaceAfter(100));
        log.append(&records(3..6)).await.unwrap_err();
        assert_eq!(numbers(&reader.poll().unwrap()), range(0, 3));
        assert_eq!(reader.poll().unwrap(), Poll::default());
        drop(log);
        let mut log = open(directory.path(), &config(), &storage).await;
        assert_eq!(reader.poll().unwrap(), Poll::default());
        log.append(&records(3..9)).await.unwrap();
        assert_eq!(numbers(&reader.poll().unwrap()), range(3, 9));
    });
}

#[test]
fn segment_that_the_writer_begins_and_undoes_is_followed() {
    // Goal: a roll that fails after its segment was created leaves an empty file, which the reader may enter before the
    // writer removes it. Method: that file made by hand, then retries that go to the old segment or to a new one.
    run(async {
        for retry_count in [2, 40] {
            let directory = tempfile::tempdir().unwrap();
            let faults = Arc::new(Faults::default());
            let storage = Storage::Faulty(Arc::clone(&faults));
            let config = LogConfig { segment_bytes: 1024, ..config() };
            let mut log = open(directory.path(), &config, &storage).await;
            let mut reader = LogReader::new(directory.path(), TOPIC);
            log.append(&records(0..8)).await.unwrap();
            faults.arm(Fault::NoSpaceAfter(0));
            log.append(&records(8..10)).await.unwrap_err();
            let begun = directory.path().join(directory_name(TOPIC, 0)).join("00000000000000000008.log");
            std::fs::write(&begun, b"").unwrap();
            assert_eq!(numbers(&reader.poll().unwrap()), range(0, 8));
            assert_eq!(reader.poll().unwrap(), Poll::default());
            log.append(&records(8..8 + retry_count)).await.unwrap();
            assert_eq!(begun.exists(), retry_count > 2);
            let end = 8 + i64::try_from(retry_count).unwrap();
            assert_eq!(numbers(&reader.poll().unwrap()), range(8, end));
            log.append(&records(100..101)).await.unwrap();
            assert_eq!(numbers(&reader.poll().unwrap()), [100]);
        }
    });
}

/// Goal: a reader with a place of its own takes each partition from there on, and nothing behind the bound it is given.
#[test]
fn reader_starts_at_its_offsets_and_stops_at_the_bound() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { partition_count: 2, segment_bytes: 1024, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        for first in (0..200).step_by(4) {
            log.append(&records(first..first + 4)).await.unwrap();
        }
        let all = read_all(directory.path());
        let wanted = |partition, from: u64, to: u64| -> Vec<LogRecord> {
            let is_wanted =
                |record: &&LogRecord| record.partition == partition && (from..to).contains(&record.offset);
            all.iter().filter(is_wanted).cloned().collect()
        };
        let end = log.committed_offset(1);
        for start in [0, 1, 37, end - 1, end] {
            let offsets = BTreeMap::from([(1, start)]);
            let mut reader = LogReader::starting_at(directory.path(), TOPIC, &offsets);
            assert_eq!(reader.poll_to(|_| 0).unwrap(), Poll::default(), "nothing is committed yet");
            let poll = reader.poll_to(|_| end).unwrap();
            assert_eq!((poll.records, poll.skipped_records), (wanted(1, start, end), 0), "from {start}");
        }
        // What is appended behind the bound is left for later.
        let mut reader = LogReader::starting_at(directory.path(), TOPIC, &BTreeMap::from([(1, end)]));
        log.append(&records(200..240)).await.unwrap();
        assert_eq!(reader.poll_to(|_| end).unwrap(), Poll::default());
        assert!(!reader.poll_to(|_| log.committed_offset(1)).unwrap().records.is_empty());
    });
}

/// Goal: what retention removed before the reader opened its first file counts as skipped, to the record.
#[test]
fn records_removed_before_the_start_are_counted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1024, retention_bytes: 2048, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        let mut reader = LogReader::starting_at(directory.path(), TOPIC, &BTreeMap::from([(0, 5)]));
        for number in 0..100 {
            log.append(&[record(number)]).await.unwrap();
        }
        let poll = reader.poll_to(|_| log.committed_offset(0)).unwrap();
        assert!(log.start_offset(0) > 5, "retention did nothing: the test shows nothing");
        assert_eq!(poll.skipped_records, log.start_offset(0) - 5);
        assert_eq!(poll.records.first().map(|record| record.offset), Some(log.start_offset(0)));
    });
}
