//! The load generator of Pulsegate: a simulated fleet that knows the truth about itself, and a judge.
//!
//! A [`fleet`] beats by a [`schedule`], through a [`network`] that loses, copies and delays, while a plan of
//! [`faults`] strikes it. [`ground_truth`] keeps what truly happened, and [`verify`] compares that with the
//! events that the gateway reported. All of these are pure: they are told the time and a seed, so the
//! simulation of the engine drives the same fleet without a socket.
//!
//! ```text
//!  faults ─▶ fleet ─▶ compose ─▶ network ─▶ sender ──UDP──▶ gateway ─Kafka port─▶ event_source ─▶ watch
//!            ▲                                  │ what was handed over, and when                       │
//!         schedule                              └──▶ ground_truth ──▶ verify ──▶ report ◀──────────────┘
//! ```
//!
//! [`run()`] is one run as the command line and the demo make it. [`blast`] sends what is no heartbeat. Only
//! [`clock`] reads clocks, only [`event_source`] knows where events come from. Without the feature `kafka-client` nothing is
//! read back: a fleet without its judge, which the simulation builds without librdkafka.

pub mod admin_client;
pub mod blast;
pub mod cli;
pub mod clock;
pub mod compose;
pub mod drive;
pub mod endpoints;
#[cfg(feature = "kafka-client")]
pub mod event_source;
pub mod faults;
pub mod fleet;
pub mod ground_truth;
pub mod limits;
pub mod malformed;
pub mod moment;
pub mod network;
pub mod options;
pub mod progress;
pub mod random;
#[cfg(feature = "kafka-client")]
pub mod report;
#[cfg(feature = "kafka-client")]
mod run;
pub mod schedule;
pub mod sender;
pub mod timeline;
#[cfg(feature = "kafka-client")]
pub mod topic_reader;
pub mod verify;
#[cfg(feature = "kafka-client")]
pub mod watch;

pub use faults::{Amount, FaultOptions};
pub use moment::Moment;
pub use options::RunOptions;
pub use progress::{Progress, ProgressDisplay};
#[cfg(feature = "kafka-client")]
pub use report::Report;
#[cfg(feature = "kafka-client")]
pub use run::{RunError, run};
