//! Every bound of the coordinator, by name. What exceeds one is answered with the error code that it names.

use std::time::Duration;

/// Most groups at a time. A new one is then answered with `COORDINATOR_LOAD_IN_PROGRESS`, unless an empty one can go.
pub const GROUPS_MAX: usize = 1_024;

/// Most members of a group, those that still have to come back with their id included: `GROUP_MAX_SIZE_REACHED`.
pub const MEMBERS_PER_GROUP_MAX: usize = 256;

/// Most joins and syncs that wait for other members, over all groups: `COORDINATOR_LOAD_IN_PROGRESS` for joins,
/// `REBALANCE_IN_PROGRESS` for syncs.
pub const PARKED_REQUESTS_MAX: usize = 8_192;

/// Longest group id: `INVALID_GROUP_ID`.
pub const GROUP_ID_BYTES_MAX: usize = 249;

/// Longest protocol name, protocol type and `group.instance.id`: `INVALID_REQUEST`.
pub const NAME_BYTES_MAX: usize = 249;

/// How much of a client's id and host is kept. The rest is cut off; it serves to tell members apart.
pub const CLIENT_ID_BYTES_MAX: usize = 64;

/// Most protocols (assignors) that a member may offer: `INVALID_REQUEST`.
pub const PROTOCOLS_PER_MEMBER_MAX: usize = 16;

/// Most metadata bytes of one member, over all its protocols: `INVALID_REQUEST`.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;

/// Most assignment bytes that a leader may hand in, over all members: `INVALID_REQUEST`.
pub const ASSIGNMENT_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes that all groups hold together: `COORDINATOR_LOAD_IN_PROGRESS` for joins, `REBALANCE_IN_PROGRESS` for
/// syncs.
pub const STATE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Shortest session timeout that a member may ask for: `INVALID_SESSION_TIMEOUT`. Kafka's default.
pub const SESSION_TIMEOUT_MIN: Duration = Duration::from_secs(6);

/// Longest session timeout that a member may ask for: `INVALID_SESSION_TIMEOUT`. Kafka's default.
pub const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(30 * 60);

/// Longest that a rebalance waits for a member. Members that ask for more get this.
pub const REBALANCE_TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long a new group waits for more members, unless configured.
pub const INITIAL_DELAY_DEFAULT: Duration = Duration::from_millis(100);

/// Longest configurable wait of a new group.
pub const INITIAL_DELAY_MAX: Duration = Duration::from_secs(60);

/// How long a group without members is still known to the coordinator, unless configured. Its offsets are kept for longer.
pub const EMPTY_GROUP_RETENTION_DEFAULT: Duration = Duration::from_secs(60 * 60);

// A member fits in what is kept, and so does what one leader hands in.
const _: () = assert!(METADATA_BYTES_MAX + ASSIGNMENT_BYTES_MAX < STATE_BYTES_MAX);
// One group alone cannot take all places to wait.
const _: () = assert!(MEMBERS_PER_GROUP_MAX < PARKED_REQUESTS_MAX);
const _: () = assert!(SESSION_TIMEOUT_MIN.as_millis() < SESSION_TIMEOUT_MAX.as_millis());
// The wire has 32 bits for milliseconds.
const _: () = assert!(SESSION_TIMEOUT_MAX.as_millis() <= i32::MAX as u128);
const _: () = assert!(INITIAL_DELAY_DEFAULT.as_millis() <= INITIAL_DELAY_MAX.as_millis());
