//! By when must a node speak again? Pure functions from what was observed to two timeouts.
//!
//! ```text
//!                 ┌ fixed   so many intervals                                ┐
//!   Observation ─▶┤ ewma    mean + threshold x mean deviation  ┐ + silence   ├─▶ bounds ─▶ Timeouts
//!   interval      │ phi     mean + z(phi) x standard deviation ┘ explained   │   floor, suspicion,
//!   round trip    └                                              otherwise   ┘   back-off, cap
//!   Rhythm (16 bytes of what was learnt)
//! ```
//!
//! A detector is never polled: it is asked when a wheel entry is armed or fires. Whatever takes time to compute (phi's
//! threshold as a number of deviations) is computed once, by [`Detector::new`]. All methods have the same shape, and
//! between two heartbeats of a node its timeouts do not change, so a deadline is a moment and not a matter of when one looks.
//!
//! **Silence explained otherwise** than by irregularity: a pause of the node, or a run of lost heartbeats ([`loss`]). The longer
//! of the two counts, not the sum: each of them has to be improbable by itself, and both at once are more so.
//!
//! **Bounds**, from strongest to weakest:
//!
//! 1. *Floor.* No node is suspect before `max(10 x round trip, 3 x interval)`: no estimate is good enough to be surer than that.
//! 2. *Suspicion.* Failed comes so many intervals after suspect: there must be time for a second opinion.
//! 3. *Cap.* Failed comes no later than so many intervals, whatever was learnt: dead nodes must be found. A floor beyond the
//!    cap moves the cap.
//! 4. *Back-off.* A node that was wronged has longer timeouts for a while ([`rhythm`]), within the cap.
//!
//! Until a node has been heard often enough, its own interval stands for the mean and a quarter of it for the deviation.

pub mod ewma;
pub mod fixed;
pub mod loss;
pub mod normal_tail;
pub mod phi;
pub mod profile;
pub mod profiles;
pub mod rhythm;

pub use profile::{Method, Profile, ProfileFault};
pub use profiles::{ProfileIndex, ProfileRule, Profiles};
pub use rhythm::{Gap, Rhythm};

use crate::time::{Duration, Timestamp};

/// Heartbeats after which nothing of a node's youth is left in what was learnt of it.
const STEADY_BEATS: u32 = 1_000;

/// Share of the interval that stands for the deviation while too little was heard.
const DEVIATION_UNKNOWN_PART: f64 = 0.25;

/// What is known of a node, as far as it bears on how long it may be silent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Observation {
    /// The interval that it is held to, in milliseconds.
    pub interval_ms: u32,
    /// From its sender to the gateway and back, in microseconds, by the sender's report; 0 if it has not told.
    pub round_trip_us: u32,
    /// What was learnt; [`Rhythm::UNKNOWN`] for nodes of which nothing is kept.
    pub rhythm: Rhythm,
}

/// How long silence means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// A node that has been silent for so long is suspect.
    pub suspect: Duration,
    /// A node that has been silent for so long has failed. Not less than `suspect`.
    pub failed: Duration,
}

impl Timeouts {
    /// The moments at which they end for a node that was last heard then.
    #[must_use]
    pub fn after(self, last_seen: Timestamp) -> Deadlines {
        Deadlines { suspect: last_seen + self.suspect, failed: last_seen + self.failed }
    }
}

/// Until when silence means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// A node that has not spoken by then is suspect.
    pub suspect: Timestamp,
    /// A node that has not spoken by then has failed. Not before `suspect`.
    pub failed: Timestamp,
}

/// One of a profile's two thresholds, ready for use.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Threshold {
    /// Intervals (fixed), mean deviations (EWMA) or standard deviations (phi).
    value: f64,
    /// A run of losses explains silence until it is as improbable as ten to the minus this.
    loss_exponent: f64,
}

/// A profile, ready for use.
#[derive(Clone, PartialEq, Debug)]
pub struct Detector {
    profile: Profile,
    suspect: Threshold,
    failed: Threshold,
}

impl Detector {
    /// Turns thresholds into deviations, once.
    ///
    /// # Panics
    /// If the profile has a fault.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        assert_eq!(profile.fault(), None, "profiles are checked before they are used");
        let threshold = |value: f64| match profile.method {
            Method::Fixed => Threshold { value, loss_exponent: 0.0 },
            Method::Ewma => {
                let exponent = normal_tail::phi_at_deviations(ewma::standard_deviations(value));
                Threshold { value, loss_exponent: exponent }
            }
            Method::Phi => Threshold { value: normal_tail::deviations_at_phi(value), loss_exponent: value },
        };
        Self { suspect: threshold(profile.suspect), failed: threshold(profile.failed), profile }
    }

    /// What it was made from.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How long the node may be silent.
    #[must_use]
    pub fn timeouts(&self, observation: &Observation) -> Timeouts {
        let interval_us = f64::from(observation.interval_ms) * 1e3;
        let (suspect_us, failed_us) = match self.profile.method {
            Method::Fixed => (
                fixed::silence_us(self.suspect.value, interval_us),
                fixed::silence_us(self.failed.value, interval_us),
            ),
            Method::Ewma | Method::Phi => {
                let rhythm = &observation.rhythm;
                (
                    self.learnt_us(self.suspect, rhythm, interval_us),
                    self.learnt_us(self.failed, rhythm, interval_us),
                )
            }
        };
        self.bounded(suspect_us, failed_us, observation)
    }

    /// What the timeouts of a node come to that has long beaten at this interval, early and late in turn by this share of it
    /// and without a loss: for people.
    #[must_use]
    pub fn steady(&self, interval_ms: u32, jitter: f32) -> Timeouts {
        let interval_us = interval_ms as f32 * 1e3;
        let mut rhythm = Rhythm::UNKNOWN;
        for beat in 0..STEADY_BEATS {
            let late_us = if beat % 2 == 0 { interval_us * jitter } else { -interval_us * jitter };
            self.hear(&mut rhythm, Gap { length_us: interval_us + late_us, steps: 1, interval_us });
        }
        self.timeouts(&Observation { interval_ms, round_trip_us: 0, rhythm })
    }

    /// The shortest and the longest timeouts that a node with this interval can come to have, if its round trips are short:
    /// the same twice where nothing is learnt.
    #[must_use]
    pub fn bounds(&self, interval_ms: u32) -> [Timeouts; 2] {
        let observation = Observation { interval_ms, round_trip_us: 0, rhythm: Rhythm::UNKNOWN };
        let shortest = self.bounded(0.0, 0.0, &observation);
        if !self.profile.method.learns() && self.profile.back_off_percent == 0.0 {
            return [shortest; 2];
        }
        [shortest, self.bounded(f64::INFINITY, f64::INFINITY, &observation)]
    }

    /// The shortest suspect timeout that this node can come to have, whatever is learnt of it.
    #[must_use]
    pub fn shortest(&self, observation: &Observation) -> Duration {
        let interval_us = f64::from(observation.interval_ms) * 1e3;
        whole(self.floor_us(interval_us, observation.round_trip_us))
    }

    /// Mean and deviation in use, in microseconds; `None` for a method that has none or has heard too little.
    #[must_use]
    pub fn moments_us(&self, observation: &Observation) -> Option<(f64, f64)> {
        if !self.profile.method.learns() {
            return None;
        }
        observation.rhythm.moments_us(self.profile.method)
    }

    /// Learns from one gap.
    #[inline]
    pub fn hear(&self, rhythm: &mut Rhythm, gap: Gap) {
        #[expect(clippy::cast_possible_truncation, reason = "a bound on samples; a rounded one will do")]
        let longest_us = self.profile.cap_intervals as f32 * gap.interval_us;
        rhythm.hear(self.profile.method, gap, longest_us);
    }

    fn learnt_us(&self, threshold: Threshold, rhythm: &Rhythm, interval_us: f64) -> f64 {
        let profile = &self.profile;
        let (mean_us, deviation_us) =
            rhythm.moments_us(profile.method).unwrap_or((interval_us, interval_us * DEVIATION_UNKNOWN_PART));
        let deviation_us = deviation_us
            .max(f64::from(profile.deviation_min_ms) * 1e3)
            .max(interval_us * profile.deviation_min_percent / 100.0);
        let silence_us = if profile.method == Method::Ewma {
            ewma::silence_us(threshold.value, mean_us, deviation_us)
        } else {
            phi::silence_us(threshold.value, mean_us, deviation_us)
        };
        let share = rhythm.loss().max(profile.loss_min_percent / 100.0);
        let pause_us = profile.pause_intervals * interval_us;
        silence_us + pause_us.max(loss::longest_run(share, threshold.loss_exponent) * mean_us)
    }

    fn floor_us(&self, interval_us: f64, round_trip_us: u32) -> f64 {
        let intervals = match self.profile.method {
            Method::Fixed => self.profile.suspect,
            Method::Ewma | Method::Phi => self.profile.floor_intervals,
        };
        (self.profile.floor_round_trips * f64::from(round_trip_us)).max(intervals * interval_us)
    }

    fn bounded(&self, suspect_us: f64, failed_us: f64, observation: &Observation) -> Timeouts {
        let profile = &self.profile;
        let interval_us = f64::from(observation.interval_ms) * 1e3;
        let (suspicion, cap) = match profile.method {
            // The distance between its thresholds, and no bound but what back-off can come to.
            Method::Fixed => (profile.failed - profile.suspect, profile.failed * 2.0),
            Method::Ewma | Method::Phi => (profile.suspicion_intervals, profile.cap_intervals),
        };
        let floor_us = self.floor_us(interval_us, observation.round_trip_us);
        let suspicion_us = suspicion * interval_us;
        let cap_us = (cap * interval_us).max(floor_us + suspicion_us);
        let stretch = observation.rhythm.stretch();
        let suspect_us = suspect_us.max(floor_us) * stretch;
        let failed_us = (failed_us * stretch).max(suspect_us + suspicion_us).min(cap_us);
        let suspect_us = suspect_us.min(failed_us - suspicion_us);
        Timeouts { suspect: whole(suspect_us), failed: whole(failed_us) }
    }
}

/// Microseconds as a duration in whole microseconds, rounded up: a deadline is never early.
fn whole(microseconds: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; a thousand hours in microseconds fit 42 bits, and the cast saturates"
    )]
    Duration::from_micros(microseconds.ceil() as u64)
}

#[cfg(test)]
mod tests;
