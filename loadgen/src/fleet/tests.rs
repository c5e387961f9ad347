//! Every node beats through one relay, in batches of one lane unless lanes are mixed, and its counters tell its runs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn fleet(nodes: u32, relays: u32, mix_lanes: bool) -> Fleet {
    Fleet::new(FleetOptions { nodes, relays, mix_lanes, ..FleetOptions::default() })
}

fn beats_of_all(fleet: &mut Fleet) -> Vec<Beat> {
    let mut beats = Vec::new();
    for batch in 0..u32::try_from(fleet.batches().len()).unwrap() {
        fleet.beat(BatchIndex(batch), &mut beats);
    }
    beats
}

proptest! {
    #[test]
    fn every_node_is_in_exactly_one_batch(
        nodes in 1_u32..3_000, relays in 1_u32..5, batch_nodes in 1_u32..100, mix_lanes in any::<bool>()
    ) {
        let options = FleetOptions { nodes, relays, batch_nodes, mix_lanes, ..FleetOptions::default() };
        let mut fleet = Fleet::new(options);
        let beats = beats_of_all(&mut fleet);
        let distinct: BTreeSet<_> = beats.iter().map(|beat| beat.node).collect();
        prop_assert_eq!(beats.len(), nodes as usize);
        prop_assert_eq!(distinct.len(), nodes as usize);
        for batch in fleet.batches() {
            prop_assert!(batch.nodes.len() <= batch_nodes as usize && !batch.nodes.is_empty());
            let lanes: BTreeSet<_> = batch.nodes.iter().map(|&node| fleet.lane(node)).collect();
            prop_assert!(mix_lanes || lanes.len() == 1);
        }
    }
}

#[test]
fn batches_of_a_lane_are_of_nearly_equal_size() {
    let fleet = fleet(20_000, 1, false);
    for pair in fleet.batches().windows(2).filter(|pair| pair[0].group == pair[1].group) {
        assert!(pair[0].nodes.len().abs_diff(pair[1].nodes.len()) <= 3, "a lane is split evenly");
    }
}

#[test]
fn names_are_read_back_and_only_names() {
    for index in [0, 123, 999_999, 1_000_000, u32::MAX] {
        assert_eq!(NodeIndex::from_name(&NodeIndex(index).name()), Some(NodeIndex(index)));
    }
    assert_eq!(NodeIndex(123).name(), "node-000123");
    for wrong in ["node-123", "node-0000123", "node-+00123", "node-99999999999", "rack-000123", "node-"] {
        assert_eq!(NodeIndex::from_name(wrong), None, "{wrong}");
    }
}

#[test]
fn silent_and_left_nodes_do_not_beat_and_sequences_go_on_after_a_pause() {
    let mut fleet = fleet(10, 1, true);
    assert!(beats_of_all(&mut fleet).iter().all(|beat| beat.sequence == Sequence(1) && beat.described));
    fleet.silence(NodeIndex(3));
    let departure = fleet.leave(NodeIndex(4), DepartureReason::ScaleDown);
    assert_eq!((departure.node_id, departure.sequence), (NodeId::from_name("node-000004"), Sequence(1)));
    let beats = beats_of_all(&mut fleet);
    assert_eq!(beats.len(), 8);
    assert!(
        beats.iter().all(|beat| !beat.described && beat.node != NodeIndex(3) && beat.node != NodeIndex(4))
    );
    fleet.resume(NodeIndex(3));
    let beats = beats_of_all(&mut fleet);
    let resumed = beats.iter().find(|beat| beat.node == NodeIndex(3)).unwrap();
    assert_eq!((resumed.sequence, resumed.incarnation), (Sequence(2), Incarnation(1)));
}

#[test]
fn restart_counts_from_one_in_a_greater_incarnation_and_describes_itself() {
    let mut fleet = fleet(2, 1, true);
    beats_of_all(&mut fleet);
    fleet.restart(NodeIndex(0));
    let beats = beats_of_all(&mut fleet);
    assert_eq!((beats[0].sequence, beats[0].incarnation), (Sequence(1), Incarnation(2)));
    assert!(beats[0].described && !beats[1].described);
}

#[test]
fn a_moved_node_beats_once_through_its_new_relay_in_its_own_lane() {
    let mut fleet = fleet(4_000, 2, false);
    let node = NodeIndex(7);
    assert_eq!(fleet.relay(node), RelayIndex(0));
    assert!(!fleet.move_to(node, RelayIndex(0)), "it is there already");
    assert!(fleet.move_to(node, RelayIndex(1)));
    assert_eq!(fleet.relay(node), RelayIndex(1));
    assert_eq!(fleet.describe(node, |descriptor| descriptor.labels[1].1.to_owned()), "relay-001");
    for (index, batch) in fleet.batches().iter().enumerate().filter(|(_, batch)| batch.nodes.contains(&node))
    {
        assert_eq!(batch.relay, RelayIndex(1));
        assert!(batch.nodes.iter().all(|&member| fleet.lane(member) == fleet.lane(node)), "batch {index}");
    }
    assert_eq!(beats_of_all(&mut fleet).iter().filter(|beat| beat.node == node).count(), 1);
}

#[test]
fn a_descriptor_names_the_node_that_its_heartbeats_belong_to() {
    let fleet = fleet(100, 1, false);
    fleet.describe(NodeIndex(85), |descriptor| {
        assert_eq!(descriptor.node_id(), fleet.node_id(NodeIndex(85)));
        assert_eq!((descriptor.name, descriptor.zone), ("node-000085", "zone-2"));
        assert_eq!(descriptor.labels, [("rack", "rack-00002"), ("relay", "relay-000")]);
        assert_eq!(descriptor.interval_ms, 1_000);
    });
}

#[test]
fn heartbeats_of_one_beat_have_fields_of_equal_width() {
    let mut fleet = fleet(1_000, 1, false);
    for beat in beats_of_all(&mut fleet) {
        assert!((128..=16_383).contains(&beat.heartbeat(0).load_permille), "a two-byte varint");
    }
}
