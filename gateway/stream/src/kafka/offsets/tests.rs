//! What is committed stays: over restarts, failures, and crashes at any step of the compaction.

mod bounds;
mod disk;
mod expiry;

use std::fs::OpenOptions;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;

use super::*;
use crate::error::{FileError, LogError};
use crate::testing::{
    Fault, Faults, io_uring_is_refused, keep_pool_busy, run, run_with_one_blocking_thread, waits,
};

const NOW_MS: i64 = 1_795_500_000_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: "pulsegate.events".to_owned(), partition }
}

fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: 3,
        commit_timestamp_ms: NOW_MS + offset,
        metadata: format!("at {offset}"),
    }
}

async fn open(directory: &Path) -> OffsetStore {
    OffsetStore::open(directory, Storage::Tokio, OnDamage::Refuse).await.unwrap()
}

async fn commit(store: &mut OffsetStore, group_id: &str, number: i32, at: i64) {
    let results = store.commit(group_id, vec![(partition(number), offset(at))]).await.unwrap();
    assert_eq!(results, [Ok(())]);
}

/// Everything in the store, to compare.
fn table(store: &OffsetStore) -> Vec<(String, TopicPartition, CommittedOffset)> {
    let groups = store.group_ids().map(str::to_owned);
    let rows = groups.flat_map(|group_id| {
        let offsets = store.fetch_all(&group_id);
        offsets
            .map(|(partition, offset)| (group_id.clone(), partition.clone(), offset.clone()))
            .collect::<Vec<_>>()
    });
    rows.collect()
}

/// Two groups, one of which has committed twice.
async fn filled(directory: &Path) -> OffsetStore {
    let mut store = open(directory).await;
    commit(&mut store, "a", 0, 10).await;
    commit(&mut store, "a", 1, 20).await;
    commit(&mut store, "b", 0, 30).await;
    commit(&mut store, "a", 0, 11).await;
    store
}

/// The segment of the log that counts.
fn segment(store: &OffsetStore) -> PathBuf {
    let log = generation::generation_path(&store.directory, store.generation);
    log.join(format!("{OFFSETS_TOPIC}-0/{:020}.log", 0))
}

#[test]
fn newest_offset_of_each_partition_is_there_after_a_restart() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path()).await;
        let before = table(&store);
        assert_eq!(before.len(), 3);
        drop(store);
        let store = open(directory.path()).await;
        assert_eq!(table(&store), before);
        assert_eq!(store.fetch_one("a", &partition(0)), Some(&offset(11)));
        assert_eq!(store.fetch_one("b", &partition(1)), None);
        assert_eq!(store.fetch_all("nobody").count(), 0);
    });
}

#[test]
fn second_store_in_the_directory_is_refused() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let _store = open(directory.path()).await;
        let error = OffsetStore::open(directory.path(), Storage::Tokio, OnDamage::Refuse).await.unwrap_err();
        assert!(matches!(error, OffsetStoreError::Log(LogError::Locked { .. })), "{error}");
    });
}

#[test]
fn deleted_group_stays_deleted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = filled(directory.path()).await;
        assert_eq!(store.delete_group("a", NOW_MS).await.unwrap(), 2);
        assert_eq!(store.delete_group("nobody", NOW_MS).await.unwrap(), 0);
        drop(store);
        let store = open(directory.path()).await;
        assert_eq!(store.group_ids().collect::<Vec<_>>(), ["b"]);
        assert_eq!(store.entries(), 1);
    });
}

#[test]
fn torn_tail_costs_only_the_commit_that_did_not_return() {
    // Method: cut the segment within its last batch, and add garbage, as a crash in a write does.
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = filled(directory.path()).await;
        let before = table(&store);
        let segment = segment(&store);
        let whole = std::fs::metadata(&segment).unwrap().len();
        commit(&mut store, "a", 0, 99).await;
        drop(store);
        let end = std::fs::metadata(&segment).unwrap().len();
        for bytes in [end - 1, whole + 70, whole + 1] {
            let file = OpenOptions::new().write(true).open(&segment).unwrap();
            file.set_len(bytes).unwrap();
            assert_eq!(table(&open(directory.path()).await), before);
            OpenOptions::new().append(true).open(&segment).unwrap().write_all(&[7; 100]).unwrap();
        }
        let mut store = open(directory.path()).await;
        assert_eq!(table(&store), before);
        commit(&mut store, "a", 0, 12).await;
    });
}

#[test]
fn damage_and_foreign_records_are_refused() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = filled(directory.path()).await;
        let foreign = Record { key: Some("k".into()), ..Record::default() };
        store.append(&[foreign]).await.unwrap();
        let segment = segment(&store);
        drop(store);
        let error = OffsetStore::open(directory.path(), Storage::Tokio, OnDamage::Refuse).await.unwrap_err();
        assert!(matches!(error, OffsetStoreError::Format { offset: 4, .. }), "{error}");
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[80] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let error = OffsetStore::open(directory.path(), Storage::Tokio, OnDamage::Refuse).await.unwrap_err();
        assert!(matches!(error, OffsetStoreError::Log(LogError::File(FileError::Corrupt(_)))), "{error}");
    });
}

#[test]
fn commit_that_failed_does_not_count_and_can_be_tried_again() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::new(Faults::default());
        let storage = Storage::Faulty(Arc::clone(&faults));
        let mut store = OffsetStore::open(directory.path(), storage, OnDamage::Refuse).await.unwrap();
        commit(&mut store, "a", 0, 1).await;
        for fault in [Fault::SyncFails, Fault::NoSpaceAfter(10)] {
            faults.arm(fault);
            store.commit("a", vec![(partition(0), offset(2))]).await.unwrap_err();
            assert_eq!(store.fetch_one("a", &partition(0)), Some(&offset(1)));
        }
        commit(&mut store, "a", 0, 2).await;
        drop(store);
        assert_eq!(open(directory.path()).await.fetch_one("a", &partition(0)), Some(&offset(2)));
    });
}

#[test]
fn log_stays_within_its_bound_however_often_groups_commit() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path()).await.with_compact_bytes(4_096);
        for at in 0..300 {
            commit(&mut store, "a", i32::try_from(at % 5).unwrap(), at).await;
            assert!(store.log_bytes <= 4_096, "{}", store.log_bytes);
        }
        assert!(store.generation > 5 && store.compaction_failure().is_none());
        assert_eq!(generation::list(directory.path()).unwrap(), [store.generation]);
        let before = table(&store);
        drop(store);
        let store = open(directory.path()).await;
        assert_eq!(table(&store), before);
        assert_eq!(store.fetch_one("a", &partition(4)), Some(&offset(299)));
    });
}

#[test]
fn commits_and_compactions_work_through_io_uring() {
    if io_uring_is_refused() {
        return;
    }
    tokio_uring::start(async {
        let directory = tempfile::tempdir().unwrap();
        let store = OffsetStore::open(directory.path(), Storage::Uring, OnDamage::Refuse).await.unwrap();
        let mut store = store.with_compact_bytes(4_096);
        for at in 0..100 {
            commit(&mut store, "a", i32::try_from(at % 5).unwrap(), at).await;
        }
        assert!(store.generation > 1 && store.compaction_failure().is_none());
        let before = table(&store);
        drop(store);
        let store = OffsetStore::open(directory.path(), Storage::Uring, OnDamage::Refuse).await.unwrap();
        assert_eq!(table(&store), before);
    });
}

#[test]
fn crash_at_any_step_of_the_compaction_loses_nothing() {
    // Method: do the first steps, drop the store as a crash does, open it again, commit, and open it once more.
    run(async {
        for steps in 0..=4 {
            let directory = tempfile::tempdir().unwrap();
            let mut store = filled(directory.path()).await;
            let before = table(&store);
            let compacting = generation::compacting_path(directory.path());
            if steps == 1 {
                // In the middle of writing the successor.
                std::fs::create_dir_all(compacting.join("__offsets-0")).unwrap();
                std::fs::write(compacting.join("__offsets-0/00000000000000000000.log"), [1; 50]).unwrap();
            }
            if steps >= 2 {
                store.write_successor().await.unwrap();
            }
            if steps == 3 {
                // Between the rename and the opening.
                generation::switch(directory.path(), store.generation + 1).unwrap();
            }
            if steps == 4 {
                store.switch_to_successor().await.unwrap();
                commit(&mut store, "b", 0, 31).await;
                // In the middle of removing the predecessor.
                std::fs::remove_dir_all(generation::generation_path(directory.path(), 1).join("__offsets-0"))
                    .unwrap();
            }
            drop(store);
            let mut store = open(directory.path()).await;
            assert_eq!(generation::list(directory.path()).unwrap(), [store.generation], "step {steps}");
            assert!(!compacting.exists());
            let expected = if steps == 4 { offset(31) } else { offset(30) };
            assert_eq!(store.fetch_one("b", &partition(0)), Some(&expected));
            assert_eq!(table(&store)[..2], before[..2], "step {steps}");
            commit(&mut store, "b", 0, 40).await;
            drop(store);
            assert_eq!(open(directory.path()).await.fetch_one("b", &partition(0)), Some(&offset(40)));
        }
    });
}

/// Goal: the switch renames in the blocking pool, and whoever commits may leave in the middle of it: what is committed
/// afterwards is in the log that counts, and what no longer counts is removed sooner or later.
#[test]
fn switch_whose_caller_leaves_loses_no_later_commit() {
    run_with_one_blocking_thread(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = filled(directory.path()).await;
        store.write_successor().await.unwrap();
        let busy = keep_pool_busy();
        {
            let mut switching = pin!(store.switch_to_successor());
            assert!(waits(switching.as_mut()).await);
            assert_eq!(generation::list(directory.path()).unwrap(), [1], "nothing is renamed by the caller");
        }
        drop(busy);
        commit(&mut store, "b", 0, 31).await;
        assert_eq!((store.generation, generation::list(directory.path()).unwrap()), (2, vec![1, 2]));
        let before = table(&store);
        drop(store);
        let mut store = open(directory.path()).await.with_compact_bytes(1);
        assert_eq!(table(&store), before);
        std::fs::create_dir(generation::generation_path(directory.path(), 1)).unwrap();
        commit(&mut store, "b", 0, 32).await;
        assert_eq!(generation::list(directory.path()).unwrap(), [3]);
    });
}

#[test]
fn directory_with_a_name_that_only_resembles_a_generation_does_not_count() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let before = table(&filled(directory.path()).await);
        for name in ["generation-9", "generation-+0000000000000000009", "generation-x", "other"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        assert_eq!(table(&open(directory.path()).await), before);
    });
}

#[test]
fn compaction_that_fails_costs_no_commit() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::new(Faults::default());
        let storage = Storage::Faulty(Arc::clone(&faults));
        let mut store = OffsetStore::open(directory.path(), storage, OnDamage::Refuse)
            .await
            .unwrap()
            .with_compact_bytes(1);
        faults.arm(Fault::WritePasses);
        faults.arm(Fault::NoSpaceAfter(3));
        commit(&mut store, "a", 0, 1).await;
        assert!(store.compaction_failure().is_some());
        assert_eq!(store.generation, 1);
        for at in 2..6 {
            commit(&mut store, "a", 0, at).await;
        }
        assert!(store.compaction_failure().is_none());
        assert!(store.generation > 1);
        drop(store);
        assert_eq!(open(directory.path()).await.fetch_one("a", &partition(0)), Some(&offset(5)));
    });
}
