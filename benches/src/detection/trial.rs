//! One profile against one scenario.

use pulsegate_codec::{Heartbeat, Incarnation, NodeId, Sequence};
use pulsegate_engine::detector::{Profile, Profiles};
use pulsegate_engine::{Duration, Engine, EngineConfig, Timestamp, VerdictKind, Verdicts};

use super::scenario::{INTERVAL_US, Scenario, Trace};

/// How long each node beats before it dies, in microseconds.
const LIFE_US: f64 = 3.6e9;

/// Time between a death and the next node's birth: long enough for any verdict.
const REST_US: f64 = 300e6;

/// What came of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trial {
    /// Nodes that lived for an hour and died.
    pub node_hours: u32,
    /// Suspicions of nodes that lived.
    pub false_suspicions: u32,
    /// Failures of nodes that lived.
    pub false_failures: u32,
    /// From each death to the verdict, in milliseconds, in order.
    pub detection_ms: Vec<u32>,
}

impl Trial {
    /// Lets so many nodes live and die, one after the other, judged by this profile alone. The same seed makes the same
    /// traces.
    #[must_use]
    pub fn run(scenario: Scenario, profile: &Profile, node_hours: u32, seed: u64) -> Self {
        let mut gateway = Gateway::new(profile.clone());
        let mut trial = Self { node_hours, ..Self::default() };
        let mut start_us = 0.0;
        for node in 0..node_hours {
            let mut trace = Trace::new(scenario, seed ^ u64::from(node) << 20, start_us);
            // Somewhere within the last interval, differently for each node, and evenly over all.
            let part = f64::from(node.wrapping_mul(0x9e37_79b9)) / f64::from(u32::MAX);
            let death_us = start_us + LIFE_US + part * INTERVAL_US;
            while let Some(arrival) = trace.next_before(death_us) {
                gateway.hear(u64::from(node), arrival.at_us, arrival.sequence);
            }
            gateway.tick_until(death_us);
            let (suspected, failed) = gateway.take();
            trial.false_suspicions += suspected.count;
            trial.false_failures += failed.count;
            start_us = death_us + REST_US;
            gateway.tick_until(start_us);
            let (_, failed) = gateway.take();
            // It had been given up already: found at once, if for the wrong reason.
            let found_us = if failed.count == 0 { death_us } else { failed.last_us };
            trial.detection_ms.push(milliseconds(found_us - death_us));
        }
        trial.detection_ms.sort_unstable();
        trial
    }

    /// False failures an hour and node.
    #[must_use]
    pub fn failures_per_node_hour(&self) -> f64 {
        f64::from(self.false_failures) / f64::from(self.node_hours)
    }

    /// The detection time that this share of all deaths does not exceed, in milliseconds.
    #[must_use]
    pub fn detection_ms_at(&self, permille: usize) -> u32 {
        self.detection_ms[(self.detection_ms.len() - 1) * permille / 1_000]
    }
}

/// Verdicts of one kind.
#[derive(Clone, Copy, Default)]
struct Given {
    count: u32,
    last_us: f64,
}

/// The engine, and what it said.
struct Gateway {
    engine: Engine,
    verdicts: Verdicts,
}

impl Gateway {
    fn new(profile: Profile) -> Self {
        let config = EngineConfig {
            nodes_max: 256,
            tick: Duration::from_millis(10),
            interval_ms: 1_000,
            interval_ms_min: 100,
            interval_ms_max: 60_000,
            profiles: Profiles::only(profile),
            forget_after: Duration::from_hours(24),
            stalled_after: Duration::ZERO,
            hash_seed: 1,
        };
        Self { engine: Engine::new(&config, Timestamp::ZERO), verdicts: Verdicts::with_capacity(4_096) }
    }

    fn hear(&mut self, node: u64, at_us: f64, sequence: u32) {
        self.tick_until(at_us);
        let heartbeat = Heartbeat {
            node_id: NodeId(node),
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
            ..Heartbeat::default()
        };
        self.engine.on_heartbeats(&[heartbeat], moment(at_us), &mut self.verdicts);
    }

    fn tick_until(&mut self, at_us: f64) {
        let at = moment(at_us);
        while let Some(next) = self.engine.next_deadline().filter(|&next| next <= at) {
            self.engine.on_tick(next, &mut self.verdicts);
        }
    }

    /// What was said since the last time: suspected, failed.
    fn take(&mut self) -> (Given, Given) {
        let (mut suspected, mut failed) = (Given::default(), Given::default());
        let count = self.verdicts.as_slice().len();
        for verdict in self.verdicts.drain(count) {
            let given = match verdict.kind {
                VerdictKind::Suspected => &mut suspected,
                VerdictKind::Failed => &mut failed,
                _ => continue,
            };
            given.count += 1;
            given.last_us = verdict.decided_at.as_nanoseconds() as f64 / 1e3;
        }
        (suspected, failed)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "years of nanoseconds fit; not negative"
)]
fn moment(at_us: f64) -> Timestamp {
    Timestamp::from_nanoseconds((at_us * 1e3) as u64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes at most; not negative")]
fn milliseconds(microseconds: f64) -> u32 {
    (microseconds / 1e3).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::scenario;

    #[test]
    fn fixed_profile_finds_the_dead_after_five_intervals_of_silence() {
        let trial = Trial::run(scenario::named("quiet").unwrap(), &Profile::fixed("f", 3.0, 5.0), 4, 1);
        assert_eq!((trial.node_hours, trial.false_failures, trial.detection_ms.len()), (4, 0, 4));
        assert!(trial.detection_ms.iter().all(|time_ms| (3_900..=5_020).contains(time_ms)), "{trial:?}");
    }

    #[test]
    fn phi_accuses_fewer_living_nodes_than_fixed_where_a_third_is_lost() {
        let scenario = scenario::named("loss 30 %").unwrap();
        let fixed = Trial::run(scenario, &Profile::fixed("f", 3.0, 5.0), 3, 1);
        let phi = Trial::run(scenario, &Profile::phi("p"), 3, 1);
        assert!(fixed.false_failures > 10 && phi.false_failures == 0, "{fixed:?} {phi:?}");
    }
}
