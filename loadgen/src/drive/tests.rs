//! Goal: what is due is sent, once, and the truth is what was sent. Method: the loop's body is called with
//! moments of the test's choice; a plain socket on loopback receives and is decoded after each call.

use std::net::UdpSocket;

use pulsegate_codec::encode::Compression;
use pulsegate_codec::{Decoder, NodeId};

use super::*;
use crate::faults::{FaultKind, FaultOptions};
use crate::fleet::{FleetOptions, NodeIndex};
use crate::ground_truth::{FactKind, Timeouts};
use crate::network::NetworkOptions;
use crate::schedule::ScheduleOptions;
use crate::timeline::Timeline;

const NODES: u32 = 300;
const INTERVAL: Duration = Duration::from_secs(1);

struct Setup {
    drive: Drive,
    receiver: UdpSocket,
    clock: Clock,
}

/// 300 nodes in frames that mix lanes: five datagrams a beat, which any receive buffer holds.
fn setup(faults: &FaultOptions, network: NetworkOptions) -> Setup {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let timeouts = Timeouts::new(INTERVAL * 3, INTERVAL * 5, INTERVAL);
    let fleet_options =
        FleetOptions { nodes: NODES, relays: 2, mix_lanes: true, described_beats: 0, ..Default::default() };
    let fleet = Fleet::new(fleet_options);
    let timeline = Timeline::new(20, INTERVAL, &timeouts, &[FaultKind::Kill]).unwrap();
    let schedule_options = ScheduleOptions {
        start: Moment::ZERO,
        interval: INTERVAL,
        jitter: Duration::ZERO,
        herd: false,
        seed: 1,
    };
    let parts = DriveParts {
        schedule: Schedule::new(schedule_options, fleet.batches().iter().map(|batch| batch.group)),
        plan: FaultPlan::new(faults, &timeline, fleet.shape(), 1).unwrap(),
        network: Network::new(network),
        truth: GroundTruth::new(NODES, timeouts),
        sender: Sender::open(receiver.local_addr().unwrap(), 2).unwrap(),
        composer: Composer::new(2, Compression::Off),
        fleet,
    };
    Setup { drive: Drive::new(parts, INTERVAL), receiver, clock: Clock::start() }
}

impl Setup {
    /// One turn of the loop at this second; returns the heartbeats and departures that arrived.
    fn turn(&mut self, second: u64) -> (Vec<(NodeId, u32)>, usize) {
        self.drive.catch_up(&self.clock, Moment::from_milliseconds(second * 1_000)).unwrap();
        let (mut buffer, mut decoder) = ([0; 2_048], Decoder::new());
        let (mut heartbeats, mut departures) = (Vec::new(), 0);
        while let Ok(bytes) = self.receiver.recv(&mut buffer) {
            let batch = decoder.decode(&buffer[..bytes]).unwrap();
            heartbeats.extend(batch.heartbeats.iter().map(|beat| (beat.node_id, beat.sequence.0)));
            departures += batch.departures().count();
        }
        (heartbeats, departures)
    }
}

#[test]
fn each_second_every_node_beats_once_and_a_stall_loses_no_beat() {
    let mut setup = setup(&FaultOptions::NONE, NetworkOptions::default());
    for second in 1..=3 {
        let (heartbeats, _) = setup.turn(second);
        assert_eq!(heartbeats.len(), NODES as usize);
        assert!(heartbeats.iter().all(|&(_, sequence)| u64::from(sequence) == second));
    }
    assert_eq!(setup.turn(8).0.len(), 5 * NODES as usize, "five seconds were slept through");
    assert_eq!(setup.drive.truth.signs_of_life(), 8 * u64::from(NODES));
    assert_eq!(setup.drive.counters().heartbeats_handed, 8 * u64::from(NODES));
}

#[test]
fn faults_take_effect_and_the_truth_knows_who_was_struck() {
    let faults = FaultOptions::default();
    let mut setup = setup(&faults, NetworkOptions::default());
    let mut departures = 0;
    for second in 1..=20 {
        departures += setup.turn(second).1;
    }
    assert_eq!(departures, 3);
    let Setup { drive, clock, .. } = setup;
    let facts = drive.truth.close(clock.now() + Duration::from_secs(60));
    let count = |kind| facts.iter().filter(|fact| fact.kind == kind).count();
    assert_eq!(count(FactKind::Joined), NODES as usize);
    assert_eq!((count(FactKind::Left), count(FactKind::Restarted)), (3, 2));
    assert_eq!(count(FactKind::SilentToTheEnd), NODES as usize - 3, "a minute later, all but those who left");
    let killed = (0..NODES)
        .map(NodeIndex)
        .filter(|&node| drive.fleet.condition(node) == crate::fleet::Condition::Silent);
    assert_eq!(killed.count(), 3, "one in a hundred");
}

#[test]
fn what_the_network_loses_is_not_the_truth_and_copies_are_no_news() {
    let network = NetworkOptions { loss: 0.3, duplicate: 0.3, ..NetworkOptions::default() };
    let mut setup = setup(&FaultOptions::NONE, network);
    let mut arrived = 0;
    for second in 1..=10 {
        arrived += setup.turn(second).0.len() as u64;
    }
    let counters = *setup.drive.counters();
    let signs = setup.drive.truth.signs_of_life();
    assert_eq!(arrived, counters.heartbeats_handed);
    assert_eq!(signs + counters.heartbeats_lost, 10 * u64::from(NODES));
    assert!(counters.heartbeats_lost > 0 && counters.heartbeats_handed > signs);
}
