//! Torn tails are cut, damage is refused, and nothing invalid is ever served: each byte length, and flipped bits
//! anywhere, against what was committed.

use std::collections::BTreeMap;

use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::error::LogError;
use crate::limits::BATCH_HEADER_BYTES;
use crate::partition::directory_name;
use crate::testing::{TOPIC, config, open, read_all, read_records, record, records, run};
use crate::{EventLog, LogConfig, LogReader, OnDamage, Record, Storage};

/// A log of several segments on disk, kept in memory so that each case can start from it.
struct Sample {
    files: BTreeMap<String, Vec<u8>>,
    records: Vec<Record>,
    config: LogConfig,
    /// Where each batch of the active segment begins, and the offset of its first record.
    batches: Vec<(usize, u64)>,
}

impl Sample {
    /// Batches of one to four records, in segments of at most `segment_bytes`.
    fn new(batch_count: u64, segment_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = LogConfig { segment_bytes, ..config() };
        let mut appended = 0;
        run(async {
            let mut log = open(directory.path(), &config, &Storage::Tokio).await;
            for batch in 0..batch_count {
                let count = 1 + batch % 4;
                log.append(&records(appended..appended + count)).await.unwrap();
                appended += count;
            }
        });
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory.path().join(directory_name(TOPIC, 0))).unwrap() {
            let entry = entry.unwrap();
            files.insert(entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
        }
        let batches = batches_of(files.last_key_value().unwrap().1);
        Self { files, records: records(0..appended), config, batches }
    }

    /// Writes the files into a new directory, in memory where the system has such a place: each of some thousand cases
    /// syncs several times, which a busy disk makes slow and which shows nothing here.
    fn restore(&self) -> tempfile::TempDir {
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let directory = in_memory.unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let partition = directory.path().join(directory_name(TOPIC, 0));
        std::fs::create_dir(&partition).unwrap();
        for (name, content) in &self.files {
            std::fs::write(partition.join(name), content).unwrap();
        }
        directory
    }

    fn active(&self) -> (&str, &[u8]) {
        let (name, content) = self.files.last_key_value().unwrap();
        (name, content)
    }

    /// Replaces the active segment in a directory.
    fn write_active(&self, directory: &Path, content: &[u8]) {
        std::fs::write(directory.join(directory_name(TOPIC, 0)).join(self.active().0), content).unwrap();
    }
}

fn batches_of(segment: &[u8]) -> Vec<(usize, u64)> {
    let mut batches = Vec::new();
    let mut position = 0;
    while position < segment.len() {
        let header = crate::BatchHeader::parse(&segment[position..]).unwrap();
        batches.push((position, header.base_offset));
        position += header.batch_bytes;
    }
    batches
}

fn reopen(directory: &Path, config: &LogConfig) -> Result<RecoveryReport, LogError> {
    run(async {
        let (mut log, report) = EventLog::open(directory, config.clone(), Storage::Tokio).await?;
        // What is open takes records at the right place.
        let next_offset = log.committed_offset(0);
        let appended = log.append(&[record(9_999)]).await.unwrap();
        assert_eq!(appended.partitions[0].first_offset, next_offset);
        Ok(report)
    })
}

fn corruption(error: LogError) -> Corruption {
    let LogError::File(FileError::Corrupt(corruption)) = error else { panic!("{error}") };
    corruption
}

#[test]
fn last_batch_cut_at_any_byte_leaves_exactly_the_batches_before() {
    let sample = Sample::new(30, 1024);
    let (name, active) = sample.active();
    let (start, first_offset) = *sample.batches.last().unwrap();
    assert!(sample.files.len() > 2 && sample.batches.len() > 1);
    for bytes in start..active.len() {
        let directory = sample.restore();
        sample.write_active(directory.path(), &active[..bytes]);
        let report = reopen(directory.path(), &sample.config).unwrap();
        let before = usize::try_from(first_offset).unwrap();
        let mut expected = sample.records[..before].to_vec();
        expected.push(record(9_999));
        assert_eq!(read_records(directory.path()), expected, "cut at {bytes}");
        let cut = report.cut_tails().next();
        assert_eq!(cut.map_or(0, |cut| cut.bytes), (bytes - start) as u64);
        if let Some(cut) = cut {
            // The offset of the batch is below 256: its first seven bytes are zeros.
            let is_zero = bytes - start < 8;
            assert_eq!((cut.position, cut.offset, cut.was_zero), (start as u64, first_offset, is_zero));
            assert!(cut.file.ends_with(name));
            assert!(matches!(cut.fault, BatchFault::Truncated { .. }), "{cut:?}");
        }
        assert_eq!(report.partitions[0].next_offset, first_offset);
    }
}

#[test]
fn last_batch_with_any_part_unwritten_is_cut() {
    // Goal: after a power failure any sectors of the last write may be missing. Method: zeros from one place to another.
    let sample = Sample::new(8, 1 << 20);
    let active = sample.active().1;
    let (start, first_offset) = *sample.batches.last().unwrap();
    for from in (start..active.len()).step_by(5) {
        for to in (from + 1..=active.len()).step_by(7) {
            let mut torn = active.to_vec();
            torn[from..to].fill(0);
            if torn == active {
                continue;
            }
            let directory = sample.restore();
            sample.write_active(directory.path(), &torn);
            match reopen(directory.path(), &sample.config) {
                Ok(report) => assert_eq!(report.cut_tails().next().unwrap().offset, first_offset),
                // Zeros over nothing but the offset or the magic: the checksum is right, so no write was torn.
                Err(error) => assert_eq!(corruption(error).position, start as u64, "{from}..{to}"),
            }
        }
    }
}

#[test]
fn zeros_after_the_last_batch_are_cut_and_called_so() {
    let sample = Sample::new(5, 1 << 20);
    for zeros in [1, BATCH_HEADER_BYTES - 1, BATCH_HEADER_BYTES, 4096, 3 << 20] {
        let directory = sample.restore();
        let mut content = sample.active().1.to_vec();
        let end = content.len() as u64;
        content.resize(content.len() + zeros, 0);
        sample.write_active(directory.path(), &content);
        let report = reopen(directory.path(), &sample.config).unwrap();
        let cut = report.cut_tails().next().unwrap();
        assert_eq!((cut.position, cut.bytes, cut.was_zero), (end, zeros as u64, true));
        assert_eq!(read_records(directory.path()).len(), sample.records.len() + 1);
    }
}

#[test]
fn garbage_and_then_a_valid_batch_is_damage() {
    // Goal: no committed batch is cut away with what stands before it. Method: garbage of many lengths, also longer
    // than a search window, and then a batch.
    let sample = Sample::new(5, 1 << 20);
    let active = sample.active().1;
    let last = &active[sample.batches.last().unwrap().0..];
    for garbage in [1, 60, 61, 5_000, (1 << 20) - 1, 1 << 20, (2 << 20) - 100, 2 << 20, (3 << 20) + 7] {
        let directory = sample.restore();
        let content = [active, &vec![0x5a; garbage], last].concat();
        sample.write_active(directory.path(), &content);
        let error = corruption(reopen(directory.path(), &sample.config).unwrap_err());
        assert_eq!(error.position, active.len() as u64, "{garbage}");
        // Nothing was changed.
        let file = directory.path().join(directory_name(TOPIC, 0)).join(sample.active().0);
        assert_eq!(std::fs::read(file).unwrap(), content);
    }
}

#[test]
fn damage_names_file_position_and_remedy() {
    let sample = Sample::new(30, 1024);
    let directory = sample.restore();
    let (name, content) = sample.files.first_key_value().unwrap();
    let (position, offset) = batches_of(content)[1];
    let mut damaged = content.clone();
    damaged[position + 70] ^= 0x10;
    let file = directory.path().join(directory_name(TOPIC, 0)).join(name);
    std::fs::write(&file, damaged).unwrap();
    let error = reopen(directory.path(), &sample.config).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{} is damaged at byte {position}", file.display())), "{text}");
    assert!(text.contains(&format!("offset {offset} ")), "{text}");
    assert!(text.contains("set `stream.on-damage = \"quarantine\"`"), "{text}");
    assert!(matches!(corruption(error).fault, BatchFault::WrongChecksum { .. }));
    // The remedy works.
    let on_damage = OnDamage::Quarantine(directory.path().join("quarantine"));
    let report = reopen(directory.path(), &LogConfig { on_damage, ..sample.config.clone() }).unwrap();
    assert_eq!(report.set_aside().next().unwrap().offsets.start, offset);
}

#[test]
fn sealed_segment_with_a_cut_tail_or_zeros_is_damage() {
    let sample = Sample::new(30, 1024);
    let (name, content) = sample.files.first_key_value().unwrap();
    let change_lengths: [i64; 4] = [-1, -40, 1, 4096];
    for change in change_lengths {
        let directory = sample.restore();
        let file = directory.path().join(directory_name(TOPIC, 0)).join(name);
        let bytes = u64::try_from(i64::try_from(content.len()).unwrap() + change).unwrap();
        File::options().write(true).open(&file).unwrap().set_len(bytes).unwrap();
        assert_eq!(corruption(reopen(directory.path(), &sample.config).unwrap_err()).file, file);
    }
}

#[test]
fn missing_segment_is_damage_unless_it_is_the_oldest() {
    let sample = Sample::new(60, 1024);
    let names: Vec<&String> = sample.files.keys().collect();
    for (index, name) in names.iter().enumerate().take(names.len() - 1) {
        let directory = sample.restore();
        std::fs::remove_file(directory.path().join(directory_name(TOPIC, 0)).join(name)).unwrap();
        let result = reopen(directory.path(), &sample.config);
        if index == 0 {
            assert!(result.unwrap().partitions[0].start_offset > 0);
        } else {
            assert!(matches!(corruption(result.unwrap_err()).fault, BatchFault::SegmentGap { .. }));
        }
    }
}

#[test]
fn files_that_are_no_segments_are_left_alone() {
    let sample = Sample::new(5, 1 << 20);
    let directory = sample.restore();
    let index = directory.path().join(directory_name(TOPIC, 0)).join("00000000000000000000.index");
    std::fs::write(&index, b"index").unwrap();
    reopen(directory.path(), &sample.config).unwrap();
    assert_eq!(std::fs::read(&index).unwrap(), b"index");
}

#[test]
fn flipped_bits_are_never_served() {
    // Goal: whatever bits flip in any file, each record that recovery and a reader let through is the one that was
    // appended at that offset, and none is missing unless the log was refused or the cut was reported.
    // Method: flips at random places (proptest prints the failing case), then a reader before and after a reopen.
    let sample = Sample::new(40, 1024);
    let sizes: Vec<usize> = sample.files.values().map(Vec::len).collect();
    let total: usize = sizes.iter().sum();
    let flips = proptest::collection::vec((0..total, 0..8_u32), 1..4);
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let check = |flips: Vec<(usize, u32)>| {
        check_flips(&sample, &flips);
        Ok(())
    };
    runner.run(&flips, check).unwrap();
}

#[test]
fn each_bit_of_the_last_two_batch_headers_is_noticed() {
    // The fields that the checksum leaves out, base offset included, and the others.
    let sample = Sample::new(8, 1 << 20);
    for (start, _) in sample.batches.iter().rev().take(2) {
        for bit in 0..BATCH_HEADER_BYTES * 8 {
            check_flips(&sample, &[(start + bit / 8, u32::try_from(bit % 8).unwrap())]);
        }
    }
}

fn check_flips(sample: &Sample, flips: &[(usize, u32)]) {
    let mut damaged = sample.files.clone();
    for &(mut position, bit) in flips {
        for content in damaged.values_mut() {
            if position < content.len() {
                content[position] ^= 1 << bit;
                break;
            }
            position -= content.len();
        }
    }
    let is_intact = damaged == sample.files;
    let directory =
        Sample { files: damaged, config: sample.config.clone(), records: vec![], batches: vec![] }.restore();
    let is_prefix = |found: &[Record]| found == &sample.records[..found.len()];
    // A reader beside the damaged files, without recovery.
    let mut reader = LogReader::new(directory.path(), TOPIC);
    if let Ok(poll) = reader.poll() {
        let found: Vec<Record> = poll.records.into_iter().map(|record| record.record).collect();
        assert!(is_prefix(&found) && (is_intact || found.len() < sample.records.len()), "{flips:?}");
    }
    if let Ok(report) = reopen(directory.path(), &sample.config) {
        let mut found = read_all(directory.path());
        assert_eq!(found.pop().unwrap().record, record(9_999));
        let found: Vec<Record> = found.into_iter().map(|record| record.record).collect();
        assert!(is_prefix(&found), "{flips:?}");
        let last_batch_offset = usize::try_from(sample.batches.last().unwrap().1).unwrap();
        match report.cut_tails().next() {
            None => assert!(is_intact, "{flips:?} went unnoticed"),
            Some(cut) => {
                assert_eq!(cut.offset, found.len() as u64);
                // Only flips in all batches of the tail could have cut more than the last one.
                assert!(found.len() == last_batch_offset || flips.len() > 1, "{flips:?}");
            }
        }
    }
}
