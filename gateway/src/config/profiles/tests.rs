//! What is refused of profiles and rules, and what comes of what is right.

use super::*;
use crate::config::Config;

fn check_refused(text: &str, expected: &[&str]) {
    let error = Config::from_toml(text).expect_err("this configuration must be refused").to_string();
    for part in expected {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

fn profile(config: &Config, name: &str) -> Profile {
    config.profiles.detector(config.profiles.find(name).unwrap()).profile().clone()
}

#[test]
fn written_profile_replaces_what_it_says_and_keeps_the_rest() {
    let text = "[profiles.wan]\ncap-intervals = 50\n[profiles.mine]\ndetector = \"ewma\"\nfailed = 9.5";
    let config = Config::from_toml(text).unwrap();
    let [_, _, _, wan] = Profile::built_in(3, 5);
    assert_eq!(profile(&config, "wan"), Profile { cap_intervals: 50.0, ..wan });
    assert_eq!(profile(&config, "mine"), Profile { failed: 9.5, ..Profile::ewma("mine") });
}

#[test]
fn default_profile_is_the_fixed_one_unless_another_is_named() {
    let config =
        Config::from_toml("[detector]\nsuspect-after-intervals = 4\nfailed-after-intervals = 9").unwrap();
    let default = config.profiles.detector(config.profiles.default_index()).profile().clone();
    assert_eq!(default, Profile::fixed("default", 4.0, 9.0));
    let config = Config::from_toml("[detector]\nprofile = \"same-dc\"").unwrap();
    assert_eq!(Some(config.profiles.default_index()), config.profiles.find("same-dc"));
}

#[test]
fn rules_are_kept_in_their_order() {
    let text = "[[profile-rules]]\nzone = \"eu-*\"\nlabel = { tier = \"edge*\" }\nprofile = \"wan\"\n\
                [[profile-rules]]\nlabel = { rack = \"r1\" }\nprofile = \"local\"";
    let config = Config::from_toml(text).unwrap();
    let rules = config.profiles.rules();
    assert_eq!((&*rules[0].zone, rules[0].labels.len(), &*rules[1].zone), ("eu-*", 1, "*"));
    assert_eq!(Some(rules[1].profile), config.profiles.find("local"));
}

#[test]
fn setting_out_of_range_is_refused_with_key_value_and_range() {
    check_refused(
        "[profiles.mine]\ndetector = \"phi\"\nsuspect = 40.0",
        &["profiles.mine.suspect", "= 40", "0.5 to 30"],
    );
    check_refused("[profiles.wan]\nfailed = 4.0", &["profiles.wan.failed", "= 4", "30"]);
    check_refused("[profiles.wan]\ncap-intervals = 4", &["profiles.wan.cap-intervals", "5 to 1000"]);
    check_refused("[profiles.wan]\nback-off-percent = nan", &["profiles.wan.back-off-percent", "NaN"]);
}

#[test]
fn what_would_change_nothing_is_refused() {
    check_refused(
        "[profiles.mine]\ndetector = \"fixed\"\ncap-intervals = 9",
        &["profiles.mine.cap-intervals", "fixed"],
    );
    check_refused("[profiles.default]\nfailed = 9", &["profiles.default", "detector.failed-after-intervals"]);
    check_refused("[[profile-rules]]\nprofile = \"wan\"", &["profile-rules", "detector.profile"]);
}

#[test]
fn name_of_no_profile_is_refused_with_those_that_exist() {
    check_refused(
        "[detector]\nprofile = \"wna\"",
        &["detector.profile", "wna", "default, local, same-dc, wan"],
    );
    check_refused("[[profile-rules]]\nzone = \"z\"\nprofile = \"wna\"", &["profile-rules.profile", "wna"]);
    check_refused("[profiles.mine]\nfailed = 9", &["profiles.mine", "detector"]);
    check_refused("[profiles.\"a b\"]\ndetector = \"phi\"", &["a b", "a-z"]);
}

#[test]
fn too_many_profiles_are_refused() {
    use std::fmt::Write;

    let mut text = String::new();
    for index in 0..13 {
        writeln!(text, "[profiles.p{index}]\ndetector = \"phi\"").unwrap();
    }
    check_refused(&text, &["17", "16"]);
}
