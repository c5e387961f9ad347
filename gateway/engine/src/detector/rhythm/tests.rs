//! Learning, one rule each; the simulation recomputes all of it from whole histories.

use super::*;

const INTERVAL_US: f32 = 1e6;

fn gap(length_us: f32, steps: u32) -> Gap {
    Gap { length_us, steps, interval_us: INTERVAL_US }
}

fn heard(method: Method, gaps: &[(f32, u32)]) -> Rhythm {
    let mut rhythm = Rhythm::UNKNOWN;
    for &(length_us, steps) in gaps {
        rhythm.hear(method, gap(length_us, steps), 20.0 * INTERVAL_US);
    }
    rhythm
}

/// Shows: phi begins with the plain mean and variance of what there is.
#[test]
fn first_phi_samples_give_plain_mean_and_variance() {
    let gaps: Vec<_> = (1..=10_u8).map(|index| (1e6 + 1e3 * f32::from(index), 1)).collect();
    let (mean_us, deviation_us) = heard(Method::Phi, &gaps).moments_us(Method::Phi).unwrap();
    assert!((mean_us - 1_005_500.0).abs() < 1.0);
    assert!((deviation_us - 8.25_f64.sqrt() * 1e3).abs() < 1.0);
}

/// Shows: EWMA begins as RFC 6298 says.
#[test]
fn ewma_starts_with_half_the_first_gap_as_deviation() {
    // RFC 6298, 2.2 and 2.3, by hand: a second gap that is 80 ms longer.
    let rhythm = heard(Method::Ewma, &[(1e6, 1), (1.08e6, 1)]);
    assert!((rhythm.mean_us - 1.01e6).abs() < 1.0);
    assert!((rhythm.spread - 395_000.0).abs() < 1.0);
}

/// Shows: a gap in which packets were lost is a sample of the rhythm per step, and its losses are counted apart.
#[test]
fn gap_with_losses_is_divided_and_the_losses_are_counted() {
    let clean = heard(Method::Phi, &[(1e6, 1); 12]);
    let lossy = heard(Method::Phi, &[(3e6, 3); 12]);
    assert_eq!(clean.moments_us(Method::Phi), lossy.moments_us(Method::Phi));
    // Rule of succession: of 12 none was lost; of 36 there were 24.
    assert!((clean.loss() - 1.0 / 14.0).abs() < 1e-6);
    assert!((lossy.loss() - 25.0 / 38.0).abs() < 1e-6);
}

/// Shows: loss is learnt by succession, and one long outage is not taken for a lossy network.
#[test]
fn loss_of_a_clean_node_falls_and_an_outage_counts_as_sixteen() {
    let mut rhythm = heard(Method::Phi, &[(1e6, 1); 600]);
    assert!(rhythm.loss() < 1e-4);
    rhythm.count_losses(100_000);
    assert!(rhythm.loss() < 1.0 - (63.0_f64 / 64.0).powi(16));
}

/// Shows: a queue that empties, and the first gap after a failure, teach no rhythm.
#[test]
fn bunched_heartbeats_and_the_gap_to_skip_are_no_samples() {
    let mut rhythm = heard(Method::Phi, &[(1e6, 1); 12]);
    let before = rhythm.moments_us(Method::Phi);
    rhythm.hear(Method::Phi, gap(0.0, 1), 2e7);
    rhythm.hear(Method::Phi, gap(124_000.0, 1), 2e7);
    rhythm.skip_next_gap();
    rhythm.hear(Method::Phi, gap(5e6, 1), 2e7);
    assert_eq!(rhythm.moments_us(Method::Phi), before);
    rhythm.hear(Method::Phi, gap(1.5e6, 1), 2e7);
    assert_ne!(rhythm.moments_us(Method::Phi), before);
}

/// Shows: without sequences there are gaps and no losses.
#[test]
fn node_that_does_not_count_teaches_its_gaps_and_nothing_of_loss() {
    let rhythm = heard(Method::Phi, &[(2e6, 0); 12]);
    assert_eq!(rhythm.moments_us(Method::Phi), Some((2e6, 0.0)));
    assert_eq!(rhythm.loss().to_bits(), 0.5_f64.to_bits());
}

/// Shows: what is longer than the cap is no longer than the cap.
#[test]
fn longest_gap_is_cut() {
    let mut rhythm = heard(Method::Ewma, &[(1e6, 1); 20]);
    rhythm.hear(Method::Ewma, gap(1e9, 1), 5e6);
    assert!(rhythm.mean_us < 1.51e6);
}

/// Shows: false positives add up to twice the timeout at most, and are forgotten again.
#[test]
fn back_off_grows_by_a_fifth_up_to_twice_and_is_gone_in_the_end() {
    let mut rhythm = Rhythm::UNKNOWN;
    for expected in [1.2, 1.44, 1.728, 2.0, 2.0] {
        rhythm.back_off(0.2);
        assert!((rhythm.stretch() - expected).abs() < 1e-3);
    }
    let hear = |rhythm: &mut Rhythm, count: u32| {
        for _ in 0..count {
            rhythm.hear(Method::Fixed, gap(1e6, 1), 2e7);
        }
    };
    hear(&mut rhythm, 3_600);
    assert!(rhythm.stretch() < 1.03 && rhythm.stretch() > 1.0);
    hear(&mut rhythm, 3_600);
    assert_eq!(rhythm.back_off, 0);
}

/// Shows: eight samples are needed, and another interval needs eight new ones.
#[test]
fn too_few_samples_say_nothing_and_a_new_interval_begins_anew() {
    let mut rhythm = heard(Method::Phi, &[(1e6, 1); 7]);
    assert_eq!(rhythm.moments_us(Method::Phi), None);
    rhythm.hear(Method::Phi, gap(1e6, 1), 2e7);
    assert!(rhythm.moments_us(Method::Phi).is_some());
    let loss = rhythm.loss();
    rhythm.begin_anew();
    assert_eq!((rhythm.moments_us(Method::Phi), rhythm.loss().to_bits()), (None, loss.to_bits()));
}
