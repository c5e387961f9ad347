//! All profiles of a gateway, and which one a node gets.
//!
//! In this order: the profile that its descriptor names; the first rule whose zone and labels fit; the default. A name that
//! nobody knows counts as none, so a misspelt profile costs a counter and not the rules.
//!
//! A rule's patterns are literal but for `*`, which stands for any run of characters: `eu-*`, `*-edge`, `*`.

use pulsegate_codec::NodeDescriptor;

use super::{Detector, Profile};
use crate::limits::{PROFILE_RULES_MAX, PROFILES_MAX};

/// Which profile: its place in [`Profiles`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ProfileIndex(u8);

const _: () = assert!(PROFILES_MAX <= 1 << u8::BITS);

impl ProfileIndex {
    /// The place as an array position.
    #[must_use]
    pub const fn position(self) -> usize {
        self.0 as usize
    }

    /// The place as a number to store.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Gives a profile to nodes of a zone, or with certain labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileRule {
    /// Pattern of the zone; `*` fits any, even none.
    pub zone: Box<str>,
    /// Labels that the node must have, all of them: key, and pattern of the value.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// What such a node gets.
    pub profile: ProfileIndex,
}

impl ProfileRule {
    fn fits(&self, descriptor: &NodeDescriptor<'_>) -> bool {
        let has = |(key, pattern): &(Box<str>, Box<str>)| {
            descriptor.labels.iter().any(|&(other, value)| **key == *other && fits(pattern, value))
        };
        fits(&self.zone, descriptor.zone) && self.labels.iter().all(has)
    }
}

/// The profiles, ready for use, and the rules.
#[derive(Clone, PartialEq, Debug)]
pub struct Profiles {
    detectors: Box<[Detector]>,
    default: ProfileIndex,
    rules: Box<[ProfileRule]>,
}

impl Profiles {
    /// These profiles, each of a different name.
    ///
    /// # Panics
    /// If there are none, more than [`PROFILES_MAX`], or more rules than [`PROFILE_RULES_MAX`]; if a name is there twice, a
    /// profile has a fault, or an index is of none of them.
    #[must_use]
    pub fn new(profiles: Vec<Profile>, default: ProfileIndex, rules: Vec<ProfileRule>) -> Self {
        assert!((1..=PROFILES_MAX).contains(&profiles.len()) && rules.len() <= PROFILE_RULES_MAX);
        assert!(rules.iter().all(|rule| rule.profile.position() < profiles.len()));
        assert!(default.position() < profiles.len());
        for (position, profile) in profiles.iter().enumerate() {
            let is_first = profiles.iter().position(|other| other.name == profile.name) == Some(position);
            assert!(is_first, "two profiles are called {}", profile.name);
        }
        let detectors = profiles.into_iter().map(Detector::new).collect();
        Self { detectors, default, rules: rules.into() }
    }

    /// The built-in profiles, the default among them with these numbers of intervals, and no rule.
    #[must_use]
    pub fn built_in(suspect_after_intervals: u32, failed_after_intervals: u32) -> Self {
        let profiles = Profile::built_in(suspect_after_intervals, failed_after_intervals);
        Self::new(profiles.into(), ProfileIndex::default(), Vec::new())
    }

    /// One profile for all.
    #[must_use]
    pub fn only(profile: Profile) -> Self {
        Self::new(vec![profile], ProfileIndex::default(), Vec::new())
    }

    /// The profile of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ProfileIndex> {
        let position = self.detectors.iter().position(|detector| *detector.profile().name == *name)?;
        u8::try_from(position).ok().map(ProfileIndex)
    }

    /// The profile at this place.
    ///
    /// # Panics
    /// If it is of other profiles.
    #[must_use]
    pub fn detector(&self, index: ProfileIndex) -> &Detector {
        &self.detectors[index.position()]
    }

    /// All of them, in order.
    #[must_use]
    pub fn detectors(&self) -> &[Detector] {
        &self.detectors
    }

    /// The profile of nodes that ask for none and fit no rule.
    #[must_use]
    pub const fn default_index(&self) -> ProfileIndex {
        self.default
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[ProfileRule] {
        &self.rules
    }

    /// What a node gets that describes itself so, and whether it named a profile that does not exist.
    #[must_use]
    pub fn choose(&self, descriptor: &NodeDescriptor<'_>) -> (ProfileIndex, bool) {
        let named = self.find(descriptor.profile);
        let by_rule = || self.rules.iter().find(|rule| rule.fits(descriptor)).map(|rule| rule.profile);
        let is_unknown = named.is_none() && !descriptor.profile.is_empty();
        (named.or_else(by_rule).unwrap_or(self.default), is_unknown)
    }

    /// Whether nodes will need a record of what was learnt of them that name no profile themselves.
    #[must_use]
    pub fn need_rhythm(&self) -> bool {
        [self.default]
            .into_iter()
            .chain(self.rules.iter().map(|rule| rule.profile))
            .any(|index| self.detector(index).profile().needs_rhythm())
    }
}

/// Whether the whole text fits the pattern.
///
/// Greedy, with one step back: after a mismatch the latest `*` takes one character more. Earlier ones need not be
/// tried again, so it takes at most pattern times text steps.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut latest_star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        if pattern.get(at_pattern) == Some(&b'*') {
            latest_star = Some((at_pattern, at_text));
            at_pattern += 1;
        } else if pattern.get(at_pattern) == Some(&text[at_text]) {
            at_pattern += 1;
            at_text += 1;
        } else if let Some((star, taken)) = latest_star {
            latest_star = Some((star, taken + 1));
            (at_pattern, at_text) = (star + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at_pattern..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows: rules match zones and values by `*`.
    #[test]
    fn star_stands_for_any_run_of_characters() {
        for (pattern, text) in [
            ("*", ""),
            ("eu-*", "eu-"),
            ("eu-*", "eu-west"),
            ("*-edge", "a-edge-edge"),
            ("a*b*c", "aXbYbZc"),
            ("", ""),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("eu-*", "eu"), ("eu", "eu-west"), ("*-edge", "edge"), ("a*b*c", "aXbY"), ("", "a")]
        {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    /// Shows: a profile is chosen by descriptor, then by the first rule on zone and labels, then by default.
    #[test]
    fn node_gets_what_it_names_then_what_a_rule_gives_then_the_default() {
        let built_in = Profiles::built_in(3, 5);
        let [local, wan] = ["local", "wan"].map(|name| built_in.find(name).unwrap());
        let rule = |zone: &str, labels: &[(&str, &str)], profile| ProfileRule {
            zone: zone.into(),
            labels: labels.iter().map(|&(key, value)| (key.into(), value.into())).collect(),
            profile,
        };
        let rules = vec![
            rule("eu-*", &[("tier", "edge*")], wan),
            rule("*", &[("rack", "r1")], local),
            rule("us-*", &[("tier", "edge*"), ("rack", "r2")], wan),
        ];
        let profiles = Profiles::new(Profile::built_in(3, 5).into(), built_in.default_index(), rules);
        let choose = |zone, labels: &[(&'static str, &'static str)], profile| {
            profiles.choose(&NodeDescriptor {
                zone,
                labels: labels.to_vec(),
                profile,
                ..NodeDescriptor::default()
            })
        };
        let default = profiles.default_index();
        assert_eq!(choose("eu-1", &[("tier", "edge-2"), ("rack", "r1")], ""), (wan, false));
        assert_eq!(choose("eu-1", &[("rack", "r1")], ""), (local, false));
        assert_eq!(choose("us-1", &[("tier", "edge-2")], ""), (default, false));
        assert_eq!(choose("us-1", &[], "wan"), (wan, false));
        assert_eq!(
            choose("eu-1", &[("tier", "edge-2")], "local"),
            (local, false),
            "what it names comes first"
        );
        assert_eq!(choose("us-1", &[("tier", "edge-2"), ("rack", "r2")], ""), (wan, false), "all labels");
        assert_eq!(choose("us-1", &[("rack", "r2")], ""), (default, false), "not all");
        assert!(profiles.need_rhythm() && !built_in.need_rhythm(), "a rule's profile learns");
        // Misspelt: as if it had named none.
        assert_eq!(choose("eu-1", &[("tier", "edge-2")], "wna"), (wan, true));
    }
}
