//! `[profiles.<name>]` and `[[profile-rules]]`: from what was written to profiles that keep their rules.
//!
//! A profile starts from the built-in one of its name, or from what its method has where it says nothing, and each key that is
//! written replaces one setting. What a profile can and cannot be is said by the engine ([`Profile::fault`]); here the fault
//! gets the words.

use std::collections::BTreeMap;

use pulsegate_engine::detector::{Method, Profile, ProfileRule, Profiles};
use pulsegate_engine::limits::{PROFILE_RULES_MAX, PROFILES_MAX};
use serde::Deserialize;

/// `[profiles.<name>]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawProfile {
    /// `detector`: `fixed`, `ewma` or `phi`.
    pub detector: Option<RawMethod>,
    /// `suspect`: intervals (fixed), mean deviations (ewma) or phi.
    pub suspect: Option<f64>,
    /// `failed`, in the same unit.
    pub failed: Option<f64>,
    /// `floor-round-trips`
    pub floor_round_trips: Option<f64>,
    /// `floor-intervals`
    pub floor_intervals: Option<f64>,
    /// `suspicion-intervals`
    pub suspicion_intervals: Option<f64>,
    /// `cap-intervals`
    pub cap_intervals: Option<f64>,
    /// `deviation-min-ms`
    pub deviation_min_ms: Option<u32>,
    /// `deviation-min-percent`
    pub deviation_min_percent: Option<f64>,
    /// `pause-intervals`
    pub pause_intervals: Option<f64>,
    /// `loss-min-percent`
    pub loss_min_percent: Option<f64>,
    /// `back-off-percent`
    pub back_off_percent: Option<f64>,
}

/// Value of `detector` in a profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawMethod {
    /// So many intervals.
    Fixed,
    /// Mean and mean deviation.
    Ewma,
    /// Phi accrual.
    Phi,
}

/// `[[profile-rules]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRule {
    /// `zone`: a pattern.
    pub zone: Option<String>,
    /// `label`: key and pattern of the value.
    #[serde(default)]
    pub label: BTreeMap<String, String>,
    /// `profile`: the name of one.
    pub profile: String,
}

/// What is wrong with a profile or a rule.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A setting of a profile outside its range.
    #[error("config key `profiles.{profile}.{key}` = {value}: must be {minimum} to {maximum}")]
    OutOfRange {
        /// Which profile.
        profile: String,
        /// Which of its keys.
        key: &'static str,
        /// What was given.
        value: f64,
        /// Smallest allowed value.
        minimum: f64,
        /// Largest allowed value.
        maximum: f64,
    },
    /// A setting that its detector does not use.
    #[error("config key `profiles.{profile}.{key}`: means nothing for `detector = \"fixed\"`; remove it")]
    KeyUnused {
        /// Which profile.
        profile: String,
        /// Which of its keys.
        key: &'static str,
    },
    /// The default profile has its keys elsewhere.
    #[error(
        "config table `profiles.default`: is set by `detector.suspect-after-intervals` and \
         `detector.failed-after-intervals`; set those, or write another profile and name it in `detector.profile`"
    )]
    DefaultWritten,
    /// A profile of one's own must say how it judges.
    #[error("config table `profiles.{profile}`: needs `detector`, one of \"fixed\", \"ewma\", \"phi\"")]
    WithoutDetector {
        /// Which profile.
        profile: String,
    },
    /// A profile's name that would look odd in an event.
    #[error("config table `profiles.{name}`: the name must be 1 to 64 characters out of a-z A-Z 0-9 . _ -")]
    BadName {
        /// What was given.
        name: String,
    },
    /// More than a node can name in a byte, or more rules than one wants to try.
    #[error(
        "config tables `profiles` and `profile-rules`: {profiles} profiles, the four built-in ones among them, and \
         {rules} rules; at most {PROFILES_MAX} and {PROFILE_RULES_MAX}"
    )]
    TooMany {
        /// How many profiles there would be.
        profiles: usize,
        /// How many rules.
        rules: usize,
    },
    /// A profile that does not exist.
    #[error("config key `{key}` = {value:?}: no such profile; there are {known}")]
    Unknown {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// Those that exist.
        known: String,
    },
    /// A rule that is none.
    #[error(
        "config table `profile-rules` (profile = {profile:?}): has neither `zone` nor `label`, so it would be for all \
         nodes; use `detector.profile` for that"
    )]
    RuleForAll {
        /// What it gives.
        profile: String,
    },
}

/// What `[detector]` says of the default.
#[derive(Clone, Copy, Debug)]
pub(super) struct DefaultProfile<'a> {
    /// `detector.profile`
    pub(super) name: &'a str,
    /// Intervals of the profile called `default`.
    pub(super) suspect_after_intervals: u32,
    /// See above.
    pub(super) failed_after_intervals: u32,
}

/// Checks profiles and rules.
pub(super) fn check(
    written: &BTreeMap<String, RawProfile>,
    rules: &[RawRule],
    default: DefaultProfile<'_>,
) -> Result<Profiles, ProfileError> {
    let DefaultProfile { suspect_after_intervals, failed_after_intervals, .. } = default;
    let mut profiles = Vec::from(Profile::built_in(suspect_after_intervals, failed_after_intervals));
    for (name, raw) in written {
        if name == Profile::DEFAULT_NAME {
            return Err(ProfileError::DefaultWritten);
        }
        let known = profiles.iter().position(|profile| *profile.name == **name);
        let profile = check_profile(name, raw, known.map(|position| &profiles[position]))?;
        match known {
            Some(position) => profiles[position] = profile,
            None => profiles.push(profile),
        }
    }
    if profiles.len() > PROFILES_MAX || rules.len() > PROFILE_RULES_MAX {
        return Err(ProfileError::TooMany { profiles: profiles.len(), rules: rules.len() });
    }
    let names = Profiles::new(profiles.clone(), Default::default(), Vec::new());
    let find = |key: &str, value: &str| {
        names.find(value).ok_or_else(|| ProfileError::Unknown {
            key: key.to_owned(),
            value: value.to_owned(),
            known: profiles.iter().map(|profile| &*profile.name).collect::<Vec<_>>().join(", "),
        })
    };
    let default = find("detector.profile", default.name)?;
    let mut checked_rules = Vec::new();
    for rule in rules {
        if rule.zone.is_none() && rule.label.is_empty() {
            return Err(ProfileError::RuleForAll { profile: rule.profile.clone() });
        }
        checked_rules.push(ProfileRule {
            zone: rule.zone.as_deref().unwrap_or("*").into(),
            labels: rule
                .label
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            profile: find("profile-rules.profile", &rule.profile)?,
        });
    }
    Ok(Profiles::new(profiles, default, checked_rules))
}

fn check_profile(name: &str, raw: &RawProfile, known: Option<&Profile>) -> Result<Profile, ProfileError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > super::limits::PROFILE_NAME_BYTES_MAX || !name.bytes().all(is_legal) {
        return Err(ProfileError::BadName { name: name.to_owned() });
    }
    let method = match (raw.detector, known) {
        (Some(RawMethod::Fixed), _) => Method::Fixed,
        (Some(RawMethod::Ewma), _) => Method::Ewma,
        (Some(RawMethod::Phi), _) => Method::Phi,
        (None, Some(profile)) => profile.method,
        (None, None) => return Err(ProfileError::WithoutDetector { profile: name.to_owned() }),
    };
    // The settings of the same name count if they mean the same.
    let base = match known.filter(|profile| profile.method == method) {
        Some(profile) => profile.clone(),
        None => Profile::of_method(name, method),
    };
    if method == Method::Fixed {
        check_nothing_unused(name, raw)?;
    }
    let profile = Profile {
        name: name.into(),
        method,
        suspect: raw.suspect.unwrap_or(base.suspect),
        failed: raw.failed.unwrap_or(base.failed),
        floor_round_trips: raw.floor_round_trips.unwrap_or(base.floor_round_trips),
        floor_intervals: raw.floor_intervals.unwrap_or(base.floor_intervals),
        suspicion_intervals: raw.suspicion_intervals.unwrap_or(base.suspicion_intervals),
        cap_intervals: raw.cap_intervals.unwrap_or(base.cap_intervals),
        deviation_min_ms: raw.deviation_min_ms.unwrap_or(base.deviation_min_ms),
        deviation_min_percent: raw.deviation_min_percent.unwrap_or(base.deviation_min_percent),
        pause_intervals: raw.pause_intervals.unwrap_or(base.pause_intervals),
        loss_min_percent: raw.loss_min_percent.unwrap_or(base.loss_min_percent),
        back_off_percent: raw.back_off_percent.unwrap_or(base.back_off_percent),
    };
    match profile.fault() {
        None => Ok(profile),
        Some(fault) => Err(ProfileError::OutOfRange {
            profile: name.to_owned(),
            key: fault.key,
            value: fault.value,
            minimum: fault.minimum,
            maximum: fault.maximum,
        }),
    }
}

/// A key that changes nothing would be believed to change something.
fn check_nothing_unused(name: &str, raw: &RawProfile) -> Result<(), ProfileError> {
    let unused = [
        ("floor-intervals", raw.floor_intervals.is_some()),
        ("suspicion-intervals", raw.suspicion_intervals.is_some()),
        ("cap-intervals", raw.cap_intervals.is_some()),
        ("deviation-min-ms", raw.deviation_min_ms.is_some()),
        ("deviation-min-percent", raw.deviation_min_percent.is_some()),
        ("pause-intervals", raw.pause_intervals.is_some()),
        ("loss-min-percent", raw.loss_min_percent.is_some()),
    ];
    match unused.into_iter().find(|&(_, is_written)| is_written) {
        None => Ok(()),
        Some((key, _)) => Err(ProfileError::KeyUnused { profile: name.to_owned(), key }),
    }
}

#[cfg(test)]
mod tests;
