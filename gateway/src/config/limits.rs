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
/// Seconds without progress until a node is stalled; 0 means never.
pub const STALLED_AFTER_S: RangeInclusive<u64> = 0..=86_400;
/// Kernel receive buffer in bytes.
pub const RECEIVE_BUFFER_BYTES: RangeInclusive<u64> = 65_536..=1_073_741_824;
/// Batch wait in microseconds.
pub const BATCH_WAIT_US: RangeInclusive<u64> = 0..=10_000;
/// Partitions of the event topic.
pub const PARTITIONS: RangeInclusive<u64> = 1..=64;
/// `stream.retention-hours`: 0 keeps everything, ten years at most.
pub const RETENTION_HOURS: RangeInclusive<u64> = 0..=87_600;

/// Seconds between two snapshots.
pub const SNAPSHOT_INTERVAL_S: RangeInclusive<u64> = 1..=3_600;
/// Milliseconds over which nodes are spread that are silent at a start.
pub const SMEAR_MS: RangeInclusive<u64> = 0..=60_000;

/// Segment size in bytes; the log takes no larger ones.
pub const SEGMENT_BYTES: RangeInclusive<u64> = 1_048_576..=pulsegate_stream::limits::SEGMENT_BYTES_MAX;
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
    /// See the limit.
    pub const STALLED_AFTER_S: u64 = 60;
    /// About eight thousand small datagrams a shard: several times what a million nodes send in ten milliseconds.
    pub const RECEIVE_BUFFER_BYTES: u64 = 8 * 1_048_576;
    /// Half a millisecond: a twentieth of a tick.
    pub const BATCH_WAIT_US: u64 = 500;
    /// Enough that a group of consumers can share the topic.
    pub const PARTITIONS: u64 = 4;
    /// 64 MiB: a hundred thousand events or so.
    pub const SEGMENT_BYTES: u64 = 67_108_864;
    /// A node that was silent when the gateway ended has been so for a few seconds more or less.
    pub const SNAPSHOT_INTERVAL_S: u64 = 5;
    /// A million nodes in a hundred ticks of ten thousand.
    pub const SMEAR_MS: u64 = 1_000;
    /// 1 GiB a partition.
    pub const RETENTION_BYTES: u64 = 1_073_741_824;
}

/// Ranges and defaults of sinks.
pub mod sinks {
    use std::ops::RangeInclusive;

    /// Bytes of a topic's name, as in Kafka.
    pub const TOPIC_BYTES: RangeInclusive<u64> = 1..=249;
    /// Records that are sent and not acknowledged.
    pub const IN_FLIGHT_MAX: RangeInclusive<u64> = 1..=100_000;
    /// At 1 KiB an event: 10 MiB.
    pub const IN_FLIGHT_MAX_DEFAULT: u64 = 10_000;
    /// Wait for others to share a request with.
    pub const LINGER_MS: RangeInclusive<u64> = 0..=1_000;
    /// Short beside a detection time.
    pub const LINGER_MS_DEFAULT: u64 = 5;
    /// Delivery at a stop.
    pub const STOP_WAIT_MS: RangeInclusive<u64> = 0..=60_000;
    /// Enough for the last events of a target that is well.
    pub const STOP_WAIT_MS_DEFAULT: u64 = 2_000;
    /// Threads of a webhook.
    pub const WORKERS: RangeInclusive<u64> = 1..=64;
    /// One a partition, by default.
    pub const WORKERS_DEFAULT: u64 = 4;
    /// Events of a request.
    pub const BATCH_EVENTS_MAX: RangeInclusive<u64> = 1..=1_000;
    /// About 100 KiB.
    pub const BATCH_EVENTS_MAX_DEFAULT: u64 = 100;
    /// How long a request may take.
    pub const TIMEOUT_MS: RangeInclusive<u64> = 100..=120_000;
    /// Ten seconds.
    pub const TIMEOUT_MS_DEFAULT: u64 = 10_000;
    /// Waits between tries.
    pub const RETRY_MS: RangeInclusive<u64> = 10..=3_600_000;
    /// The first.
    pub const RETRY_MS_MIN_DEFAULT: u64 = 200;
    /// The longest.
    pub const RETRY_MS_MAX_DEFAULT: u64 = 30_000;
    /// Tries until an event is given up; 0: never.
    pub const ATTEMPTS_MAX: RangeInclusive<u64> = 0..=1_000_000;
    /// Dead-letter file.
    pub const DEAD_LETTER_BYTES_MAX: RangeInclusive<u64> = 0..=1_073_741_824;
    /// 64 MiB.
    pub const DEAD_LETTER_BYTES_MAX_DEFAULT: u64 = 67_108_864;
}
