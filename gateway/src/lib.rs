//! Pulsegate, the gateway: takes heartbeats from the network, decides with `pulsegate-engine` who is alive, and writes
//! what changed to the event log of `pulsegate-stream`.
//!
//! ```text
//!   io/ ──▶ worker ─▶ shard ─▶ outbox ──▶ publisher ─▶ announce ─▶ event log
//!             ▲         │ ▲                  (one control thread, with admin)
//!             └ handoff ┘ └── counters ──▶ status, metrics_page ──▶ admin
//! ```
//!
//! This library exists so that the binary, the tests and the benchmarks share one gateway; it promises no API to
//! others. ARCHITECTURE.md follows a datagram through these files.

pub mod admin;
pub mod ailments;
pub mod announce;
pub mod config;
pub mod counters;
pub mod data_dir;
pub mod gateway;
pub mod handoff;
#[expect(unsafe_code, reason = "the kernel edge: io_uring, socket options and clocks have no safe interface")]
pub mod io;
pub mod kafka_security;
pub mod metrics_page;
pub mod node_states;
pub mod operator;
pub mod outbox;
pub mod peers;
pub mod place;
pub mod presence;
pub mod prober;
pub mod publisher;
pub mod restart;
pub mod second_opinion;
pub mod shard;
pub mod signal;
pub mod sinks;
pub mod status;
mod sync;
pub mod tcp;
pub mod topics;
pub mod worker;
