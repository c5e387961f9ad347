//! Variable-length integers of Kafka records: zigzag, then seven bits a byte, least significant first, as protobuf's
//! `sint64` (<https://kafka.apache.org/protocol#protocol_types>, VARINT and VARLONG).
//!
//! [`Input`] reads them from bytes that nobody has checked: every read is bounded and nothing panics.

/// Most bytes of an encoded 64-bit integer.
const VARLONG_BYTES_MAX: usize = 10;

/// Appends `value`.
pub(crate) fn put(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        buffer.push(low_byte(rest) | 0x80);
        rest >>= 7;
    }
    buffer.push(low_byte(rest));
}

/// How many bytes [`put`] appends.
pub(crate) const fn encoded_bytes(value: i64) -> usize {
    // At least one byte, else one each seven bits.
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Small magnitudes become small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

const fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// A cursor over unchecked bytes.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// How many bytes were read, from the start of the slice.
    pub(crate) const fn position(&self) -> usize {
        self.position
    }

    /// The next byte; `None` at the end.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    /// The next integer; `None` if it is cut off or longer than 64 bits.
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for index in 0..VARLONG_BYTES_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for the last of 64 bits only.
            if index == VARLONG_BYTES_MAX - 1 && bits > 1 {
                return None;
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        None
    }

    /// The next integer, which must be a length of what is left: `Some(None)` for -1, which stands for null.
    pub(crate) fn nullable_length(&mut self) -> Option<Option<usize>> {
        match self.varlong()? {
            -1 => Some(None),
            length => {
                let length = usize::try_from(length).ok()?;
                (length <= self.bytes.len() - self.position).then_some(Some(length))
            }
        }
    }

    /// The range of the next bytes with their length before them; `Some(None)` for null.
    pub(crate) fn nullable_range(&mut self) -> Option<Option<std::ops::Range<usize>>> {
        let Some(length) = self.nullable_length()? else { return Some(None) };
        let start = self.position;
        self.position += length;
        Some(Some(start..self.position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_encodings() {
        // From the protobuf encoding guide (sint64) and Kafka's ByteUtilsTest.
        for (value, expected) in [
            (0, &b"\x00"[..]),
            (-1, b"\x01"),
            (1, b"\x02"),
            (63, b"\x7e"),
            (-64, b"\x7f"),
            (64, b"\x80\x01"),
            (i64::from(i32::MAX), b"\xfe\xff\xff\xff\x0f"),
            (i64::MAX, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            (i64::MIN, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ] {
            let mut buffer = Vec::new();
            put(&mut buffer, value);
            assert_eq!(buffer, expected, "{value}");
        }
    }

    #[test]
    fn cut_or_overlong_integers_are_refused() {
        assert_eq!(Input::new(b"\x80", 0).varlong(), None);
        assert_eq!(Input::new(b"", 0).varlong(), None);
        assert_eq!(Input::new(&[0xff; 11], 0).varlong(), None);
        assert_eq!(Input::new(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 0).varlong(), None);
    }

    #[test]
    fn lengths_beyond_the_end_or_below_null_are_refused() {
        assert_eq!(Input::new(b"\x04ab", 0).nullable_range(), Some(Some(1..3)));
        assert_eq!(Input::new(b"\x06ab", 0).nullable_range(), None);
        assert_eq!(Input::new(b"\x01", 0).nullable_range(), Some(None));
        assert_eq!(Input::new(b"\x03ab", 0).nullable_range(), None);
    }

    proptest! {
        #[test]
        fn integers_round_trip(value in any::<i64>(), shift in 0..64_u32) {
            let value = value >> shift;
            let mut buffer = Vec::new();
            put(&mut buffer, value);
            prop_assert_eq!(buffer.len(), encoded_bytes(value));
            prop_assert_eq!(Input::new(&buffer, 0).varlong(), Some(value));
        }
    }
}
