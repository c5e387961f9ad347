//! Whatever bits flip: what is served is what was written at that offset, and no offset is used twice.

use std::collections::BTreeMap;

use super::*;
use crate::partition::directory_name;
use crate::testing::power::Random;
use crate::testing::{TOPIC, config, open, read_all, record, records, run};
use crate::{
    BatchHeader, Cleanup, EventLog, LogConfig, LogView, OnDamage, Record, RecoveryReport, Storage,
    decode_batch,
};

const SEED: u64 = 0x7175_6172;
const CASES: u64 = 300;
const BATCHES: u64 = 60;
const RECORDS: u64 = BATCHES / 4 * 10;

/// A data directory in memory where the system has such a place: a disk's syncs would show nothing here.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn quarantining(directory: &Path) -> LogConfig {
    let on_damage = OnDamage::Quarantine(directory.join("quarantine"));
    LogConfig { segment_bytes: 1_400, on_damage, ..config() }
}

async fn open_reported(directory: &Path, config: &LogConfig) -> (EventLog, RecoveryReport) {
    EventLog::open(directory, config.clone(), Storage::Tokio).await.unwrap()
}

/// Batches of one to four records in small segments.
async fn fill(directory: &Path, config: &LogConfig) {
    let mut log = open(directory, config, &Storage::Tokio).await;
    let mut appended = 0;
    for batch in 0..BATCHES {
        let count = 1 + batch % 4;
        log.append(&records(appended..appended + count)).await.unwrap();
        appended += count;
    }
    assert_eq!(appended, RECORDS);
}

fn segments(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let directory = directory.join(directory_name(TOPIC, 0));
    let names = list_segments(&directory).unwrap();
    let paths = names.into_iter().map(|base_offset| segment_path(&directory, base_offset));
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Offset and record of all that a Kafka client is given that begins at 0, and where it then is.
fn read_as_client(view: &LogView) -> (Vec<(u64, Record)>, u64) {
    let (mut found, mut offset) = (Vec::new(), view.range(0).unwrap().start);
    while let Some(plan) = view.plan(0, offset).unwrap() {
        let mut bytes = bytes::Bytes::from(plan.run(10_000, true).unwrap());
        assert!(!bytes.is_empty(), "offset {offset} is in range and nothing is served");
        while !bytes.is_empty() {
            let header = BatchHeader::parse(&bytes).unwrap();
            let batch = bytes.split_to(header.batch_bytes);
            let records = decode_batch(&batch, header.base_offset).unwrap();
            found.extend((header.base_offset..).zip(records));
            offset = header.next_offset();
        }
    }
    (found, offset)
}

/// Goal: what is served is a subset of what was written, each record at its offset; offsets that were used are not used
/// again; one flip costs the batch that it struck; the next opening, even one that refuses damage, finds nothing to do.
/// Method: one to four flips at random places before the last batch, which nobody can tell from a torn one.
#[test]
fn flipped_bits_cost_what_they_struck_and_move_no_record() {
    println!("seed {SEED:#x}");
    let mut random = Random(SEED);
    run(async {
        let original = directory();
        let config = quarantining(original.path());
        fill(original.path(), &config).await;
        let files = segments(original.path());
        for case in 0..CASES {
            let directory = directory();
            let config = quarantining(directory.path());
            std::fs::create_dir(directory.path().join(directory_name(TOPIC, 0))).unwrap();
            let flips = 1 + random.below(4) * (case % 2);
            let damaged = flip(&files, flips, &mut random);
            for (path, content) in &damaged {
                std::fs::write(directory.path().join(path.strip_prefix(original.path()).unwrap()), content)
                    .unwrap();
            }
            check_case(directory.path(), &config, flips == 1).await;
            let copies = directory.path().join("quarantine").join(directory_name(TOPIC, 0));
            for copy in std::fs::read_dir(copies).unwrap() {
                let path = copy.unwrap().path();
                let copied = std::fs::read(&path).unwrap();
                // The first copy of a segment is what was found; a later one may be a part of it.
                assert!(damaged.values().any(|content| content.ends_with(&copied)), "{}", path.display());
            }
        }
    });
}

fn flip(files: &BTreeMap<PathBuf, Vec<u8>>, flips: u64, random: &mut Random) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut damaged = files.clone();
    let active = files.last_key_value().unwrap().1;
    let (mut at, mut last) = (0, 0);
    while at < active.len() {
        (last, at) = (at, at + BatchHeader::parse(&active[at..]).unwrap().batch_bytes);
    }
    let total = files.values().map(Vec::len).sum::<usize>() - (active.len() - last);
    for _ in 0..flips {
        let mut position = usize::try_from(random.below(total as u64)).unwrap();
        for content in damaged.values_mut() {
            if position < content.len() {
                content[position] ^= 1 << random.below(8);
                break;
            }
            position -= content.len();
        }
    }
    damaged
}

async fn check_case(directory: &Path, config: &LogConfig, is_one_flip: bool) {
    let (mut log, report) = open_reported(directory, config).await;
    let partition = &report.partitions[0];
    assert!(!partition.set_aside.is_empty(), "nothing was reported");
    assert!(partition.next_offset >= RECORDS && partition.cut_tail.is_none(), "{partition:?}");
    let told = partition.untold.iter().map(|gap| gap.next_offset - gap.first_offset).sum::<u64>();
    log.append(&[record(9_999)]).await.unwrap();
    let (mut found, end) = read_as_client(&log.view());
    assert_eq!(end, partition.next_offset + 1);
    let (new_offset, new) = found.pop().unwrap();
    assert_eq!((new_offset, new), (partition.next_offset, record(9_999)));
    for (offset, found) in &found {
        assert_eq!(*found, record(*offset), "at offset {offset}");
    }
    assert!(found.is_sorted_by_key(|(offset, _)| *offset));
    assert_eq!(partition.next_offset - found.len() as u64, told, "all that is gone is told");
    // The last batch before the end has nothing after it that would confirm its offset.
    let lost = RECORDS - found.len() as u64;
    assert!(
        !is_one_flip || lost <= 4 || partition.next_offset > RECORDS,
        "one batch has four records at most, {lost} are gone"
    );
    let mut of_reader = read_all(directory);
    of_reader.pop();
    assert!(
        of_reader
            .iter()
            .map(|read| (read.offset, &read.record))
            .eq(found.iter().map(|(at, record)| (*at, record)))
    );
    drop(log);
    let refusing = LogConfig { on_damage: OnDamage::Refuse, ..config.clone() };
    let (log, again) = open_reported(directory, &refusing).await;
    assert_eq!((again.set_aside().count(), &again.partitions[0].untold), (0, &partition.untold));
    assert_eq!(read_as_client(&log.view()).0[..found.len()], found);
    log.confirm_told().await.unwrap();
    drop(log);
    let (log, last) = open_reported(directory, &refusing).await;
    assert_eq!(
        (&last.partitions[0].untold[..], log.committed_offset(0)),
        (&[][..], partition.next_offset + 1)
    );
}

/// Goal: a segment that is missing is a gap like any other, and one that begins before the end of the one before costs
/// that one.
#[test]
fn missing_and_misnamed_segments_are_gaps() {
    run(async {
        for is_missing in [true, false] {
            let directory = directory();
            let config = quarantining(directory.path());
            fill(directory.path(), &config).await;
            let paths: Vec<PathBuf> = segments(directory.path()).into_keys().collect();
            let base_offset =
                |path: &Path| base_offset_of_name(path.file_name().unwrap().to_str().unwrap()).unwrap();
            let gone = base_offset(&paths[2])..base_offset(&paths[3]);
            if is_missing {
                std::fs::remove_file(&paths[2]).unwrap();
            } else {
                // Twice its content: it runs into the next one.
                let content = std::fs::read(&paths[2]).unwrap();
                std::fs::write(&paths[2], [&content[..], &following(&content, gone.end)].concat()).unwrap();
            }
            let (log, report) = open_reported(directory.path(), &config).await;
            let [set_aside] = &report.partitions[0].set_aside[..] else { panic!("{report:?}") };
            assert_eq!((&set_aside.offsets, set_aside.copy.is_none()), (&gone, is_missing));
            let (found, end) = read_as_client(&log.view());
            assert!(
                found
                    .iter()
                    .map(|(offset, _)| *offset)
                    .eq((0..RECORDS).filter(|offset| !gone.contains(offset)))
            );
            assert_eq!(end, RECORDS);
        }
    });
}

/// A batch that continues at `offset`.
fn following(content: &[u8], offset: u64) -> Vec<u8> {
    let header = BatchHeader::parse(content).unwrap();
    let mut batch = content[..header.batch_bytes].to_vec();
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batch
}

/// Goal: consumers pass the gap of a compacted topic too, also after a later compaction of the segment before it.
#[test]
fn gap_of_a_compacted_topic_is_passed_before_and_after_its_next_compaction() {
    run(async {
        let directory = directory();
        let config = LogConfig { cleanup: Cleanup::Compact, ..quarantining(directory.path()) };
        fill(directory.path(), &config).await;
        let (path, mut content) = segments(directory.path()).into_iter().nth(1).unwrap();
        let first = BatchHeader::parse(&content).unwrap();
        content[first.batch_bytes + 70] ^= 1;
        std::fs::write(&path, &content).unwrap();
        let (mut log, report) = open_reported(directory.path(), &config).await;
        let gone = report.partitions[0].set_aside[0].offsets.clone();
        let view = log.view();
        assert_eq!(read_as_client(&view).1, RECORDS);
        assert_eq!(format!("{:?}", view.plan(0, gone.start)), format!("{:?}", view.plan(0, gone.end)));
        let mut compacted = 0;
        while compacted == 0 {
            for maintained in log.maintain(i64::MAX / 2).await {
                assert!(maintained.failure.is_none(), "{maintained:?}");
                compacted += maintained.records_compacted;
            }
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
        let plan = view.plan(0, gone.start).unwrap().unwrap();
        let batch = plan.run(10_000, true).unwrap();
        assert!(BatchHeader::parse(&batch).unwrap().base_offset >= gone.end);
        drop(log);
        let (log, report) = open_reported(directory.path(), &config).await;
        assert_eq!((report.set_aside().count(), log.committed_offset(0)), (0, RECORDS));
    });
}

/// Goal: a crash between any two steps of setting aside is made good by the next opening.
/// Method: each state that a crash can leave is made by undoing what would come after it.
#[test]
fn setting_aside_goes_on_after_a_crash_at_any_step() {
    run(async {
        let directory = directory();
        let config = quarantining(directory.path());
        fill(directory.path(), &config).await;
        let (path, mut content) = segments(directory.path()).into_iter().nth(1).unwrap();
        let first = BatchHeader::parse(&content).unwrap();
        content[first.batch_bytes + 70] ^= 1;
        std::fs::write(&path, &content).unwrap();
        let (log, report) = open_reported(directory.path(), &config).await;
        let found = read_as_client(&log.view());
        let gone = report.partitions[0].set_aside[0].offsets.clone();
        let rest = segment_path(&directory.path().join(directory_name(TOPIC, 0)), gone.end);
        drop(log);
        for has_rest in [true, false] {
            std::fs::write(&path, &content).unwrap();
            if !has_rest {
                std::fs::remove_file(&rest).unwrap();
            }
            let (log, report) = open_reported(directory.path(), &config).await;
            assert_eq!(report.partitions[0].set_aside[0].offsets, gone);
            assert_eq!(read_as_client(&log.view()), found);
        }
    });
}

/// Goal: a flipped bit in an offset, which no checksum covers, moves no record, even if the batch before is damaged too
/// and nothing follows.
#[test]
fn offset_that_nothing_confirms_is_not_trusted() {
    run(async {
        for bit in 0..4 {
            let directory = directory();
            let config = quarantining(directory.path());
            fill(directory.path(), &config).await;
            let (path, mut content) = segments(directory.path()).into_iter().next_back().unwrap();
            let mut starts = Vec::new();
            let mut at = 0;
            while at < content.len() {
                starts.push(at);
                at += BatchHeader::parse(&content[at..]).unwrap().batch_bytes;
            }
            let [.., before, last] = starts[..] else { panic!("two batches") };
            content[before + 70] ^= 1;
            content[last + 7] ^= 1 << bit;
            std::fs::write(&path, &content).unwrap();
            let (log, report) = open_reported(directory.path(), &config).await;
            let (found, _) = read_as_client(&log.view());
            assert!(found.iter().all(|(offset, found)| *found == record(*offset)), "bit {bit}");
            assert!(report.partitions[0].next_offset >= RECORDS);
        }
    });
}
