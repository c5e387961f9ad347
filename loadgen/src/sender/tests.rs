//! What the sender hands to the kernel arrives whole and once: a plain UDP socket on loopback decodes it.

use std::collections::BTreeMap;
use std::net::UdpSocket;

use pulsegate_codec::encode::Compression;
use pulsegate_codec::{Decoder, NodeId};

use super::*;
use crate::compose::{Composer, MIXED_LANES_CLASS, SentAt};
use crate::fleet::{BatchIndex, Fleet, FleetOptions, RelayIndex};
use crate::moment::Moment;

fn datagram(relay: u32, train_class: u16, size: usize) -> Datagram {
    Datagram { bytes: vec![0; size], relay: RelayIndex(relay), train_class, signs: Vec::new() }
}

#[test]
fn a_train_is_one_relay_one_lane_one_size_with_a_shorter_end() {
    let length = |specification: &[(u32, u16, usize)]| {
        let datagrams: Vec<_> =
            specification.iter().map(|&(relay, class, size)| datagram(relay, class, size)).collect();
        train_length(&datagrams)
    };
    assert_eq!(length(&[(0, 1, 900)]), 1);
    assert_eq!(length(&[(0, 1, 900), (0, 1, 900), (0, 1, 899), (0, 1, 900)]), 3);
    assert_eq!(length(&[(0, 1, 900), (0, 1, 901)]), 1, "a longer one cannot follow");
    assert_eq!(length(&[(0, 1, 900), (0, 2, 900)]), 1, "another lane");
    assert_eq!(length(&[(0, 1, 900), (1, 1, 900)]), 1, "another relay");
    assert_eq!(length(&[(0, 1, 100); 100]), TRAIN_DATAGRAMS_MAX);
    assert_eq!(length(&[(0, 1, 1_400); 100]), TRAIN_BYTES_MAX / 1_400);
}

fn beats_of_all(fleet: &mut Fleet, composer: &mut Composer) -> Vec<Datagram> {
    let mut datagrams = Vec::new();
    let sent_at = SentAt { moment: Moment::ZERO, unix_us: 1 };
    for index in 0..fleet.batches().len() {
        let mut beats = Vec::new();
        fleet.beat(BatchIndex(u32::try_from(index).unwrap()), &mut beats);
        let relay = fleet.batches()[index].relay;
        composer.beats(fleet, relay, &beats, Moment::ZERO, sent_at, &mut datagrams);
    }
    datagrams
}

/// Sends three beats of a fleet over loopback and decodes what a plain socket receives. Read after every few
/// datagrams, so that the receive buffer never overflows.
fn check_over_loopback(mix_lanes: bool, nodes: u32) -> SenderCounters {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let options = FleetOptions { nodes, relays: 2, mix_lanes, described_beats: 0, ..FleetOptions::default() };
    let mut fleet = Fleet::new(options);
    let mut composer = Composer::new(2, Compression::Off);
    let mut sender = Sender::open(receiver.local_addr().unwrap(), 2).unwrap();
    let clock = Clock::start();
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 65_536];
    let mut heard: BTreeMap<(NodeId, u32), u32> = BTreeMap::new();
    for _ in 0..3 {
        for datagrams in beats_of_all(&mut fleet, &mut composer).chunks(16) {
            let mut handed = 0;
            sender
                .send_all(&clock, datagrams, |_, span| {
                    assert!(span.before <= span.after);
                    handed += 1;
                })
                .unwrap();
            assert_eq!(handed, datagrams.len());
            // Loopback delivers within the send: what was handed over is there.
            for sent in datagrams {
                let received_bytes = receiver.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..received_bytes], sent.bytes[..], "cut into the frames that were sent");
                let batch = decoder.decode(&buffer[..received_bytes]).unwrap();
                assert_eq!(batch.header.mixes_lanes(), sent.train_class == MIXED_LANES_CLASS);
                for heartbeat in batch.heartbeats {
                    assert!(mix_lanes || heartbeat.node_id.lane() == batch.lane());
                    *heard.entry((heartbeat.node_id, heartbeat.sequence.0)).or_default() += 1;
                }
            }
        }
    }
    assert_eq!(heard.len(), 3 * nodes as usize);
    assert!(heard.values().all(|&count| count == 1), "each heartbeat arrives once");
    *sender.counters()
}

#[test]
fn every_heartbeat_arrives_once_in_frames_of_one_lane_and_trains_save_calls() {
    let counters = check_over_loopback(false, 60_000);
    assert!(counters.calls < counters.datagrams, "{counters:?}");
    assert_eq!((counters.unsent, counters.refusals), (0, 0));
}

#[test]
fn every_heartbeat_arrives_once_in_frames_that_mix_lanes() {
    check_over_loopback(true, 5_000);
}

#[test]
fn without_segmentation_datagrams_go_one_by_one() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sender = Sender::open(receiver.local_addr().unwrap(), 1).unwrap();
    sender.segmentation = false;
    let datagrams = vec![datagram(0, 1, 100); 5];
    let mut handed = 0;
    sender.send_all(&Clock::start(), &datagrams, |_, _| handed += 1).unwrap();
    assert_eq!((handed, sender.counters().calls), (5, 5));
}

#[test]
fn a_gateway_that_is_not_there_is_told_in_words() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut sender = Sender::open(address, 1).unwrap();
    let clock = Clock::start();
    let datagrams = vec![datagram(0, 1, 100); 10];
    let error = (0..1_000).find_map(|_| sender.send_all(&clock, &datagrams, |_, _| {}).err());
    let text = error.expect("loopback refuses each datagram").to_string();
    assert!(text.contains(&address.to_string()) && text.contains("nobody listens"), "{text}");
}
