//! The decoder against prost: on batches as libraries write them, on batches written wildly, and on broken ones.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use pulsegate_codec::proto::{Departure, HeartbeatBatch, Label, NodeDescriptor};
use pulsegate_codec::{Decoder, FrameHeader, Lane, NodeId, RejectReason, frame};

use crate::agreement::{check_any_bytes, check_frame};
use crate::frames::framed;
use crate::wild_writer::{Choices, write_wildly};

/// Numbers that matter to varints more often than chance would have it.
fn number_up_to(max: u64) -> impl Strategy<Value = u64> {
    let edges = vec![0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX];
    prop_oneof![0..=127_u64, any::<u64>(), proptest::sample::select(edges)]
        .prop_map(move |value| if value <= max { value } else { value % (max + 1) })
}

/// An empty column, or one of `count` values.
fn column(count: usize, max: u64) -> impl Strategy<Value = Vec<u32>> {
    let values = vec(number_up_to(max), count);
    let values = values
        .prop_map(|values| values.iter().map(|&value| u32::try_from(value).unwrap_or(u32::MAX)).collect());
    prop_oneof![1 => Just(Vec::new()), 3 => values]
}

fn label() -> impl Strategy<Value = Label> {
    ("\\PC{1,12}", "\\PC{0,12}").prop_map(|(key, value)| Label { key, value })
}

prop_compose! {
    fn descriptor()(
        name in "\\PC{1,40}", zone in "\\PC{0,12}", label in vec(label(), 0..4), interval_ms in any::<u32>(),
        profile in "[a-z]{0,8}", service in vec("\\PC{1,12}", 0..3),
        round_trip_time_us in any::<u32>(), probe in "[a-z:/]{0,20}",
    ) -> NodeDescriptor {
        NodeDescriptor { name, zone, label, interval_ms, profile, service, round_trip_time_us, probe }
    }
}

prop_compose! {
    fn departure()(
        node_id in any::<u64>(), incarnation in any::<u32>(), sequence in any::<u32>(), reason in 0..4_i32,
        expected_return_ms in number_up_to(u64::MAX - 1),
    ) -> Departure {
        Departure { node_id, incarnation, sequence, reason, expected_return_ms }
    }
}

prop_compose! {
    fn batch()(count in prop_oneof![0..8_usize, 8..200_usize])(
        sender_id in any::<u64>(),
        sender_sequence in number_up_to(u64::MAX - 1),
        sent_at_unix_us in number_up_to(u64::MAX - 1),
        node_id in vec(any::<u64>(), count),
        sequence in column(count, u32::MAX.into()),
        incarnation in column(count, u32::MAX.into()),
        sent_offset_us in column(count, u32::MAX.into()),
        status in column(count, 1),
        load_permille in column(count, 2_000),
        progress in prop_oneof![Just(Vec::new()), vec(number_up_to(u64::MAX - 1), count)],
        pending in column(count, u32::MAX.into()),
        descriptor in vec(descriptor(), 0..3),
        departure in vec(departure(), usize::from(count == 0)..3),
    ) -> HeartbeatBatch {
        HeartbeatBatch {
            sender_id, sender_sequence, sent_at_unix_us, node_id, sequence, incarnation, sent_offset_us, status,
            load_permille, progress, pending, descriptor, departure,
        }
    }
}

fn header(flags: u8, lane: u8) -> FrameHeader {
    FrameHeader { flags, lane: Lane(lane), key_id: 0, payload_bytes: 0, decompressed_bytes: 0 }
}

/// Zstd or not, with mixed lanes always allowed: ids are random here.
fn any_flags() -> impl Strategy<Value = u8> {
    prop_oneof![Just(frame::FLAG_MIXED_LANES), Just(frame::FLAG_MIXED_LANES | frame::FLAG_ZSTD)]
}

/// One way to spoil a message.
#[derive(Clone, Debug)]
enum Mutation {
    Set(u8),
    FlipBit(u8),
    Insert(u8),
    Remove,
    Truncate,
    /// Doubles the bytes from here on, up to this many.
    Repeat(u8),
}

fn mutation() -> impl Strategy<Value = (u16, Mutation)> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(0x80),
        Just(0xff),
        Just(0),
        (1..16_u8).prop_map(|number| number << 3 | 2)
    ];
    let kinds = prop_oneof![
        byte.clone().prop_map(Mutation::Set),
        (0..8_u8).prop_map(Mutation::FlipBit),
        byte.prop_map(Mutation::Insert),
        Just(Mutation::Remove),
        Just(Mutation::Truncate),
        any::<u8>().prop_map(Mutation::Repeat),
    ];
    (any::<u16>(), kinds)
}

fn mutate(message: &mut Vec<u8>, at: u16, mutation: &Mutation) {
    if message.is_empty() {
        return;
    }
    let index = usize::from(at) % message.len();
    match *mutation {
        Mutation::Set(byte) => message[index] = byte,
        Mutation::FlipBit(bit) => message[index] ^= 1 << bit,
        Mutation::Insert(byte) => message.insert(index, byte),
        Mutation::Remove => drop(message.remove(index)),
        Mutation::Truncate => message.truncate(index),
        Mutation::Repeat(count) => {
            let end = message.len().min(index + usize::from(count));
            let copy = message[index..end].to_vec();
            message.splice(index..index, copy);
        }
    }
}

proptest! {
    #[test]
    fn batch_that_a_library_writes_is_accepted_with_equal_content(batch in batch(), flags in any_flags()) {
        let bytes = framed(header(flags, 0), &batch.encode_to_vec());
        prop_assert_eq!(check_frame(&mut Decoder::new(), &bytes), Ok(()));
    }

    #[test]
    fn batch_that_is_written_wildly_is_accepted_with_equal_content(
        batch in batch(), choices in vec(any::<u8>(), 1..200), flags in any_flags(),
    ) {
        let message = write_wildly(&batch, &mut Choices::new(&choices));
        prop_assert_eq!(&HeartbeatBatch::decode(message.as_slice()).unwrap(), &batch);
        prop_assert_eq!(check_frame(&mut Decoder::new(), &framed(header(flags, 0), &message)), Ok(()));
    }

    #[test]
    fn broken_batch_is_accepted_or_refused_as_prost_says(
        batch in batch(), choices in vec(any::<u8>(), 1..200), is_wild in any::<bool>(),
        mutations in vec(mutation(), 1..6), flags in any_flags(), lane in any::<u8>(),
    ) {
        let mut message = if is_wild {
            write_wildly(&batch, &mut Choices::new(&choices))
        } else {
            batch.encode_to_vec()
        };
        let mut decoder = Decoder::new();
        for (at, mutation) in &mutations {
            mutate(&mut message, *at, mutation);
            let _ = check_frame(&mut decoder, &framed(header(flags, lane), &message));
        }
    }

    #[test]
    fn broken_frame_is_accepted_or_refused_as_prost_says(
        batch in batch(), mutations in vec(mutation(), 1..4), flags in any_flags(),
    ) {
        let mut bytes = framed(header(flags, 0), &batch.encode_to_vec());
        for (at, mutation) in &mutations {
            mutate(&mut bytes, *at, mutation);
            check_any_bytes(&bytes);
        }
    }

    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        check_any_bytes(&bytes);
    }

    #[test]
    fn node_of_another_lane_is_found_wherever_it_stands(
        ids in vec(any::<u64>(), 1..50), stray in any::<prop::sample::Index>(), departs in any::<bool>(),
    ) {
        // Method: all ids are moved into lane 7; then one of them, or a departure, goes elsewhere.
        let node_id: Vec<_> = ids.iter().map(|id| id >> 8 | 7 << 56).collect();
        let mut batch = HeartbeatBatch { node_id, ..HeartbeatBatch::default() };
        let decode = |batch: &HeartbeatBatch, flags| {
            check_frame(&mut Decoder::new(), &framed(header(flags, 7), &batch.encode_to_vec()))
        };
        prop_assert_eq!(decode(&batch, 0), Ok(()));
        if departs {
            batch.departure.push(Departure { node_id: 8 << 56, ..Departure::default() });
        } else {
            *stray.get_mut(&mut batch.node_id) ^= 1 << 56;
        }
        prop_assert_eq!(decode(&batch, 0), Err(RejectReason::LaneMismatch));
        prop_assert_eq!(decode(&batch, frame::FLAG_MIXED_LANES), Ok(()));
    }
}

#[test]
fn descriptor_must_belong_to_the_lane_of_its_name() {
    let named = NodeDescriptor { name: "node-1".into(), ..NodeDescriptor::default() };
    let batch = HeartbeatBatch { descriptor: vec![named], ..HeartbeatBatch::default() };
    let lane = NodeId::from_name("node-1").lane();
    for other in 0..=u8::MAX {
        let expected = if lane == Lane(other) { Ok(()) } else { Err(RejectReason::LaneMismatch) };
        let bytes = framed(header(0, other), &batch.encode_to_vec());
        assert_eq!(check_frame(&mut Decoder::new(), &bytes), expected);
    }
}
