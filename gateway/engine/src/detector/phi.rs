//! Phi accrual, solved for its threshold.
//!
//! `phi(t) = -log10(Q((t - mean) / deviation))` rises with every moment of silence, and a verdict is due when it reaches the
//! threshold. Others compute it for every node once a second or so. But phi is monotone in `t`, so the moment at
//! which it will get there is known at once: `t = mean + z * deviation`, where `z` depends on the threshold alone
//! ([`super::normal_tail`]) and is computed once. A silent node costs nothing until then.

/// Silence at which phi reaches the threshold that is `z` standard deviations away, in microseconds.
#[must_use]
pub fn silence_us(z: f64, mean_us: f64, deviation_us: f64) -> f64 {
    mean_us + z * deviation_us
}
