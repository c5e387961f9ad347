//! The primitive types of the Kafka protocol, read from bytes that nobody has checked and written to a buffer.
//!
//! A version of a request is either classic (16- and 32-bit lengths, -1 for null) or flexible (unsigned varints, the
//! length plus one, 0 for null, and a section of tagged fields after each structure). [`Reader`] and [`Writer`] know
//! which, so that whoever reads a request writes each field once (<https://kafka.apache.org/protocol#protocol_types>).
//!
//! Bounded by construction: strings and bytes are slices of the frame, and an array is only as long as what is left of
//! the frame has room for, so nothing is allocated by a number from the network; all arrays of a request together have
//! a bound, so that a megabyte of empty elements does not become fifty of structures. Bytes that are left over after a
//! request are an error: a field that was forgotten would show up there.

#[cfg(test)]
mod tests;
mod writer;

pub(super) use writer::Writer;

/// Why a frame is not a request. The connection is closed, as Kafka does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum WireError {
    /// A field, or the elements of an array, go on after the end of the frame.
    #[error("the frame ends within a field")]
    Truncated,
    /// A length below null, or an integer of more bits than its type.
    #[error("a length or integer is out of bounds")]
    OutOfBounds,
    /// Null where the protocol has none.
    #[error("a field is null that cannot be")]
    Null,
    /// The arrays have more elements than any request has a reason for.
    #[error("the arrays have more than {ELEMENTS_MAX} elements")]
    TooMany,
    /// Strings are UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// The request is complete and bytes are left.
    #[error("{0} bytes are left over after the request")]
    LeftOver(usize),
}

/// Most elements of all arrays of a request together. One takes far more memory than the byte that it may have come in.
const ELEMENTS_MAX: usize = 4 * super::limits::PARTITIONS_PER_REQUEST_MAX;

type Read<T> = Result<T, WireError>;

/// A cursor over a frame.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    is_flexible: bool,
    elements_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], is_flexible: bool) -> Self {
        Self { bytes, is_flexible, elements_left: ELEMENTS_MAX }
    }

    /// The header is classic in its client id and flexible in its tags: the caller switches.
    pub(super) const fn set_flexible(&mut self, is_flexible: bool) {
        self.is_flexible = is_flexible;
    }

    pub(super) fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn int8(&mut self) -> Read<i8> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub(super) fn int16(&mut self) -> Read<i16> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(super) fn int32(&mut self) -> Read<i32> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(super) fn int64(&mut self) -> Read<i64> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(super) fn boolean(&mut self) -> Read<bool> {
        self.int8().map(|byte| byte != 0)
    }

    pub(super) fn unsigned_varint(&mut self) -> Read<u32> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(WireError::OutOfBounds);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::OutOfBounds)
    }

    /// A length in the encoding of this version; `classic` reads the other one. `None` stands for null.
    fn length(&mut self, classic: impl FnOnce(&mut Self) -> Read<i32>) -> Read<Option<usize>> {
        if self.is_flexible {
            let length_and_one = self.unsigned_varint()?;
            return Ok(length_and_one.checked_sub(1).map(|length| length as usize));
        }
        match classic(self)? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| WireError::OutOfBounds),
        }
    }

    pub(super) fn nullable_string(&mut self) -> Read<Option<&'a str>> {
        let Some(length) = self.length(|reader| reader.int16().map(i32::from))? else { return Ok(None) };
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| WireError::NotUtf8)
    }

    pub(super) fn string(&mut self) -> Read<&'a str> {
        self.nullable_string()?.ok_or(WireError::Null)
    }

    pub(super) fn nullable_bytes(&mut self) -> Read<Option<&'a [u8]>> {
        match self.length(Self::int32)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        self.nullable_bytes()?.ok_or(WireError::Null)
    }

    /// An array, each element read by `element` and at least `element_bytes_min` long.
    pub(super) fn nullable_array<T>(
        &mut self,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Option<Vec<T>>> {
        let Some(count) = self.length(Self::int32)? else { return Ok(None) };
        if count > self.bytes.len() / element_bytes_min {
            return Err(WireError::Truncated);
        }
        self.elements_left = self.elements_left.checked_sub(count).ok_or(WireError::TooMany)?;
        // It grows as elements are there, so a few large structures for many small claims are not reserved.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    pub(super) fn array<T>(
        &mut self,
        element_bytes_min: usize,
        element: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        self.nullable_array(element_bytes_min, element)?.ok_or(WireError::Null)
    }

    /// Passes over the tagged fields of a structure: none of those that clients send matters here.
    pub(super) fn tags(&mut self) -> Read<()> {
        if self.is_flexible {
            let count = self.unsigned_varint()?;
            for _ in 0..count {
                self.unsigned_varint()?;
                let length = self.unsigned_varint()?;
                self.take(length as usize)?;
            }
        }
        Ok(())
    }

    /// The end of a request.
    pub(super) const fn finish(&self) -> Read<()> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(WireError::LeftOver(left)),
        }
    }
}
