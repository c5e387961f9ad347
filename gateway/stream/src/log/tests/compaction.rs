//! Against a map of keys to values: whatever was compacted when, and wherever a crash came, the last value of each key
//! is there at its offset, and nothing appears that was not written. And retention by age.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::compaction::{self, Pass, Slice};
use crate::segment::{Segment, list_segments, rewrite_path, segment_path};
use crate::testing::{config, open, read_all, records, run};
use crate::{Cleanup, EventLog, LogConfig, Record, Storage};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// A small generator (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What was written, and what is the last of each key.
#[derive(Default)]
struct Model {
    written: Vec<Record>,
    last: BTreeMap<Bytes, Option<Bytes>>,
    now_ms: u64,
}

impl Model {
    async fn append(&mut self, log: &mut EventLog, random: &mut Random) {
        self.now_ms += random.below(DAY_MS / 50);
        let number = self.written.len();
        let batch: Vec<Record> = (0..=random.below(5))
            .map(|_| Record {
                timestamp_ms: i64::try_from(self.now_ms).unwrap(),
                key: Some(format!("node-{}", random.below(12)).into()),
                value: (random.below(5) > 0).then(|| format!("{number} {}", "x".repeat(50)).into()),
                headers: Vec::new(),
            })
            .collect();
        for record in &batch {
            self.last.insert(record.key.clone().unwrap(), record.value.clone());
        }
        log.append(&batch).await.unwrap();
        self.written.extend(batch);
    }

    fn check(&self, log: &EventLog, directory: &Path) {
        assert_eq!(log.committed_offset(0), self.written.len() as u64, "offsets never go back");
        let mut found = BTreeMap::new();
        for read in read_all(directory) {
            let written = &self.written[usize::try_from(read.offset).unwrap()];
            assert_eq!(&read.record, written, "at offset {}", read.offset);
            found.insert(read.record.key.unwrap(), read.record.value);
        }
        let living = |map: &BTreeMap<Bytes, Option<Bytes>>| -> Vec<(Bytes, Bytes)> {
            map.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
        };
        assert_eq!(living(&found), living(&self.last));
        // A tombstone younger than its time is there for slow readers, unless a value has come since.
        for (key, value) in &self.last {
            let latest = self.written.iter().rev().find(|record| record.key.as_ref() == Some(key)).unwrap();
            let is_young = self.now_ms - latest.timestamp_ms.unsigned_abs() < DAY_MS;
            assert!(value.is_some() || !is_young || found.contains_key(key));
        }
        let view = log.view();
        for offset in 0..log.committed_offset(0) {
            let batches = view.plan(0, offset).unwrap().unwrap().run(1, true).unwrap();
            let header = crate::BatchHeader::parse(&batches).unwrap();
            assert!((header.base_offset..header.next_offset()).contains(&offset));
        }
    }

    /// Lets a pass run to its end, if one is due. Returns how many records it took out.
    async fn compact(&self, log: &mut EventLog) -> u64 {
        let mut removed = 0;
        loop {
            let maintained = log.maintain(i64::try_from(self.now_ms).unwrap()).await;
            assert!(maintained[0].failure.is_none(), "{:?}", maintained[0].failure);
            removed += maintained[0].records_compacted;
            if !log.partitions[0].is_compacting() {
                return removed;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn compacted_config() -> LogConfig {
    LogConfig { segment_bytes: 2_000, retention_bytes: 0, cleanup: Cleanup::Compact, ..config() }
}

/// A pass whose files are put in place one by one until the crash: some are, one may be half written, the rest waits.
fn crash_in_compaction(directory: &Path, model: &Model, random: &mut Random) {
    let partition = directory.join("pulsegate.events-0");
    let mut base_offsets = list_segments(&partition).unwrap();
    base_offsets.pop();
    let segment = |base_offset: u64| {
        let bytes = std::fs::metadata(segment_path(&partition, base_offset)).unwrap().len();
        Segment { base_offset, bytes }
    };
    let pass = Pass {
        directory: partition.clone(),
        segments: base_offsets.iter().copied().map(segment).collect(),
        tombstones_before_ms: i64::try_from(model.now_ms).unwrap() - i64::try_from(DAY_MS).unwrap(),
        slice: Slice::ALL,
        is_cancelled: Arc::default(),
    };
    // Few keys at once: the rest is not touched by this pass.
    let keys_max = usize::try_from(random.below(12) + 1).unwrap();
    for rewritten in compaction::run_with(&pass, keys_max).unwrap().segments {
        let from = rewrite_path(&partition, rewritten.base_offset);
        match random.below(3) {
            0 => {
                std::fs::File::options().write(true).open(&from).unwrap().set_len(random.below(300)).unwrap()
            }
            1 => {}
            // Any subset: the directory may reach the disk in any order.
            _ => std::fs::rename(&from, segment_path(&partition, rewritten.base_offset)).unwrap(),
        }
    }
}

#[test]
fn last_value_of_each_key_survives_compaction_and_crashes_in_it() {
    let mut removed = 0;
    for seed in 1..=8 {
        println!("seed {seed}");
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let directory = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        run(async {
            let mut log = open(directory.path(), &compacted_config(), &Storage::Tokio).await;
            for _ in 0..40 {
                for _ in 0..random.below(12) {
                    model.append(&mut log, &mut random).await;
                }
                match random.below(4) {
                    0 => removed += model.compact(&mut log).await,
                    1 => {
                        drop(log);
                        crash_in_compaction(directory.path(), &model, &mut random);
                        log = open(directory.path(), &compacted_config(), &Storage::Tokio).await;
                    }
                    _ => {}
                }
            }
            model.check(&log, directory.path());
        });
    }
    assert!(removed > 200, "only {removed} records were compacted: the test shows little");
}

#[test]
fn plan_made_before_a_rewrite_is_refused_and_made_anew() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut random = Random(7);
        let mut log = open(directory.path(), &compacted_config(), &Storage::Tokio).await;
        for _ in 0..60 {
            model.append(&mut log, &mut random).await;
        }
        let old = log.view().plan(0, 10).unwrap().unwrap();
        assert!(model.compact(&mut log).await > 0);
        assert!(matches!(old.run(1, true), Err(crate::ReadFault::Rewritten)));
        assert!(log.view().plan(0, 10).unwrap().unwrap().run(1, true).is_ok());
    });
}

/// Goal: times lead to the first record that is late enough and still there, over the gaps that compaction leaves.
#[test]
fn times_lead_to_their_record_in_a_compacted_topic() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut random = Random(11);
        let mut log = open(directory.path(), &compacted_config(), &Storage::Tokio).await;
        for _ in 0..60 {
            model.append(&mut log, &mut random).await;
        }
        assert!(model.compact(&mut log).await > 0);
        let kept = read_all(directory.path());
        for record in &model.written {
            let late_enough =
                kept.iter().find(|read| read.record.timestamp_ms >= record.timestamp_ms).unwrap();
            let found = log.view().plan_time(0, record.timestamp_ms).unwrap().run().unwrap();
            assert_eq!(found, Some((late_enough.offset, late_enough.record.timestamp_ms)));
        }
    });
}

/// Gaps belong to compacted topics: in any other they are damage.
#[test]
fn compacted_segment_in_a_topic_without_compaction_is_damage() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut random = Random(9);
        let mut log = open(directory.path(), &compacted_config(), &Storage::Tokio).await;
        for _ in 0..60 {
            model.append(&mut log, &mut random).await;
        }
        assert!(model.compact(&mut log).await > 0);
        drop(log);
        let appended = LogConfig { cleanup: Cleanup::Delete, ..compacted_config() };
        let refused = EventLog::open(directory.path(), appended, Storage::Tokio).await;
        assert!(refused.unwrap_err().to_string().contains("last offset delta"));
    });
}

#[test]
fn what_is_too_old_goes_with_its_segment_and_the_rest_stays() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes: 1_024, retention_ms: 1_000, ..config() };
        let mut log = open(directory.path(), &config, &Storage::Tokio).await;
        for number in 0..100 {
            // One a millisecond.
            log.append(&records(number..number + 1)).await.unwrap();
        }
        let first_ms = records(0..1)[0].timestamp_ms;
        assert_eq!(log.maintain(first_ms + 1_000).await[0].retention.segments_removed, 0);
        let removed = log.maintain(first_ms + 1_050).await.remove(0).retention;
        let start = log.start_offset(0);
        assert!(removed.segments_removed > 0 && (1..=50).contains(&start), "{start}");
        assert_eq!(read_all(directory.path())[0].offset, start);
        // All of it is too old: the active segment is sealed first.
        log.maintain(first_ms + 9_000).await;
        assert_eq!((log.start_offset(0), log.committed_offset(0)), (100, 100));
        assert_eq!(log.append(&records(100..101)).await.unwrap().partitions[0].first_offset, 100);
    });
}
