//! What administration tools ask: `ListGroups`, `DescribeGroups`, `DescribeCluster`.

use super::metadata::write_broker;
use super::{NO_OPERATIONS, error_code};
use crate::kafka::group::{DescribedGroup, GroupState, ListedGroup};
use crate::kafka::server::Advertised;
use crate::kafka::wire::{Reader, WireError, Writer};

/// The states that groups must be in.
#[derive(Debug)]
pub(in crate::kafka) struct States {
    /// None: any.
    asked: Option<Vec<GroupState>>,
}

impl States {
    /// By their names, without regard to case; without any, all. However many names there are, what is left of them is
    /// as many states as there are.
    pub(in crate::kafka) fn of_names(names: &[&str]) -> Self {
        let is_asked = |state: &GroupState| names.iter().any(|name| name.eq_ignore_ascii_case(state.name()));
        let asked = (!names.is_empty()).then(|| GroupState::ALL.into_iter().filter(is_asked).collect());
        Self { asked }
    }

    pub(in crate::kafka) fn contains(&self, state: GroupState) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.contains(&state))
    }
}

/// The names of the states that groups must be in; none means any.
pub(in crate::kafka) fn read_list_groups<'a>(
    mut reader: Reader<'a>,
    version: i16,
) -> Result<Vec<&'a str>, WireError> {
    let states = if version >= 4 { reader.array(1, Reader::string)? } else { Vec::new() };
    reader.tags()?;
    reader.finish()?;
    Ok(states)
}

/// So many groups follow, and then the tags of the response.
pub(in crate::kafka) fn begin_listed_groups(writer: &mut Writer, version: i16, count: usize) {
    if version >= 1 {
        writer.int32(0);
    }
    writer.int16(error_code::NONE);
    writer.array_length(count);
}

pub(in crate::kafka) fn write_listed_group(writer: &mut Writer, version: i16, group: &ListedGroup<'_>) {
    writer.string(group.group_id);
    writer.string(group.protocol_type);
    if version >= 4 {
        writer.string(group.state.name());
    }
    writer.tags();
}

/// The groups to describe.
pub(in crate::kafka) fn read_describe_groups<'a>(
    mut reader: Reader<'a>,
    version: i16,
) -> Result<Vec<&'a str>, WireError> {
    let groups = reader.array(1, Reader::string)?;
    if version >= 3 {
        reader.boolean()?; // There is no authorization.
    }
    reader.tags()?;
    reader.finish()?;
    Ok(groups)
}

/// So many groups follow, and then the tags of the response.
pub(in crate::kafka) fn begin_described_groups(writer: &mut Writer, version: i16, count: usize) {
    if version >= 1 {
        writer.int32(0);
    }
    writer.array_length(count);
}

pub(in crate::kafka) fn write_described_group(
    writer: &mut Writer,
    version: i16,
    group_id: &str,
    group: &DescribedGroup<'_>,
) {
    writer.int16(group.error.code());
    writer.string(group_id);
    writer.string(group.state.name());
    writer.string(group.protocol_type);
    writer.string(group.protocol);
    writer.array(group.members(), |writer, member| {
        writer.string(member.member_id);
        if version >= 4 {
            writer.nullable_string(member.group_instance_id);
        }
        writer.string(member.client_id);
        writer.string(member.client_host);
        writer.bytes(member.metadata);
        writer.bytes(member.assignment);
        writer.tags();
    });
    if version >= 3 {
        writer.int32(NO_OPERATIONS);
    }
    writer.tags();
}

pub(in crate::kafka) fn read_describe_cluster(mut reader: Reader<'_>, version: i16) -> Result<(), WireError> {
    reader.boolean()?; // There is no authorization.
    if version >= 1 {
        reader.int8()?; // Brokers or controllers: the same here.
    }
    reader.tags()?;
    reader.finish()
}

pub(in crate::kafka) fn write_describe_cluster(writer: &mut Writer, version: i16, broker: &Advertised) {
    writer.int32(0);
    writer.int16(error_code::NONE);
    writer.nullable_string(None);
    if version >= 1 {
        writer.int8(1); // Brokers.
    }
    writer.string(&broker.cluster_id);
    writer.int32(broker.node_id);
    write_broker(writer, broker, true);
    writer.int32(NO_OPERATIONS);
    writer.tags();
}
