//! A batch into records, without trust: nothing panics and nothing is allocated by a number from the input alone.

use std::ops::Range;

use bytes::Bytes;

use super::{BatchFault, BatchHeader};
use crate::limits::{BATCH_HEADER_BYTES, RECORD_BYTES_MIN};
use crate::record::{Header, Record};
use crate::varint::Input;

/// The records of a whole batch, oldest first; they point into `batch`.
///
/// The batch is verified first; `expected_offset` is the offset that its first record must have.
///
/// # Errors
/// If any check fails, a record does not decode, or bytes are left over.
pub fn decode_batch(batch: &Bytes, expected_offset: u64) -> Result<Vec<Record>, BatchFault> {
    let header = BatchHeader::parse(batch)?;
    header.verify(batch, expected_offset)?;
    let records = decode_records(batch, &header)?;
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// The records of a whole batch that may have gaps, each with its offset.
pub(crate) fn decode_sparse_batch(
    batch: &Bytes,
    expected_offset: u64,
) -> Result<Vec<(u64, Record)>, BatchFault> {
    let header = BatchHeader::parse(batch)?;
    header.verify_sparse(batch, expected_offset)?;
    decode_records(batch, &header)
}

fn decode_records(batch: &Bytes, header: &BatchHeader) -> Result<Vec<(u64, Record)>, BatchFault> {
    let batch = batch.slice(..header.batch_bytes);
    let count = usize::try_from(header.records()).unwrap_or(usize::MAX);
    let mut records = Vec::with_capacity(count.min(batch.len() / RECORD_BYTES_MIN));
    let mut input = Input::new(&batch, BATCH_HEADER_BYTES);
    let mut next_delta = 0;
    for index in 0..count {
        let decoded = decode_record(&batch, &mut input, header.base_timestamp_ms);
        let (delta, record) = decoded.ok_or(BatchFault::MalformedRecord(index))?;
        // The last one ends where the header says; those before rise, and in a batch without gaps by one.
        let is_dense = header.check_dense().is_ok();
        if delta < next_delta || (is_dense && delta > next_delta) || delta > header.last_offset_delta {
            return Err(BatchFault::MalformedRecord(index));
        }
        next_delta = delta.saturating_add(1);
        records.push((header.base_offset + u64::from(delta.unsigned_abs()), record));
    }
    if input.position() != batch.len() || next_delta != header.last_offset_delta.saturating_add(1) {
        return Err(BatchFault::MalformedRecord(count));
    }
    Ok(records)
}

/// A record and the difference of its offset to that of the batch.
fn decode_record(batch: &Bytes, input: &mut Input<'_>, base_timestamp_ms: i64) -> Option<(i32, Record)> {
    let body = input.nullable_length()??;
    let end = input.position() + body;
    input.byte()?; // Attributes: none are defined; a later version may use them for what a reader can ignore.
    let timestamp_delta_ms = input.varlong()?;
    let offset_delta = i32::try_from(input.varlong()?).ok()?;
    let key = slice(batch, input.nullable_range()?);
    let value = slice(batch, input.nullable_range()?);
    let header_count = usize::try_from(input.varlong()?).ok()?;
    // A header is two bytes at least.
    let mut headers = Vec::with_capacity(header_count.min(end.checked_sub(input.position())? / 2));
    for _ in 0..header_count {
        let name = &batch[input.nullable_range()??];
        let name = std::str::from_utf8(name).ok()?.to_owned();
        headers.push(Header { name: name.into(), value: slice(batch, input.nullable_range()?) });
    }
    let timestamp_ms = base_timestamp_ms.wrapping_add(timestamp_delta_ms);
    (input.position() == end).then_some((offset_delta, Record { timestamp_ms, key, value, headers }))
}

/// `range` was checked against the batch by [`Input`].
fn slice(batch: &Bytes, range: Option<Range<usize>>) -> Option<Bytes> {
    range.map(|range| batch.slice(range))
}
