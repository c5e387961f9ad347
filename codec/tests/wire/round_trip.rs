//! What the encoder writes, the decoder reads, and nothing in between is lost.

use proptest::collection::vec;
use proptest::prelude::*;
use pulsegate_codec::{
    BatchEncoder, Compression, Decoder, Departure, DepartureReason, EncodeError, Heartbeat, Incarnation,
    Lane, NodeDescriptor, NodeId, NodeStatus, RejectReason, SenderId, Sequence, frame, limits,
};

fn heartbeat(index: u32, lane: u8) -> Heartbeat {
    Heartbeat {
        node_id: NodeId(u64::from(lane) << 56 | u64::from(index)),
        progress: u64::from(index) << 33,
        sequence: Sequence(index),
        incarnation: Incarnation(1_760_000_000 + index),
        sent_offset_us: 1_000 * index,
        load_permille: index % 1_001,
        pending: index / 2,
        status: if index.is_multiple_of(3) { NodeStatus::Degraded } else { NodeStatus::Ok },
    }
}

fn descriptor(name: &str) -> NodeDescriptor<'_> {
    NodeDescriptor {
        name,
        zone: "zone-a",
        labels: vec![("rack", "r17"), ("empty", "")],
        interval_ms: 1_000,
        profile: "wan",
        services: vec!["api", "cache"],
        round_trip_time_us: 80_000,
        probe: "tcp://10.0.0.1:80",
    }
}

#[test]
fn everything_that_was_added_comes_back_with_and_without_zstd() {
    let named = descriptor("node-1");
    let lane = named.node_id().lane();
    let departure = Departure {
        node_id: NodeId(u64::from(lane.0) << 56 | 7),
        incarnation: Incarnation(3),
        sequence: Sequence(900),
        reason: DepartureReason::Maintenance,
        expected_return_ms: 90_000,
    };
    let heartbeats: Vec<_> = (0..200).map(|index| heartbeat(index, lane.0)).collect();
    let mut decoder = Decoder::new();
    for compression in [Compression::Off, Compression::Zstd { level: 3 }] {
        let mut encoder = BatchEncoder::new(SenderId(77), compression);
        heartbeats.iter().for_each(|&heartbeat| encoder.heartbeat(heartbeat));
        encoder.descriptor(&named);
        encoder.departure(departure);
        let mut bytes = Vec::new();
        encoder.finish(5, 1_760_000_000_000_000, &mut bytes).unwrap();

        let batch = decoder.decode(&bytes).unwrap();
        assert_eq!(batch.header.is_compressed(), compression != Compression::Off);
        assert_eq!((batch.lane(), batch.header.mixes_lanes()), (lane, false));
        assert_eq!((batch.sender_id, batch.sender_sequence), (SenderId(77), 5));
        assert_eq!(batch.sent_at_unix_us, 1_760_000_000_000_000);
        assert_eq!(batch.heartbeats, heartbeats);
        assert_eq!(batch.descriptors().collect::<Vec<_>>(), std::slice::from_ref(&named));
        assert_eq!(batch.departures().collect::<Vec<_>>(), [departure]);
    }
}

#[test]
fn nodes_of_two_lanes_set_the_flag_and_without_it_are_refused() {
    let mut encoder = BatchEncoder::new(SenderId(1), Compression::Off);
    encoder.heartbeat(heartbeat(1, 4));
    encoder.heartbeat(heartbeat(2, 5));
    let mut bytes = Vec::new();
    encoder.finish(1, 1, &mut bytes).unwrap();
    let mut decoder = Decoder::new();
    let batch = decoder.decode(&bytes).unwrap();
    assert!(batch.header.mixes_lanes());
    assert_eq!(batch.lane(), Lane(4));

    let header = frame::FrameHeader { flags: 0, ..batch.header };
    let payload = bytes[frame::HEADER_BYTES..].to_vec();
    header.write(&payload, &mut bytes);
    assert_eq!(decoder.decode(&bytes).err(), Some(RejectReason::LaneMismatch));

    // The next frame is of one lane again.
    encoder.heartbeat(heartbeat(3, 5));
    encoder.finish(2, 2, &mut bytes).unwrap();
    let batch = decoder.decode(&bytes).unwrap();
    assert_eq!((batch.lane(), batch.header.mixes_lanes()), (Lane(5), false));
}

#[test]
fn leftovers_of_a_larger_frame_do_not_show_in_a_smaller_one() {
    let mut decoder = Decoder::new();
    let mut encoder = BatchEncoder::new(SenderId(1), Compression::Off);
    let mut bytes = Vec::new();
    (0..100).for_each(|index| encoder.heartbeat(heartbeat(index, 9)));
    encoder.finish(1, 1, &mut bytes).unwrap();
    decoder.decode(&bytes).unwrap();

    let bare = Heartbeat { node_id: NodeId(9 << 56), ..Heartbeat::default() };
    encoder.heartbeat(bare);
    encoder.finish(0, 0, &mut bytes).unwrap();
    let batch = decoder.decode(&bytes).unwrap();
    assert_eq!(batch.heartbeats, [bare]);
    assert_eq!((batch.sender_sequence, batch.sent_at_unix_us), (0, 0));
}

#[test]
fn encoder_names_the_bound_that_a_frame_would_break_and_is_empty_afterwards() {
    let mut encoder = BatchEncoder::new(SenderId(1), Compression::Off);
    let mut bytes = vec![1];
    assert_eq!(encoder.finish(1, 1, &mut bytes), Err(EncodeError::Empty));
    assert!(bytes.is_empty());

    (0..=4_096).for_each(|index| encoder.heartbeat(heartbeat(index, 0)));
    assert_eq!(encoder.finish(1, 1, &mut bytes), Err(EncodeError::TooManyElements));
    assert!(encoder.is_empty());

    let long = "x".repeat(limits::NAME_BYTES_MAX + 1);
    for bad in [
        NodeDescriptor { name: "", ..descriptor("a") },
        NodeDescriptor { name: &long, ..descriptor("a") },
        NodeDescriptor { zone: &long, ..descriptor("a") },
        NodeDescriptor { labels: vec![("", "v")], ..descriptor("a") },
        NodeDescriptor { labels: vec![("k", &long)], ..descriptor("a") },
        NodeDescriptor { services: vec![""], ..descriptor("a") },
    ] {
        encoder.descriptor(&bad);
        assert_eq!(encoder.finish(1, 1, &mut bytes), Err(EncodeError::BadText), "{bad:?}");
    }
    let crowded =
        NodeDescriptor { services: vec!["s"; limits::SERVICES_PER_NODE_MAX + 1], ..descriptor("a") };
    encoder.descriptor(&crowded);
    assert_eq!(encoder.finish(1, 1, &mut bytes), Err(EncodeError::TooManyElements));

    // 300 descriptors of 250 bytes do not fit into 65,536 bytes.
    let names: Vec<_> = (0..300).map(|index| format!("{index:0>250}")).collect();
    names.iter().for_each(|name| encoder.descriptor(&NodeDescriptor { name, ..NodeDescriptor::default() }));
    let refused = encoder.finish(1, 1, &mut bytes);
    assert!(
        matches!(refused, Err(EncodeError::PayloadAboveBound { payload_bytes: 75_000.. })),
        "{refused:?}"
    );

    encoder.heartbeat(heartbeat(1, 0));
    encoder.finish(1, 1, &mut bytes).unwrap();
    assert_eq!(Decoder::new().decode(&bytes).unwrap().heartbeats, [heartbeat(1, 0)]);
}

#[test]
fn room_that_was_promised_is_enough_and_the_promise_is_not_far_off() {
    let mut encoder = BatchEncoder::new(SenderId(u64::MAX), Compression::Off);
    let limit = limits::DATAGRAM_BYTES_DEFAULT;
    let mut count = 0;
    while encoder.has_room_for_heartbeat(&heartbeat(count, 1), limit) {
        encoder.heartbeat(heartbeat(count, 1));
        count += 1;
    }
    let promised = encoder.frame_bytes_max();
    let mut bytes = Vec::new();
    encoder.finish(u64::MAX, u64::MAX, &mut bytes).unwrap();
    assert_eq!(bytes.len(), promised);
    assert!(limit - bytes.len() < 40, "{} bytes for {count} heartbeats", bytes.len());

    let named = descriptor("node-1");
    let before = encoder.frame_bytes_max();
    assert!(encoder.has_room_for_descriptor(&named, limit));
    encoder.descriptor(&named);
    let one_descriptor = encoder.frame_bytes_max() - before;
    assert!(!encoder.has_room_for_descriptor(&named, before + 2 * one_descriptor - 1));
    assert!(encoder.has_room_for_descriptor(&named, before + 2 * one_descriptor));
}

prop_compose! {
    /// Any heartbeat, with small numbers as likely as large ones.
    fn any_heartbeat()(
        id in any::<u64>(), progress in any::<u64>(), numbers in any::<[u32; 5]>(), shifts in any::<[u8; 7]>(),
        is_degraded in any::<bool>(),
    ) -> Heartbeat {
        let [sequence, incarnation, sent_offset_us, load_permille, pending] =
            std::array::from_fn(|index| numbers[index] >> (shifts[index] % 33).min(31));
        Heartbeat {
            node_id: NodeId(id >> (shifts[5] % 64)),
            progress: progress >> (shifts[6] % 64),
            sequence: Sequence(sequence),
            incarnation: Incarnation(incarnation),
            sent_offset_us,
            load_permille,
            pending,
            status: if is_degraded { NodeStatus::Degraded } else { NodeStatus::Ok },
        }
    }
}

prop_compose! {
    fn any_departure()(heartbeat in any_heartbeat(), reason in 0..4_usize, expected_return_ms in any::<u64>()) -> Departure {
        let reasons = [
            DepartureReason::Unspecified,
            DepartureReason::Shutdown,
            DepartureReason::Maintenance,
            DepartureReason::ScaleDown,
        ];
        Departure {
            node_id: heartbeat.node_id,
            incarnation: heartbeat.incarnation,
            sequence: heartbeat.sequence,
            reason: reasons[reason],
            expected_return_ms,
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_added_comes_back_in_no_more_bytes_than_promised(
        heartbeats in vec(any_heartbeat(), 0..100), departures in vec(any_departure(), 0..5),
        names in vec("[a-z0-9.é-]{1,60}", 1..4), is_compressed in any::<bool>(), numbers in any::<[u64; 3]>(),
    ) {
        let compression = if is_compressed { Compression::Zstd { level: 1 } } else { Compression::Off };
        let mut encoder = BatchEncoder::new(SenderId(numbers[0]), compression);
        // What has room exactly is promised to have room, and with one byte less it is not.
        for &heartbeat in &heartbeats {
            let roomy = (0..20_000).position(|limit| encoder.has_room_for_heartbeat(&heartbeat, limit));
            encoder.heartbeat(heartbeat);
            prop_assert_eq!(roomy, Some(encoder.frame_bytes_max()));
        }
        for &departure in &departures {
            let roomy = (0..20_000).position(|limit| encoder.has_room_for_departure(&departure, limit));
            encoder.departure(departure);
            prop_assert_eq!(roomy, Some(encoder.frame_bytes_max()));
        }
        let descriptors: Vec<_> = names.iter().map(|name| descriptor(name)).collect();
        descriptors.iter().for_each(|descriptor| encoder.descriptor(descriptor));

        let promised = encoder.frame_bytes_max();
        let mut bytes = Vec::new();
        encoder.finish(numbers[1], numbers[2], &mut bytes).unwrap();
        prop_assert!(bytes.len() <= promised);
        let mut decoder = Decoder::new();
        let batch = decoder.decode(&bytes).unwrap();
        prop_assert_eq!((batch.sender_id, batch.sender_sequence), (SenderId(numbers[0]), numbers[1]));
        prop_assert_eq!(batch.sent_at_unix_us, numbers[2]);
        prop_assert_eq!(batch.heartbeats, heartbeats);
        prop_assert_eq!(batch.departures().collect::<Vec<_>>(), departures);
        prop_assert_eq!(batch.descriptors().collect::<Vec<_>>(), descriptors);
    }
}
