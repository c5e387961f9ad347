//! The logs of a gateway: one a topic, side by side in one directory.

use pulsegate_stream::{Cleanup, EventLog, LogConfig, RecoveryReport, Storage, SyncPolicy, Topics};

use super::{EVENTS_TOPIC, GatewayError, NODES_TOPIC};
use crate::config::{Config, FsyncPolicy};
use crate::data_dir;
use crate::node_states;

/// Both topics, open for writing.
pub(super) struct Logs {
    /// What happened.
    pub(super) events: EventLog,
    /// What is: the latest state of each node.
    pub(super) nodes: EventLog,
    /// When what is appended to them is synced.
    pub(super) sync: SyncPolicy,
}

impl Logs {
    /// Opens both, verifies them, and makes up for states that the last run had no time to write.
    pub(super) async fn open(config: &Config, storage: &Storage) -> Result<Self, GatewayError> {
        let directory = data_dir::stream_dir(&config.data_dir);
        let events_config = log_config(config, EVENTS_TOPIC);
        let sync = events_config.sync;
        let nodes_config = LogConfig {
            cleanup: Cleanup::Compact,
            // The latest state of a node must not go because it is old.
            retention_bytes: 0,
            retention_ms: 0,
            ..log_config(config, NODES_TOPIC)
        };
        let (events, recovery) = EventLog::open(&directory, events_config, storage.clone()).await?;
        tell_recovery(EVENTS_TOPIC, &recovery);
        let (mut nodes, recovery) = EventLog::open(&directory, nodes_config, storage.clone()).await?;
        tell_recovery(NODES_TOPIC, &recovery);
        let states = node_states::catch_up(&directory, &events, &mut nodes).await?;
        if states > 0 {
            tracing::info!(states, "node states were written that the last run had no time for");
        }
        Ok(Self { events, nodes, sync })
    }

    /// What readers may see of them.
    pub(super) fn topics(&self) -> Topics {
        Topics::new(vec![self.events.view(), self.nodes.view()])
    }
}

fn log_config(config: &Config, topic: &str) -> LogConfig {
    LogConfig {
        segment_bytes: config.stream.segment_bytes,
        retention_bytes: config.stream.retention_bytes,
        retention_ms: u64::try_from(config.stream.retention.as_millis()).unwrap_or(u64::MAX),
        sync: match config.stream.fsync {
            FsyncPolicy::Always => SyncPolicy::Always,
            FsyncPolicy::IntervalMs(interval_ms) => SyncPolicy::IntervalMs(interval_ms),
            FsyncPolicy::Never => SyncPolicy::Never,
        },
        ..LogConfig::new(topic, config.stream.partitions)
    }
}

fn tell_recovery(topic: &str, recovery: &RecoveryReport) {
    let records: u64 =
        recovery.partitions.iter().map(|partition| partition.next_offset - partition.start_offset).sum();
    tracing::info!(partitions = recovery.partitions.len(), records, topic, "log opened");
    for cut in recovery.cut_tails() {
        tracing::warn!(
            file = %cut.file.display(),
            position = cut.position,
            bytes = cut.bytes,
            fault = %cut.fault,
            "the last append had not been finished when the gateway ended; its remains were cut off"
        );
    }
}
