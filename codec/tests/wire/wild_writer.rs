//! Writes a batch as a protobuf library legally may, but as none of ours does: fields in any order, columns in pieces
//! and as single values, varints longer than needed, scalars more than once, and fields that nobody knows.

use prost::Message as _;
use pulsegate_codec::proto::HeartbeatBatch;

/// A source of small decisions, so that a failing case can be shrunk and replayed. Repeats itself when it runs out.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
    index: usize,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, index: 0 }
    }

    /// A number below `bound`, which must be 256 at most.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.index += 1;
        match self.bytes.len() {
            0 => 0,
            length => usize::from(self.bytes[self.index % length]) % bound,
        }
    }
}

/// The message of `batch`, written wildly. prost reads it as the same batch.
pub(crate) fn write_wildly(batch: &HeartbeatBatch, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut chunks: Vec<Vec<Vec<u8>>> = vec![
        scalar(1, 1, &batch.sender_id.to_le_bytes(), choices),
        scalar(2, 0, &wild_varint(batch.sender_sequence, choices), choices),
        scalar(3, 0, &wild_varint(batch.sent_at_unix_us, choices), choices),
        column(4, batch.node_id.iter().map(|id| id.to_le_bytes().to_vec()).collect(), 1, choices),
    ];
    let columns = [
        (5, &batch.sequence),
        (6, &batch.incarnation),
        (7, &batch.sent_offset_us),
        (8, &batch.status),
        (9, &batch.load_permille),
        (11, &batch.pending),
    ];
    for (number, values) in columns {
        let values = values.iter().map(|&value| wild_varint(value.into(), choices)).collect();
        chunks.push(column(number, values, 0, choices));
    }
    let progress = batch.progress.iter().map(|&value| wild_varint(value, choices)).collect();
    chunks.push(column(10, progress, 0, choices));
    chunks.push(
        batch.descriptor.iter().map(|descriptor| bytes_field(12, &descriptor.encode_to_vec())).collect(),
    );
    chunks
        .push(batch.departure.iter().map(|departure| bytes_field(13, &departure.encode_to_vec())).collect());
    chunks.push((0..choices.below(3)).map(|_| unknown_field(choices)).collect());
    interleave(chunks, choices)
}

/// Pieces of one field keep their order; fields mix freely.
fn interleave(mut fields: Vec<Vec<Vec<u8>>>, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    fields.retain(|pieces| !pieces.is_empty());
    while !fields.is_empty() {
        let index = choices.below(fields.len());
        message.extend(fields[index].remove(0));
        fields.retain(|pieces| !pieces.is_empty());
    }
    message
}

/// A scalar, perhaps after another value of the same field, which must not count.
fn scalar(number: u8, wire_type: u8, value: &[u8], choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let key = number << 3 | wire_type;
    let other = if wire_type == 1 { vec![key, 1, 2, 3, 4, 5, 6, 7, 8] } else { vec![key, 99] };
    let last = [&[key], value].concat();
    if choices.below(4) == 0 { vec![other, last] } else { vec![last] }
}

/// A column of encoded values: packed, in packed pieces, or one by one.
fn column(number: u8, values: Vec<Vec<u8>>, wire_type: u8, choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = values.as_slice();
    while !rest.is_empty() {
        let take_count =
            if choices.below(2) == 0 { rest.len() } else { 1 + choices.below(rest.len().min(200)) };
        let (piece, later) = rest.split_at(take_count);
        rest = later;
        if choices.below(3) == 0 {
            pieces.extend(piece.iter().map(|value| [&[number << 3 | wire_type], value.as_slice()].concat()));
        } else {
            pieces.push(bytes_field(number, &piece.concat()));
        }
    }
    if choices.below(8) == 0 {
        pieces.push(bytes_field(number, &[]));
    }
    pieces
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

/// A field of a later version: one of the four wire types that are not groups, with a number of one or two bytes.
fn unknown_field(choices: &mut Choices<'_>) -> Vec<u8> {
    let number = if choices.below(2) == 0 { 15 } else { 2_000 };
    let mut field = Vec::new();
    let (wire_type, value): (u64, &[u8]) = match choices.below(4) {
        0 => (0, &[0xff, 0x01]),
        1 => (1, &[1, 2, 3, 4, 5, 6, 7, 8]),
        2 => (2, &[3, 0xff, 0xff, 0xff]),
        _ => (5, &[1, 2, 3, 4]),
    };
    prost::encoding::encode_varint(number << 3 | wire_type, &mut field);
    field.extend_from_slice(value);
    field
}

/// A varint, perhaps longer than needed.
fn wild_varint(value: u64, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(value, &mut bytes);
    if choices.below(4) == 0 && bytes.len() < 10 {
        let padding_bytes = 1 + choices.below(10 - bytes.len());
        if let Some(last) = bytes.last_mut() {
            *last |= 0x80;
        }
        bytes.extend(std::iter::repeat_n(0x80, padding_bytes - 1));
        bytes.push(0);
    }
    bytes
}
