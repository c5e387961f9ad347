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
    let batch = batch.slice(..header.batch_bytes);
    let count = usize::try_from(header.records()).unwrap_or(usize::MAX);
    let mut records = Vec::with_capacity(count.min(batch.len() / RECORD_BYTES_MIN));
    let mut input = Input::new(&batch, BATCH_HEADER_BYTES);
    for index in 0..count {
        let record = decode_record(&batch, &mut input, index, header.base_timestamp_ms);
        records.push(record.ok_or(BatchFault::MalformedRecord(index))?);
    }
    if input.position() != batch.len() {
        return Err(BatchFault::MalformedRecord(count));
    }
    Ok(records)
}

fn decode_record(
    batch: &Bytes,
    input: &mut Input<'_>,
    index: usize,
    base_timestamp_ms: i64,
) -> Option<Record> {
    let body = input.nullable_length()??;
    let end = input.position() + body;
    input.byte()?; // Attributes: none are defined; a later version may use them for what a reader can ignore.
    let timestamp_delta_ms = input.varlong()?;
    let offset_delta = input.varlong()?;
    if usize::try_from(offset_delta) != Ok(index) {
        return None;
    }
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
    (input.position() == end).then_some(Record { timestamp_ms, key, value, headers })
}

/// `range` was checked against the batch by [`Input`].
fn slice(batch: &Bytes, range: Option<Range<usize>>) -> Option<Bytes> {
    range.map(|range| batch.slice(range))
}
