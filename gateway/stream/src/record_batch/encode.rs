//! Records into batches, appended to one buffer that the caller keeps.
//!
//! [`BatchWriter`] reserves a header, appends records as they come, and fills the header in when the batch is complete:
//! no record is copied twice and nothing is allocated but the buffer's growth.

use super::{CHECKED_FROM, CHECKSUM_AT, LENGTH_COUNTS_FROM, MAGIC, NO_PRODUCER, PRODUCER_AT};
use crate::limits::{BATCH_BYTES_MAX, BATCH_HEADER_BYTES, RECORDS_PER_BATCH_MAX};
use crate::record::Record;
use crate::varint;

/// Appends one batch to `buffer`.
///
/// # Panics
/// If `records` is empty, or has more records or bytes than a batch may have.
pub fn encode_batch(buffer: &mut Vec<u8>, base_offset: u64, records: &[Record]) {
    assert!(!records.is_empty(), "a batch has at least one record");
    let mut writer = BatchWriter::new(buffer, base_offset);
    for record in records {
        assert!(writer.has_room_for(record), "the caller keeps a batch within its bounds");
        writer.push(record);
    }
    writer.finish();
}

/// Most bytes that `record` takes in any batch.
pub(crate) fn record_bytes(record: &Record) -> usize {
    // The deltas depend on the place in the batch: the widest ones are counted.
    let body_bytes = record_body_bytes(record, i64::MIN, i64::from(i32::MAX));
    varint::encoded_bytes(signed(body_bytes)) + body_bytes
}

/// A batch under construction at the end of a buffer.
pub(crate) struct BatchWriter<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    base_offset: u64,
    record_count: usize,
    /// Of the next record, unless it leaves a gap.
    next_delta: usize,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl<'a> BatchWriter<'a> {
    /// Begins a batch at the end of `buffer`. Without [`Self::finish`] it stays garbage.
    pub(crate) fn new(buffer: &'a mut Vec<u8>, base_offset: u64) -> Self {
        let start = buffer.len();
        buffer.resize(start + BATCH_HEADER_BYTES, 0);
        Self {
            buffer,
            start,
            base_offset,
            record_count: 0,
            next_delta: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: i64::MIN,
        }
    }

    /// Whether `record` may join the batch.
    pub(crate) fn has_room_for(&self, record: &Record) -> bool {
        self.record_count < RECORDS_PER_BATCH_MAX
            && self.buffer.len() - self.start + record_bytes(record) <= BATCH_BYTES_MAX
    }

    /// Appends one record at the next offset.
    pub(crate) fn push(&mut self, record: &Record) {
        self.push_at(self.next_delta, record);
    }

    /// Appends one record so many offsets after the first of the batch.
    pub(crate) fn push_at(&mut self, delta: usize, record: &Record) {
        assert!(delta >= self.next_delta, "offsets rise");
        if self.record_count == 0 {
            self.base_timestamp_ms = record.timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        // Kafka's readers add the delta back with the same wrap.
        let timestamp_delta_ms = record.timestamp_ms.wrapping_sub(self.base_timestamp_ms);
        put_record(self.buffer, record, timestamp_delta_ms, signed(delta));
        self.record_count += 1;
        self.next_delta = delta + 1;
    }

    /// Fills in the header. Returns how many records the batch has.
    pub(crate) fn finish(self) -> u64 {
        assert!(self.record_count > 0, "a batch has at least one record");
        let batch = &mut self.buffer[self.start..];
        let length = i32_of(batch.len() - LENGTH_COUNTS_FROM);
        let record_count = i32_of(self.record_count);
        batch[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        // Leader epoch and attributes stay 0.
        batch[16] = MAGIC;
        batch[23..27].copy_from_slice(&i32_of(self.next_delta - 1).to_be_bytes());
        batch[27..35].copy_from_slice(&self.base_timestamp_ms.to_be_bytes());
        batch[35..43].copy_from_slice(&self.max_timestamp_ms.to_be_bytes());
        batch[PRODUCER_AT..PRODUCER_AT + NO_PRODUCER.len()].copy_from_slice(&NO_PRODUCER);
        batch[57..61].copy_from_slice(&record_count.to_be_bytes());
        let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
        self.record_count as u64
    }
}

fn put_record(buffer: &mut Vec<u8>, record: &Record, timestamp_delta_ms: i64, offset_delta: i64) {
    varint::put(buffer, signed(record_body_bytes(record, timestamp_delta_ms, offset_delta)));
    buffer.push(0); // Attributes: none are defined.
    varint::put(buffer, timestamp_delta_ms);
    varint::put(buffer, offset_delta);
    put_nullable(buffer, record.key.as_deref());
    put_nullable(buffer, record.value.as_deref());
    varint::put(buffer, signed(record.headers.len()));
    for header in &record.headers {
        put_nullable(buffer, Some(header.name.as_bytes()));
        put_nullable(buffer, header.value.as_deref());
    }
}

fn record_body_bytes(record: &Record, timestamp_delta_ms: i64, offset_delta: i64) -> usize {
    let headers = record.headers.iter();
    let headers_bytes: usize = headers
        .map(|header| nullable_bytes(Some(header.name.as_bytes())) + nullable_bytes(header.value.as_deref()))
        .sum();
    1 + varint::encoded_bytes(timestamp_delta_ms)
        + varint::encoded_bytes(offset_delta)
        + nullable_bytes(record.key.as_deref())
        + nullable_bytes(record.value.as_deref())
        + varint::encoded_bytes(signed(record.headers.len()))
        + headers_bytes
}

fn put_nullable(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(buffer, -1),
        Some(bytes) => {
            varint::put(buffer, signed(bytes.len()));
            buffer.extend_from_slice(bytes);
        }
    }
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::encoded_bytes(-1),
        Some(bytes) => varint::encoded_bytes(signed(bytes.len())) + bytes.len(),
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).expect("what lies in memory is shorter than 2^63 bytes")
}

fn i32_of(count: usize) -> i32 {
    i32::try_from(count).expect("a batch is bounded far below 2^31")
}
