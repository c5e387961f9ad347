//! Responses into a buffer, in the classic or the flexible encoding. The first four bytes are left for the length.

use crate::kafka::limits::{RESPONSE_BYTES_MAX, UNSHARED_BYTES_MAX};

/// Writes one response.
#[derive(Debug)]
pub(in crate::kafka) struct Writer {
    buffer: Vec<u8>,
    bytes_max: usize,
    /// Something was left out: it is no response.
    is_cut: bool,
    is_flexible: bool,
}

/// Bytes of the length before a response.
const LENGTH_BYTES: usize = 4;

impl Writer {
    /// A response to the request with this correlation id. `has_tags` tells whether its header has a tag section.
    pub(in crate::kafka) fn new(correlation_id: i32, is_flexible: bool, has_tags: bool) -> Self {
        let buffer = vec![0; LENGTH_BYTES];
        let mut writer = Self { buffer, bytes_max: RESPONSE_BYTES_MAX, is_cut: false, is_flexible };
        writer.int32(correlation_id);
        if has_tags {
            writer.extend([0]);
        }
        writer
    }

    /// Makes room for records, which have a bound of their own.
    pub(in crate::kafka) fn reserve(&mut self, bytes: usize) {
        self.bytes_max = self.bytes_max.saturating_add(bytes);
        self.buffer.reserve_exact(bytes);
    }

    fn extend(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if self.is_cut || bytes.len() > self.bytes_max - self.buffer.len() {
            self.is_cut = true;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    pub(in crate::kafka) fn int8(&mut self, value: i8) {
        self.extend(value.to_be_bytes());
    }

    pub(in crate::kafka) fn int16(&mut self, value: i16) {
        self.extend(value.to_be_bytes());
    }

    pub(in crate::kafka) fn int32(&mut self, value: i32) {
        self.extend(value.to_be_bytes());
    }

    pub(in crate::kafka) fn int64(&mut self, value: i64) {
        self.extend(value.to_be_bytes());
    }

    pub(in crate::kafka) fn boolean(&mut self, value: bool) {
        self.int8(i8::from(value));
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.extend([value.to_le_bytes()[0] | 0x80]);
            value >>= 7;
        }
        self.extend([value.to_le_bytes()[0]]);
    }

    fn length(&mut self, length: Option<usize>, classic: impl FnOnce(&mut Self, Option<usize>)) {
        if self.is_flexible {
            self.unsigned_varint(length.map_or(0, |length| length + 1));
        } else {
            classic(self, length);
        }
    }

    fn length32(&mut self, length: Option<usize>) {
        self.int32(
            length.map_or(-1, |length| i32::try_from(length).expect("responses are bounded far below 2^31")),
        );
    }

    /// Strings longer than the protocol's 32 KiB are cut: none of ours comes near, and echoed ones came in as short.
    pub(in crate::kafka) fn nullable_string(&mut self, string: Option<&str>) {
        let bytes = string.map(str::as_bytes).map(|bytes| &bytes[..bytes.len().min(i16::MAX as usize)]);
        self.length(bytes.map(<[u8]>::len), |writer, length| {
            let length = length.and_then(|length| i16::try_from(length).ok());
            writer.int16(length.unwrap_or(-1));
        });
        self.extend(bytes.unwrap_or_default());
    }

    pub(in crate::kafka) fn string(&mut self, string: &str) {
        self.nullable_string(Some(string));
    }

    pub(in crate::kafka) fn bytes(&mut self, bytes: &[u8]) {
        self.length(Some(bytes.len()), Self::length32);
        self.extend(bytes);
    }

    /// An array, each element written by `element`.
    pub(in crate::kafka) fn array<T>(
        &mut self,
        elements: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut element: impl FnMut(&mut Self, T),
    ) {
        let elements = elements.into_iter();
        self.array_length(elements.len());
        for each in elements {
            element(self, each);
        }
    }

    /// No array.
    pub(in crate::kafka) fn null_array(&mut self) {
        self.length(None, Self::length32);
    }

    /// The end of a structure: no tagged fields.
    pub(in crate::kafka) fn tags(&mut self) {
        if self.is_flexible {
            self.extend([0]);
        }
    }

    /// The beginning of an array whose elements are written one by one.
    pub(in crate::kafka) fn array_length(&mut self, length: usize) {
        self.length(Some(length), Self::length32);
    }

    /// How long it is so far.
    pub(in crate::kafka) const fn written_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Gives back what is reserved for more: what is counted is bytes.
    pub(in crate::kafka) fn trim(&mut self) {
        if self.buffer.capacity() > UNSHARED_BYTES_MAX {
            self.buffer.shrink_to_fit();
        }
    }

    /// Whether it became longer than [`RESPONSE_BYTES_MAX`]: what was written last is missing.
    pub(in crate::kafka) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The bytes for the socket.
    pub(in crate::kafka) fn finish(mut self) -> Vec<u8> {
        let length =
            u32::try_from(self.buffer.len() - LENGTH_BYTES).expect("responses are bounded far below 2^32");
        self.buffer[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.trim();
        self.buffer
    }
}
