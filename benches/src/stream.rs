//! What the event stream costs and how long it takes, measured from outside: a gateway in a process of its own, spoken to
//! over UDP, read through its Kafka port by librdkafka and kcat.
//!
//! ```text
//!  nodes ──UDP──▶ gateway ──Kafka port──▶ watcher (librdkafka): decided ─▶ received, for each event
//!                    └─────Kafka port──▶ kcat ◀── the same records ── Apache Kafka       A B A B …
//! ```
//!
//! `src/bin/stream.rs` is the program.

pub mod broker;
pub mod gateway;
pub mod nodes;
pub mod serving;
pub mod watcher;

use std::time::Duration;

/// Lets other processes work.
#[expect(
    clippy::disallowed_methods,
    reason = "a measuring program paces itself; nothing else runs on its thread"
)]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Waits until `ready` gives something.
///
/// # Panics
/// If it does not within a minute.
pub fn wait_for<Found>(what: &str, mut ready: impl FnMut() -> Option<Found>) -> Found {
    const STEP: Duration = Duration::from_millis(10);
    for _ in 0..6_000 {
        if let Some(found) = ready() {
            return found;
        }
        pause(STEP);
    }
    panic!("{what}: not within a minute");
}
