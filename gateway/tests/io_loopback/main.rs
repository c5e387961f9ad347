//! Goal: what the kernel edge promises, it keeps on a real kernel, for each way of receiving.
//!
//! Method: sockets on loopback, bounded in count and time. Where the kernel refuses io_uring, its half of each test is
//! skipped and says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod overflow;
mod peers;
mod receive;
mod sockets;
mod support;
mod wake;
