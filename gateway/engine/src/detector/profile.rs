//! Profiles: how a kind of node is judged, by name.
//!
//! A profile is plain settings, as an operator writes them. [`super::Detector`] is what they are turned into once. Four are
//! built in; what each one costs in detection time and false alarms is measured in `docs/detection.md`.

use crate::limits::{
    BACK_OFF_MAX, DEVIATION_MIN_MS_MAX, DEVIATIONS_THRESHOLD_MAX, DEVIATIONS_THRESHOLD_MIN,
    FLOOR_ROUND_TRIPS_MAX, INTERVALS_OF_SILENCE_MAX, PHI_THRESHOLD_MAX, PHI_THRESHOLD_MIN,
};

/// How a profile comes from what was heard to a timeout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// So many intervals of silence.
    Fixed,
    /// So many mean deviations beyond the mean gap.
    Ewma,
    /// The silence at which phi reaches a threshold.
    Phi,
}

impl Method {
    /// The word used in the configuration and in events.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Ewma => "ewma",
            Self::Phi => "phi",
        }
    }

    /// Whether it learns from what it hears.
    #[must_use]
    pub const fn learns(self) -> bool {
        !matches!(self, Self::Fixed)
    }

    /// What the thresholds of a profile may be.
    #[must_use]
    pub fn threshold_range(self) -> (f64, f64) {
        match self {
            Self::Fixed => (1.0, f64::from(INTERVALS_OF_SILENCE_MAX)),
            Self::Ewma => (DEVIATIONS_THRESHOLD_MIN, DEVIATIONS_THRESHOLD_MAX),
            Self::Phi => (PHI_THRESHOLD_MIN, PHI_THRESHOLD_MAX),
        }
    }
}

/// Settings of one profile. The ranges are those of [`Profile::fault`].
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// What nodes, rules and events call it.
    pub name: Box<str>,
    /// How it judges.
    pub method: Method,
    /// Where suspicion begins: intervals (fixed), mean deviations (EWMA) or phi.
    pub suspect: f64,
    /// Where failure begins, in the same unit. Above `suspect`.
    pub failed: f64,
    /// No node is suspect before this many round trips to it, by its own report.
    pub floor_round_trips: f64,
    /// No node is suspect before this many of its intervals. Not for fixed: its thresholds are that already.
    pub floor_intervals: f64,
    /// Whatever was learnt, a silent node has failed after this many of its intervals. Not for fixed.
    pub cap_intervals: f64,
    /// A node is suspect for at least this many of its intervals before it has failed. Not for fixed.
    pub suspicion_intervals: f64,
    /// The rhythm is taken for no steadier than this, in milliseconds. Not for fixed.
    pub deviation_min_ms: u32,
    /// And for no steadier than this share of the interval, in percent. Not for fixed.
    pub deviation_min_percent: f64,
    /// Silence that a pause of the node may add, in intervals. Not for fixed.
    pub pause_intervals: f64,
    /// The network is taken to lose at least this share of heartbeats, in percent. Not for fixed.
    pub loss_min_percent: f64,
    /// A wrong verdict of silence lengthens the node's timeouts by this share of them, in percent.
    pub back_off_percent: f64,
}

/// A setting that breaks its rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ProfileFault {
    /// Which: its key in the configuration.
    pub key: &'static str,
    /// Its value.
    pub value: f64,
    /// Least that it may be.
    pub minimum: f64,
    /// Most that it may be.
    pub maximum: f64,
}

impl Profile {
    /// The profile of whoever asks for none, unless the configuration says otherwise.
    pub const DEFAULT_NAME: &'static str = "default";

    /// A fixed number of intervals. It learns nothing and never backs off.
    #[must_use]
    pub fn fixed(name: &str, suspect: f64, failed: f64) -> Self {
        Self {
            name: name.into(),
            method: Method::Fixed,
            suspect,
            failed,
            back_off_percent: 0.0,
            ..Self::phi(name)
        }
    }

    /// Phi with settings for a good network. Also the settings that a profile of this kind has where it says nothing.
    #[must_use]
    pub fn phi(name: &str) -> Self {
        Self {
            name: name.into(),
            method: Method::Phi,
            suspect: 5.0,
            failed: 8.0,
            floor_round_trips: 10.0,
            floor_intervals: 3.0,
            cap_intervals: 20.0,
            suspicion_intervals: 2.0,
            deviation_min_ms: 100,
            deviation_min_percent: 10.0,
            pause_intervals: 1.5,
            loss_min_percent: 0.1,
            back_off_percent: 20.0,
        }
    }

    /// EWMA with the same settings, and thresholds that mean about the same in a normal rhythm.
    #[must_use]
    pub fn ewma(name: &str) -> Self {
        Self { method: Method::Ewma, suspect: 5.0, failed: 7.0, ..Self::phi(name) }
    }

    /// What a profile of this method has where it says nothing.
    #[must_use]
    pub fn of_method(name: &str, method: Method) -> Self {
        match method {
            Method::Fixed => Self::fixed(name, 3.0, 5.0),
            Method::Ewma => Self::ewma(name),
            Method::Phi => Self::phi(name),
        }
    }

    /// The profiles that every gateway has, in order: the default with these numbers of intervals, `local`, `same-dc` and
    /// `wan`.
    #[must_use]
    pub fn built_in(suspect_after_intervals: u32, failed_after_intervals: u32) -> [Self; 4] {
        [
            Self::fixed(
                Self::DEFAULT_NAME,
                f64::from(suspect_after_intervals),
                f64::from(failed_after_intervals),
            ),
            // One host or one rack: nothing lies between that could be late.
            Self {
                suspicion_intervals: 1.0,
                deviation_min_ms: 20,
                deviation_min_percent: 5.0,
                pause_intervals: 1.0,
                ..Self::phi("local")
            },
            Self::phi("same-dc"),
            // Paths change, spikes of 200 ms are usual, bursts of loss are not rare.
            Self { cap_intervals: 30.0, deviation_min_ms: 200, loss_min_percent: 1.0, ..Self::phi("wan") },
        ]
    }

    /// The first setting that breaks its rule.
    #[must_use]
    pub fn fault(&self) -> Option<ProfileFault> {
        let (threshold_min, threshold_max) = self.method.threshold_range();
        let intervals_max = f64::from(INTERVALS_OF_SILENCE_MAX);
        let learnt = self.method.learns();
        let cap_min = self.floor_intervals + self.suspicion_intervals;
        [
            (true, "suspect", self.suspect, threshold_min, threshold_max),
            (true, "failed", self.failed, self.suspect.next_up(), threshold_max),
            (true, "floor-round-trips", self.floor_round_trips, 0.0, FLOOR_ROUND_TRIPS_MAX),
            (learnt, "floor-intervals", self.floor_intervals, 1.0, intervals_max),
            (learnt, "suspicion-intervals", self.suspicion_intervals, 0.0, intervals_max),
            (learnt, "cap-intervals", self.cap_intervals, cap_min, intervals_max),
            (learnt, "deviation-min-ms", f64::from(self.deviation_min_ms), 1.0, DEVIATION_MIN_MS_MAX.into()),
            (learnt, "deviation-min-percent", self.deviation_min_percent, 0.0, 100.0),
            (learnt, "pause-intervals", self.pause_intervals, 0.0, intervals_max),
            (learnt, "loss-min-percent", self.loss_min_percent, 0.0, 50.0),
            (true, "back-off-percent", self.back_off_percent, 0.0, BACK_OFF_MAX * 100.0),
        ]
        .into_iter()
        .find(|&(applies, _, value, minimum, maximum)| applies && !(minimum..=maximum).contains(&value))
        .map(|(_, key, value, minimum, maximum)| ProfileFault { key, value, minimum, maximum })
    }

    /// Whether nodes of this profile need a record of what was learnt.
    #[must_use]
    pub fn needs_rhythm(&self) -> bool {
        self.method.learns() || self.back_off_percent > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_profiles_keep_their_own_rules() {
        for profile in Profile::built_in(3, 5) {
            assert_eq!(profile.fault(), None, "{}", profile.name);
        }
        let ewma = Profile::ewma("mine");
        assert_eq!(ewma.fault(), None);
    }

    #[test]
    fn fault_names_the_key_and_the_range() {
        let profile = Profile { failed: 5.0, ..Profile::phi("mine") };
        let fault = profile.fault().unwrap();
        assert_eq!((fault.key, fault.value, fault.maximum), ("failed", 5.0, 30.0));
        assert!(fault.minimum > 5.0);
        let profile = Profile { cap_intervals: 4.0, ..Profile::phi("mine") };
        assert_eq!(profile.fault().unwrap().key, "cap-intervals");
        let profile = Profile { loss_min_percent: f64::NAN, ..Profile::phi("mine") };
        assert_eq!(profile.fault().unwrap().key, "loss-min-percent");
    }

    #[test]
    fn fixed_profile_ignores_what_it_does_not_use() {
        let profile = Profile { cap_intervals: 0.0, ..Profile::fixed("mine", 30.0, 50.0) };
        assert_eq!(profile.fault(), None);
        assert!(!profile.needs_rhythm());
    }
}
