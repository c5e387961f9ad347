//! What is learnt of one node: how it beats, how much of it is lost, how often it was wronged. Sixteen bytes.
//!
//! ```text
//!   0         4         8         12          14         15          16
//!   | mean us | spread  | loss    | back-off  | samples  | counted   |
//! ```
//!
//! **Moments, not a window.** A window of a hundred gaps is 400 bytes a node and a cache miss or two a heartbeat; what
//! the detectors need of it is two numbers. Both come from exponentially weighted updates:
//!
//! - EWMA: mean with gain 1/8 and mean absolute deviation with gain 1/4, the first sample setting the mean to itself and the
//!   deviation to half of it: RFC 6298, section 2, after Jacobson and Karels (1988). Quick to follow, quick to forget.
//! - Phi: mean and variance with gain 1/64, by the incremental form of West (1979); the gain of the n-th sample is `1/n`
//!   until then, so the first samples weigh alike. It remembers as much as an even window of 127 samples.
//!
//! Single precision is enough: an error of 1e-6 of an interval is far below a tick, and the simulation checks it against
//! double precision over whole histories.
//!
//! **Loss** is the share of heartbeats that never came, by sequence. Before anything is known it is one half, and the gain of the
//! n-th heartbeat is `1/(n+2)`: Laplace's rule of succession. So a node earns its short timeout, in about a minute at one
//! heartbeat a second, instead of being trusted first and wronged at once in a network that loses a third.
//!
//! **What is no sample.** A gap teaches only if it was one: between two heartbeats of one run of a node that counted as
//! alive, while the gateway listened. The caller leaves out the rest (see `Engine::learn`); here go
//! the gap after [`Rhythm::skip_next_gap`], and gaps shorter than an eighth of the interval: those tell how long somebody's
//! queue was, not how the node beats. A gap over which the sequence rose by `n` counts as one sample of an `n`-th of it.
//! What is longer than the profile's cap is cut to it.
//!
//! **Back-off.** A verdict of silence on a node that turns out to have lived all along lengthens its timeouts, by a fifth of
//! what they are by default, at most to twice. Each heartbeat takes a thousandth of the rest back: after an hour at one a
//! second, 3 % of it are left at most. Counted in heartbeats and not in time, it needs no clock of its own, and silence does not
//! shorten a timeout that it is being measured against.

use super::Method;

/// Gain of the EWMA detector's mean: RFC 6298's alpha.
const EWMA_MEAN_GAIN: f32 = 1.0 / 8.0;
/// Gain of its deviation: RFC 6298's beta.
const EWMA_DEVIATION_GAIN: f32 = 1.0 / 4.0;
/// Samples after which the phi detector's gain no longer falls.
const PHI_SAMPLES: u8 = 64;
/// Heartbeats, and two, after which the loss estimate's gain no longer falls.
const LOSS_HEARTBEATS: u8 = 64;
/// Losses of one gap that count: what is missing beyond that was an outage.
const LOST_PER_GAP_MAX: u32 = 16;
/// Samples without which mean and spread say too little.
pub const SAMPLES_MIN: u8 = 8;
/// A gap shorter than the interval divided by this is no rhythm.
const SHORTEST_GAP_PART: f32 = 8.0;
/// The fixed-point one of the back-off, in which a fifth is a whole number; it is also the most that is added to a timeout.
const BACK_OFF_ONE: u16 = 50_000;
/// Heartbeats in which the back-off falls by a factor e.
const BACK_OFF_HEARTBEATS: u16 = 1_024;

/// The low bits of `counted`: heartbeats that the loss estimate rests on.
const COUNTED_MASK: u8 = 0x7f;
/// The high bit of `counted`.
const SKIP: u8 = 0x80;

const _: () = assert!(LOSS_HEARTBEATS <= COUNTED_MASK);
const _: () = assert!(size_of::<Rhythm>() == 16);

/// What is learnt of one node.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C)]
pub struct Rhythm {
    /// Weighted mean of the gaps, in microseconds.
    mean_us: f32,
    /// EWMA: mean absolute deviation, in microseconds. Phi: variance, in their squares.
    spread: f32,
    /// Share of heartbeats that were lost.
    loss: f32,
    /// What is added to timeouts, in parts of [`BACK_OFF_ONE`].
    back_off: u16,
    /// Gaps that mean and spread rest on; stays at the most that matters.
    samples: u8,
    counted: u8,
}

/// One gap between two heartbeats of a node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gap {
    /// From the earlier to the later, in microseconds.
    pub length_us: f32,
    /// By how much the sequence rose; 0 if the node does not count.
    pub steps: u32,
    /// The interval that the node is held to, in microseconds.
    pub interval_us: f32,
}

impl Rhythm {
    /// Nothing is known.
    pub const UNKNOWN: Self =
        Self { mean_us: 0.0, spread: 0.0, loss: 0.5, back_off: 0, samples: 0, counted: 0 };

    /// Learns from a gap: what was lost in it, and how long it was. What is longer than `longest_us` is cut.
    #[inline]
    pub fn hear(&mut self, method: Method, gap: Gap, longest_us: f32) {
        self.back_off -= self.back_off.div_ceil(BACK_OFF_HEARTBEATS);
        if self.counted & SKIP != 0 {
            self.counted &= !SKIP;
            return;
        }
        self.count_losses(gap.steps);
        let mut length_us = gap.length_us.min(longest_us);
        if gap.steps > 1 {
            length_us /= gap.steps as f32;
        }
        if length_us * SHORTEST_GAP_PART >= gap.interval_us {
            self.sample(method, length_us);
        }
    }

    /// Counts the heartbeats over which the sequence rose by `steps`: the last came, the others did not. Not if this is a gap to
    /// skip.
    #[inline]
    pub fn count_losses(&mut self, steps: u32) {
        if self.counted & SKIP != 0 {
            return;
        }
        for _ in 0..steps.saturating_sub(1).min(LOST_PER_GAP_MAX) {
            self.count_heartbeat(1.0);
        }
        if steps > 0 {
            self.count_heartbeat(0.0);
        }
    }

    #[inline]
    fn count_heartbeat(&mut self, lost: f32) {
        let counted = self.counted & COUNTED_MASK;
        if counted + 2 < LOSS_HEARTBEATS {
            self.counted += 1;
            self.loss += (lost - self.loss) / f32::from(counted + 3);
        } else {
            self.loss += (lost - self.loss) * (1.0 / LOSS_HEARTBEATS as f32);
        }
    }

    #[inline]
    fn sample(&mut self, method: Method, length_us: f32) {
        let is_first = self.samples == 0;
        self.samples = (self.samples + 1).min(PHI_SAMPLES);
        let difference = length_us - self.mean_us;
        match method {
            Method::Phi => {
                let gain = 1.0 / f32::from(self.samples);
                let step = gain * difference;
                self.mean_us += step;
                self.spread = (1.0 - gain) * (self.spread + difference * step);
            }
            Method::Ewma | Method::Fixed if is_first => {
                self.mean_us = length_us;
                self.spread = length_us / 2.0;
            }
            Method::Ewma | Method::Fixed => {
                self.spread += EWMA_DEVIATION_GAIN * (difference.abs() - self.spread);
                self.mean_us += EWMA_MEAN_GAIN * difference;
            }
        }
    }

    /// The gap that is under way is no sample: it began, or will end, in another life of the node.
    pub fn skip_next_gap(&mut self) {
        self.counted |= SKIP;
    }

    /// Forgets the rhythm and keeps what was learnt of loss and of wrong verdicts: the node is held to another interval
    /// from now on.
    pub fn begin_anew(&mut self) {
        *self = Self { mean_us: 0.0, spread: 0.0, samples: 0, ..*self };
        self.skip_next_gap();
    }

    /// Forgets everything: the node is judged by another profile from now on.
    pub fn begin_from_nothing(&mut self) {
        *self = Self::UNKNOWN;
        self.skip_next_gap();
    }

    /// A verdict of silence was wrong: timeouts grow by `share` of what they are, at most to twice.
    pub fn back_off(&mut self, share: f64) {
        let one = f64::from(BACK_OFF_ONE);
        let grown = (one + f64::from(self.back_off)) * (1.0 + share) - one;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the range of the field"
        )]
        let grown = grown.clamp(0.0, one).round() as u16;
        self.back_off = grown;
    }

    /// By how much timeouts are lengthened now, as a factor from 1 to 2.
    #[must_use]
    pub fn stretch(&self) -> f64 {
        1.0 + f64::from(self.back_off) / f64::from(BACK_OFF_ONE)
    }

    /// Mean and deviation in microseconds, once there are samples enough. The deviation is the mean absolute one for the EWMA
    /// detector and the standard one for phi.
    #[must_use]
    pub fn moments_us(&self, method: Method) -> Option<(f64, f64)> {
        if self.samples < SAMPLES_MIN {
            return None;
        }
        let spread = f64::from(self.spread.max(0.0));
        let deviation = if method == Method::Phi { spread.sqrt() } else { spread };
        Some((f64::from(self.mean_us), deviation))
    }

    /// Something of it, for whoever wants it loaded.
    #[inline]
    #[must_use]
    pub(crate) fn load(&self) -> u32 {
        self.samples.into()
    }

    /// Share of heartbeats that are lost, from 0 to 1; one half while nothing is known.
    #[must_use]
    pub fn loss(&self) -> f64 {
        f64::from(self.loss)
    }
}

#[cfg(test)]
mod tests;
