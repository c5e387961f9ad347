//! `ListOffsets`: the first, the next, or the first at a time.

use super::LEADER_EPOCH;
use crate::kafka::wire::{Reader, WireError, Writer};

/// Partitions of one topic.
#[derive(Debug)]
pub(in crate::kafka) struct Topic<'a> {
    pub(in crate::kafka) name: &'a str,
    pub(in crate::kafka) partitions: Vec<Partition>,
}

/// What is asked of one partition.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka) struct Partition {
    pub(in crate::kafka) index: i32,
    pub(in crate::kafka) leader_epoch: i32,
    pub(in crate::kafka) timestamp: i64,
}

/// The answer about one partition.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka) struct Found {
    pub(in crate::kafka) error: i16,
    pub(in crate::kafka) timestamp: i64,
    pub(in crate::kafka) offset: i64,
}

/// Instead of a time: the offset after the last record.
pub(in crate::kafka) const LATEST: i64 = -1;
/// Instead of a time: the oldest record.
pub(in crate::kafka) const EARLIEST: i64 = -2;
/// Instead of a time: the record with the latest one.
pub(in crate::kafka) const MAX_TIMESTAMP: i64 = -3;

impl Found {
    /// Nothing there.
    pub(in crate::kafka) const fn nothing(error: i16) -> Self {
        Self { error, timestamp: -1, offset: -1 }
    }
}

pub(in crate::kafka) fn read(mut reader: Reader<'_>, version: i16) -> Result<Vec<Topic<'_>>, WireError> {
    reader.int32()?; // Replica: a consumer.
    if version >= 2 {
        reader.int8()?; // Isolation level: there are no transactions.
    }
    let topics = reader.array(2, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(12, |reader| {
            let index = reader.int32()?;
            let leader_epoch = if version >= 4 { reader.int32()? } else { -1 };
            let timestamp = reader.int64()?;
            reader.tags()?;
            Ok(Partition { index, leader_epoch, timestamp })
        })?;
        reader.tags()?;
        Ok(Topic { name, partitions })
    })?;
    reader.tags()?;
    reader.finish()?;
    Ok(topics)
}

pub(in crate::kafka) fn write(
    writer: &mut Writer,
    version: i16,
    topics: &[Topic<'_>],
    mut find: impl FnMut(&str, &Partition) -> Found,
) {
    if version >= 2 {
        writer.int32(0);
    }
    writer.array(topics, |writer, topic| {
        writer.string(topic.name);
        writer.array(&topic.partitions, |writer, partition| {
            let found = find(topic.name, partition);
            writer.int32(partition.index);
            writer.int16(found.error);
            writer.int64(found.timestamp);
            writer.int64(found.offset);
            if version >= 4 {
                writer.int32(LEADER_EPOCH);
            }
            writer.tags();
        });
        writer.tags();
    });
    writer.tags();
}
