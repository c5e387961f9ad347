//! Every bound of the Kafka port, by name.

use std::time::Duration;

use crate::limits::BATCH_BYTES_MAX;

/// Longest request. A longer one closes the connection before anything of it is read.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Longest request before a login: no request of a login comes near.
pub const LOGIN_FRAME_BYTES_MAX: usize = 16 * 1024;

/// Wait before a failed login is told so. Guessing takes a connection and this long a guess.
pub const FAILED_LOGIN_WAIT: Duration = Duration::from_millis(500);

/// Time between two log lines about clients that ask in vain.
pub const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

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

/// Bytes that a fetch reserves at least while it reads: its first batch is served whatever the client allows.
pub const FETCH_BYTES_MIN: usize = BATCH_BYTES_MAX;

/// Most bytes of records of all responses that are being read and sent. A fetch waits when they are used up. One
/// response at a time has a second copy of its own, while it is composed.
pub const FETCH_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most partitions that one request may name; more are a request that no client of this gateway has a reason for.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 4_096;

/// Wait after the system refused a connection (out of file descriptors, say).
pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(100);

/// How often committed offsets are looked through for those of groups that are long gone.
pub const OFFSET_EXPIRY_INTERVAL: Duration = Duration::from_secs(300);

const _: () = assert!(FETCH_BYTES_MIN <= FETCH_BYTES_MAX && FETCH_BYTES_MAX <= FETCH_MEMORY_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= FETCH_BYTES_MAX);
// A semaphore of the runtime counts them.
const _: () = assert!(FETCH_MEMORY_BYTES_MAX <= u32::MAX as usize);
