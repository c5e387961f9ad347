//! The Kafka face of the log: what a Kafka client needs of a broker to read it.
//!
//! ```text
//!   server.rs   takes connections      slots.rs  who may stay when there are too many
//!   connection.rs   one of them: TLS, one request at a time
//!   gate.rs     logins, before anything else       security.rs, security/   who and how
//!   wire.rs     primitive types        api.rs, api/   one file a request or family of requests
//!   answer.rs   which request it is, and who answers it
//!   memory.rs   what all connections share, so that together they are bounded
//!   fetching.rs batches from the files, at once or when they are committed
//!   group_desk.rs   who waits for the group coordinator (group.rs)
//!   admin_desk.rs   what administrators ask about groups
//!   offset_desk.rs  who may commit, into the store (offsets.rs)
//! ```
//!
//! One broker, a few topics, every partition led by it. Read only: `Produce` is refused. What each client asks for, and in
//! which version, decided the table in `api.rs`.

#[doc(hidden)]
pub mod decoded;
pub mod group;
pub mod limits;
pub mod offsets;

mod admin_desk;
mod answer;
mod api;
mod connection;
mod counters;
mod fetching;
mod gate;
mod group_desk;
mod memory;
mod offset_desk;
mod security;
mod server;
mod slots;
#[cfg(test)]
mod tests;
mod wire;

pub use counters::KafkaCounters;
pub use security::{Security, Tls, TlsFault, Users, UsersFault};
pub use server::{Advertised, Failure, FailureListener, KafkaConfig, KafkaServer, ServerClock, WallClock};
