//! What lies between a node and the gateway, as one source of arrivals.
//!
//! A node plans one heartbeat a second. It may be paused, and then sends nothing and counts nothing. What it sends may be lost,
//! singly or in bursts (two states, Gilbert 1960), and what is not lost is delayed. Arrivals are never out of order:
//! the gateway would drop the late one.

use pulsegate_loadgen::random::Random;

/// Time between two heartbeats, in microseconds.
pub const INTERVAL_US: f64 = 1e6;

/// A kind of network and node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scenario {
    /// In figures and plots.
    pub name: &'static str,
    /// Standard deviation of the delay, in microseconds.
    jitter_us: f64,
    /// Share of heartbeats that are lost one by one.
    loss: f64,
    /// Mean time between bursts of loss, in seconds, and their mean length; in a burst, four of five are lost.
    bursts: Option<(f64, f64)>,
    /// Mean time between pauses of the node, in seconds, and the range of their length.
    pauses: Option<(f64, f64, f64)>,
    /// Mean time between phases of more delay, in seconds, their mean length, and the delay, in microseconds.
    spikes: Option<(f64, f64, f64)>,
}

const QUIET: Scenario =
    Scenario { name: "quiet", jitter_us: 2e3, loss: 1e-4, bursts: None, pauses: None, spikes: None };

/// Share of heartbeats that are lost in a burst.
const LOSS_IN_BURST: f64 = 0.8;

/// All of them.
pub const SCENARIOS: [Scenario; 8] = [
    QUIET,
    Scenario { name: "jitter 100 ms", jitter_us: 100e3, ..QUIET },
    Scenario { name: "loss 1 %", loss: 0.01, ..QUIET },
    Scenario { name: "loss 10 %", loss: 0.1, ..QUIET },
    Scenario { name: "loss 30 %", loss: 0.3, ..QUIET },
    Scenario { name: "bursts of loss", bursts: Some((300.0, 4.0)), ..QUIET },
    Scenario { name: "pauses", pauses: Some((120.0, 0.5, 4.0)), ..QUIET },
    Scenario {
        name: "wide area",
        jitter_us: 20e3,
        loss: 0.005,
        bursts: Some((600.0, 2.0)),
        pauses: None,
        spikes: Some((180.0, 20.0, 200e3)),
    },
];

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    SCENARIOS.into_iter().find(|scenario| scenario.name == name)
}

/// A heartbeat that arrives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Arrival {
    /// When, in microseconds.
    pub at_us: f64,
    /// Its number, counting those that were lost.
    pub sequence: u32,
}

/// One node's heartbeats, as they arrive.
#[derive(Clone, Debug)]
pub struct Trace {
    scenario: Scenario,
    random: Random,
    /// When the next heartbeat is due.
    due_us: f64,
    sequence: u32,
    arrived_us: f64,
    burst: Phase,
    spike: Phase,
    next_pause_us: f64,
}

/// Something that is on for a while, and then off for a while.
#[derive(Clone, Copy, Debug)]
struct Phase {
    is_on: bool,
    until_us: f64,
}

impl Trace {
    /// Begins to beat then.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64, start_us: f64) -> Self {
        let mut random = Random::for_purpose(seed, "trace");
        let off = Phase { is_on: false, until_us: start_us };
        let phase = random.below(1 << 20) as f64 / (1 << 20) as f64;
        let mut trace = Self {
            scenario,
            random,
            due_us: start_us + phase * INTERVAL_US,
            sequence: 0,
            arrived_us: start_us,
            burst: off,
            spike: off,
            next_pause_us: f64::INFINITY,
        };
        if let Some((apart_s, _, _)) = scenario.pauses {
            trace.next_pause_us = start_us + trace.exponential(apart_s * 1e6);
        }
        // Both begin with a time of nothing.
        trace.burst.is_on = true;
        trace.spike.is_on = true;
        trace
    }

    /// Goes on under other conditions.
    pub fn change(&mut self, scenario: Scenario) {
        self.scenario = scenario;
    }

    /// The node hangs for so long.
    pub fn pause(&mut self, length_us: f64) {
        self.due_us += length_us;
    }

    /// When the next heartbeat will be sent.
    #[must_use]
    pub const fn due_us(&self) -> f64 {
        self.due_us
    }

    /// The next heartbeat that arrives, among those that are sent before the end; `None` if there is none.
    pub fn next_before(&mut self, end_us: f64) -> Option<Arrival> {
        while self.due_us < end_us {
            self.take_pauses();
            let sent_us = self.due_us;
            self.due_us += INTERVAL_US;
            self.sequence += 1;
            let loss = if in_phase(self.scenario.bursts, &mut self.burst, &mut self.random, sent_us) {
                LOSS_IN_BURST
            } else {
                self.scenario.loss
            };
            let spikes = self.scenario.spikes.map(|(apart_s, length_s, _)| (apart_s, length_s));
            let is_slow = in_phase(spikes, &mut self.spike, &mut self.random, sent_us);
            let is_lost = self.random.chance(loss);
            let jitter_us = self.normal() * self.scenario.jitter_us;
            if is_lost || sent_us >= end_us {
                continue;
            }
            let slow_us = self.scenario.spikes.filter(|_| is_slow).map_or(0.0, |(_, _, delay_us)| delay_us);
            // Delays are positive; three deviations stand for the way itself.
            let delay_us = (3.0 * self.scenario.jitter_us + slow_us + jitter_us).max(0.0);
            self.arrived_us = self.arrived_us.max(sent_us + delay_us);
            return Some(Arrival { at_us: self.arrived_us, sequence: self.sequence });
        }
        None
    }

    /// A heartbeat that is due while the node hangs is sent when it wakes up.
    fn take_pauses(&mut self) {
        let Some((apart_s, shortest_s, longest_s)) = self.scenario.pauses else { return };
        while self.next_pause_us <= self.due_us {
            let length_us = (shortest_s + (longest_s - shortest_s) * uniform(&mut self.random)) * 1e6;
            let wakes_us = self.next_pause_us + length_us;
            self.due_us = self.due_us.max(wakes_us);
            self.next_pause_us = wakes_us + self.exponential(apart_s * 1e6);
        }
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - uniform(&mut self.random))
    }

    /// Box and Muller, 1958; one of the two.
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform(&mut self.random)));
        radius * libm::cos(2.0 * std::f64::consts::PI * uniform(&mut self.random))
    }
}

fn uniform(random: &mut Random) -> f64 {
    random.below(1 << 53) as f64 / (1_u64 << 53) as f64
}

/// Whether the phase is on at this moment; it is moved on to there. Mean times in seconds: off, on.
fn in_phase(means: Option<(f64, f64)>, phase: &mut Phase, random: &mut Random, now_us: f64) -> bool {
    let Some((off_s, on_s)) = means else { return false };
    while phase.until_us <= now_us {
        phase.is_on = !phase.is_on;
        let mean_us = 1e6 * if phase.is_on { on_s } else { off_s };
        phase.until_us += -mean_us * libm::log(1.0 - uniform(random));
    }
    phase.is_on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_is_lost_where_a_third_shall_be() {
        let mut trace = Trace::new(named("loss 30 %").unwrap(), 1, 0.0);
        let arrived = std::iter::from_fn(|| trace.next_before(1e10)).count();
        assert!((6_800..7_200).contains(&arrived), "{arrived}");
    }

    #[test]
    fn a_pause_counts_nothing_and_arrivals_keep_their_order() {
        let mut trace = Trace::new(named("pauses").unwrap(), 1, 0.0);
        let arrivals: Vec<_> = std::iter::from_fn(|| trace.next_before(1e10)).collect();
        let longest = arrivals.windows(2).map(|pair| pair[1].at_us - pair[0].at_us).fold(0.0, f64::max);
        assert!(longest > 3e6 && longest < 6e6, "{longest}");
        assert!(arrivals.is_sorted_by(|one, next| one.at_us <= next.at_us && one.sequence < next.sequence));
    }
}
