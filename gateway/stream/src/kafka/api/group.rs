//! `JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`: between the wire and the coordinator's messages.

use bytes::Bytes;

use crate::kafka::group::{
    GroupErrorCode, JoinRequest, JoinResponse, LeaveRequest, LeaveResponse, LeavingMember,
    MemberOfGeneration, Protocol, SyncRequest, SyncResponse,
};
use crate::kafka::wire::{Reader, WireError, Writer};

pub(in crate::kafka) fn read_join(
    mut reader: Reader<'_>,
    version: i16,
    client_id: &str,
    client_host: &str,
) -> Result<JoinRequest, WireError> {
    let group_id = reader.string()?.to_owned();
    let session_timeout_ms = reader.int32()?;
    let rebalance_timeout_ms = if version >= 1 { reader.int32()? } else { session_timeout_ms };
    let member_id = reader.string()?.to_owned();
    let group_instance_id = if version >= 5 { reader.nullable_string()?.map(str::to_owned) } else { None };
    let protocol_type = reader.string()?.to_owned();
    let protocols = reader.array(2, |reader| {
        let name = reader.string()?.to_owned();
        let metadata = Bytes::copy_from_slice(reader.bytes()?);
        reader.tags()?;
        Ok(Protocol { name, metadata })
    })?;
    if version >= 8 {
        reader.nullable_string()?; // Why it joins.
    }
    reader.tags()?;
    reader.finish()?;
    Ok(JoinRequest {
        group_id,
        member_id,
        group_instance_id,
        client_id: client_id.to_owned(),
        client_host: client_host.to_owned(),
        session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type,
        protocols,
        requires_known_member_id: version >= 4,
        supports_skip_assignment: version >= 9,
    })
}

pub(in crate::kafka) fn write_join(writer: &mut Writer, version: i16, response: &JoinResponse) {
    if version >= 2 {
        writer.int32(0);
    }
    writer.int16(response.error.code());
    writer.int32(response.generation);
    if version >= 7 {
        writer.nullable_string(response.protocol_type.as_deref());
        writer.nullable_string(response.protocol.as_deref());
    } else {
        writer.string(response.protocol.as_deref().unwrap_or_default());
    }
    writer.string(&response.leader);
    if version >= 9 {
        writer.boolean(response.skip_assignment);
    }
    writer.string(&response.member_id);
    writer.array(&response.members, |writer, member| {
        writer.string(&member.member_id);
        if version >= 5 {
            writer.nullable_string(member.group_instance_id.as_deref());
        }
        writer.bytes(&member.metadata);
        writer.tags();
    });
    writer.tags();
}

/// Group, generation, member and instance, as several requests begin.
pub(super) fn read_member(
    reader: &mut Reader<'_>,
    has_instance: bool,
) -> Result<MemberOfGeneration, WireError> {
    let group_id = reader.string()?.to_owned();
    let generation = reader.int32()?;
    let member_id = reader.string()?.to_owned();
    let group_instance_id = if has_instance { reader.nullable_string()?.map(str::to_owned) } else { None };
    Ok(MemberOfGeneration { group_id, generation, member_id, group_instance_id })
}

pub(in crate::kafka) fn read_sync(mut reader: Reader<'_>, version: i16) -> Result<SyncRequest, WireError> {
    let member = read_member(&mut reader, version >= 3)?;
    let protocol_type = if version >= 5 { reader.nullable_string()?.map(str::to_owned) } else { None };
    let protocol = if version >= 5 { reader.nullable_string()?.map(str::to_owned) } else { None };
    let assignments = reader.array(2, |reader| {
        let member_id = reader.string()?.to_owned();
        let assignment = Bytes::copy_from_slice(reader.bytes()?);
        reader.tags()?;
        Ok((member_id, assignment))
    })?;
    reader.tags()?;
    reader.finish()?;
    Ok(SyncRequest { member, protocol_type, protocol, assignments })
}

pub(in crate::kafka) fn write_sync(writer: &mut Writer, version: i16, response: &SyncResponse) {
    if version >= 1 {
        writer.int32(0);
    }
    writer.int16(response.error.code());
    if version >= 5 {
        writer.nullable_string(response.protocol_type.as_deref());
        writer.nullable_string(response.protocol.as_deref());
    }
    writer.bytes(&response.assignment);
    writer.tags();
}

pub(in crate::kafka) fn read_heartbeat(
    mut reader: Reader<'_>,
    version: i16,
) -> Result<MemberOfGeneration, WireError> {
    let member = read_member(&mut reader, version >= 3)?;
    reader.tags()?;
    reader.finish()?;
    Ok(member)
}

pub(in crate::kafka) fn write_heartbeat(writer: &mut Writer, version: i16, error: GroupErrorCode) {
    if version >= 1 {
        writer.int32(0);
    }
    writer.int16(error.code());
    writer.tags();
}

pub(in crate::kafka) fn read_leave(mut reader: Reader<'_>, version: i16) -> Result<LeaveRequest, WireError> {
    let group_id = reader.string()?.to_owned();
    let members = if version >= 3 {
        reader.array(2, |reader| {
            let member_id = reader.string()?.to_owned();
            let group_instance_id = reader.nullable_string()?.map(str::to_owned);
            if version >= 5 {
                reader.nullable_string()?; // Why it leaves.
            }
            reader.tags()?;
            Ok(LeavingMember { member_id, group_instance_id })
        })?
    } else {
        vec![LeavingMember { member_id: reader.string()?.to_owned(), group_instance_id: None }]
    };
    reader.tags()?;
    reader.finish()?;
    Ok(LeaveRequest { group_id, members })
}

pub(in crate::kafka) fn write_leave(writer: &mut Writer, version: i16, response: &LeaveResponse) {
    if version >= 1 {
        writer.int32(0);
    }
    if version >= 3 {
        writer.int16(response.error.code());
        writer.array(&response.members, |writer, (member, error)| {
            writer.string(&member.member_id);
            writer.nullable_string(member.group_instance_id.as_deref());
            writer.int16(error.code());
            writer.tags();
        });
    } else {
        let of_member = response.members.first().map_or(GroupErrorCode::None, |(_, error)| *error);
        let error = if response.error == GroupErrorCode::None { of_member } else { response.error };
        writer.int16(error.code());
    }
    writer.tags();
}
