//! The engine against an oracle that is too simple to be wrong, on a virtual clock.
//!
//! ```text
//!   operations (anything at all) ─┐                ┌─▶ engine ─┐
//!                                 ├─▶ lockstep ────┤           ├─ must agree after every step
//!   fleet (what life looks like) ─┘                └─▶ oracle ─┘
//! ```
//!
//! Three worlds drive it. [`operations`] throws random calls at a handful of nodes: any order, any sequence, jumps of
//! weeks, buffers of one. [`fleet`] lets the load generator's fleet beat through its bad network, at a gateway that
//! stalls. [`years`] puts whole gateways, publication and restarts with them, through long lives: it is checked less often but
//! no less strictly, and covers a million node-hours. A world is made from one seed, and so is every choice in it. [`storm`] is one big world: more work than fits
//! into a call. [`polled_phi`] checks the one thing that no deadline can say of itself: that it comes when phi, polled at each
//! tick, would have.
//!
//! The default run takes 200 fixed seeds and a fresh one; with `SIMULATION_SEED_COUNT=n` it takes the first n and a fresh
//! one; [`years`] takes as many as `SIMULATION_NODE_HOURS` needs, a million by default. `SIMULATION_SEED=n cargo test -p pulsegate-engine --test simulation` takes only that one. Each test prints the
//! seed of a world before it starts, so the last one printed is the one that failed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod agreement;
mod conditions;
mod conflicts;
mod doubt;
mod fleet;
mod known;
mod lived;
mod lockstep;
mod maintenance;
mod naive_detector;
mod operations;
mod oracle;
mod polled_phi;
mod profiles;
mod protection;
mod restarted;
mod shard;
mod storm;
mod testimony;
mod told;
mod troubles;
mod whole;
mod years;

use std::hash::{BuildHasher, RandomState};

const SEED_COUNT_DEFAULT: u64 = 200;
const NODE_HOURS_DEFAULT: u64 = 1_000_000;

/// Shows: the rules hold in whatever order anything comes.
#[test]
fn random_operations_agree_with_the_oracle() {
    for_each_seed("operations", |seed| {
        operations::run(seed);
        0.0
    });
}

/// Shows: what the load generator's fleet sends through a bad network, to a gateway that stalls, is judged as the rules say.
#[test]
fn a_fleet_in_a_bad_network_agrees_with_the_oracle() {
    for_each_seed("fleet", fleet::run);
}

/// Shows: over a million node-hours of deaths, outages, bad networks, and a gateway that stalls, drops, sleeps and restarts,
/// nothing is early, late, lost, invented, or held for no reason.
#[test]
fn long_lives_agree_with_the_oracle_and_what_is_told_of_them_is_right() {
    let enough = number_from_environment("SIMULATION_NODE_HOURS").unwrap_or(NODE_HOURS_DEFAULT) as f64;
    let only = number_from_environment("SIMULATION_SEED");
    let fresh = RandomState::new().hash_one("years");
    let mut lived = lived::Lived::default();
    let count = if only.is_some() { 1 } else { usize::MAX };
    for seed in [only.unwrap_or(fresh)].into_iter().chain(0..).take(count) {
        println!("SIMULATION_SEED={seed} (years)");
        lived.add(&years::run(seed));
        if lived.node_hours >= enough {
            break;
        }
    }
    println!("years: {lived:#?}");
    let is_long = only.is_none() && enough >= NODE_HOURS_DEFAULT as f64;
    assert!(!is_long || lived.has_seen_everything(), "every way must be walked: {lived:?}");
}

/// The world returns how many node-hours it covered.
fn for_each_seed(world: &str, run: impl Fn(u64) -> f64) {
    let seeds: Vec<u64> = match number_from_environment("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => {
            let count = number_from_environment("SIMULATION_SEED_COUNT").unwrap_or(SEED_COUNT_DEFAULT);
            // The standard library's hash keys are the one source of randomness here that needs no clock.
            (0..count).chain([RandomState::new().hash_one(world)]).collect()
        }
    };
    let mut node_hours = 0.0;
    for seed in seeds {
        println!("SIMULATION_SEED={seed} ({world})");
        node_hours += run(seed);
    }
    println!("{world}: {node_hours:.0} node-hours");
}

fn number_from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}: wanted a number below 2^64")))
}
