//! The kernel edge: everything that talks to the operating system on the heartbeat path, and nothing that decides.
//!
//! ```text
//!                socket.rs  one UDP socket a shard, one SO_REUSEPORT group an address
//!                steering.rs  the program that hands each datagram to the shard that owns its lane
//!                    │
//!       ┌────────────┴────────────┐
//!    ring.rs                   mmsg.rs            two ways to receive, one face: receiver.rs
//!    io_uring, multishot       ppoll + recvmmsg
//!       └────────────┬────────────┘
//!          receive_buffers.rs, message.rs         memory that the kernel fills; what it wrote there
//!
//!    wake.rs      interrupts a waiting receiver         clock.rs     the only file that reads a clock
//!    probe.rs     what this kernel gives and refuses    affinity.rs  pins a thread to a core
//!    huge_pages.rs  fewer page walks                   control_wake.rs, child.rs  the control thread, the demo
//!    limits.rs    every bound                           descriptor.rs  system calls that std lacks
//! ```
//!
//! This module knows no frame, no node and no verdict (only where the lane byte stands). It is the one place where
//! `unsafe` is allowed; each block holds one operation and names the fact that makes it sound.

pub mod affinity;
pub mod child;
pub mod clock;
pub mod control_wake;
mod descriptor;
pub mod huge_pages;
pub mod limits;
mod message;
mod mmsg;
pub mod probe;
mod receive_buffers;
pub mod receiver;
mod ring;
pub mod socket;
pub mod steering;
pub mod wake;

pub use clock::Clock;
pub use receiver::{Datagram, Drain, Reaped, Receiver, ReceiverConfig, ReceiverError, ReceiverKind, Wakeup};
pub use socket::{SocketError, SocketGroup, SocketGroupConfig};
pub use wake::WakeHandle;
