//! The range of every number in the configuration.

use std::ops::RangeInclusive;

/// Receiving threads.
pub const SHARDS: RangeInclusive<u64> = 1..=256;
/// Most nodes of the gateway.
pub const NODES_MAX: RangeInclusive<u64> = 1..=64_000_000;
/// Wheel tick in milliseconds.
pub const TICK_MS: RangeInclusive<u64> = 1..=1_000;
/// Heartbeat interval in milliseconds.
pub const INTERVAL_MS: RangeInclusive<u64> = 50..=600_000;
/// Intervals of silence.
pub const AFTER_INTERVALS: RangeInclusive<u64> = 1..=1_000;
/// Seconds until a silent node is forgotten.
pub const FORGET_AFTER_S: RangeInclusive<u64> = 60..=31_536_000;
/// Kernel receive buffer in bytes.
pub const RECEIVE_BUFFER_BYTES: RangeInclusive<u64> = 65_536..=1_073_741_824;
/// Batch wait in microseconds.
pub const BATCH_WAIT_US: RangeInclusive<u64> = 0..=10_000;
/// Partitions of the event topic.
pub const PARTITIONS: RangeInclusive<u64> = 1..=64;
/// Segment size in bytes.
pub const SEGMENT_BYTES: RangeInclusive<u64> = 1_048_576..=2_147_483_648;
/// Time between two forced writes, where they are timed, in milliseconds.
pub const FSYNC_INTERVAL_MS: RangeInclusive<u64> = 1..=10_000;
/// Bytes of the gateway's name.
pub const NAME_BYTES: RangeInclusive<u64> = 1..=64;

/// Most bytes of a profile's name.
pub const PROFILE_NAME_BYTES_MAX: usize = 64;

/// Bytes of a host name.
pub const HOST_BYTES: RangeInclusive<u64> = 1..=253;

/// Ticks that must fit into the shortest interval: a coarser wheel would make the tick a visible part of a timeout.
pub const TICKS_PER_INTERVAL_MIN: u64 = 5;

/// Longest time from the last heartbeat to `failed`, in milliseconds.
pub const FAILED_TIMEOUT_MS_MAX: u64 = 86_400_000;

/// Defaults, in the units of the keys.
pub mod defaults {
    /// Heartbeats over UDP, loopback only.
    pub const HEARTBEATS: &str = "127.0.0.1:7400";
    /// Metrics, status and page.
    pub const ADMIN: &str = "127.0.0.1:7480";
    /// Kafka clients.
    pub const KAFKA: &str = "127.0.0.1:7492";
    /// Where data goes when nobody says.
    pub const DATA_DIR: &str = "pulsegate-data";
    /// Most nodes.
    pub const NODES_MAX: u64 = 1_000_000;
    /// Wheel tick.
    pub const TICK_MS: u64 = 10;
    /// Heartbeat interval of nodes that do not tell theirs.
    pub const INTERVAL_MS: u64 = 1_000;
    /// Shortest interval a node may ask for.
    pub const INTERVAL_MS_MIN: u64 = 100;
    /// Longest interval a node may ask for.
    pub const INTERVAL_MS_MAX: u64 = 60_000;
    /// Three missed heartbeats: one or two are lost in any network.
    pub const SUSPECT_AFTER_INTERVALS: u64 = 3;
    /// Five missed heartbeats.
    pub const FAILED_AFTER_INTERVALS: u64 = 5;
    /// One day.
    pub const FORGET_AFTER_S: u64 = 86_400;
    /// About eight thousand small datagrams a shard: several times what a million nodes send in ten milliseconds.
    pub const RECEIVE_BUFFER_BYTES: u64 = 8 * 1_048_576;
    /// Half a millisecond: a twentieth of a tick.
    pub const BATCH_WAIT_US: u64 = 500;
    /// Enough that a group of consumers can share the topic.
    pub const PARTITIONS: u64 = 4;
    /// 64 MiB: a hundred thousand events or so.
    pub const SEGMENT_BYTES: u64 = 67_108_864;
    /// 1 GiB a partition.
    pub const RETENTION_BYTES: u64 = 1_073_741_824;
}
