//! Kafka record batches v2: the unit that is written, checked and served.
//!
//! ```text
//!  0  base offset        i64   offset of the first record
//!  8  batch length       i32   bytes from here on, after these 12
//! 12  leader epoch       i32   0
//! 16  magic              i8    2
//! 17  crc                u32   CRC-32C of everything below ────────────────┐
//! 21  attributes         i16   0: no compression, timestamps by producer   │
//! 23  last offset delta  i32   record count - 1                            │
//! 27  base timestamp     i64   ms, of the first record                     │ covered
//! 35  max timestamp      i64   ms                                          │
//! 43  producer id        i64   -1 ┐                                        │
//! 51  producer epoch     i16   -1 ├ no idempotent producer                 │
//! 53  base sequence      i32   -1 ┘                                        │
//! 57  record count       i32                                               │
//! 61  records: length, attributes, timestamp delta, offset delta,          │
//!     key, value, headers; integers as zigzag varints  ────────────────────┘
//! ```
//!
//! All fixed integers are big-endian (<https://kafka.apache.org/documentation/#recordbatch>). The checksum leaves out
//! the first 21 bytes, so that a broker may assign offsets without hashing again. Whoever reads a file must therefore
//! check those himself: [`BatchHeader::verify`] compares the base offset with the expected one, and a wrong length moves
//! the end of what the checksum covers.
//!
//! In a compacted topic the offsets of a batch may have gaps: it then covers more offsets than it has records, and the
//! batches of a segment still follow each other without one, so that each base offset can be checked.
//!
//! Compressed, transactional and control batches are refused: this log never writes them.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use crate::limits::{BATCH_BYTES_MAX, BATCH_HEADER_BYTES};

pub use decode::decode_batch;
pub(crate) use decode::decode_sparse_batch;
pub use encode::encode_batch;
pub(crate) use encode::{BatchWriter, record_bytes};

/// Where the batch length counts from.
pub(crate) const LENGTH_COUNTS_FROM: usize = 12;
/// Where the checksum stands.
pub(crate) const CHECKSUM_AT: usize = 17;
/// Where the bytes that the checksum covers begin.
pub(crate) const CHECKED_FROM: usize = 21;
/// Where the producer's id, epoch and sequence stand: 14 bytes, all ones in every batch of this log.
pub(crate) const PRODUCER_AT: usize = 43;
/// Producer id, epoch and sequence of no idempotent producer.
pub(crate) const NO_PRODUCER: [u8; 14] = [0xff; 14];
/// The version of the format.
const MAGIC: u8 = 2;

/// The fields of a batch before its records that a reader needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: u64,
    /// Bytes of the whole batch, this header included.
    pub batch_bytes: usize,
    /// Leader epoch: 0.
    pub leader_epoch: i32,
    /// Version of the format: 2.
    pub magic: u8,
    /// CRC-32C from the attributes to the end.
    pub checksum: u32,
    /// Compression, timestamp type, transaction bits: 0.
    pub attributes: i16,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: i32,
    /// Milliseconds since the Unix epoch, of the first record.
    pub base_timestamp_ms: i64,
    /// The latest timestamp of the batch, in milliseconds.
    pub max_timestamp_ms: i64,
    /// How many records follow.
    pub record_count: i32,
}

/// Why bytes are not the batch that should stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BatchFault {
    /// No bytes at all.
    #[error("the file ends here")]
    EndOfFile,
    /// Fewer bytes than the header, or than the header says.
    #[error("{found_bytes} of {needed_bytes} bytes are there")]
    Truncated {
        /// What the header, or the batch, takes.
        needed_bytes: usize,
        /// What is left of the input.
        found_bytes: usize,
    },
    /// The length field says less than a header or more than [`BATCH_BYTES_MAX`].
    #[error("the batch length {0} is out of bounds")]
    LengthOutOfBounds(i32),
    /// Not version 2 of the format.
    #[error("the magic is {0}, not 2")]
    WrongMagic(u8),
    /// CRC-32C of the content is not the stored one.
    #[error("the checksum is {stored:08x}, the content's is {computed:08x}")]
    WrongChecksum {
        /// In the file.
        stored: u32,
        /// Of the content.
        computed: u32,
    },
    /// Another offset than the one that follows the batch before.
    #[error("the base offset is {found}, not {expected}")]
    WrongOffset {
        /// One more than the last record before.
        expected: u64,
        /// In the file, as it stands there.
        found: u64,
    },
    /// The leader epoch is not 0.
    #[error("the leader epoch is {0}, not 0")]
    WrongLeaderEpoch(i32),
    /// A kind of batch that this log never writes: compressed, transactional, control.
    #[error("attributes {0:#x} are not supported")]
    UnsupportedAttributes(i16),
    /// The count of records and the last offset delta do not fit each other.
    #[error("{record_count} records, but the last offset delta is {last_offset_delta}")]
    WrongCount {
        /// As the header says.
        record_count: i32,
        /// As the header says.
        last_offset_delta: i32,
    },
    /// The records do not decode, or leave bytes over.
    #[error("record {0} of the batch does not decode")]
    MalformedRecord(usize),
    /// A segment file begins at another offset than the one before it ends with, or is missing.
    #[error("the segment begins at offset {found}, and the one before it ends before {expected}")]
    SegmentGap {
        /// Where the next segment must begin.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
}

impl BatchHeader {
    /// Reads a header and checks its length field; nothing else is checked.
    ///
    /// # Errors
    /// If there are fewer than 61 bytes, or the length is out of bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchFault> {
        let Some(header) = bytes.first_chunk::<BATCH_HEADER_BYTES>() else {
            let found_bytes = bytes.len();
            return Err(BatchFault::Truncated { needed_bytes: BATCH_HEADER_BYTES, found_bytes });
        };
        let length = i32::from_be_bytes(field(header, 8));
        let Some(batch_bytes) = batch_bytes_of_length(length) else {
            return Err(BatchFault::LengthOutOfBounds(length));
        };
        Ok(Self {
            base_offset: u64::from_be_bytes(field(header, 0)),
            batch_bytes,
            leader_epoch: i32::from_be_bytes(field(header, 12)),
            magic: header[16],
            checksum: u32::from_be_bytes(field(header, CHECKSUM_AT)),
            attributes: i16::from_be_bytes(field(header, CHECKED_FROM)),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp_ms: i64::from_be_bytes(field(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(header, 35)),
            record_count: i32::from_be_bytes(field(header, 57)),
        })
    }

    /// Checks everything about a batch except its records. `bytes` begins with the batch and may go on.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, bytes: &[u8], expected_offset: u64) -> Result<(), BatchFault> {
        self.verify_sparse(bytes, expected_offset)?;
        self.check_dense()
    }

    /// Whether no offset of the batch is without a record.
    pub(crate) const fn check_dense(&self) -> Result<(), BatchFault> {
        let Self { record_count, last_offset_delta, .. } = *self;
        if last_offset_delta == record_count - 1 {
            return Ok(());
        }
        Err(BatchFault::WrongCount { record_count, last_offset_delta })
    }

    /// The same for a batch that compaction may have written: some of its offsets may have no record.
    pub(crate) fn verify_sparse(&self, bytes: &[u8], expected_offset: u64) -> Result<(), BatchFault> {
        self.verify_checksum(bytes)?;
        if self.magic != MAGIC {
            return Err(BatchFault::WrongMagic(self.magic));
        }
        if self.leader_epoch != 0 {
            return Err(BatchFault::WrongLeaderEpoch(self.leader_epoch));
        }
        if self.attributes != 0 {
            return Err(BatchFault::UnsupportedAttributes(self.attributes));
        }
        if self.base_offset != expected_offset {
            return Err(BatchFault::WrongOffset { expected: expected_offset, found: self.base_offset });
        }
        let counts_fit = self.record_count > 0 && self.last_offset_delta >= self.record_count - 1;
        if !counts_fit || self.base_offset.checked_add(self.offsets()).is_none() {
            let Self { record_count, last_offset_delta, .. } = *self;
            return Err(BatchFault::WrongCount { record_count, last_offset_delta });
        }
        Ok(())
    }

    /// Checks that the batch is whole and that its content has the stored checksum.
    pub(crate) fn verify_checksum(&self, bytes: &[u8]) -> Result<(), BatchFault> {
        let Some(batch) = bytes.get(..self.batch_bytes) else {
            let found_bytes = bytes.len();
            return Err(BatchFault::Truncated { needed_bytes: self.batch_bytes, found_bytes });
        };
        let computed = crc32c::crc32c(&batch[CHECKED_FROM..]);
        if computed != self.checksum {
            return Err(BatchFault::WrongChecksum { stored: self.checksum, computed });
        }
        Ok(())
    }

    /// How many records the batch has; 0 if its count is negative.
    #[must_use]
    pub fn records(&self) -> u64 {
        u64::try_from(self.record_count).unwrap_or(0)
    }

    /// How many offsets the batch covers: as many as it has records, or more after compaction.
    fn offsets(&self) -> u64 {
        u64::try_from(self.last_offset_delta).map_or(0, |delta| delta + 1)
    }

    /// The offset after the last record of a verified batch.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.base_offset.saturating_add(self.offsets())
    }
}

fn batch_bytes_of_length(length: i32) -> Option<usize> {
    let batch_bytes = usize::try_from(length).ok()?.checked_add(LENGTH_COUNTS_FROM)?;
    (BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&batch_bytes).then_some(batch_bytes)
}

/// The `N` bytes from `position`; all positions are constants within the header.
fn field<const N: usize>(header: &[u8; BATCH_HEADER_BYTES], position: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[position..position + N]);
    bytes
}
