//! `Fetch`: batches as they lie in the file.
//!
//! There are no fetch sessions: the answer always says session 0, and clients then name all partitions each time.

use super::error_code;
use crate::kafka::wire::{Reader, WireError, Writer};

/// The request. It may wait for long, so it holds nothing of the frame that it came in.
#[derive(Debug)]
pub(in crate::kafka) struct Request {
    pub(in crate::kafka) wait_ms: i32,
    pub(in crate::kafka) bytes_min: i32,
    pub(in crate::kafka) bytes_max: i32,
    pub(in crate::kafka) session_id: i32,
    pub(in crate::kafka) topics: Vec<Topic>,
}

/// Partitions of one topic.
#[derive(Debug)]
pub(in crate::kafka) struct Topic {
    pub(in crate::kafka) name: String,
    pub(in crate::kafka) partitions: Vec<Partition>,
}

/// What is asked of one partition.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka) struct Partition {
    pub(in crate::kafka) index: i32,
    pub(in crate::kafka) leader_epoch: i32,
    pub(in crate::kafka) offset: i64,
    pub(in crate::kafka) bytes_max: i32,
}

/// The answer about one partition.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct Fetched {
    pub(in crate::kafka) error: i16,
    /// Offset after the last committed record; -1 if the partition is not known.
    pub(in crate::kafka) committed_offset: i64,
    pub(in crate::kafka) start_offset: i64,
    /// Whole batches.
    pub(in crate::kafka) records: Vec<u8>,
}

impl Fetched {
    pub(in crate::kafka) const fn refused(error: i16) -> Self {
        Self { error, committed_offset: -1, start_offset: -1, records: Vec::new() }
    }
}

impl Request {
    pub(in crate::kafka) fn read(mut reader: Reader<'_>, version: i16) -> Result<Self, WireError> {
        reader.int32()?; // Replica: a consumer.
        let (wait_ms, bytes_min, bytes_max) = (reader.int32()?, reader.int32()?, reader.int32()?);
        reader.int8()?; // Isolation level: there are no transactions.
        let session_id = if version >= 7 { reader.int32()? } else { 0 };
        if version >= 7 {
            reader.int32()?; // Session epoch.
        }
        let topics = reader.array(2, |reader| read_topic(reader, version))?;
        if version >= 7 {
            // Forgotten topics: only a session has some.
            reader.array(2, |reader| {
                reader.string()?;
                reader.array(4, Reader::int32)?;
                reader.tags()
            })?;
        }
        if version >= 11 {
            reader.string()?; // Rack.
        }
        reader.tags()?;
        reader.finish()?;
        Ok(Self { wait_ms, bytes_min, bytes_max, session_id, topics })
    }
}

fn read_topic(reader: &mut Reader<'_>, version: i16) -> Result<Topic, WireError> {
    let name = reader.string()?.to_owned();
    let partitions = reader.array(16, |reader| {
        let index = reader.int32()?;
        let leader_epoch = if version >= 9 { reader.int32()? } else { -1 };
        let offset = reader.int64()?;
        if version >= 12 {
            reader.int32()?; // Epoch of the last record fetched: there is one only.
        }
        if version >= 5 {
            reader.int64()?; // Start offset of a follower.
        }
        let bytes_max = reader.int32()?;
        reader.tags()?;
        Ok(Partition { index, leader_epoch, offset, bytes_max })
    })?;
    reader.tags()?;
    Ok(Topic { name, partitions })
}

/// The answer, partition by partition in the order of the request.
pub(in crate::kafka) fn write(writer: &mut Writer, version: i16, topics: &[Topic], fetched: &[Fetched]) {
    writer.reserve(fetched.iter().map(|fetched| fetched.records.len()).sum());
    write_head(writer, version, error_code::NONE);
    let mut fetched = fetched.iter();
    writer.array(topics, |writer, topic| {
        writer.string(&topic.name);
        let of_topic = topic.partitions.iter().map(|partition| (partition.index, fetched.next()));
        let of_topic: Vec<_> = of_topic.collect();
        writer.array(of_topic, |writer, (index, fetched)| {
            let fetched = fetched.expect("there is an answer to each partition");
            write_partition(writer, version, index, fetched);
        });
        writer.tags();
    });
    writer.tags();
}

/// The answer to a request that names a session.
pub(in crate::kafka) fn write_refusal(writer: &mut Writer, version: i16) {
    write_head(writer, version, error_code::FETCH_SESSION_ID_NOT_FOUND);
    writer.array([(); 0], |_, ()| {});
    writer.tags();
}

fn write_head(writer: &mut Writer, version: i16, error: i16) {
    writer.int32(0);
    if version >= 7 {
        writer.int16(error);
        writer.int32(0); // No session.
    }
}

fn write_partition(writer: &mut Writer, version: i16, index: i32, fetched: &Fetched) {
    writer.int32(index);
    writer.int16(fetched.error);
    writer.int64(fetched.committed_offset); // High watermark.
    writer.int64(fetched.committed_offset); // Last stable offset.
    if version >= 5 {
        writer.int64(fetched.start_offset);
    }
    writer.null_array(); // No aborted transactions.
    if version >= 11 {
        writer.int32(-1); // No other replica is preferred.
    }
    writer.bytes(&fetched.records);
    writer.tags();
}
