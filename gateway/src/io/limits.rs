//! Every bound of the kernel edge, by name, and the relations between them.

use std::time::Duration;

/// Longest payload that one receive buffer takes by default. A train of datagrams that the kernel has glued together
/// (UDP_GRO) is at most one IP packet long, so nothing that fits a UDP length field is ever cut.
pub const BUFFER_PAYLOAD_BYTES_DEFAULT: u32 = 65_536;

/// Shortest payload that a receive buffer may be made for.
pub const BUFFER_PAYLOAD_BYTES_MIN: u32 = 64;

/// Buffers that a ring receiver lends to the kernel by default. A buffer takes address space for a whole train, but
/// memory only for the pages that were ever written: 4 KiB while no trains come.
pub const BUFFERS_DEFAULT: u16 = 512;

/// Most buffers of one receiver: the kernel's own bound for a provided buffer ring.
pub const BUFFERS_MAX: u16 = 32_768;

/// Completions that a waiting ring asks for before it is woken ahead of [`MIN_WAIT_DEFAULT`].
pub const BATCH_DEFAULT: u32 = 8;

/// Most completions that may be asked for.
pub const BATCH_MAX: u32 = 4_096;

/// How long a receiver lets datagrams gather before it looks at them. Paid only under load: an idle receiver is woken
/// by the first datagram at once.
pub const MIN_WAIT_DEFAULT: Duration = Duration::from_millis(1);

/// Longest time that datagrams may be left to gather: a tenth of the coarsest tick that still makes sense.
pub const MIN_WAIT_MAX: Duration = Duration::from_millis(100);

/// Longest single wait of a receiver that was told to wait for ever: one wake-up an hour costs nothing.
pub const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Messages that one `recvmmsg` call asks for. The gain beyond 16 was measured as nil; 64 keeps trains cheap, too.
pub const MESSAGES_PER_CALL: usize = 64;

/// Submission queue entries of a ring: one receive, one wake poll, and a message for each other shard.
pub const SUBMISSION_ENTRIES: u32 = 64;

/// Times in a row that a receive may end without a datagram before the receiver gives up. A cause that passes (no
/// memory) is gone by then; one that does not must not turn into a busy loop.
pub const BARREN_REARMS_MAX: u32 = 10_000;

/// Datagrams after which the kernel's drop counter is read again while receiving (it is always read when draining).
pub const DATAGRAMS_PER_DROP_READING: u64 = 4_096;

/// Smallest charge of one queued datagram against the socket's receive buffer. The kernel charges the `sk_buff`, its
/// shared info and the data, never less than 512 bytes together (`SKB_TRUESIZE` in include/linux/skbuff.h).
pub const QUEUED_DATAGRAM_BYTES_MIN: u32 = 512;

/// Receive buffer that is asked of the kernel for each shard: some 60,000 small datagrams, 60 ms at a million a second.
pub const SOCKET_BUFFER_BYTES_DEFAULT: usize = 64 << 20;

/// Most shards: the lane is one byte.
pub const SHARDS_MAX: usize = 256;

// Buffers come in a ring whose index is a mask.
const _: () = assert!(BUFFERS_DEFAULT.is_power_of_two() && BUFFERS_MAX.is_power_of_two());
// A train is at most one IP packet: what fits a UDP length field must fit a buffer.
const _: () = assert!(BUFFER_PAYLOAD_BYTES_DEFAULT as usize >= pulsegate_codec::limits::FRAME_BYTES_MAX);
// A shard without a lane would never hear anything.
const _: () = assert!(SHARDS_MAX == pulsegate_codec::Lane::COUNT);
