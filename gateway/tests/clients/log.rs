//! A log to read: a simulated fleet with faults, judged; made once, copied for each test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use pulsegate::data_dir::stream_dir;
use pulsegate::gateway::{EVENTS_TOPIC, NODES_TOPIC};
use pulsegate_loadgen::RunOptions;
use pulsegate_stream::{Cleanup, EventLog, LogConfig, LogReader, Storage};
use tempfile::TempDir;

use crate::client::Client;
use crate::harness::{Gateway, eventually, pause};

/// Partitions of the topic: more than the members of any group here.
pub const PARTITIONS: u32 = 3;

/// Small segments, so that reading crosses from one file to the next.
pub const SETTINGS: &str = "name = \"gw\"\n[stream]\npartitions = 3\nsegment-bytes = 1_048_576\n\
     [detector]\ninterval-ms = 200\n[registry]\nnodes-max = 10_000\n";

/// A record as a client shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub partition: u32,
    pub offset: u64,
    pub key: String,
    pub value: String,
}

/// A gateway with events of a fleet, and what lies in its log.
pub struct PreparedLog {
    pub gateway: Gateway,
    /// By partition, in order.
    pub expected: Vec<Record>,
    directory: TempDir,
}

/// The states of the nodes of that fleet, compacted, with no gateway on them.
pub struct CompactedStates {
    /// The segments, oldest first.
    pub files: Vec<PathBuf>,
    /// Records that compaction took out.
    pub records_removed: u64,
    _directory: TempDir,
}

impl CompactedStates {
    /// Compacts a copy of the log, as a gateway does by and by.
    pub fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(prepared(), directory.path());
        let config = LogConfig {
            segment_bytes: 1_048_576,
            retention_bytes: 0,
            cleanup: Cleanup::Compact,
            ..LogConfig::new(NODES_TOPIC, PARTITIONS)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let records_removed = runtime.block_on(async {
            let stream = stream_dir(directory.path());
            let (mut log, _) = EventLog::open(&stream, config, Storage::Tokio).await.unwrap();
            let (mut removed, mut at_rest) = (0, 0);
            // A pass at a time, so each partition has had its turn when nothing comes for a while.
            while at_rest < 20 {
                // By the time of the records tombstones are young: they stay.
                let maintained = log.maintain(0).await;
                assert!(maintained.iter().all(|partition| partition.failure.is_none()), "{maintained:?}");
                let now: u64 = maintained.iter().map(|partition| partition.records_compacted).sum();
                (removed, at_rest) = (removed + now, if now == 0 { at_rest + 1 } else { 0 });
                pause(Duration::from_millis(20));
            }
            removed
        });
        let files = segment_files(directory.path(), |name| name.starts_with(NODES_TOPIC));
        Self { files, records_removed, _directory: directory }
    }
}

fn prepared() -> &'static Path {
    static PREPARED: OnceLock<TempDir> = OnceLock::new();
    PREPARED.get_or_init(prepare).path()
}

/// The segments of these partitions.
fn segment_files(data_dir: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let partitions = entries(&stream_dir(data_dir)).filter(|path| path.is_dir() && is_wanted(&name(path)));
    let mut files: Vec<_> = partitions.flat_map(|partition| entries(&partition)).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

impl PreparedLog {
    /// Starts a gateway on a copy of the log.
    pub fn open() -> Self {
        Self::open_with("")
    }

    /// The same with these further settings (TOML).
    pub fn open_with(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(prepared(), directory.path());
        let gateway = Gateway::start(directory.path(), &format!("{SETTINGS}{settings}"));
        let expected = records(directory.path());
        assert!(expected.len() > 7_500, "the fleet left only {} events", expected.len());
        Self { gateway, expected, directory }
    }

    /// The files of all partitions of all topics.
    pub fn segment_files(&self) -> Vec<PathBuf> {
        segment_files(self.directory.path(), |_| true)
    }

    /// Goal: in each partition exactly the records of the log, each once and in order. As the key decides the
    /// partition, every node's events are then in order.
    pub fn assert_is(&self, mut read: Vec<Record>, client: Client) {
        read.sort_by_key(|record| record.partition); // Stable: each partition stays in the order of reading.
        let same = read.iter().zip(&self.expected).take_while(|(read, expected)| read == expected).count();
        assert!(
            read == self.expected,
            "{}: {} records read, {} expected; from the {same}th on they differ: {:?} instead of {:?}",
            client.name(),
            read.len(),
            self.expected.len(),
            read.get(same),
            self.expected.get(same),
        );
    }
}

/// Every record on disk, by partition.
pub fn records(data_dir: &Path) -> Vec<Record> {
    let mut reader = LogReader::new(&stream_dir(data_dir), EVENTS_TOPIC);
    let mut records = Vec::new();
    loop {
        let poll = reader.poll().unwrap();

        records.extend(poll.records.into_iter().map(|found| Record {
            partition: found.partition,
            offset: found.offset,
            key: text(found.record.key.as_deref()),
            value: text(found.record.value.as_deref()),
        }));
        if !poll.has_more {
            records.sort_by_key(|record| record.partition);
            return records;
        }
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// A fleet joins, is struck, and falls silent; its judge agrees with all of it.
fn prepare() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), SETTINGS);
    let options = RunOptions { nodes: 2_500, ..gateway.fast_run() };
    let report = pulsegate_loadgen::run(&options, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
    eventually("all nodes have failed", || {
        let nodes = &gateway.status()["nodes"];
        (nodes["alive"] == 0 && nodes["suspect"] == 0).then_some(())
    });
    eventually("all events are written", || (gateway.number("events_waiting") == 0).then_some(()));
    assert!(gateway.stop().success());
    directory
}

/// Copies the files below a directory.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
