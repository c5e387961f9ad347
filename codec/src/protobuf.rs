//! The few parts of the protobuf wire format that a heartbeat needs: a reader that cannot run past its bytes, and a
//! writer that cannot write what the reader refuses.
//!
//! A message is a row of fields; a field is a key (field number and wire type, one varint) and a value:
//!
//! ```text
//!  wire type   0        1          2                   5
//!  value       varint   8 bytes    length, then bytes  4 bytes
//! ```
//!
//! [`FieldReader`] hands out one field at a time, borrowed, and whoever reads skips the numbers he does not know. It
//! accepts what protobuf libraries accept (varints longer than needed, fields in any order) with one exception:
//! groups, wire types 3 and 4, are refused. They are deprecated, proto3 cannot declare them, and this schema never
//! will, so nobody can have sent one; without them nothing here recurses.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. This is not a general protobuf library: no zigzag,
//! no floats, no maps.

use crate::reject::RejectReason;

/// Most bytes of one varint.
pub(crate) const VARINT_BYTES_MAX: usize = 10;
/// The bit of each byte that says whether the varint goes on.
pub(crate) const CONTINUATION_BITS: u64 = 0x8080_8080_8080_8080;

/// The value of a field, not yet interpreted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a text, a message or a packed column.
    Bytes(&'a [u8]),
    /// Wire type 5. No field of ours has it; it is read so that it can be skipped.
    Fixed32,
}

impl<'a> Value<'a> {
    /// The number, or the reason to refuse a known field of another wire type.
    #[inline]
    pub(crate) fn varint(self) -> Result<u64, RejectReason> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(RejectReason::BadProtobuf),
        }
    }

    /// The number, or the reason to refuse a known field of another wire type.
    #[inline]
    pub(crate) fn fixed64(self) -> Result<u64, RejectReason> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(RejectReason::BadProtobuf),
        }
    }

    /// The bytes, or the reason to refuse a known field of another wire type.
    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], RejectReason> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(RejectReason::BadProtobuf),
        }
    }
}

/// Reads the fields of one message, in their order.
#[derive(Clone, Debug)]
pub(crate) struct FieldReader<'a> {
    rest: &'a [u8],
}

impl<'a> FieldReader<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value; `None` at the end of the message.
    #[inline]
    pub(crate) fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, RejectReason> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = read_varint(&mut self.rest)?;
        let key = u32::try_from(key).map_err(|_| RejectReason::BadProtobuf)?;
        let value = match key & 7 {
            0 => Value::Varint(read_varint(&mut self.rest)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = read_varint(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| RejectReason::BadProtobuf)?;
                Value::Bytes(self.split(length)?)
            }
            5 => {
                let _: [u8; 4] = self.array()?;
                Value::Fixed32
            }
            // 3 and 4 are groups, 6 and 7 do not exist.
            _ => return Err(RejectReason::BadProtobuf),
        };
        match key >> 3 {
            0 => Err(RejectReason::BadProtobuf),
            number => Ok(Some((number, value))),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RejectReason> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(RejectReason::BadProtobuf)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn split(&mut self, length: usize) -> Result<&'a [u8], RejectReason> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(RejectReason::BadProtobuf)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// Takes one varint off the front of `bytes`.
///
/// # Errors
/// [`RejectReason::BadProtobuf`] if it does not end within `bytes`, is longer than ten bytes or above 64 bits.
#[inline]
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Result<u64, RejectReason> {
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(byte));
    }
    if let Some(word) = bytes.first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // The last byte of a varint is the first whose top bit is clear.
        let ends = !word & CONTINUATION_BITS;
        if ends != 0 {
            let bit_count = ends.trailing_zeros() + 1;
            *bytes = bytes.get(bit_count as usize / 8..).unwrap_or_default();
            return Ok(join_groups(word & (u64::MAX >> (64 - bit_count))));
        }
    }
    read_long_varint(bytes)
}

/// Moves the low seven bits of all eight bytes together: pairs first, then pairs of pairs.
#[inline]
pub(crate) const fn join_groups(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

#[cold]
#[inline(never)]
fn read_long_varint(bytes: &mut &[u8]) -> Result<u64, RejectReason> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        // The tenth byte carries the 64th bit and nothing else.
        if index == VARINT_BYTES_MAX - 1 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = bytes.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(RejectReason::BadProtobuf)
}

/// How many bytes [`put_varint`] writes.
#[inline]
pub(crate) const fn varint_bytes(value: u64) -> usize {
    // ceil(bits / 7), and one byte for zero.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint in its shortest form.
#[inline]
pub(crate) fn put_varint(mut value: u64, target: &mut Vec<u8>) {
    while value >= 0x80 {
        target.push(0x80 | value.to_le_bytes()[0]);
        value >>= 7;
    }
    target.push(value.to_le_bytes()[0]);
}

/// Appends a varint field, unless it has the default value.
pub(crate) fn put_varint_field(number: u32, value: u64, target: &mut Vec<u8>) {
    if value != 0 {
        put_key(number, 0, target);
        put_varint(value, target);
    }
}

/// Appends a fixed64 field, unless it has the default value.
pub(crate) fn put_fixed64_field(number: u32, value: u64, target: &mut Vec<u8>) {
    if value != 0 {
        put_key(number, 1, target);
        target.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a length-delimited field, empty or not.
pub(crate) fn put_bytes_field(number: u32, bytes: &[u8], target: &mut Vec<u8>) {
    put_length(number, bytes.len(), target);
    target.extend_from_slice(bytes);
}

/// Appends the key and the length of a length-delimited field; the caller appends its bytes.
pub(crate) fn put_length(number: u32, length: usize, target: &mut Vec<u8>) {
    put_key(number, 2, target);
    put_varint(length as u64, target);
}

/// Bytes of a length-delimited field with a number below 16.
pub(crate) const fn bytes_field_bytes(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

/// Bytes of a varint field with a number below 16.
pub(crate) const fn varint_field_bytes(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_bytes(value) }
}

fn put_key(number: u32, wire_type: u32, target: &mut Vec<u8>) {
    put_varint(u64::from(number << 3 | wire_type), target);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_survive_the_round_trip() {
        for bits in 0..64 {
            for value in [1_u64 << bits, (1 << bits) - 1, u64::MAX >> bits] {
                let mut bytes = Vec::new();
                put_varint(value, &mut bytes);
                assert_eq!(bytes.len(), varint_bytes(value), "{value}");
                // With and without bytes behind it: the reader has a path for each.
                for trailing_bytes in [0, 9] {
                    let mut padded = bytes.clone();
                    padded.resize(bytes.len() + trailing_bytes, 0xff);
                    let mut rest = padded.as_slice();
                    assert_eq!(read_varint(&mut rest), Ok(value));
                    assert_eq!(rest.len(), trailing_bytes);
                }
            }
        }
    }

    #[test]
    fn varint_agrees_with_prost_on_any_twelve_bytes() {
        // Method: all placements of continuation bits over twelve bytes, with three fillings.
        for continuation in 0..1_u32 << 12 {
            for filling in [0x00, 0x01, 0x7f] {
                let bytes: Vec<u8> =
                    (0..12).map(|index| u8::from(continuation >> index & 1 == 1) << 7 | filling).collect();
                for length in [12, 11, 10, 5, 1, 0] {
                    let mut ours = &bytes[..length];
                    let mut theirs = &bytes[..length];
                    let expected = prost::encoding::decode_varint(&mut theirs).ok();
                    assert_eq!(read_varint(&mut ours).ok(), expected);
                    if expected.is_some() {
                        assert_eq!(ours, theirs);
                    }
                }
            }
        }
    }

    #[test]
    fn reader_refuses_groups_unknown_wire_types_field_zero_and_keys_above_32_bits() {
        for bytes in
            [&[0x0b_u8][..], &[0x0c], &[0x0e], &[0x0f], &[0x00, 0x00], &[0x88, 0x80, 0x80, 0x80, 0x10, 0]]
        {
            assert_eq!(FieldReader::new(bytes).next_field(), Err(RejectReason::BadProtobuf), "{bytes:?}");
        }
    }

    #[test]
    fn reader_refuses_values_that_end_behind_the_message() {
        for bytes in [&[0x08_u8][..], &[0x09, 1, 2, 3, 4, 5, 6, 7], &[0x0a, 2, 0], &[0x0d, 1, 2, 3], &[0x0a]]
        {
            assert_eq!(FieldReader::new(bytes).next_field(), Err(RejectReason::BadProtobuf), "{bytes:?}");
        }
    }
}
