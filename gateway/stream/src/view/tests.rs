//! The view against the log: what is committed is found from any offset and any time, what is not is not shown.

use std::sync::Arc;

use super::*;
use crate::testing::{Fault, Faults, config, open, record, records, run};
use crate::{LogConfig, Storage, SyncPolicy, decode_batch};

/// Offsets of the records in whole batches.
fn offsets(mut batches: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    while !batches.is_empty() {
        let header = crate::BatchHeader::parse(batches).unwrap();
        let batch = bytes::Bytes::copy_from_slice(&batches[..header.batch_bytes]);
        decode_batch(&batch, header.base_offset).unwrap();
        found.extend(header.base_offset..header.next_offset());
        batches = &batches[header.batch_bytes..];
    }
    found
}

#[test]
fn every_offset_is_found_through_rolls_and_reopening() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 40_000, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        for number in 0..400 {
            log.append(&records(number * 3..number * 3 + 3)).await.unwrap();
        }
        for reopened in [false, true] {
            if reopened {
                drop(log);
                log = open(directory.path(), &config, &Storage::Tokio).await;
            }
            let view = log.view();
            assert_eq!(view.range(0), Some(0..1_200));
            for offset in 0..1_200 {
                let plan = view.plan(0, offset).unwrap().unwrap();
                let found = offsets(&plan.run(2_000, false).unwrap());
                // The batch that holds the offset comes first, and all that follow have no gap.
                assert!(found[0] <= offset && offset < found[0] + 3, "{offset} in {found:?}");
                assert!(found.iter().copied().eq(found[0]..found[0] + found.len() as u64));
            }
            assert!(view.plan(0, 1_200).unwrap().is_none());
            assert_eq!(view.plan(0, 1_201).unwrap_err(), PlanFault::OutOfRange);
            assert_eq!(view.plan(1, 0).unwrap_err(), PlanFault::UnknownPartition);
        }
    });
}

#[test]
fn first_batch_is_served_even_if_it_is_larger() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        let big = crate::Record { value: Some(vec![7; 100_000].into()), ..record(0) };
        log.append(&[big]).await.unwrap();
        log.append(&records(1..3)).await.unwrap();
        let plan = log.view().plan(0, 0).unwrap().unwrap();
        assert_eq!(offsets(&plan.run(1, true).unwrap()), [0]);
        assert!(plan.run(1, false).unwrap().is_empty());
        assert_eq!(offsets(&plan.run(1_000_000, false).unwrap()), [0, 1, 2]);
    });
}

#[test]
fn times_lead_to_their_record() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log =
            open(directory.path(), &LogConfig { segment_bytes: 20_000, ..config() }, &Storage::Tokio).await;
        for number in 0..600 {
            log.append(&records(number * 2..number * 2 + 2)).await.unwrap();
        }
        let view = log.view();
        for number in 0..1_200 {
            let timestamp_ms = record(number).timestamp_ms;
            let found = view.plan_time(0, timestamp_ms).unwrap().run().unwrap();
            assert_eq!(found, Some((number, timestamp_ms)));
        }
        assert!(view.plan_time(0, record(1_200).timestamp_ms).is_none());
        assert_eq!(view.max_timestamp_ms(0), Some(record(1_199).timestamp_ms));
    });
}

/// Goal: where the clock was set back, the answer is a record at the time or later, and its own timestamp.
#[test]
fn times_that_go_back_lead_to_the_first_record_that_is_late_enough() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        for times in [[10, 40, 20], [25, 15, 50]] {
            let of_time = |timestamp_ms| crate::Record { timestamp_ms, ..record(0) };
            log.append(&times.map(of_time)).await.unwrap();
        }
        let view = log.view();
        let find = |timestamp_ms| view.plan_time(0, timestamp_ms)?.run().unwrap();
        let expected = [(0, Some((0, 10))), (11, Some((1, 40))), (41, Some((5, 50))), (51, None)];
        assert_eq!(expected.map(|(time, _)| (time, find(time))), expected);
    });
}

#[test]
fn what_is_not_synced_is_not_shown() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let interval = SyncPolicy::IntervalMs(5.try_into().unwrap());
        let config = LogConfig { sync: interval, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        let view = log.view();
        log.append(&records(0..3)).await.unwrap();
        assert_eq!(view.range(0), Some(0..0));
        let commit = view.next_commit();
        log.sync().await.unwrap();
        commit.await;
        assert_eq!(view.range(0), Some(0..3));
    });
}

#[test]
fn failed_sync_is_never_shown_and_its_offsets_are_used_again() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::new(Faults::default());
        let mut log = open(directory.path(), &config(), &Storage::Faulty(Arc::clone(&faults))).await;
        let view = log.view();
        log.append(&records(0..2)).await.unwrap();
        faults.arm(Fault::SyncFails);
        log.append(&records(2..4)).await.unwrap_err();
        assert_eq!(view.range(0), Some(0..2));
        log.append(&records(4..5)).await.unwrap();
        let plan = view.plan(0, 1).unwrap().unwrap();
        assert_eq!(offsets(&plan.run(10_000, true).unwrap()), [0, 1, 2]);
    });
}

#[test]
fn damage_is_reported_and_not_served() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), &config(), &Storage::Tokio).await;
        log.append(&records(0..2)).await.unwrap();
        log.append(&records(2..4)).await.unwrap();
        let view = log.view();
        let plan = view.plan(0, 0).unwrap().unwrap();
        let path = segment_path(&directory.path().join("pulsegate.events-0"), 0);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(offsets(&plan.run(10_000, true).unwrap()), [0, 1]);
        let second = view.plan(0, 2).unwrap().unwrap();
        assert!(matches!(second.run(10_000, true), Err(ReadFault::Damaged { offset: 2, .. })));
    });
}
