//! How an offset lies in a record. All numbers are big-endian.
//!
//! ```text
//! key     version u8 = 0 │ length u16, group │ length u16, topic │ partition i32
//! value   version u8 = 0 │ offset i64 │ leader epoch i32 │ commit time in ms i64 │ length u16, metadata
//!         none: the offset was deleted
//! ```

use bytes::{Buf, BufMut, Bytes};

use super::{CommittedOffset, TopicPartition};
use crate::record::Record;

const VERSION: u8 = 0;

/// What one record says: the offset of this group and partition, or that there is none any more.
pub(super) type Entry = (String, TopicPartition, Option<CommittedOffset>);

pub(super) fn encode(
    group_id: &str,
    partition: &TopicPartition,
    offset: Option<&CommittedOffset>,
    now_ms: i64,
) -> Record {
    let mut key = vec![VERSION];
    put_text(&mut key, group_id);
    put_text(&mut key, &partition.topic);
    key.put_i32(partition.partition);
    let value = offset.map(|offset| {
        let mut value = vec![VERSION];
        value.put_i64(offset.offset);
        value.put_i32(offset.leader_epoch);
        value.put_i64(offset.commit_timestamp_ms);
        put_text(&mut value, &offset.metadata);
        value.into()
    });
    Record { timestamp_ms: now_ms, key: Some(key.into()), value, headers: Vec::new() }
}

/// None if the record is not of this format.
pub(super) fn decode(record: &Record) -> Option<Entry> {
    let mut key = record.key.clone()?;
    check_version(&mut key)?;
    let group_id = take_text(&mut key)?;
    let topic = take_text(&mut key)?;
    let partition = TopicPartition { topic, partition: key.try_get_i32().ok()? };
    let offset = match &record.value {
        None => None,
        Some(value) => Some(decode_value(value.clone())?),
    };
    key.is_empty().then_some((group_id, partition, offset))
}

fn decode_value(mut value: Bytes) -> Option<CommittedOffset> {
    check_version(&mut value)?;
    let offset = CommittedOffset {
        offset: value.try_get_i64().ok()?,
        leader_epoch: value.try_get_i32().ok()?,
        commit_timestamp_ms: value.try_get_i64().ok()?,
        metadata: take_text(&mut value)?,
    };
    value.is_empty().then_some(offset)
}

fn check_version(bytes: &mut Bytes) -> Option<()> {
    (bytes.try_get_u8().ok()? == VERSION).then_some(())
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.put_u16(u16::try_from(text.len()).expect("the bounds of the store are below 16 bits"));
    bytes.put_slice(text.as_bytes());
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u16().ok()?);
    if length > bytes.len() {
        return None;
    }
    String::from_utf8(bytes.split_to(length).to_vec()).ok()
}
