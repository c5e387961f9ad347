//! How much silence is mere loss?
//!
//! A lost datagram does not make a rhythm irregular, it makes the next one arrive a whole interval later. Fed into mean
//! and deviation, loss of 30 % looks like a wide normal distribution; but runs of losses are geometric, their tail is
//! far longer than any normal one, and a detector that only widens its deviation fails healthy nodes all day. So sequence
//! numbers keep the two apart: a gap over which the sequence rose by three is three samples' worth of rhythm and two
//! lost heartbeats. The share of lost heartbeats, `p`, is learnt on its own, and with it the silence that loss alone can
//! explain: a run of `n` losses has the probability `p^n`, which falls to `10^-phi` at
//!
//! ```text
//!   n = phi / -log10(p)
//! ```
//!
//! So a threshold means the same for lateness and for loss: one wrong verdict in `10^phi` heartbeats. Losses are taken for
//! independent. Bursts are not; what they cost is shown in `docs/detection.md`, and the floor on `p` is there for them.

/// Above this share no run of losses is long enough to tell; the cap of the profile ends the wait.
const SHARE_MAX: f64 = 0.99;

/// How many heartbeats in a row may be lost before the run is as improbable as `10^-exponent`, if this share of them
/// is lost one by one.
#[must_use]
pub fn longest_run(share: f64, exponent: f64) -> f64 {
    exponent / -libm::log10(share.min(SHARE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_is_as_long_as_its_probability_says() {
        assert!((longest_run(0.1, 8.0) - 8.0).abs() < 1e-12);
        assert!((longest_run(0.01, 8.0) - 4.0).abs() < 1e-12);
        let run = longest_run(0.3, 8.0);
        assert!((0.3_f64.powf(run) / 1e-8 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn total_loss_is_a_long_wait_and_not_an_endless_one() {
        assert!(longest_run(1.0, 8.0).is_finite());
        assert!(longest_run(0.0, 8.0) == 0.0);
    }
}
