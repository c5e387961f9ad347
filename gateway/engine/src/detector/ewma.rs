//! Mean and mean deviation, the way TCP sets its retransmission timer.
//!
//! Jacobson and Karels ("Congestion avoidance and control", 1988) and RFC 6298: `RTO = SRTT + K * RTTVAR`, `K = 4`. Here the mean is that of
//! the gaps between heartbeats instead of round trips, and `K` is the profile's threshold, one for suspect and one for
//! failed. Both moments follow quickly (gains 1/8 and 1/4, see [`super::rhythm`]), so it tracks a path that changes its
//! delay, and forgets within some ten heartbeats that there ever was a spike.

use std::f64::consts::FRAC_2_PI;

/// Silence that is `threshold` mean deviations beyond the mean, in microseconds.
#[must_use]
pub fn silence_us(threshold: f64, mean_us: f64, deviation_us: f64) -> f64 {
    mean_us + threshold * deviation_us
}

/// The standard deviations that this many mean absolute ones are, in a normal rhythm: `sqrt(2 / pi)` times as many.
#[must_use]
pub fn standard_deviations(mean_deviations: f64) -> f64 {
    mean_deviations * FRAC_2_PI.sqrt()
}
