//! The oracle: what the decoder must say of any bytes, derived from prost's reading of them.
//!
//! Whenever prost refuses a payload, so do we. Whenever we accept one, prost accepts it with the same content.
//! Whenever we refuse what prost accepts, the reason is the first that a naive look at prost's message finds, or one
//! of the few that prost's message no longer shows ([`is_stricter_than_prost`]). The fuzz target and the property
//! tests share this file.

use prost::Message as _;
use pulsegate_codec::limits::{
    DEPARTURES_PER_FRAME_MAX, DESCRIPTORS_PER_FRAME_MAX, HEARTBEATS_PER_FRAME_MAX, LABELS_PER_NODE_MAX,
    NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, SERVICES_PER_NODE_MAX,
};
use pulsegate_codec::proto::{self, HeartbeatBatch};
use pulsegate_codec::{Batch, Decoder, FrameHeader, Lane, NodeId, RejectReason, frame};

/// What fuzzing feeds: the bytes as they are, and once more with a header that is made to fit, so that a search need
/// not find checksums.
pub(crate) fn check_any_bytes(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    let _ = check_frame(&mut decoder, bytes);
    if let Some(repaired) = repaired(bytes) {
        let _ = check_frame(&mut decoder, &repaired);
    }
}

/// Decodes a frame and compares the outcome with prost's.
///
/// # Panics
/// If they do not agree.
pub(crate) fn check_frame(decoder: &mut Decoder, bytes: &[u8]) -> Result<(), RejectReason> {
    let outcome = decoder.decode(bytes);
    let Some((header, message)) = opened(bytes) else {
        let reason = outcome.expect_err("a frame whose header or compression is broken was accepted");
        assert!(
            reason.index() < RejectReason::BadProtobuf.index(),
            "{reason:?} though the message was never seen"
        );
        return Err(reason);
    };
    match (outcome, HeartbeatBatch::decode(message.as_slice())) {
        (Ok(batch), Ok(reference)) => {
            assert_eq!(reason_to_refuse(&header, &reference), None);
            assert_same_content(&batch, &reference);
            Ok(())
        }
        (Ok(_), Err(error)) => panic!("accepted what prost refuses: {error}"),
        (Err(reason), Err(_)) => {
            // What prost refuses is broken, or a text that is not UTF-8.
            assert!(reason.index() >= RejectReason::BadProtobuf.index(), "{reason:?} of a sound frame");
            assert!(
                reason.index() <= RejectReason::BadText.index(),
                "{reason:?} though prost cannot read it"
            );
            Err(reason)
        }
        (Err(reason), Ok(reference)) => {
            let expected = reason_to_refuse(&header, &reference);
            let goes_first = expected.is_none_or(|expected| reason.index() < expected.index());
            assert!(
                expected == Some(reason) || (goes_first && is_stricter_than_prost(reason)),
                "{reason:?} instead of {expected:?} for {reference:?}",
            );
            Err(reason)
        }
    }
}

/// Reasons that a message which prost accepts may be refused for although its prost form is in order: groups; numbers
/// that prost cuts to 32 bits; texts and numbers that a later occurrence of the same field replaces.
fn is_stricter_than_prost(reason: RejectReason) -> bool {
    matches!(reason, RejectReason::BadProtobuf | RejectReason::ValueOutOfRange | RejectReason::BadText)
}

/// The bytes with a header in front of the same payload that passes all checks, if they are long enough.
fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, payload) = bytes.split_first_chunk::<{ frame::HEADER_BYTES }>()?;
    let payload_bytes = u16::try_from(payload.len()).ok()?;
    let flags = head[3] & (frame::FLAG_ZSTD | frame::FLAG_MIXED_LANES);
    let declared = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let decompressed_bytes = if flags & frame::FLAG_ZSTD == 0 { payload_bytes.into() } else { declared };
    let header = FrameHeader { flags, lane: Lane(head[4]), key_id: 0, payload_bytes, decompressed_bytes };
    let mut repaired = Vec::new();
    header.write(payload, &mut repaired);
    Some(repaired)
}

/// The header and the message, if nothing is wrong before the message. Shares the header's parser with the decoder
/// (its own tests are in `hostile`), but not the decompression.
fn opened(bytes: &[u8]) -> Option<(FrameHeader, Vec<u8>)> {
    let (header, payload) = FrameHeader::parse(bytes).ok()?;
    if !header.is_compressed() {
        return Some((header, payload.to_vec()));
    }
    let is_one_frame = payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        && zstd::zstd_safe::find_frame_compressed_size(payload) == Ok(payload.len());
    let message = zstd::bulk::decompress(payload, PAYLOAD_BYTES_MAX).ok()?;
    (is_one_frame && message.len() == header.decompressed_bytes as usize).then_some((header, message))
}

/// The first reason to refuse the message, in the order of [`RejectReason::ALL`], as far as prost's form shows it.
fn reason_to_refuse(header: &FrameHeader, batch: &HeartbeatBatch) -> Option<RejectReason> {
    let count = batch.node_id.len();
    let columns = [&batch.sequence, &batch.incarnation, &batch.sent_offset_us, &batch.status];
    let more_columns = [&batch.load_permille, &batch.pending];
    let lengths = columns.into_iter().chain(more_columns).map(Vec::len).chain([batch.progress.len()]);
    let texts = batch.descriptor.iter().flat_map(texts_of);
    let mut lanes = (batch.node_id.iter().map(|&id| NodeId(id)))
        .chain(batch.descriptor.iter().map(|descriptor| NodeId::from_name(&descriptor.name)))
        .chain(batch.departure.iter().map(|departure| NodeId(departure.node_id)))
        .map(NodeId::lane);
    let has_too_many = count > HEARTBEATS_PER_FRAME_MAX
        || batch.descriptor.len() > DESCRIPTORS_PER_FRAME_MAX
        || batch.departure.len() > DEPARTURES_PER_FRAME_MAX
        || batch.descriptor.iter().any(|descriptor| {
            descriptor.label.len() > LABELS_PER_NODE_MAX || descriptor.service.len() > SERVICES_PER_NODE_MAX
        });
    let is_out_of_range = batch.status.iter().any(|&status| status > 1)
        || batch.departure.iter().any(|departure| !(0..=3).contains(&departure.reason));
    let checks = [
        (lengths.into_iter().any(|length| length != 0 && length != count), RejectReason::UnequalColumns),
        (has_too_many, RejectReason::TooManyElements),
        (
            texts.into_iter().any(|(may_be_empty, text)| !is_good_text(may_be_empty, text)),
            RejectReason::BadText,
        ),
        (is_out_of_range, RejectReason::ValueOutOfRange),
        (!header.mixes_lanes() && lanes.any(|lane| lane != header.lane), RejectReason::LaneMismatch),
        (count == 0 && batch.descriptor.is_empty() && batch.departure.is_empty(), RejectReason::Empty),
    ];
    checks.into_iter().find_map(|(is_fault, reason)| is_fault.then_some(reason))
}

/// All texts of a descriptor, and whether they may be empty.
fn texts_of(descriptor: &proto::NodeDescriptor) -> impl Iterator<Item = (bool, &String)> {
    let labels = descriptor.label.iter().flat_map(|label| [(false, &label.key), (true, &label.value)]);
    let services = descriptor.service.iter().map(|service| (false, service));
    [(false, &descriptor.name), (true, &descriptor.zone), (true, &descriptor.profile)]
        .into_iter()
        .chain(labels)
        .chain(services)
}

fn is_good_text(may_be_empty: bool, text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && (may_be_empty || !text.is_empty())
}

fn assert_same_content(batch: &Batch<'_>, reference: &HeartbeatBatch) {
    let mut decoded = HeartbeatBatch {
        sender_id: batch.sender_id.0,
        sender_sequence: batch.sender_sequence,
        sent_at_unix_us: batch.sent_at_unix_us,
        ..HeartbeatBatch::default()
    };
    for heartbeat in batch.heartbeats {
        decoded.node_id.push(heartbeat.node_id.0);
        decoded.sequence.push(heartbeat.sequence.0);
        decoded.incarnation.push(heartbeat.incarnation.0);
        decoded.sent_offset_us.push(heartbeat.sent_offset_us);
        decoded.status.push(heartbeat.status as u32);
        decoded.load_permille.push(heartbeat.load_permille);
        decoded.progress.push(heartbeat.progress);
        decoded.pending.push(heartbeat.pending);
    }
    for descriptor in batch.descriptors() {
        let text = String::from;
        decoded.descriptor.push(proto::NodeDescriptor {
            name: text(descriptor.name),
            zone: text(descriptor.zone),
            label: (descriptor.labels.iter())
                .map(|&(key, value)| proto::Label { key: text(key), value: text(value) })
                .collect(),
            interval_ms: descriptor.interval_ms,
            profile: text(descriptor.profile),
            service: descriptor.services.iter().map(|&service| text(service)).collect(),
            round_trip_time_us: descriptor.round_trip_time_us,
            probe: text(descriptor.probe),
        });
    }
    for departure in batch.departures() {
        decoded.departure.push(proto::Departure {
            node_id: departure.node_id.0,
            incarnation: departure.incarnation.0,
            sequence: departure.sequence.0,
            reason: departure.reason as i32,
            expected_return_ms: departure.expected_return_ms,
        });
    }
    assert_eq!(decoded, with_full_columns(reference.clone()));
}

/// An empty column means zeros.
fn with_full_columns(mut batch: HeartbeatBatch) -> HeartbeatBatch {
    let count = batch.node_id.len();
    batch.sequence.resize(count, 0);
    batch.incarnation.resize(count, 0);
    batch.sent_offset_us.resize(count, 0);
    batch.status.resize(count, 0);
    batch.load_permille.resize(count, 0);
    batch.progress.resize(count, 0);
    batch.pending.resize(count, 0);
    batch
}
