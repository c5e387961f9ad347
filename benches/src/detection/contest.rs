//! Who competes: each method at many thresholds, with nothing around it, and the profiles that the gateway has.

use pulsegate_engine::detector::{Method, Profile};

use super::figures::Figure;
use super::scenario::SCENARIOS;
use super::trial::Trial;

/// Nodes that each threshold of each method is tried on.
pub const SWEEP_NODE_HOURS: u32 = 150;
/// Nodes that each profile is tried on.
pub const PROFILE_NODE_HOURS: u32 = 1_000;
/// Of all traces.
pub const SEED: u64 = 1;

/// Failed thresholds of the sweeps: intervals, mean deviations, phi.
const SWEEPS: [(Method, &[f64]); 3] = [
    (Method::Fixed, &[2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0, 18.0]),
    (Method::Ewma, &[2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0]),
    (Method::Phi, &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0]),
];

/// The profiles that are measured by name: the built-in ones, and EWMA with the same settings as `same-dc`.
#[must_use]
pub fn profiles() -> Vec<Profile> {
    let mut profiles = Vec::from(Profile::built_in(3, 5));
    profiles.push(Profile::ewma("ewma"));
    profiles
}

/// A method by itself, by its word: no floor to speak of, no suspicion, a far cap. `None` if there is no such method.
#[must_use]
pub fn bare(method: &str, failed: f64) -> Option<Profile> {
    let (method, _) = SWEEPS.into_iter().find(|(known, _)| known.label() == method)?;
    let suspect = match method {
        Method::Fixed => failed - 1.0,
        Method::Ewma | Method::Phi => (failed * 0.7).max(1.0).min(failed - 0.5),
    };
    let suspect = suspect.max(method.threshold_range().0);
    Some(Profile {
        suspect,
        failed,
        floor_intervals: 1.0,
        floor_round_trips: 0.0,
        suspicion_intervals: 0.0,
        cap_intervals: 40.0,
        ..Profile::of_method("", method)
    })
}

/// All trials. `hours_part` divides the number of node hours, for a quick look.
pub fn run(hours_part: u32, mut progress: impl FnMut(&Figure)) -> Vec<Figure> {
    let mut figures = Vec::new();
    for scenario in SCENARIOS {
        let sweeps = SWEEPS.iter().flat_map(|&(method, thresholds)| {
            thresholds.iter().filter_map(move |&failed| {
                Some((String::new(), bare(method.label(), failed)?, SWEEP_NODE_HOURS))
            })
        });
        let named =
            profiles().into_iter().map(|profile| (profile.name.to_string(), profile, PROFILE_NODE_HOURS));
        for (name, profile, node_hours) in sweeps.chain(named) {
            let trial = Trial::run(scenario, &profile, (node_hours / hours_part).max(2), SEED);
            let figure = Figure::of(scenario.name, name, &profile, &trial);
            progress(&figure);
            figures.push(figure);
        }
    }
    figures
}
