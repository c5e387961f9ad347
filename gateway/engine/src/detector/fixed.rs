//! A fixed number of the node's own intervals.
//!
//! The promise is the same for every node and every moment, and easy to say: three intervals of silence, five intervals of
//! silence. It neither forgives a bad network nor rewards a good one.

/// Silence of so many intervals, in microseconds.
#[must_use]
pub fn silence_us(intervals: f64, interval_us: f64) -> f64 {
    intervals * interval_us
}
