//! The pure core of Pulsegate: it is told the time and handed heartbeats, and returns verdicts.
//!
//! One [`Engine`] owns the nodes of one shard. Nothing in this crate reads a clock, opens a socket, starts a thread
//! or holds a lock, so the whole of it runs in simulation (`tests/simulation`), against a naive oracle, faster than
//! time.
//!
//! Data flows one way: heartbeats → [`registry`] (who is this, what did we know) → [`detector`] (by when must it speak
//! again) → [`wheel`] (wake me then) → [`verdict`] (what changed, and why we think so) → [`publication`] (what of it is
//! told to the world).

pub mod config;
pub mod counters;
mod detection;
pub mod detector;
pub mod engine;
pub mod limits;
pub mod listening;
pub mod node;
pub mod publication;
pub mod registry;
pub mod senders;
pub mod slot;
pub mod snapshot;
pub mod time;
pub mod verdict;
pub mod wheel;
mod work;

pub use config::EngineConfig;
pub use counters::{EngineCounters, NodeCounts};
pub use detector::{Profile, Profiles};
pub use engine::{Engine, NodeView, Ordered};
pub use publication::Publication;
pub use senders::Senders;
pub use time::{Duration, Timestamp};
pub use verdict::{Evidence, NodeState, SecondOpinion, Terms, Verdict, VerdictKind, Verdicts};
