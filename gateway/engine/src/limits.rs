//! Every bound of the engine, by name, and the relations between them.
//!
//! The caller's configuration is checked against these with an error message; the engine only asserts them.

use std::time::Duration;

/// Most nodes of one shard: a wheel entry names a node by its slot in 32 bits, with room to spare.
pub const NODES_PER_SHARD_MAX: u32 = 1 << 26;

/// Most wheel entries that one call of `on_tick` looks at, so that live heartbeats never wait long behind a storm.
pub const WHEEL_ENTRIES_PER_CALL_MAX: usize = 8_192;

/// Finest resolution of the wheel. Ticks are stored in 38 bits: 8 years of uptime at this resolution.
pub const TICK_MIN: Duration = Duration::from_millis(1);

/// Coarsest resolution of the wheel.
pub const TICK_MAX: Duration = Duration::from_secs(1);

/// Shortest interval between two heartbeats that a configuration may allow, in milliseconds.
pub const INTERVAL_MS_MIN: u32 = 1;

/// Longest interval between two heartbeats that a configuration may allow, in milliseconds: one hour.
pub const INTERVAL_MS_MAX: u32 = 3_600_000;

/// Most intervals of silence that a configuration may ask for.
pub const INTERVALS_OF_SILENCE_MAX: u32 = 1_000;

/// Most timeout profiles. A node names its own in a byte.
pub const PROFILES_MAX: usize = 16;

/// Most rules that choose profiles. All of them may be looked at when a descriptor is new.
pub const PROFILE_RULES_MAX: usize = 64;

/// Greatest threshold of the phi detector: one wrong verdict in 10^30 heartbeats.
pub const PHI_THRESHOLD_MAX: f64 = 30.0;

/// Least threshold of the phi detector: wrong about one heartbeat in two.
pub const PHI_THRESHOLD_MIN: f64 = 0.5;

/// Range of the EWMA detector's thresholds, in mean deviations. At the greatest, loss is still told from death.
pub const DEVIATIONS_THRESHOLD_MIN: f64 = 1.0;
/// See [`DEVIATIONS_THRESHOLD_MIN`].
pub const DEVIATIONS_THRESHOLD_MAX: f64 = 14.0;

/// Longest smallest deviation of a profile, in milliseconds.
pub const DEVIATION_MIN_MS_MAX: u32 = 60_000;

/// Most round trips that a floor may ask for.
pub const FLOOR_ROUND_TRIPS_MAX: f64 = 1_000.0;

/// Longest round trip that a sender can report, in microseconds: what is longer is taken for that.
pub const ROUND_TRIP_US_MAX: u32 = 60_000_000;

/// Most that a wrong verdict may add to a node's timeouts, as a share of them. They grow to twice at most.
pub const BACK_OFF_MAX: f64 = 1.0;

/// Longest that a node stays unlooked at in the wheel. A wait that is longer is cut and the node's deadline looked at
/// again. Cheap (a million nodes cost some 8000 entries a second), and it bounds how long an entry can linger whose
/// node has been given an earlier deadline.
pub const WHEEL_WAIT_MAX: Duration = Duration::from_secs(120);

/// Most departures that wait for room in the verdict buffer. More are refused and counted.
pub const DEPARTURES_POSTPONED_MAX: usize = 4_096;

/// Pauses of the gateway that are told apart. With more of them the oldest are joined, which gives some nodes more time.
pub const PAUSES_KEPT_MAX: usize = 16;

/// A node is never given more than so many times its timeout because the kernel dropped datagrams.
pub const DROP_TIMEOUT_FACTOR: u32 = 2;

/// Longest maintenance: what is asked for beyond is cut to it.
pub const MAINTENANCE_MAX: Duration = Duration::from_hours(30 * 24);

/// Operators' orders for nodes of one shard that wait until the node is known. More are refused.
pub const MAINTENANCE_ORDERS_WAITING_MAX: usize = 65_536;

/// Nodes of one shard in whose name somebody else may speak, and who are watched for it. No more are.
pub const RIVALS_MAX: usize = 1_024;

/// Heartbeats of somebody else in a node's name that are a conflict.
pub const RIVAL_HEARTBEATS: u32 = 3;

/// Shortest time between the first of them and the last: longer than a network keeps the datagrams of the run before.
pub const RIVAL_SPAN: Duration = Duration::from_secs(10);

/// Longest time between two of them, or three intervals if that is longer; after it they are counted anew.
pub const RIVAL_PATIENCE: Duration = Duration::from_secs(120);

/// Shortest time between two verdicts on the same conflict.
pub const RIVAL_REPEAT: Duration = Duration::from_hours(1);

/// What is further behind than that, by sequence and interval, is no duplicate and not late.
pub const ECHO_AGE_MAX: Duration = Duration::from_secs(30);

/// Suspect nodes whose answers to a probe are kept at most. Answers of more nodes change nothing and are counted.
pub const PROBE_ANSWERS_KEPT_MAX: usize = 4_096;

/// Bits of a node's record that hold the tick at which its wheel entry fires.
pub const TICK_BITS: u32 = 38;

/// Bits of a node's record that hold its interval in milliseconds.
pub const INTERVAL_MS_BITS: u32 = 22;

/// Bits of a node's record that hold its state.
pub const STATE_BITS: u32 = 3;

/// Most dimensions in which failures are correlated: the zone and three labels.
pub const DIMENSIONS_MAX: usize = 4;

/// Most groups of nodes that share something: shards, zones, values of labels. Nodes beyond are published all the same,
/// but not correlated.
pub const GROUPS_MAX: usize = 1 << 20;

/// Most silences at a time: each verdict is compared with all of them.
pub const SILENCES_MAX: usize = 256;

/// Bits of a node's record that say whether it is degraded.
pub const DEGRADED_BITS: u32 = 1;

// A registry has a quarter more slots than nodes; the slots must be countable in 32 bits with one value to spare.
const _: () = assert!((NODES_PER_SHARD_MAX as u64) * 2 < u32::MAX as u64);
// Tick, interval, state and the degraded bit share one word of the node's record.
const _: () = assert!(TICK_BITS + INTERVAL_MS_BITS + STATE_BITS + DEGRADED_BITS == u64::BITS);
const _: () = assert!(INTERVAL_MS_MAX < 1 << INTERVAL_MS_BITS);
const _: () = assert!(INTERVAL_MS_MIN > 0);
// A departure frame is at most postponed whole.
const _: () = assert!(DEPARTURES_POSTPONED_MAX >= pulsegate_codec::limits::DEPARTURES_PER_FRAME_MAX);
