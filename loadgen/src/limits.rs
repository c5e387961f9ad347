//! Every bound of the generator, by name.

use crate::moment::Duration;

/// Most nodes of a simulated fleet: 24 bytes for its state, 32 for its truth and 16 for its id each.
pub const NODES_MAX: u32 = 10_000_000;

/// Longest run, in seconds: a day.
pub const SECONDS_MAX: u64 = 86_400;

/// Shortest and longest interval, in milliseconds.
pub const INTERVAL_MS_MIN: u32 = 10;
/// See [`INTERVAL_MS_MIN`].
pub const INTERVAL_MS_MAX: u32 = 3_600_000;

/// Most nodes in a batch: more do not fit a datagram.
pub const BATCH_NODES_MAX: u32 = 1_000;

/// Most relays.
pub const RELAYS_MAX: u32 = 10_000;

/// Most sockets; relays beyond share them.
pub const SOCKETS_MAX: u32 = 64;

/// Most datagrams in a train: `UDP_MAX_SEGMENTS` of older kernels (include/linux/udp.h).
pub const TRAIN_DATAGRAMS_MAX: usize = 64;

/// Most bytes in a train: one IP datagram must be able to carry it until it is cut.
pub const TRAIN_BYTES_MAX: usize = 65_000;

/// Most datagrams that wait to be sent before the kernel is called.
pub const OUTBOX_DATAGRAMS_MAX: usize = 256;

/// How often a datagram waits for a full queue before it counts as not sent.
pub const WAITS_MAX: u32 = 1_000;

/// How many refusals end the run: nobody listens. Below the burst of ICMP messages that a kernel sends (50).
pub const REFUSALS_MAX: u64 = 32;

/// Most datagrams that are kept for reuse.
pub const SPARE_DATAGRAMS_MAX: usize = 4_096;

/// Longest answer of the admin port that is read.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Longest wait for the admin port: to connect, and for each piece of an answer.
pub const ADMIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest wait for the gateway to write its last events.
pub const EVENTS_WAIT_MAX: Duration = Duration::from_secs(20);

/// Longest wait for one answer of the gateway's Kafka port.
pub const KAFKA_WAIT_MAX: Duration = Duration::from_secs(5);

/// Most that is fetched of the event log before it is looked at, in KiB.
pub const FETCHED_AHEAD_KIB_MAX: u32 = 16 * 1_024;

/// Most records that are taken from the Kafka client in one go.
pub const POLL_RECORDS_MAX: u32 = 10_000;

/// How many problems are kept in words; all are counted.
pub const PROBLEMS_MAX: usize = 20;

const _: () = assert!(NODES_MAX < u32::MAX, "nodes are counted in 32 bits");
const _: () = assert!(TRAIN_BYTES_MAX <= 65_507, "what an IPv4 UDP datagram can carry");
const _: () = assert!(REFUSALS_MAX < 50);
