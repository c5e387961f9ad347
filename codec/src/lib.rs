//! The wire contract of Pulsegate: what a heartbeat looks like on the network, and what an event looks like in the
//! stream.
//!
//! A datagram is one [`frame`]: a clear 16-byte header, then a protobuf [`batch`] of heartbeats in columns, perhaps
//! in zstd. [`Decoder`] turns a datagram into a borrowed [`Batch`] or into exactly one [`RejectReason`];
//! [`BatchEncoder`] does the reverse for senders. `WIRE.md` beside this crate specifies the format without Rust.
//!
//! This crate opens no socket, reads no clock and keeps no state about nodes.

pub mod batch;
mod columns;
mod compression;
mod departure;
mod descriptor;
pub mod encode;
pub mod event;
pub mod frame;
pub mod identity;
pub mod limits;
pub mod ping;
mod protobuf;
pub mod reject;

/// The generated prost types of `proto/`: the reference that the hand-written decoder is tested against.
#[expect(missing_docs, reason = "generated from the .proto files, which carry the comments")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/pulsegate.v1.rs"));
}

pub use batch::{Batch, Decoder, Departure, DepartureReason, Heartbeat, NodeDescriptor, NodeStatus};
pub use encode::{BatchEncoder, Compression, EncodeError};
pub use frame::FrameHeader;
pub use identity::{Incarnation, Lane, NodeId, SenderId, Sequence};
pub use ping::{PING_BYTES, Ping, PingKind};
pub use reject::RejectReason;
