//! The logs of a gateway: one a topic, side by side in one directory.

use pulsegate_stream::{Cleanup, EventLog, LogConfig, Storage, SyncPolicy, Topics};

use super::damage::{self, LogDamage};
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
    /// What was damaged and is to be told.
    pub(super) damage: Vec<LogDamage>,
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
        let mut damage = damage::tell(EVENTS_TOPIC, &recovery);
        let (mut nodes, recovery) = EventLog::open(&directory, nodes_config, storage.clone()).await?;
        let of_nodes = damage::tell(NODES_TOPIC, &recovery);
        let damaged = |partition| of_nodes.iter().any(|damage| damage.partition == partition);
        let states = node_states::catch_up(&directory, &events, &mut nodes, damaged).await?;
        damage.extend(of_nodes);
        if states > 0 {
            tracing::info!(states, "node states were written that the last run had no time for");
        }
        Ok(Self { events, nodes, sync, damage })
    }

    /// What readers may see of them.
    pub(super) fn topics(&self) -> Topics {
        Topics::new(vec![self.events.view(), self.nodes.view()])
    }
}

fn log_config(config: &Config, topic: &str) -> LogConfig {
    let directory = data_dir::stream_dir(&config.data_dir);
    LogConfig {
        on_damage: damage::on_damage(config.stream.on_damage, &directory),
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
