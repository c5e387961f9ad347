//! Tests of the real program: it is started, spoken to over its sockets, killed, and its files are read.
//!
//! One test binary, so that the harness is compiled once. Each test has a data directory and ports of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod crash;
#[cfg(feature = "kafka-client")]
mod crash_stream;
#[cfg(feature = "kafka-client")]
mod damage;
mod events;
mod harness;
mod heartbeats;
mod hostile;
mod hostile_kafka;
mod judged;
mod operator;
mod protected;
mod refusals;
mod restart;
mod states;
mod without_io_uring;
