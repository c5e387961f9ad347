//! A request as a flat list of the values that are used of it: what tests and the fuzz target compare with another
//! implementation of the protocol. Not for anybody else, and no part of serving.
//!
//! The same readers as in `answer.rs`, each followed by a line that lists what it read.

use super::api::{
    ApiKey, Frame, RequestHeader, admin, configs, coordinator, fetch, group, list_offsets, metadata, offsets,
    produce, sasl, versions,
};
use super::group::MemberOfGeneration;
use super::wire::{Reader, WireError};

/// One value, or the number of elements that follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// No string, or no array.
    Null,
    /// Of any size.
    Number(i64),
    /// A string.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// So many elements follow.
    Array(usize),
}

/// A request of the table of versions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedRequest {
    /// Number of the request.
    pub key: i16,
    /// Its version.
    pub version: i16,
    /// Goes back with the response.
    pub correlation_id: i32,
    /// As the client calls itself.
    pub client_id: String,
    /// What the body says, in the order of the protocol.
    pub values: Vec<Value>,
}

/// The request that a frame (without its length) is; `None` if it is refused.
#[must_use]
pub fn decode(frame: &[u8]) -> Option<DecodedRequest> {
    let Ok(Frame::Request(header, reader)) = Frame::read(frame) else { return None };
    let mut list = List::default();
    list.read(&header, reader).ok()?;
    Some(DecodedRequest {
        key: header.api.key as i16,
        version: header.version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.to_owned(),
        values: list.values,
    })
}

#[derive(Default)]
struct List {
    values: Vec<Value>,
}

impl List {
    fn number(&mut self, number: impl Into<i64>) {
        self.values.push(Value::Number(number.into()));
    }

    fn text(&mut self, text: &str) {
        self.values.push(Value::Text(text.to_owned()));
    }

    fn nullable_text(&mut self, text: Option<&str>) {
        self.values.push(text.map_or(Value::Null, |text| Value::Text(text.to_owned())));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.values.push(Value::Bytes(bytes.to_owned()));
    }

    fn array<T>(&mut self, elements: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.values.push(Value::Array(elements.len()));
        elements.iter().for_each(|element| each(self, element));
    }

    fn nullable_array<T>(&mut self, elements: Option<&[T]>, each: impl FnMut(&mut Self, &T)) {
        match elements {
            None => self.values.push(Value::Null),
            Some(elements) => self.array(elements, each),
        }
    }

    fn member(&mut self, member: &MemberOfGeneration) {
        self.text(&member.group_id);
        self.number(member.generation);
        self.text(&member.member_id);
        self.nullable_text(member.group_instance_id.as_deref());
    }

    fn read(&mut self, header: &RequestHeader<'_>, reader: Reader<'_>) -> Result<(), WireError> {
        let version = header.version;
        match header.api.key {
            ApiKey::ApiVersions => versions::read(reader, version)?,
            ApiKey::DescribeCluster => admin::read_describe_cluster(reader, version)?,
            ApiKey::Metadata => {
                let topics = metadata::read(reader, version)?;
                self.nullable_array(topics.as_deref(), |list, name| list.text(name));
            }
            ApiKey::Fetch => self.fetch(&fetch::Request::read(reader, version)?),
            ApiKey::ListOffsets => self.array(&list_offsets::read(reader, version)?, |list, topic| {
                list.text(topic.name);
                list.array(&topic.partitions, |list, partition| {
                    list.number(partition.index);
                    list.number(partition.leader_epoch);
                    list.number(partition.timestamp);
                });
            }),
            ApiKey::FindCoordinator => {
                let request = coordinator::Request::read(reader, version)?;
                self.number(request.is_group);
                self.array(&request.keys, |list, key| list.text(key));
            }
            ApiKey::Produce => {
                let request = produce::Request::read(reader, version)?;
                self.number(request.wants_response);
                self.array(&request.topics, |list, (name, partitions)| {
                    list.text(name);
                    list.array(partitions, |list, index| list.number(*index));
                });
            }
            ApiKey::DescribeConfigs => self.array(&configs::read(reader, version)?, |list, resource| {
                list.number(resource.kind);
                list.text(resource.name);
                list.nullable_array(resource.keys.as_deref(), |list, key| list.text(key));
            }),
            ApiKey::SaslHandshake => self.text(sasl::read_handshake(reader)?),
            ApiKey::SaslAuthenticate => self.bytes(sasl::read_authenticate(reader)?),
            ApiKey::OffsetCommit | ApiKey::OffsetFetch => self.read_offsets(header, reader)?,
            _ => self.read_group(header, reader)?,
        }
        Ok(())
    }

    fn fetch(&mut self, request: &fetch::Request) {
        for number in [request.wait_ms, request.bytes_min, request.bytes_max, request.session_id] {
            self.number(number);
        }
        self.array(&request.topics, |list, topic| {
            list.text(&topic.name);
            list.array(&topic.partitions, |list, partition| {
                list.number(partition.index);
                list.number(partition.leader_epoch);
                list.number(partition.offset);
                list.number(partition.bytes_max);
            });
        });
    }

    fn read_offsets(&mut self, header: &RequestHeader<'_>, reader: Reader<'_>) -> Result<(), WireError> {
        if matches!(header.api.key, ApiKey::OffsetCommit) {
            let request = offsets::CommitRequest::read(reader, header.version)?;
            self.member(&request.member);
            self.array(&request.topics, |list, topic| {
                list.text(topic.name);
                list.array(&topic.partitions, |list, commit| {
                    list.number(commit.index);
                    list.number(commit.offset);
                    list.number(commit.leader_epoch);
                    list.text(commit.metadata);
                });
            });
            return Ok(());
        }
        let request = offsets::FetchRequest::read(reader, header.version)?;
        self.array(&request.groups, |list, (group, topics)| {
            list.text(group);
            list.nullable_array(topics.as_deref(), |list, topic| {
                list.text(topic.name);
                list.array(&topic.partitions, |list, index| list.number(*index));
            });
        });
        Ok(())
    }

    fn read_group(&mut self, header: &RequestHeader<'_>, reader: Reader<'_>) -> Result<(), WireError> {
        let version = header.version;
        match header.api.key {
            ApiKey::JoinGroup => {
                let request = group::read_join(reader, version, header.client_id, "")?;
                self.text(&request.group_id);
                self.number(request.session_timeout_ms);
                self.number(request.rebalance_timeout_ms);
                self.text(&request.member_id);
                self.nullable_text(request.group_instance_id.as_deref());
                self.text(&request.protocol_type);
                self.array(&request.protocols, |list, protocol| {
                    list.text(&protocol.name);
                    list.bytes(&protocol.metadata);
                });
            }
            ApiKey::SyncGroup => {
                let request = group::read_sync(reader, version)?;
                self.member(&request.member);
                self.nullable_text(request.protocol_type.as_deref());
                self.nullable_text(request.protocol.as_deref());
                self.array(&request.assignments, |list, (member, assignment)| {
                    list.text(member);
                    list.bytes(assignment);
                });
            }
            ApiKey::Heartbeat => self.member(&group::read_heartbeat(reader, version)?),
            ApiKey::LeaveGroup => {
                let request = group::read_leave(reader, version)?;
                self.text(&request.group_id);
                self.array(&request.members, |list, member| {
                    list.text(&member.member_id);
                    list.nullable_text(member.group_instance_id.as_deref());
                });
            }
            ApiKey::DescribeGroups => {
                self.array(&admin::read_describe_groups(reader, version)?, |list, name| list.text(name));
            }
            ApiKey::ListGroups => {
                self.array(&admin::read_list_groups(reader, version)?, |list, state| list.text(state));
            }
            // `answer.rs` has no answer either.
            _ => self.values.push(Value::Null),
        }
        Ok(())
    }
}
