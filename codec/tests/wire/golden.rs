//! Frames that were written down once: today's encoder must still write them, today's decoder must still read them.
//!
//! `tests/golden/accepted.txt` and `tests/golden/refused.txt` hold one frame a line, a name and its bytes in hex, for
//! writers of senders in other languages. Bytes of compressed frames are read only: another version of zstd may
//! compress otherwise.

use std::fs;

use prost::Message as _;
use pulsegate_codec::limits::{DESCRIPTORS_PER_FRAME_MAX, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use pulsegate_codec::proto::{self, HeartbeatBatch};
use pulsegate_codec::{
    BatchEncoder, Compression, Decoder, Departure, DepartureReason, FrameHeader, Heartbeat, Incarnation,
    NodeDescriptor, NodeId, NodeStatus, Ping, PingKind, RejectReason, SenderId, Sequence, frame,
};

use crate::frames::{MIXED, compressed_frame, framed};
use crate::{is_blessing, workspace_path};

const ACCEPTED_PATH: &str = "codec/tests/golden/accepted.txt";
const REFUSED_PATH: &str = "codec/tests/golden/refused.txt";
const DOCUMENT_PATH: &str = "codec/WIRE.md";

/// What one golden frame says.
struct Golden {
    name: &'static str,
    compression: Compression,
    heartbeats: Vec<Heartbeat>,
    descriptors: Vec<NodeDescriptor<'static>>,
    departures: Vec<Departure>,
}

const SENT_AT_UNIX_US: u64 = 1_760_000_000_000_000;
const SENDER_SEQUENCE: u64 = 1;

/// The first heartbeat of a node.
fn first_heartbeat(name: &str) -> Heartbeat {
    Heartbeat {
        node_id: NodeId::from_name(name),
        sequence: Sequence(1),
        incarnation: Incarnation(1_760_000_000),
        ..Heartbeat::default()
    }
}

fn goldens() -> Vec<Golden> {
    let plain = |name, heartbeats| Golden {
        name,
        compression: Compression::Off,
        heartbeats,
        descriptors: Vec::new(),
        departures: Vec::new(),
    };
    let full = NodeDescriptor {
        name: "node-1",
        zone: "zürich-a",
        labels: vec![("rack", "r17"), ("canary", "")],
        interval_ms: 1_000,
        profile: "wan",
        services: vec!["api", "cache"],
        ..NodeDescriptor::default()
    };
    let probed = NodeDescriptor {
        name: "node-1",
        round_trip_time_us: 41_000,
        probe: "http://10.1.2.3:8080/health",
        ..NodeDescriptor::default()
    };
    let departure = Departure {
        node_id: NodeId::from_name("node-1"),
        incarnation: Incarnation(1_760_000_000),
        sequence: Sequence(86_400),
        reason: DepartureReason::Maintenance,
        expected_return_ms: 900_000,
    };
    let all_columns = (1..=3).map(|index: u32| Heartbeat {
        node_id: NodeId(0x3500_0000_0000_0000 | u64::from(index)),
        progress: 1 << (20 * index),
        sequence: Sequence(100 * index),
        incarnation: Incarnation(index),
        sent_offset_us: 70_000 * index,
        load_permille: 400 * index,
        pending: index - 1,
        status: if index == 2 { NodeStatus::Degraded } else { NodeStatus::Ok },
    });
    let rack = (0..64)
        .map(|index| Heartbeat { node_id: NodeId(0x3500_0000_0000_0000 | index), ..first_heartbeat("") });
    vec![
        plain("one-node", vec![first_heartbeat("node-1")]),
        plain("bare-id", vec![Heartbeat { node_id: NodeId(0x35 << 56), ..Heartbeat::default() }]),
        plain("all-columns", all_columns.collect()),
        plain("mixed-lanes", ["node-1", "node-2", "node-3"].map(first_heartbeat).to_vec()),
        Golden { descriptors: vec![full], ..plain("described", vec![first_heartbeat("node-1")]) },
        Golden { departures: vec![departure], ..plain("departure", Vec::new()) },
        Golden { compression: Compression::Zstd { level: 3 }, ..plain("zstd", rack.collect()) },
        Golden { descriptors: vec![probed], ..plain("probed", vec![first_heartbeat("node-1")]) },
    ]
}

fn encoded(golden: &Golden) -> Vec<u8> {
    let mut encoder = BatchEncoder::new(SenderId::from_name("node-1"), golden.compression);
    golden.heartbeats.iter().for_each(|&heartbeat| encoder.heartbeat(heartbeat));
    golden.descriptors.iter().for_each(|descriptor| encoder.descriptor(descriptor));
    golden.departures.iter().for_each(|&departure| encoder.departure(departure));
    let mut bytes = Vec::new();
    encoder
        .finish(SENDER_SEQUENCE, SENT_AT_UNIX_US, &mut bytes)
        .expect("golden frames are within all bounds");
    bytes
}

/// One frame for each reason, except [`RejectReason::TooLong`], which would be a large file.
fn broken_frames() -> Vec<(RejectReason, Vec<u8>)> {
    let good = encoded(&goldens()[0]);
    let patched = |index: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[index] = value;
        bytes
    };
    let batch = HeartbeatBatch { node_id: vec![1, 2], ..HeartbeatBatch::default() };
    let lane_zero = FrameHeader { flags: 0, ..MIXED };
    let with = |batch: HeartbeatBatch| framed(MIXED, &batch.encode_to_vec());
    let descriptor = vec![proto::NodeDescriptor::default(); DESCRIPTORS_PER_FRAME_MAX + 1];
    let crowd = HeartbeatBatch { descriptor, ..HeartbeatBatch::default() };
    let zstd = zstd::bulk::compress(&batch.encode_to_vec(), 3).expect("memory is enough");
    let as_zstd = FrameHeader { flags: MIXED.flags | frame::FLAG_ZSTD, ..MIXED };
    vec![
        (RejectReason::TooShort, good[..frame::HEADER_BYTES - 1].to_vec()),
        (RejectReason::BadMagic, patched(0, b'p')),
        (RejectReason::UnknownVersion, patched(2, 2)),
        (RejectReason::UnknownFlag, patched(3, 0x20)),
        (RejectReason::AuthenticationUnsupported, patched(3, frame::FLAG_AUTHENTICATED)),
        (RejectReason::AckUnsupported, patched(3, frame::FLAG_ACK_WANTED)),
        (RejectReason::DictionaryUnsupported, patched(3, frame::FLAG_DICTIONARY)),
        (RejectReason::KeyIdWithoutTag, patched(5, 1)),
        (RejectReason::LengthMismatch, good[..good.len() - 1].to_vec()),
        (RejectReason::ChecksumMismatch, patched(good.len() - 1, 0xff)),
        (RejectReason::DecompressedSizeAboveBound, compressed_frame(&zstd, PAYLOAD_BYTES_MAX + 1)),
        (RejectReason::BadCompression, compressed_frame(&batch.encode_to_vec(), 20)),
        (RejectReason::DecompressedSizeMismatch, compressed_frame(&zstd, 1)),
        (RejectReason::BadProtobuf, framed(MIXED, &[0x22, 8, 1, 2, 3])),
        (RejectReason::UnequalColumns, with(HeartbeatBatch { sequence: vec![1], ..batch.clone() })),
        (RejectReason::TooManyElements, framed(as_zstd, &crowd.encode_to_vec())),
        (RejectReason::BadText, framed(MIXED, &[0x62, 3, 0x0a, 1, 0xff])),
        (RejectReason::ValueOutOfRange, with(HeartbeatBatch { status: vec![0, 2], ..batch.clone() })),
        (
            RejectReason::LaneMismatch,
            framed(lane_zero, &HeartbeatBatch { node_id: vec![1 << 56], ..batch }.encode_to_vec()),
        ),
        (RejectReason::Empty, framed(MIXED, &[])),
    ]
}

/// Name and bytes of every frame in a golden file.
fn read_frames(path: &str) -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(workspace_path(path)).expect("the golden file is committed");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(' ').expect("a line is a name, a space and hex");
            (name.to_owned(), bytes_of_hex(hex))
        })
        .collect()
}

fn write_frames<'a>(path: &str, comment: &str, frames: impl Iterator<Item = (&'a str, Vec<u8>)>) {
    let lines = frames.map(|(name, bytes)| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {hex}\n")
    });
    let text = format!("# {comment}\n{}", lines.collect::<String>());
    fs::write(workspace_path(path), text).expect("the golden file can be written");
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits are a byte");
    digits.chunks_exact(2).map(byte).collect()
}

/// All golden frames, good and broken: the seeds of the fuzz corpus.
pub(crate) fn all_frames() -> Vec<(String, Vec<u8>)> {
    if is_blessing() {
        let accepted = goldens().into_iter().map(|golden| (golden.name.to_owned(), encoded(&golden)));
        let refused = broken_frames().into_iter().map(|(reason, bytes)| (reason.label().to_owned(), bytes));
        return accepted.chain(refused).collect();
    }
    [read_frames(ACCEPTED_PATH), read_frames(REFUSED_PATH)].concat()
}

#[test]
fn golden_frames_are_written_and_read_as_ever() {
    if is_blessing() {
        let comment = "Frames that the gateway accepts. What each says: tests/wire/golden.rs.";
        write_frames(ACCEPTED_PATH, comment, goldens().iter().map(|golden| (golden.name, encoded(golden))));
    }
    let frames = read_frames(ACCEPTED_PATH);
    assert_eq!(frames.len(), goldens().len());
    let mut decoder = Decoder::new();
    for ((name, bytes), golden) in frames.iter().zip(goldens()) {
        assert_eq!(name, golden.name);
        if golden.compression == Compression::Off {
            assert_eq!(&encoded(&golden), bytes, "{name}");
        }
        let batch = decoder.decode(bytes).expect(golden.name);
        assert_eq!(batch.header.is_compressed(), golden.compression != Compression::Off, "{name}");
        assert_eq!(batch.header.mixes_lanes(), name == "mixed-lanes");
        assert_eq!(batch.sender_id, SenderId::from_name("node-1"));
        assert_eq!((batch.sender_sequence, batch.sent_at_unix_us), (SENDER_SEQUENCE, SENT_AT_UNIX_US));
        assert_eq!(batch.heartbeats, golden.heartbeats, "{name}");
        assert_eq!(batch.descriptors().collect::<Vec<_>>(), golden.descriptors, "{name}");
        assert_eq!(batch.departures().collect::<Vec<_>>(), golden.departures, "{name}");
    }
}

#[test]
fn each_reason_has_a_golden_frame_that_is_refused_for_it() {
    if is_blessing() {
        let comment =
            "A frame for each reason to refuse one, named after the reason. too_long would be too long.";
        write_frames(
            REFUSED_PATH,
            comment,
            broken_frames().into_iter().map(|(reason, bytes)| (reason.label(), bytes)),
        );
    }
    let frames = read_frames(REFUSED_PATH);
    let mut decoder = Decoder::new();
    for (label, bytes) in frames
        .iter()
        .cloned()
        .chain(broken_frames().into_iter().map(|(reason, bytes)| (reason.label().to_owned(), bytes)))
    {
        assert_eq!(decoder.decode(&bytes).err().map(RejectReason::label), Some(label.as_str()));
    }
    let too_long = vec![0; FRAME_BYTES_MAX + 1];
    assert_eq!(decoder.decode(&too_long).err(), Some(RejectReason::TooLong));
    let labels: Vec<_> = frames.iter().map(|(label, _)| label.as_str()).collect();
    let expected: Vec<_> = RejectReason::ALL
        .iter()
        .filter(|&&reason| reason != RejectReason::TooLong)
        .map(|reason| reason.label())
        .collect();
    assert_eq!(labels, expected);
}

#[test]
fn frame_that_the_document_works_out_is_the_golden_one() {
    // Method: in the fenced block behind the marker, a line is an offset, bytes and a meaning, two spaces apart.
    let document = fs::read_to_string(workspace_path(DOCUMENT_PATH)).unwrap();
    let (_, behind_marker) = document.split_once("<!-- golden: one-node -->").unwrap();
    let block = behind_marker.split("```").nth(1).unwrap();
    let mut bytes = Vec::new();
    for line in block.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let columns: Vec<_> = line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
        assert!(columns.len() >= 3, "{line}");
        assert_eq!(columns[0].parse(), Ok(bytes.len()), "{line}");
        bytes.extend(bytes_of_hex(columns[1]));
    }
    let (name, golden) = &read_frames(ACCEPTED_PATH)[0];
    assert_eq!((name.as_str(), &bytes), ("one-node", golden));
}

#[test]
fn ping_and_pong_that_the_document_shows_are_those_of_the_codec() {
    let document = fs::read_to_string(workspace_path(DOCUMENT_PATH)).unwrap();
    let (_, behind_marker) = document.split_once("<!-- golden: ping -->").unwrap();
    let lines = behind_marker.split("```").nth(1).unwrap().lines().skip(1);
    let shown: Vec<Vec<u8>> = lines.map(bytes_of_hex).collect();
    let ping =
        Ping { kind: PingKind::Ping, node_id: NodeId::from_name("node-1"), nonce: 0x0102_0304_0506_0708 };
    assert_eq!(shown, [ping.to_bytes().to_vec(), ping.pong().to_bytes().to_vec()]);
}

#[test]
fn document_names_every_reason_flag_and_limit() {
    let document = fs::read_to_string(workspace_path(DOCUMENT_PATH)).unwrap();
    for reason in RejectReason::ALL {
        assert!(document.contains(&format!("`{}`", reason.label())), "{reason:?}");
    }
    for limit in [FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, 4_096, 1_024, 255, 32] {
        assert!(document.contains(&thousands(limit)), "{limit}");
    }
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    assert!(document.contains("0xE3069283"));
}

/// The number with commas, as the document writes it.
fn thousands(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}
