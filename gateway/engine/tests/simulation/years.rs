//! Long lives: a fleet of six hundred beats thousands of times at a whole gateway, and everything goes wrong, again and again.
//!
//! ```text
//!   fleet ─▶ schedule ─▶ bad network ─▶ shard ─▶ publication ─▶ told
//!     ▲ deaths, racks, zones,   ▲          └ oracle      └ accounts
//!     │ restarts, goodbyes      │ stalls, drops, suspensions,
//!     └────────── faults ───────┘ crashes and restarts of the gateway
//! ```
//!
//! Fleet, schedule and network are the load generator's. The gateway is two shards and publication. Each shard is checked
//! against the oracle, which works out anew from a node's whole history what must have happened to it ([`crate::shard`]);
//! publication against accounts that count everybody each time ([`crate::told`]). Where the network is good there is a third
//! judge, the truth: a node that beats is never suspected, whatever the gateway goes through.
//!
//! What is counted are node-hours in which a node was running. They cost by the heartbeat, so a world of slow beats is
//! large and one of fast beats small; the default run has both, and takes a million node-hours together.

use std::time::Duration;

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor};
use pulsegate_engine::publication::PublicationConfig;
use pulsegate_engine::{EngineConfig, VerdictKind};
use pulsegate_loadgen::Moment;
use pulsegate_loadgen::fleet::{Beat, Condition, Fleet, FleetOptions, NodeIndex};
use pulsegate_loadgen::network::{Network, NetworkOptions};
use pulsegate_loadgen::random::Random;
use pulsegate_loadgen::schedule::{Schedule, ScheduleOptions};

use crate::lived::Lived;
use crate::profiles;
use crate::whole::{Gateway, SHARDS, Snapshot};

pub(crate) const NODES: u32 = 600;
pub(crate) const ZONES: u32 = 3;

/// What arrives at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datagram {
    pub(crate) heartbeats: [Vec<Heartbeat>; SHARDS],
    pub(crate) described: Vec<NodeIndex>,
    pub(crate) departure: Option<Departure>,
}

/// Nodes that fell silent together and will come back together.
pub(crate) struct Outage {
    pub(crate) nodes: Vec<NodeIndex>,
    pub(crate) until: Moment,
    pub(crate) restarts: bool,
}

/// How often every node beats in one world, and how often it beats in all.
const INTERVALS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];
const BEATS: u32 = 600;

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) gateway: Gateway,
    pub(crate) fleet: Fleet,
    schedule: Schedule,
    network: Network<Datagram>,
    /// Nothing is lost on the way: the truth can be known.
    pub(crate) is_good: bool,
    pub(crate) interval: Duration,
    jitter: Duration,
    /// When each node was last started or resumed.
    started: Vec<Moment>,
    pub(crate) frozen: Vec<bool>,
    pub(crate) outages: Vec<Outage>,
    pub(crate) now: Moment,
    next_fault: Moment,
    /// The gateway dies then, and this is what will be left of it.
    pub(crate) doom: Option<(Moment, Snapshot)>,
    /// When the gateway's latest trouble began, and when it was over.
    pub(crate) trouble_began: Moment,
    pub(crate) listens_since: Moment,
    counted_at: Moment,
    lived: Lived,
    beats: Vec<Beat>,
}

pub(crate) fn run(seed: u64) -> Lived {
    let kind = usize::try_from(seed % 3).unwrap();
    let mut world = World::new(seed, INTERVALS[kind]);
    let end = world.now + INTERVALS[kind] * BEATS;
    while world.now < end {
        world.step();
    }
    let mut lived = world.finish();
    lived.node_hours_at[kind] = lived.node_hours;
    lived
}

impl World {
    fn new(seed: u64, interval: Duration) -> Self {
        let mut random = Random::for_purpose(seed, "years");
        let is_good = random.chance(0.4);
        let interval_ms = u32::try_from(interval.as_millis()).unwrap();
        let fleet = Fleet::new(FleetOptions {
            nodes: NODES,
            relays: NODES / 8,
            batch_nodes: 8,
            zones: ZONES,
            interval_ms,
            mix_lanes: true,
            described_beats: 2,
            ..FleetOptions::default()
        });
        let jitter = interval.mul_f64(pick(&mut random, &[0.0, 0.1, 0.3]));
        let now = Moment::from_microseconds(random.below(1 << 40));
        let start = now.as_microseconds() * 1_000;
        let network = if is_good { NetworkOptions::default() } else { bad_network(&mut random, interval) };
        let schedule = ScheduleOptions { start: now, interval, jitter, herd: false, seed: random.next() };
        Self {
            gateway: Gateway::new(&config(&mut random, interval), &publication(&mut random), start),
            schedule: Schedule::new(schedule, fleet.batches().iter().map(|batch| batch.group)),
            network: Network::new(network),
            is_good,
            interval,
            jitter,
            started: vec![now; NODES as usize],
            frozen: vec![false; NODES as usize],
            outages: Vec::new(),
            now,
            next_fault: now + interval * 3,
            doom: None,
            trouble_began: now,
            listens_since: now,
            counted_at: now,
            lived: Lived::default(),
            beats: Vec::new(),
            random,
            fleet,
        }
    }

    /// Goes to the next moment at which anything comes from outside, and lets it come.
    fn step(&mut self) {
        let doom = self.doom.as_ref().map(|doom| doom.0);
        let moments = [self.schedule.next_due(), self.network.next_arrival(), doom, Some(self.next_fault)];
        let next = moments.into_iter().flatten().min().expect("faults never end").max(self.now);
        self.now = next;
        self.gateway.run_until(nanoseconds(next));
        self.send_what_is_due();
        self.deliver(1.0);
        if self.doom.as_ref().is_some_and(|doom| doom.0 <= self.now) {
            let (_, snapshot) = self.doom.take().expect("just seen");
            self.crash(&snapshot);
        }
        if self.next_fault <= self.now {
            self.count_time();
            self.strike();
            self.next_fault = self.now + self.random_part_of(self.interval);
        }
        self.judge_by_truth();
    }

    fn count_time(&mut self) {
        let is_running = |&node: &u32| self.fleet.condition(NodeIndex(node)) == Condition::Running;
        let running = (0..NODES).filter(is_running).count();
        let hours = self.now.since(self.counted_at).as_secs_f64() / 3_600.0;
        self.counted_at = self.now;
        self.lived.node_hours += hours * running as f64;
    }

    fn send_what_is_due(&mut self) {
        while let Some(due) = self.schedule.pop_due(self.now) {
            self.beats.clear();
            self.fleet.beat(due.batch, &mut self.beats);
            let mut datagram = Datagram::default();
            for beat in &self.beats {
                let heartbeat = heartbeat(beat, self.frozen[beat.node.slot()]);
                datagram.heartbeats[Gateway::shard_of(beat.node_id)].push(heartbeat);
                if beat.described {
                    datagram.described.push(beat.node);
                }
            }
            self.lived.heartbeats += self.beats.len() as u64;
            self.network.send(datagram, self.now);
        }
    }

    pub(crate) fn send(&mut self, datagram: Datagram) {
        self.network.send(datagram, self.now);
    }

    /// Hands the gateway what has arrived, this share of it.
    fn deliver(&mut self, share: f64) {
        while let Some(datagram) = self.network.deliver(self.now) {
            if share < 1.0 && !self.random.chance(share) {
                continue;
            }
            self.gateway.heartbeats(&datagram.heartbeats);
            for &node in &datagram.described {
                self.describe(node);
            }
            if let Some(departure) = datagram.departure {
                self.gateway.departure(departure);
            }
        }
    }

    fn describe(&mut self, node: NodeIndex) {
        let profiles = ["", "", "local", "same-dc", "wan", "mine"];
        // Nodes keep to a profile, mostly.
        let is_fickle = self.random.chance(0.05);
        let profile = profiles[if is_fickle { self.random.index(6) } else { node.slot() % 6 }];
        let factor = if self.is_good || self.random.chance(0.9) { 1 } else { 2 };
        let round_trip_time_us = pick(&mut self.random, &[0, 900, 40_000]);
        let gateway = &mut self.gateway;
        self.fleet.describe(node, |descriptor| {
            let interval_ms = descriptor.interval_ms * factor;
            let told = NodeDescriptor { interval_ms, profile, round_trip_time_us, ..descriptor.clone() };
            gateway.descriptor(&told);
        });
    }

    /// Lets time pass without the gateway; of what arrives, nothing is heard before the end, if at all.
    pub(crate) fn pass_without_gateway(&mut self, length: Duration, is_kept: bool) {
        let end = self.now + length;
        loop {
            let arrival = if is_kept { None } else { self.network.next_arrival() };
            let next = [self.schedule.next_due(), arrival].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            self.send_what_is_due();
            while !is_kept && self.network.deliver(self.now).is_some() {}
        }
        self.now = end;
    }

    pub(crate) const fn count_trouble(&mut self) {
        self.lived.gateway_troubles += 1;
    }

    /// The gateway wakes up, and takes this share of what has gathered.
    pub(crate) fn wake_gateway(&mut self, asleep: Duration, share: f64) {
        self.gateway.wake(asleep, nanoseconds(self.now));
        self.deliver(share);
        if share < 1.0 {
            self.gateway.drops();
        }
    }

    /// Some of the next datagrams do not fit into the socket.
    pub(crate) fn overflow(&mut self, length: Duration, share: f64) {
        let end = self.now + length;
        while let Some(next) = self.network.next_arrival().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.gateway.run_until(nanoseconds(self.now));
            self.deliver(share);
            self.gateway.drops();
        }
    }

    /// Kill -9, and a restart a while later.
    fn crash(&mut self, snapshot: &Snapshot) {
        self.gateway.check();
        let downtime = self.random_part_of(self.interval * 8);
        self.pass_without_gateway(downtime, false);
        let smear = self.interval.mul_f64(pick(&mut self.random, &[0.0, 0.3]));
        self.gateway.restart(snapshot, smear, nanoseconds(self.now));
        self.listens_since = self.now;
    }

    pub(crate) fn start(&mut self, node: NodeIndex, restarts: bool) {
        if restarts {
            self.fleet.restart(node);
        } else {
            self.fleet.resume(node);
        }
        self.started[node.slot()] = self.now;
    }

    /// Where nothing is lost, nobody who beats is suspected.
    fn judge_by_truth(&mut self) {
        for verdict in std::mem::take(&mut self.gateway.latest) {
            self.lived.failures += u64::from(verdict.kind == VerdictKind::Failed);
            if !self.is_good || verdict.kind != VerdictKind::Suspected {
                continue;
            }
            // One that was forgotten and has come back has not described itself again.
            let Some(facts) = &verdict.facts else { continue };
            let node = NodeIndex::from_name(&facts.name).expect("a name of the fleet");
            let is_running = self.fleet.condition(node) == Condition::Running;
            // Heard for certain: before the gateway's latest trouble, or since.
            let two_beats = (self.interval + self.jitter) * 2;
            let started = self.started[node.slot()];
            let has_beaten = started + two_beats < self.trouble_began
                || started.max(self.listens_since) + two_beats < self.now;
            assert!(!is_running || !has_beaten, "beats and is suspected: {verdict:?}");
        }
    }

    /// Lets everything come to rest: the fleet is silent, and everybody is forgotten.
    fn finish(mut self) -> Lived {
        self.count_time();
        while let Some(arrival) = self.network.next_arrival() {
            self.now = self.now.max(arrival);
            self.gateway.run_until(nanoseconds(self.now));
            self.deliver(1.0);
        }
        self.gateway.run_to_rest();
        self.gateway.check();
        for shard in &self.gateway.shards {
            assert_eq!(shard.engine.node_counts().known(), 0, "in the end everybody is forgotten");
        }
        assert!(self.gateway.told.nodes.is_empty(), "and the world knows");
        Lived { told: self.gateway.told.tally, ..self.lived }
    }

    pub(crate) fn random_part_of(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.random.below(u64::try_from(longest.as_micros()).unwrap()))
    }
}

fn config(random: &mut Random, interval: Duration) -> EngineConfig {
    EngineConfig {
        nodes_max: NODES,
        tick: Duration::from_millis(pick(random, &[10, 100])),
        interval_ms: u32::try_from(interval.as_millis()).unwrap(),
        interval_ms_min: 1_000,
        interval_ms_max: 3_600_000,
        profiles: profiles::any(random, 3),
        // Longer than the longest failed timeout of any profile here, and all that may be added to it.
        forget_after: interval * 200,
        stalled_after: interval * 6,
        hash_seed: random.next(),
    }
}

/// As it comes, or as somebody would set it who hears less often.
fn publication(random: &mut Random) -> PublicationConfig {
    let mut config = PublicationConfig::default();
    let factor = pick(random, &[1, 1, 20]);
    config.guard.hold_max *= factor;
    config.guard.release_per_second = pick(random, &[1, 1_000]);
    config.correlation.window *= factor;
    config.damping.half_life *= factor * 10;
    config.damping.suppress_max *= factor * 10;
    config
}

fn bad_network(random: &mut Random, interval: Duration) -> NetworkOptions {
    NetworkOptions {
        loss: pick(random, &[0.0, 0.1, 0.3]),
        duplicate: pick(random, &[0.0, 0.1]),
        reorder: pick(random, &[0.0, 0.1]),
        reorder_by: 3,
        // Longer than an interval, too: then heartbeats overtake each other.
        jitter: interval.mul_f64(pick(random, &[0.0, 0.1, 1.5])),
        seed: random.next(),
    }
}

/// One in four declares its progress; of these, one in two has work pending.
fn heartbeat(beat: &Beat, is_frozen: bool) -> Heartbeat {
    let heartbeat = beat.heartbeat(0);
    if !beat.node.0.is_multiple_of(4) {
        return heartbeat;
    }
    let progress = if is_frozen { 1 } else { u64::from(beat.sequence.0) + 1 };
    Heartbeat { progress, pending: u32::from(beat.node.0.is_multiple_of(8)), ..heartbeat }
}

pub(crate) fn nanoseconds(moment: Moment) -> u64 {
    moment.as_microseconds() * 1_000
}

fn pick<Item: Copy>(random: &mut Random, items: &[Item]) -> Item {
    items[random.index(items.len())]
}
