//! What a scrape reads of restarts: what was taken over at the start, and how the snapshots go.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Summary;

/// Written on the control thread alone, read by whoever scrapes: relaxed, each a number by itself.
#[derive(Debug, Default)]
pub struct RestartGauges {
    /// What was taken over at the start.
    pub summary: Summary,
    /// Snapshots that are on disk.
    pub written: AtomicU64,
    /// Snapshots that could not be written.
    pub failed: AtomicU64,
    /// Bytes of the latest.
    pub bytes: AtomicU64,
    /// Nodes in the latest.
    pub nodes: AtomicU64,
    /// When the latest was taken, by the wall clock in microseconds; that of an earlier run until there is one.
    pub taken_at_unix_us: AtomicU64,
}

impl RestartGauges {
    /// The gauges of a gateway that has taken this over.
    #[must_use]
    pub fn new(summary: Summary) -> Self {
        let taken_at_unix_us = AtomicU64::new(summary.snapshot_unix_us);
        Self { summary, taken_at_unix_us, ..Self::default() }
    }

    /// Age of the latest snapshot in seconds; `None` while there is none.
    #[must_use]
    pub fn age_s(&self, now_unix_us: u64) -> Option<f64> {
        let taken_at = self.taken_at_unix_us.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "an age is far below 2^53 microseconds")]
        let age_s = now_unix_us.saturating_sub(taken_at) as f64 / 1e6;
        (taken_at != 0).then_some(age_s)
    }
}
