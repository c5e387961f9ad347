//! What life looks like: a fleet that beats on a schedule, a network that spoils it, and a gateway that stalls.
//!
//! Fleet, schedule and network are the load generator's own, so what is sent here is what it sends on a socket. The
//! gateway does what a worker does: takes everything that has arrived, drains verdicts, ticks when the engine asks for
//! it. On top come kills, pauses, restarts, goodbyes and returns; stalls of the gateway; and suspensions of the whole
//! world, up to weeks, after which the clock has jumped and nothing has been sent.
//!
//! Beside the oracle there is a second judge, the truth: where the network is good, the gateway never stalls and
//! the verdict buffer is large, a node that beats is never suspected, and every verdict is less than a tick late.

use std::time::Duration;

use pulsegate_codec::{Departure, DepartureReason, Heartbeat, Incarnation, NodeDescriptor};
use pulsegate_engine::{EngineConfig, VerdictKind};
use pulsegate_loadgen::Moment;
use pulsegate_loadgen::fleet::{Beat, Condition, Fleet, FleetOptions, NodeIndex};
use pulsegate_loadgen::network::{Network, NetworkOptions};
use pulsegate_loadgen::random::Random;
use pulsegate_loadgen::schedule::{Schedule, ScheduleOptions};

use crate::lockstep::Lockstep;
use crate::profiles;

/// Beats that the fleet's batches send in one run, roughly.
const DATAGRAMS: u64 = 1_200;

/// What arrives at once.
#[derive(Clone, Debug, Default)]
struct Datagram {
    heartbeats: Vec<Heartbeat>,
    described: Vec<NodeIndex>,
    departure: Option<Departure>,
}

struct World {
    random: Random,
    pair: Lockstep,
    fleet: Fleet,
    schedule: Schedule,
    network: Network<Datagram>,
    /// Nothing is spoilt: the truth can be known.
    is_good: bool,
    interval: Duration,
    jitter: Duration,
    /// When each node was last started or resumed.
    started: Vec<Moment>,
    now: Moment,
    next_fault: Moment,
    /// How long the fleet has beaten.
    lived: Duration,
    beats: Vec<Beat>,
}

/// Returns the node-hours in which the fleet beat.
pub(crate) fn run(seed: u64) -> f64 {
    let mut world = World::new(seed);
    for _ in 0..DATAGRAMS {
        world.step();
    }
    let node_hours = world.lived.as_secs_f64() / 3_600.0 * f64::from(world.fleet.node_count());
    world.finish();
    node_hours
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::for_purpose(seed, "fleet world");
        let is_good = random.chance(0.3);
        let interval_ms = pick(&mut random, &[100, 1_000, 30_000]);
        let interval = Duration::from_millis(interval_ms.into());
        let fleet = Fleet::new(FleetOptions {
            nodes: pick(&mut random, &[1, 20, 60]),
            batch_nodes: 8,
            interval_ms,
            // Lanes would make a batch of every node.
            mix_lanes: true,
            first_incarnation: Incarnation(5),
            described_beats: 2,
            ..FleetOptions::default()
        });
        let nodes = fleet.node_count();
        let config = config(&mut random, nodes, interval_ms, is_good);
        let verdicts_max = if is_good { 1_000 } else { pick(&mut random, &[1, 3, 50, 1_000]) };
        let jitter = interval.mul_f64(pick(&mut random, &[0.0, 0.3]));
        let network = if is_good { NetworkOptions::default() } else { bad_network(&mut random, interval) };
        let now = Moment::from_microseconds(random.below(1 << 40));
        let start_ns = now.as_microseconds() * 1_000;
        let mut world = Self {
            pair: Lockstep::new(&config, verdicts_max, start_ns, 20),
            schedule: Schedule::new(schedule_options(now, interval, jitter, seed), []),
            network: Network::new(network),
            is_good,
            interval,
            jitter,
            started: vec![now; nodes as usize],
            now,
            next_fault: now + interval * 3,
            lived: Duration::ZERO,
            beats: Vec::new(),
            random,
            fleet,
        };
        world.start_schedule();
        world
    }

    /// Every batch beats from now on, as if nothing had been.
    fn start_schedule(&mut self) {
        let options = schedule_options(self.now, self.interval, self.jitter, self.random.next());
        self.schedule = Schedule::new(options, self.fleet.batches().iter().map(|batch| batch.group));
    }

    /// Goes to the next moment at which anything happens, and lets it happen.
    fn step(&mut self) {
        let next =
            [self.schedule.next_due(), self.network.next_arrival(), self.next_tick(), Some(self.next_fault)]
                .into_iter()
                .flatten()
                .min()
                .expect("faults never end");
        self.lived += next.since(self.now);
        self.go_to(next.max(self.now));
        self.send_what_is_due();
        if self.now >= self.next_fault {
            self.strike();
            self.next_fault = self.now + self.random_part_of(self.interval * 2);
        }
        if !self.is_good && self.random.chance(0.01) {
            self.stall();
        }
        self.run_gateway();
    }

    fn go_to(&mut self, moment: Moment) {
        self.pair.pass(moment.as_microseconds() * 1_000 - self.now.as_microseconds() * 1_000);
        self.now = moment;
    }

    fn next_tick(&self) -> Option<Moment> {
        let next = self.pair.engine.next_deadline()?;
        Some(Moment::from_microseconds(next.as_nanoseconds().div_ceil(1_000)))
    }

    fn send_what_is_due(&mut self) {
        while let Some(due) = self.schedule.pop_due(self.now) {
            self.beats.clear();
            self.fleet.beat(due.batch, &mut self.beats);
            let heartbeats = self.beats.iter().map(|beat| beat.heartbeat(0)).collect();
            let described = self.beats.iter().filter(|beat| beat.described).map(|beat| beat.node).collect();
            self.network.send(Datagram { heartbeats, described, departure: None }, self.now);
        }
    }

    /// One fault, to a random node.
    fn strike(&mut self) {
        let node = NodeIndex(u32::try_from(self.random.below(self.fleet.node_count().into())).unwrap());
        match (self.fleet.condition(node), self.random.below(10)) {
            (Condition::Running, 0..5) => self.fleet.silence(node),
            (Condition::Running, 5..7) => {
                let departure = self.fleet.leave(node, DepartureReason::Shutdown);
                // Twice, as a careful sender does.
                for _ in 0..2 {
                    let datagram = Datagram { departure: Some(departure), ..Datagram::default() };
                    self.network.send(datagram, self.now);
                }
            }
            (Condition::Running, _) => self.fleet.restart(node),
            (_, 0..3) => {}
            (_, 3..7) => self.fleet.resume(node),
            _ => self.fleet.restart(node),
        }
        if self.fleet.condition(node) == Condition::Running {
            self.started[node.slot()] = self.now;
        }
    }

    /// The gateway does not run for a while, or nothing does.
    fn stall(&mut self) {
        if self.random.chance(0.3) {
            let longest =
                pick(&mut self.random, &[Duration::from_secs(60), Duration::from_hours(3 * 7 * 24)]);
            let length = self.random_part_of(longest);
            self.go_to(self.now + length);
            self.start_schedule();
        } else {
            let length = self.random_part_of(self.interval * 8);
            self.go_to(self.now + length);
            self.send_what_is_due();
        }
    }

    /// What a worker does between two waits: everything that has arrived, then time.
    fn run_gateway(&mut self) {
        while let Some(datagram) = self.network.deliver(self.now) {
            self.pair.heartbeats(&datagram.heartbeats);
            for &node in &datagram.described {
                self.describe(node);
            }
            if let Some(departure) = datagram.departure {
                self.pair.departure(departure);
            }
            self.drain();
        }
        let wants_tick = self.next_tick().is_some_and(|next| next <= self.now);
        // A gateway that ticks late, or when nobody asked for it, must do the right thing all the same.
        let is_punctual = self.is_good || self.random.chance(0.9);
        if wants_tick == is_punctual {
            self.pair.tick();
            self.drain();
        }
    }

    fn describe(&mut self, node: NodeIndex) {
        // Once in a while a node changes its mind about its interval.
        let factor = if self.is_good { 1 } else { pick(&mut self.random, &[1, 1, 1, 2, 5]) };
        let pair = &mut self.pair;
        self.fleet.describe(node, |descriptor| {
            let interval_ms = descriptor.interval_ms * factor;
            pair.descriptor(&NodeDescriptor { interval_ms, ..descriptor.clone() });
        });
    }

    fn drain(&mut self) {
        let count = if self.is_good || self.random.chance(0.7) { usize::MAX } else { 1 };
        for verdict in self.pair.drain(count) {
            if !self.is_good {
                continue;
            }
            if let Some(deadline) = verdict.evidence.deadline {
                let late_by = verdict.decided_at.since(deadline);
                // Moments have microseconds, so ticks are rounded up to one.
                assert!(
                    late_by < self.pair.engine.tick() + Duration::from_micros(1),
                    "{late_by:?}: {verdict:?}"
                );
            }
            // One that was forgotten and has come back has not described itself again.
            let Some(facts) = verdict.facts.filter(|_| verdict.kind == VerdictKind::Suspected) else {
                continue;
            };
            let node = NodeIndex::from_name(&facts.name).expect("a name of the fleet");
            let since = self.now.since(self.started[node.slot()]);
            let beats =
                self.fleet.condition(node) == Condition::Running && since > (self.interval + self.jitter) * 2;
            assert!(!beats, "{facts:?} beats and is suspected");
        }
    }

    /// Lets everything come to rest: the fleet is silent, and the gateway works off what there is.
    fn finish(&mut self) {
        while let Some(arrival) = self.network.next_arrival() {
            self.go_to(arrival.max(self.now));
            self.run_gateway();
        }
        self.pair.drain(usize::MAX);
        while !self.pair.tick() {
            self.pair.drain(usize::MAX);
        }
        self.pair.compare_thoroughly();
        while let Some(next) = self.next_tick() {
            self.go_to(next.max(self.now));
            self.pair.tick();
            self.pair.drain(usize::MAX);
        }
        assert_eq!(self.pair.engine.node_counts().known(), 0, "in the end everybody is forgotten");
    }

    fn random_part_of(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.random.below(u64::try_from(longest.as_micros()).unwrap()))
    }
}

fn config(random: &mut Random, nodes: u32, interval_ms: u32, is_good: bool) -> EngineConfig {
    EngineConfig {
        // Sometimes too few.
        nodes_max: if is_good { nodes } else { pick(random, &[nodes, nodes, nodes.div_ceil(2)]) },
        tick: Duration::from_millis(pick(random, &[1, 10])),
        interval_ms,
        interval_ms_min: 50,
        interval_ms_max: 120_000,
        profiles: profiles::any(random, 3),
        // Longer than the longest failed timeout of any profile here.
        forget_after: Duration::from_secs(pick(random, &[2_000, 86_400])),
        stalled_after: Duration::from_secs(60),
        hash_seed: random.next(),
    }
}

fn bad_network(random: &mut Random, interval: Duration) -> NetworkOptions {
    NetworkOptions {
        loss: pick(random, &[0.0, 0.1, 0.4]),
        duplicate: pick(random, &[0.0, 0.2]),
        reorder: pick(random, &[0.0, 0.2]),
        reorder_by: 3,
        // Longer than an interval, too: then heartbeats overtake each other.
        jitter: interval.mul_f64(pick(random, &[0.0, 0.1, 4.0])),
        seed: random.next(),
    }
}

fn schedule_options(start: Moment, interval: Duration, jitter: Duration, seed: u64) -> ScheduleOptions {
    ScheduleOptions { start, interval, jitter, herd: seed.is_multiple_of(4), seed }
}

fn pick<Item: Copy>(random: &mut Random, items: &[Item]) -> Item {
    items[random.index(items.len())]
}
