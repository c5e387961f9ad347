//! Profiles of all kinds, some of them sensible.

use pulsegate_engine::detector::{Method, Profile, ProfileRule, Profiles};
use pulsegate_loadgen::random::Random;

/// The built-in profiles and one that is called `mine`, any of them the default, and sometimes rules.
pub(crate) fn any(random: &mut Random, suspect_after_intervals: u32) -> Profiles {
    let failed_after_intervals = suspect_after_intervals + pick(random, &[1, 2, 10]);
    let mut profiles = Vec::from(Profile::built_in(suspect_after_intervals, failed_after_intervals));
    profiles.push(mine(random));
    let by_name =
        |name: &str| Profiles::new(profiles.clone(), Default::default(), Vec::new()).find(name).unwrap();
    let names = ["default", "default", "local", "same-dc", "wan", "mine", "mine"];
    let default = by_name(pick(random, &names));
    let mut rules = Vec::new();
    for zone in ["eu-*", "*"] {
        if random.chance(0.3) {
            let value = pick(random, &["v", "*", "nothing"]);
            let labels = if random.chance(0.5) { vec![("k".into(), value.into())] } else { Vec::new() };
            rules.push(ProfileRule {
                zone: zone.into(),
                labels: labels.into(),
                profile: by_name(pick(random, &names)),
            });
        }
    }
    Profiles::new(profiles, default, rules)
}

fn mine(random: &mut Random) -> Profile {
    let method = pick(random, &[Method::Fixed, Method::Ewma, Method::Phi]);
    let suspicion_intervals = pick(random, &[0.0, 1.0, 2.5]);
    let profile = Profile {
        floor_intervals: 3.0,
        suspicion_intervals,
        cap_intervals: 3.0 + suspicion_intervals + pick(random, &[0.0, 4.0, 30.0]),
        deviation_min_ms: pick(random, &[1, 300]),
        deviation_min_percent: pick(random, &[0.0, 40.0]),
        pause_intervals: pick(random, &[0.0, 3.0]),
        loss_min_percent: pick(random, &[0.0, 5.0]),
        back_off_percent: pick(random, &[0.0, 20.0, 100.0]),
        ..Profile::of_method("mine", method)
    };
    assert_eq!(profile.fault(), None);
    profile
}

fn pick<Item: Copy>(random: &mut Random, items: &[Item]) -> Item {
    items[random.index(items.len())]
}
