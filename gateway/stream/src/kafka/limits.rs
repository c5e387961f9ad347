//! Every bound of the Kafka port, by name.

use std::time::Duration;

use super::group::limits::{
    ASSIGNMENT_BYTES_MAX, GROUP_ID_BYTES_MAX, GROUPS_MAX, MEMBERS_PER_GROUP_MAX,
    METADATA_BYTES_MAX as GROUP_METADATA_BYTES_MAX, NAME_BYTES_MAX, STATE_BYTES_MAX as GROUP_STATE_BYTES_MAX,
};
use super::offsets::limits::{GROUP_OVERHEAD_BYTES, STATE_BYTES_MAX as OFFSET_STATE_BYTES_MAX};
use crate::limits::BATCH_BYTES_MAX;

/// Longest request. A longer one closes the connection before anything of it is read.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Longest request before a login: no request of a login comes near.
pub const LOGIN_FRAME_BYTES_MAX: usize = 16 * 1024;

/// Wait before a failed login is told so. Guessing takes a connection and this long a guess.
pub const FAILED_LOGIN_WAIT: Duration = Duration::from_millis(500);

/// Time between two log lines about clients that ask in vain.
pub const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// What a connection may hold of a request without asking, and again of a response; the rest of either comes out of
/// memory that all share.
pub const UNSHARED_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of all requests together, beyond what each connection has for itself. A request waits for its share before
/// the rest of it is read.
pub const FRAME_MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest response that holds no records: what the leader of the largest group is told.
pub const RESPONSE_BYTES_MAX: usize =
    MEMBERS_PER_GROUP_MAX * GROUP_METADATA_BYTES_MAX + ASSIGNMENT_BYTES_MAX + 1024 * 1024;

/// Most bytes of all responses that hold no records together, beyond what each connection has for itself. One for which
/// nothing is left is not sent, and its connection ends.
pub const RESPONSE_MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a group in a list besides its id and the name of its protocol, at most.
const LISTED_GROUP_BYTES: usize = 64;

/// Bytes that are written of a response about many groups before others get their turn on the thread.
pub const COMPOSED_BYTES_PER_TURN: usize = 256 * 1024;

/// Groups that are looked at for such a response before others get their turn.
pub const GROUPS_PER_TURN: usize = 256;

/// While others wait for memory, whoever holds some must move [`PROGRESS_BYTES_MIN`] in this time, or lose the
/// connection.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What must be read or sent in [`PROGRESS_INTERVAL`] while others wait.
pub const PROGRESS_BYTES_MIN: usize = 128 * 1024;

/// What is read ahead of a connection at most.
pub const READ_AHEAD_BYTES: usize = 4 * 1024;

/// Connections at a time; a further one displaces another or is closed at once, and is counted.
pub const CONNECTIONS_MAX: usize = 256;

/// Time in which a new connection must have finished its TLS handshake, and again in which each request until it has
/// proved itself must have begun.
pub const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which a request must be complete once its length is there, and a response taken once it is offered.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection that asks nothing for this long is closed. Kafka's default.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Longest that a fetch waits for records, whatever the client asks for.
pub const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// Fetches that wait for records at a time; a further one is answered at once, with what is there.
pub const PARKED_FETCHES_MAX: usize = 256;

/// Most bytes of records of one response, whatever the client asks for. The first batch is served even if it is larger.
pub const FETCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Requests that read files at a time. The others wait for their turn: more threads would not make the disk faster, and
/// the allocator keeps some memory for each.
pub const READERS_MAX: usize = 4;

/// Bytes that a fetch reserves at least while it reads: its first batch is served whatever the client allows.
pub const FETCH_BYTES_MIN: usize = BATCH_BYTES_MAX;

/// Most bytes of records of all responses that are being read and sent. A fetch waits when they are used up. One
/// response at a time has a second copy of its own, while it is composed.
pub const FETCH_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Partitions that a fetch, or a look for offsets, may name beyond twice those that there are: they may have been fewer
/// or other ones before. Such a request may wait for long, with all that is known of its partitions.
pub const PARTITIONS_BEYOND_MAX: usize = 64;

/// Most partitions that any other request may name; more are a request that no client of this gateway has a reason for.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 4_096;

/// Wait after the system refused a connection (out of file descriptors, say).
pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(100);

/// How often committed offsets are looked through for those of groups that are long gone.
pub const OFFSET_EXPIRY_INTERVAL: Duration = Duration::from_secs(300);

/// Bytes of a connection besides its shares of memory, about: buffers, those of TLS included, timers, the task.
pub const CONNECTION_BYTES: usize = READ_AHEAD_BYTES + 2 * UNSHARED_BYTES_MAX + 160 * 1024;

/// Bytes that a waiting request has for each of its partitions, about.
pub const PARTITION_BYTES: usize = 1024;

/// Most bytes that the port takes, of topics with so many partitions together: everything above, what groups and their
/// offsets may hold, and one response that is being composed, in a buffer that doubles as it grows.
#[must_use]
pub const fn memory_bytes_max(partition_count: usize) -> usize {
    CONNECTIONS_MAX * (CONNECTION_BYTES + partitions_named_max(partition_count) * PARTITION_BYTES)
        + FRAME_MEMORY_BYTES_MAX
        + FETCH_MEMORY_BYTES_MAX
        + FETCH_BYTES_MAX
        + RESPONSE_MEMORY_BYTES_MAX
        + 2 * RESPONSE_BYTES_MAX
        + GROUP_STATE_BYTES_MAX
        + OFFSET_STATE_BYTES_MAX
}

/// Most partitions that a request may name that waits.
#[must_use]
pub const fn partitions_named_max(partition_count: usize) -> usize {
    2 * partition_count + PARTITIONS_BEYOND_MAX
}

const _: () =
    assert!(LOGIN_FRAME_BYTES_MAX <= UNSHARED_BYTES_MAX && FRAME_BYTES_MAX <= FRAME_MEMORY_BYTES_MAX);
const _: () = assert!(RESPONSE_BYTES_MAX <= RESPONSE_MEMORY_BYTES_MAX);
const _: () = assert!(FETCH_BYTES_MIN <= FETCH_BYTES_MAX && FETCH_BYTES_MAX <= FETCH_MEMORY_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= FETCH_BYTES_MAX);
// A list of all groups fits in a response: those that have nothing but offsets, and those that have members.
const _: () = assert!(
    OFFSET_STATE_BYTES_MAX / (GROUP_OVERHEAD_BYTES + GROUP_ID_BYTES_MAX)
        * (GROUP_ID_BYTES_MAX + LISTED_GROUP_BYTES)
        + GROUPS_MAX * (GROUP_ID_BYTES_MAX + NAME_BYTES_MAX + LISTED_GROUP_BYTES)
        < RESPONSE_BYTES_MAX
);
// Semaphores of the runtime count them.
const _: () = assert!(FETCH_MEMORY_BYTES_MAX <= u32::MAX as usize);
const _: () =
    assert!(FRAME_MEMORY_BYTES_MAX <= u32::MAX as usize && RESPONSE_MEMORY_BYTES_MAX <= u32::MAX as usize);
// What docs/stream.md promises, with four partitions a topic.
const _: () = assert!(memory_bytes_max(8) < 400 * 1024 * 1024);
