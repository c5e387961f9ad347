//! `OffsetCommit` and `OffsetFetch` on the wire.

use super::error_code;
use super::group::read_member;
use crate::kafka::group::MemberOfGeneration;
use crate::kafka::wire::{Reader, WireError, Writer};

/// Partitions of one topic.
#[derive(Debug)]
pub(in crate::kafka) struct Topic<'a, Partition> {
    pub(in crate::kafka) name: &'a str,
    pub(in crate::kafka) partitions: Vec<Partition>,
}

/// What is committed for one partition.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka) struct Commit<'a> {
    pub(in crate::kafka) index: i32,
    pub(in crate::kafka) offset: i64,
    pub(in crate::kafka) leader_epoch: i32,
    pub(in crate::kafka) metadata: &'a str,
}

/// `OffsetCommit`.
#[derive(Debug)]
pub(in crate::kafka) struct CommitRequest<'a> {
    pub(in crate::kafka) member: MemberOfGeneration,
    pub(in crate::kafka) topics: Vec<Topic<'a, Commit<'a>>>,
}

impl<'a> CommitRequest<'a> {
    pub(in crate::kafka) fn read(mut reader: Reader<'a>, version: i16) -> Result<Self, WireError> {
        let member = read_member(&mut reader, version >= 7)?;
        if version <= 4 {
            reader.int64()?; // Retention: offsets are kept.
        }
        let topics = reader.array(2, |reader| {
            let name = reader.string()?;
            let partitions = reader.array(13, |reader| {
                let (index, offset) = (reader.int32()?, reader.int64()?);
                let leader_epoch = if version >= 6 { reader.int32()? } else { -1 };
                let metadata = reader.nullable_string()?.unwrap_or_default();
                reader.tags()?;
                Ok(Commit { index, offset, leader_epoch, metadata })
            })?;
            reader.tags()?;
            Ok(Topic { name, partitions })
        })?;
        reader.tags()?;
        reader.finish()?;
        Ok(Self { member, topics })
    }

    /// `next_error` tells what became of each partition, in the order of the request.
    pub(in crate::kafka) fn write_response(
        &self,
        writer: &mut Writer,
        version: i16,
        mut next_error: impl FnMut() -> i16,
    ) {
        if version >= 3 {
            writer.int32(0);
        }
        writer.array(&self.topics, |writer, topic| {
            writer.string(topic.name);
            writer.array(&topic.partitions, |writer, commit| {
                writer.int32(commit.index);
                writer.int16(next_error());
                writer.tags();
            });
            writer.tags();
        });
        writer.tags();
    }
}

/// `OffsetFetch`: groups, each with its topics; `None` is all that have a committed offset.
#[derive(Debug)]
pub(in crate::kafka) struct FetchRequest<'a> {
    pub(in crate::kafka) groups: Vec<(&'a str, Option<Vec<Topic<'a, i32>>>)>,
}

/// A committed offset.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct Committed {
    pub(in crate::kafka) offset: i64,
    pub(in crate::kafka) leader_epoch: i32,
    pub(in crate::kafka) metadata: String,
}

impl Committed {
    /// Says that nothing was committed.
    pub(in crate::kafka) const NOTHING: Self = Self { offset: -1, leader_epoch: -1, metadata: String::new() };
}

impl<'a> FetchRequest<'a> {
    pub(in crate::kafka) fn read(mut reader: Reader<'a>, version: i16) -> Result<Self, WireError> {
        let groups = if version >= 8 {
            reader.array(2, |reader| {
                let group = reader.string()?;
                let topics = read_topics(reader)?;
                reader.tags()?;
                Ok((group, topics))
            })?
        } else {
            let group = reader.string()?;
            vec![(group, read_topics(&mut reader)?)]
        };
        if version >= 7 {
            reader.boolean()?; // Only stable offsets: there are no others.
        }
        reader.tags()?;
        reader.finish()?;
        Ok(Self { groups })
    }
}

fn read_topics<'a>(reader: &mut Reader<'a>) -> Result<Option<Vec<Topic<'a, i32>>>, WireError> {
    reader.nullable_array(2, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(4, Reader::int32)?;
        reader.tags()?;
        Ok(Topic { name, partitions })
    })
}

/// The answer for one group.
pub(in crate::kafka) type GroupOffsets<'a> = Vec<(&'a str, Vec<(i32, Committed)>)>;

/// The answer for all groups of the request.
pub(in crate::kafka) fn write_fetch(writer: &mut Writer, version: i16, groups: &[(&str, GroupOffsets<'_>)]) {
    if version >= 3 {
        writer.int32(0);
    }
    if version >= 8 {
        writer.array(groups, |writer, (group, topics)| {
            writer.string(group);
            write_topics(writer, version, topics);
            writer.int16(error_code::NONE);
            writer.tags();
        });
    } else {
        let topics = groups.first().map(|(_, topics)| topics.as_slice()).unwrap_or_default();
        write_topics(writer, version, topics);
        if version >= 2 {
            writer.int16(error_code::NONE);
        }
    }
    writer.tags();
}

fn write_topics(writer: &mut Writer, version: i16, topics: &[(&str, Vec<(i32, Committed)>)]) {
    writer.array(topics, |writer, (name, partitions)| {
        writer.string(name);
        writer.array(partitions, |writer, (index, committed)| {
            writer.int32(*index);
            writer.int64(committed.offset);
            if version >= 5 {
                writer.int32(committed.leader_epoch);
            }
            writer.nullable_string(Some(&committed.metadata));
            writer.int16(error_code::NONE);
            writer.tags();
        });
        writer.tags();
    });
}
