//! Frames that no good sender sends: every truncation, every flipped bit, bombs, and each bound crossed by one.

use prost::Message as _;
use pulsegate_codec::limits::{
    DEPARTURES_PER_FRAME_MAX, DESCRIPTORS_PER_FRAME_MAX, FRAME_BYTES_MAX, HEARTBEATS_PER_FRAME_MAX,
    LABELS_PER_NODE_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, SERVICES_PER_NODE_MAX,
};
use pulsegate_codec::proto::{Departure, HeartbeatBatch, Label, NodeDescriptor};
use pulsegate_codec::{
    BatchEncoder, Compression, Decoder, FrameHeader, Heartbeat, Incarnation, NodeId, RejectReason, SenderId,
    Sequence, frame,
};

use crate::agreement::check_frame;
use crate::frames::{MIXED, compressed_frame, framed};

fn good_frame(compression: Compression) -> Vec<u8> {
    let mut encoder = BatchEncoder::new(SenderId(1), compression);
    for index in 0..24 {
        encoder.heartbeat(Heartbeat {
            node_id: NodeId(index),
            sequence: Sequence(300),
            incarnation: Incarnation(1_760_000_000),
            ..Heartbeat::default()
        });
    }
    let mut bytes = Vec::new();
    encoder.finish(1, 1_760_000_000_000_000, &mut bytes).expect("24 heartbeats fit into a frame");
    bytes
}

fn refused(bytes: &[u8]) -> RejectReason {
    check_frame(&mut Decoder::new(), bytes).expect_err("the frame is accepted")
}

fn refused_batch(batch: &HeartbeatBatch) -> RejectReason {
    refused(&framed(MIXED, &batch.encode_to_vec()))
}

fn accepted_batch(batch: &HeartbeatBatch) {
    assert_eq!(check_frame(&mut Decoder::new(), &framed(MIXED, &batch.encode_to_vec())), Ok(()));
}

#[test]
fn every_truncation_and_every_added_byte_is_refused() {
    let mut decoder = Decoder::new();
    for compression in [Compression::Off, Compression::Zstd { level: 3 }] {
        let mut bytes = good_frame(compression);
        for length in 0..bytes.len() {
            let expected = if length < frame::HEADER_BYTES {
                RejectReason::TooShort
            } else {
                RejectReason::LengthMismatch
            };
            assert_eq!(decoder.decode(&bytes[..length]).err(), Some(expected), "{length} bytes");
        }
        decoder.decode(&bytes).unwrap();
        bytes.push(0);
        assert_eq!(decoder.decode(&bytes).err(), Some(RejectReason::LengthMismatch));
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut decoder = Decoder::new();
    for compression in [Compression::Off, Compression::Zstd { level: 3 }] {
        let good = good_frame(compression);
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let reason = decoder.decode(&bytes).err().unwrap_or_else(|| panic!("bit {bit} is not noticed"));
            let expected = match (bit / 8, bit) {
                (0 | 1, _) => RejectReason::BadMagic,
                (2, _) => RejectReason::UnknownVersion,
                (3, 25) => RejectReason::DictionaryUnsupported,
                (3, 26) => RejectReason::AuthenticationUnsupported,
                (3, 27) => RejectReason::AckUnsupported,
                (3, 29..) => RejectReason::UnknownFlag,
                (5, _) => RejectReason::KeyIdWithoutTag,
                (6 | 7, _) => RejectReason::LengthMismatch,
                _ => RejectReason::ChecksumMismatch,
            };
            assert_eq!(reason, expected, "bit {bit}");
        }
        decoder.decode(&good).unwrap();
    }
}

#[test]
fn frame_above_the_bound_is_refused_before_anything_else() {
    assert_eq!(refused(&vec![0; FRAME_BYTES_MAX + 1]), RejectReason::TooLong);
    assert_eq!(refused(&vec![0; FRAME_BYTES_MAX]), RejectReason::BadMagic);
}

#[test]
fn size_that_the_header_declares_must_be_the_payload_s() {
    let payload = HeartbeatBatch { node_id: vec![1], ..HeartbeatBatch::default() }.encode_to_vec();
    let payload_bytes = u16::try_from(payload.len()).unwrap();
    for (decompressed_bytes, expected) in [
        (u32::from(payload_bytes) - 1, RejectReason::DecompressedSizeMismatch),
        (u32::from(payload_bytes) + 1, RejectReason::DecompressedSizeMismatch),
        (u32::try_from(PAYLOAD_BYTES_MAX).unwrap() + 1, RejectReason::DecompressedSizeAboveBound),
        (u32::MAX, RejectReason::DecompressedSizeAboveBound),
    ] {
        let mut bytes = Vec::new();
        FrameHeader { payload_bytes, decompressed_bytes, ..MIXED }.write(&payload, &mut bytes);
        assert_eq!(refused(&bytes), expected, "{decompressed_bytes}");
    }
}

#[test]
fn zstd_bomb_ends_at_the_size_that_its_header_declares() {
    // Method: 64 MiB of zeros in a few KiB, with a declared size that is small, the largest, and above the bound; each
    // with and without zstd's own record of the size.
    let zeros = vec![0; 64 << 20];
    for has_content_size in [true, false] {
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        compressor.include_contentsize(has_content_size).unwrap();
        let bomb = compressor.compress(&zeros).unwrap();
        assert!(bomb.len() < FRAME_BYTES_MAX - frame::HEADER_BYTES, "{} bytes", bomb.len());
        for declared_bytes in [0, 1, 100, PAYLOAD_BYTES_MAX] {
            let bytes = compressed_frame(&bomb, declared_bytes);
            assert_eq!(Decoder::new().decode(&bytes).err(), Some(RejectReason::DecompressedSizeMismatch));
        }
        let bytes = compressed_frame(&bomb, PAYLOAD_BYTES_MAX + 1);
        assert_eq!(Decoder::new().decode(&bytes).err(), Some(RejectReason::DecompressedSizeAboveBound));
    }
}

#[test]
fn compressed_payload_is_exactly_one_zstd_frame() {
    let message = HeartbeatBatch { node_id: vec![7; 100], ..HeartbeatBatch::default() }.encode_to_vec();
    let one = zstd::bulk::compress(&message, 3).unwrap();
    assert_eq!(check_frame(&mut Decoder::new(), &compressed_frame(&one, message.len())), Ok(()));

    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9], one.as_slice()].concat();
    let two = [one.as_slice(), &one].concat();
    for (payload, decompressed_bytes) in [
        (two.as_slice(), 2 * message.len()),
        (&skippable, message.len()),
        (&[one.as_slice(), &[0]].concat(), message.len()),
        (&one[..one.len() - 1], message.len()),
        (&one[..4], message.len()),
        (&[], 0),
        (&message, message.len()),
    ] {
        assert_eq!(refused(&compressed_frame(payload, decompressed_bytes)), RejectReason::BadCompression);
    }
    for declared_bytes in [message.len() - 1, message.len() + 1, 0, PAYLOAD_BYTES_MAX] {
        assert_eq!(refused(&compressed_frame(&one, declared_bytes)), RejectReason::DecompressedSizeMismatch);
    }
}

#[test]
fn zstd_checksum_is_optional_and_checked() {
    let message = HeartbeatBatch { node_id: vec![7; 100], ..HeartbeatBatch::default() }.encode_to_vec();
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.include_checksum(true).unwrap();
    let mut payload = compressor.compress(&message).unwrap();
    assert_eq!(check_frame(&mut Decoder::new(), &compressed_frame(&payload, message.len())), Ok(()));
    *payload.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&compressed_frame(&payload, message.len())), RejectReason::BadCompression);
}

#[test]
fn column_is_empty_or_as_long_as_the_ids() {
    let good = HeartbeatBatch { node_id: vec![1, 2, 3], ..HeartbeatBatch::default() };
    for length in 0..6 {
        let values = vec![1; length];
        let wide_values = vec![1; length];
        for batch in [
            HeartbeatBatch { sequence: values.clone(), ..good.clone() },
            HeartbeatBatch { incarnation: values.clone(), ..good.clone() },
            HeartbeatBatch { sent_offset_us: values.clone(), ..good.clone() },
            HeartbeatBatch { status: values.clone(), ..good.clone() },
            HeartbeatBatch { load_permille: values.clone(), ..good.clone() },
            HeartbeatBatch { progress: wide_values.clone(), ..good.clone() },
            HeartbeatBatch { pending: values.clone(), ..good.clone() },
        ] {
            match length {
                0 | 3 => accepted_batch(&batch),
                _ => assert_eq!(refused_batch(&batch), RejectReason::UnequalColumns),
            }
        }
    }
    let ids_missing = HeartbeatBatch { sequence: vec![1], ..HeartbeatBatch::default() };
    assert_eq!(refused_batch(&ids_missing), RejectReason::UnequalColumns);
    assert_eq!(refused(&framed(MIXED, &[4 << 3 | 2, 7, 1, 2, 3, 4, 5, 6, 7])), RejectReason::BadProtobuf);
}

#[test]
fn every_count_is_accepted_at_its_bound_and_refused_above() {
    let named = NodeDescriptor { name: "n".into(), ..NodeDescriptor::default() };
    let label = Label { key: "k".into(), value: String::new() };
    let with = |descriptor| HeartbeatBatch { descriptor: vec![descriptor], ..HeartbeatBatch::default() };
    let batch_of = |excess: usize| {
        [
            HeartbeatBatch {
                node_id: vec![1; HEARTBEATS_PER_FRAME_MAX + excess],
                ..HeartbeatBatch::default()
            },
            HeartbeatBatch {
                descriptor: vec![named.clone(); DESCRIPTORS_PER_FRAME_MAX + excess],
                ..HeartbeatBatch::default()
            },
            HeartbeatBatch {
                departure: vec![Departure::default(); DEPARTURES_PER_FRAME_MAX + excess],
                ..HeartbeatBatch::default()
            },
            with(NodeDescriptor {
                label: vec![label.clone(); LABELS_PER_NODE_MAX + excess],
                ..named.clone()
            }),
            with(NodeDescriptor {
                service: vec!["s".into(); SERVICES_PER_NODE_MAX + excess],
                ..named.clone()
            }),
        ]
    };
    batch_of(0).iter().for_each(accepted_batch);
    for batch in batch_of(1) {
        assert_eq!(refused_batch(&batch), RejectReason::TooManyElements);
    }
    // A column that is too long, and one after another that is.
    let many = vec![1; HEARTBEATS_PER_FRAME_MAX + 1];
    let batch =
        HeartbeatBatch { sequence: many.clone(), node_id: vec![1; many.len()], ..HeartbeatBatch::default() };
    assert_eq!(refused_batch(&batch), RejectReason::TooManyElements);
    let batch = HeartbeatBatch { sequence: many, node_id: vec![1], ..HeartbeatBatch::default() };
    assert_eq!(refused_batch(&batch), RejectReason::UnequalColumns);
}

#[test]
fn text_is_within_its_length_and_utf_8_and_names_are_not_empty() {
    let good = NodeDescriptor {
        name: "n".repeat(NAME_BYTES_MAX),
        zone: "z".repeat(NAME_BYTES_MAX),
        label: vec![Label { key: "k".repeat(NAME_BYTES_MAX), value: "v".repeat(NAME_BYTES_MAX) }],
        profile: "p".repeat(NAME_BYTES_MAX),
        service: vec!["s".repeat(NAME_BYTES_MAX)],
        ..NodeDescriptor::default()
    };
    let batch = |descriptor| HeartbeatBatch { descriptor: vec![descriptor], ..HeartbeatBatch::default() };
    accepted_batch(&batch(good.clone()));
    let long = || "é".repeat(NAME_BYTES_MAX.div_ceil(2));
    let label = |key: String, value: String| vec![Label { key, value }];
    for bad in [
        NodeDescriptor { name: String::new(), ..good.clone() },
        NodeDescriptor { name: long(), ..good.clone() },
        NodeDescriptor { zone: long(), ..good.clone() },
        NodeDescriptor { profile: long(), ..good.clone() },
        NodeDescriptor { probe: long(), ..good.clone() },
        NodeDescriptor { service: vec![long()], ..good.clone() },
        NodeDescriptor { service: vec![String::new()], ..good.clone() },
        NodeDescriptor { label: label(long(), String::new()), ..good.clone() },
        NodeDescriptor { label: label("k".into(), long()), ..good.clone() },
        NodeDescriptor { label: label(String::new(), "v".into()), ..good.clone() },
    ] {
        assert_eq!(refused_batch(&batch(bad.clone())), RejectReason::BadText, "{bad:?}");
    }
    // A name that is not UTF-8, also if a good one follows.
    for descriptor in [&[0x0a, 1, 0xff][..], &[0x0a, 1, 0xff, 0x0a, 1, b'n']] {
        let length = u8::try_from(descriptor.len()).unwrap();
        let message = [&[12 << 3 | 2, length], descriptor].concat();
        assert_eq!(refused(&framed(MIXED, &message)), RejectReason::BadText);
    }
}

#[test]
fn number_is_within_its_range() {
    let id = [4 << 3 | 2, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut wide = vec![0xff; 4];
    wide.push(0x1f); // 2^33 - 1: prost reads 2^32 - 1.
    for (number, is_wide_allowed) in
        [(5, false), (6, false), (7, false), (8, false), (9, false), (10, true), (11, false)]
    {
        let packed = [&id[..], &[number << 3 | 2, 5], &wide].concat();
        let single = [&id[..], &[number << 3], &wide].concat();
        for message in [packed, single] {
            let expected = if is_wide_allowed { Ok(()) } else { Err(RejectReason::ValueOutOfRange) };
            assert_eq!(
                check_frame(&mut Decoder::new(), &framed(MIXED, &message)),
                expected,
                "field {number}"
            );
        }
    }
    let status_2 = HeartbeatBatch { node_id: vec![1], status: vec![2], ..HeartbeatBatch::default() };
    assert_eq!(refused_batch(&status_2), RejectReason::ValueOutOfRange);
    for reason in [-1, 4] {
        let departure = Departure { reason, ..Departure::default() };
        let batch = HeartbeatBatch { departure: vec![departure], ..HeartbeatBatch::default() };
        assert_eq!(refused_batch(&batch), RejectReason::ValueOutOfRange);
    }
}

#[test]
fn empty_message_and_message_of_unknown_fields_alone_are_empty() {
    assert_eq!(refused(&framed(MIXED, &[])), RejectReason::Empty);
    assert_eq!(refused(&framed(MIXED, &[15 << 3, 1])), RejectReason::Empty);
    let sender_alone = HeartbeatBatch { sender_id: 1, sender_sequence: 2, ..HeartbeatBatch::default() };
    assert_eq!(refused_batch(&sender_alone), RejectReason::Empty);
}

#[test]
fn group_is_refused_though_prost_would_skip_it() {
    let message = [&[4 << 3 | 2, 8, 1, 2, 3, 4, 5, 6, 7, 8][..], &[15 << 3 | 3, 15 << 3 | 4]].concat();
    HeartbeatBatch::decode(message.as_slice()).unwrap();
    assert_eq!(refused(&framed(MIXED, &message)), RejectReason::BadProtobuf);
}

#[test]
fn frame_with_several_faults_is_named_after_the_first_in_order_wherever_they_stand() {
    let status_2 =
        HeartbeatBatch { node_id: vec![1], status: vec![2], ..HeartbeatBatch::default() }.encode_to_vec();
    let nameless = [12 << 3 | 2, 0];
    let unequal = [5 << 3 | 2, 2, 1, 1];
    let broken = [0];
    let mut parts: Vec<(&[u8], RejectReason)> = vec![
        (&status_2, RejectReason::ValueOutOfRange),
        (&nameless, RejectReason::BadText),
        (&unequal, RejectReason::UnequalColumns),
        (&broken, RejectReason::BadProtobuf),
    ];
    for _ in 0..parts.len() {
        parts.rotate_left(1);
        for count in 1..=parts.len() {
            let message: Vec<u8> = parts[..count].iter().flat_map(|part| part.0).copied().collect();
            let first = parts[..count].iter().map(|part| part.1).min_by_key(|reason| reason.index());
            assert_eq!(Some(refused(&framed(MIXED, &message))), first);
        }
    }
}

#[test]
fn unexpectedly_many_descriptors_are_refused_though_none_of_them_is_hashed() {
    // A frame of 13,107 names is one of the dearest: the count must end it whatever the lanes are.
    let message = [12 << 3 | 2, 3, 0x0a, 1, b'n'].repeat(PAYLOAD_BYTES_MAX / 5);
    let compressed = zstd::bulk::compress(&message, 3).unwrap();
    let mut bytes = compressed_frame(&compressed, message.len());
    assert_eq!(refused(&bytes), RejectReason::TooManyElements);
    let (header, payload) = FrameHeader::parse(&bytes).unwrap();
    let payload = payload.to_vec();
    FrameHeader { flags: frame::FLAG_ZSTD, ..header }.write(&payload, &mut bytes);
    assert_eq!(refused(&bytes), RejectReason::TooManyElements);
}
