//! The far tail of the normal distribution, both ways: deviations to phi, and phi to deviations.
//!
//! An accrual detector says how improbable a silence has become: `phi = -log10(P(the next heartbeat is still to come))`
//! (Hayashibara, Défago, Yared, Katayama: "The phi accrual failure detector", 2004). For a normal rhythm that probability is the
//! upper tail `Q(z) = erfc(z / sqrt 2) / 2`, with the silence `z` standard deviations beyond the mean.
//!
//! The usual shortcut is a logistic curve (Akka's, which others took over). It reaches phi 8 at 5.226 deviations, the
//! true tail at 5.612. Here the tail is exact: `erfc` is FreeBSD's `s_erf.c` in its Rust translation (crate `libm`), good to an ulp
//! until the result underflows, near phi 300.
//!
//! The way back has no closed form. It is found by bisection, once for each threshold, when the configuration is read,
//! so it need not be fast: sixty halvings leave no bit to chance.

use std::f64::consts::FRAC_1_SQRT_2;

/// Greatest phi that [`deviations_at_phi`] can turn into deviations: beyond, the tail underflows.
pub const PHI_MAX: f64 = 300.0;

/// Deviations at which phi has passed [`PHI_MAX`].
const DEVIATIONS_MAX: f64 = 40.0;

/// How improbable a silence is that has lasted this many standard deviations beyond the mean.
#[must_use]
pub fn phi_at_deviations(deviations: f64) -> f64 {
    -libm::log10(0.5 * libm::erfc(deviations * FRAC_1_SQRT_2))
}

/// How many standard deviations beyond the mean a silence must last to be this improbable.
///
/// Rounded up by less than an ulp or two, so that phi has been reached when that time has passed.
///
/// # Panics
/// If `phi` is not above 0 and at most [`PHI_MAX`].
#[must_use]
pub fn deviations_at_phi(phi: f64) -> f64 {
    assert!(phi > 0.0 && phi <= PHI_MAX, "thresholds are checked before they are inverted");
    // Below phi 0.3 the silence is shorter than the mean.
    let (mut below, mut above) = (-DEVIATIONS_MAX, DEVIATIONS_MAX);
    loop {
        let middle = f64::midpoint(below, above);
        if middle <= below || middle >= above {
            return above;
        }
        if phi_at_deviations(middle) < phi {
            below = middle;
        } else {
            above = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phi, and the deviations at which the exact tail reaches it: computed with 60 decimal digits
    /// (mpmath: the root of `log10(erfc(z / sqrt(2)) / 2) + phi`) and written down to sixteen.
    const REFERENCE: [(f64, f64); 12] = [
        (0.5, 0.478_273_532_376_162_67),
        (1.0, 1.281_551_565_544_600_5),
        (2.0, 2.326_347_874_040_841),
        (3.0, 3.090_232_306_167_813_5),
        (5.0, 4.264_890_793_922_825),
        (8.0, 5.612_001_244_174_789),
        (10.0, 6.361_340_902_404_056),
        (12.0, 7.034_483_825_301_132),
        (16.0, 8.222_082_216_130_436),
        (30.0, 11.464_024_688_443_616),
        (100.0, 21.273_453_560_965_324),
        (300.0, 37.047_096_299_361_2),
    ];

    #[test]
    fn deviations_agree_with_sixty_digits() {
        for (phi, deviations) in REFERENCE {
            let found = deviations_at_phi(phi);
            assert!((found / deviations - 1.0).abs() < 1e-14, "phi {phi}: {found} for {deviations}");
        }
    }

    #[test]
    fn phi_agrees_with_sixty_digits() {
        for (phi, deviations) in REFERENCE {
            let found = phi_at_deviations(deviations);
            assert!((found / phi - 1.0).abs() < 1e-14, "{deviations} deviations: {found} for {phi}");
        }
    }

    /// Shows: phi is inverted to the very last bit.
    #[test]
    fn a_threshold_has_been_reached_at_its_deviations_and_not_before() {
        for step in 1..=3_000 {
            let phi = f64::from(step) / 10.0;
            let deviations = deviations_at_phi(phi);
            assert!(phi_at_deviations(deviations) >= phi);
            assert!(phi_at_deviations(deviations.next_down()) < phi);
        }
    }
}
