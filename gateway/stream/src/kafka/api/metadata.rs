//! `Metadata`: one broker, a few topics, all partitions led by it.

use super::{LEADER_EPOCH, NO_OPERATIONS, error_code};
use crate::kafka::server::Advertised;
use crate::kafka::wire::{Reader, WireError, Writer};
use crate::view::{LogView, Topics};

/// The topics asked for; `None` is all of them.
pub(in crate::kafka) fn read(mut reader: Reader<'_>, version: i16) -> Result<Option<Vec<&str>>, WireError> {
    let mut topics = reader.nullable_array(1, |reader| {
        let name = reader.string()?;
        reader.tags()?;
        Ok(name)
    })?;
    if version >= 4 {
        reader.boolean()?; // Topics are never created.
    }
    if version >= 8 {
        reader.boolean()?;
        reader.boolean()?; // There is no authorization.
    }
    reader.tags()?;
    // librdkafka (seen in 2.12 and 2.16) announces "all topics" in four bytes where one is due, so what follows is
    // shifted and bytes are left over. Apache Kafka ignores them, and nothing behind the topics matters here.
    if !(topics.is_none() && version >= 9) {
        reader.finish()?;
    }
    if version == 0 && topics.as_ref().is_some_and(Vec::is_empty) {
        topics = None;
    }
    Ok(topics)
}

/// The answer about `wanted`.
pub(in crate::kafka) fn write(
    writer: &mut Writer,
    version: i16,
    broker: &Advertised,
    topics: &Topics,
    wanted: Option<Vec<&str>>,
) {
    if version >= 3 {
        writer.int32(0);
    }
    write_broker(writer, broker, version >= 1);
    if version >= 2 {
        writer.nullable_string(Some(&broker.cluster_id));
    }
    if version >= 1 {
        writer.int32(broker.node_id);
    }
    let wanted = wanted.unwrap_or_else(|| topics.iter().map(LogView::topic).collect());
    writer.array(wanted, |writer, name| {
        let partition_count = topics.find(name).map(LogView::partition_count);
        write_topic(writer, version, broker, name, partition_count);
    });
    if version >= 8 {
        writer.int32(NO_OPERATIONS);
    }
    writer.tags();
}

/// The list of brokers, as `DescribeCluster` has it too.
pub(super) fn write_broker(writer: &mut Writer, broker: &Advertised, has_rack: bool) {
    writer.array([broker], |writer, broker| {
        writer.int32(broker.node_id);
        writer.string(&broker.host);
        writer.int32(i32::from(broker.port));
        if has_rack {
            writer.nullable_string(None);
        }
        writer.tags();
    });
}

fn write_topic(
    writer: &mut Writer,
    version: i16,
    broker: &Advertised,
    name: &str,
    partition_count: Option<u32>,
) {
    writer.int16(if partition_count.is_some() {
        error_code::NONE
    } else {
        error_code::UNKNOWN_TOPIC_OR_PARTITION
    });
    writer.string(name);
    if version >= 1 {
        writer.boolean(false); // Not internal.
    }
    let partitions: Vec<u32> = (0..partition_count.unwrap_or(0)).collect();
    writer.array(partitions, |writer, partition| {
        writer.int16(error_code::NONE);
        writer.int32(partition.cast_signed());
        writer.int32(broker.node_id);
        if version >= 7 {
            writer.int32(LEADER_EPOCH);
        }
        writer.array([broker.node_id], Writer::int32);
        writer.array([broker.node_id], Writer::int32);
        if version >= 5 {
            writer.array(Vec::new(), Writer::int32); // None is offline.
        }
        writer.tags();
    });
    if version >= 8 {
        writer.int32(NO_OPERATIONS);
    }
    writer.tags();
}
