//! The oracle: what the kafka-protocol crate reads in a request that our decoder has accepted, as the same list of values.
//!
//! It is asked only about such requests: it reserves memory by any number that a frame names, and the process ends when
//! that is more than there is. What we have accepted has no such number, unless we read the frame differently, and that
//! is what is looked for.
//!
//! The crate may refuse what we accept (a null where it has none, say); we then have nothing to compare with. The fuzz
//! target and the tests share this file.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, StrBytes};
use pulsegate_stream::kafka::decoded::{DecodedRequest, Value, decode};

/// Decodes any bytes as a frame, and compares. Whether there was something to compare.
///
/// # Panics
/// If the two read different things.
pub(crate) fn check_any_bytes(frame: &[u8]) -> bool {
    let Some(ours) = decode(frame) else { return false };
    let Some(theirs) = reference(&ours, frame) else { return false };
    assert_eq!(ours, theirs, "our reading, and that of kafka-protocol");
    true
}

/// The other reading of a request that we have accepted.
fn reference(ours: &DecodedRequest, frame: &[u8]) -> Option<DecodedRequest> {
    let mut bytes = Bytes::copy_from_slice(frame);
    let api = ApiKey::try_from(ours.key).ok()?;
    let header = RequestHeader::decode(&mut bytes, api.request_header_version(ours.version)).ok()?;
    let mut list = List { version: header.request_api_version, values: Vec::new() };
    list.read(api, bytes)?;
    Some(DecodedRequest {
        key: header.request_api_key,
        version: header.request_api_version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.as_deref().unwrap_or_default().to_owned(),
        values: list.values,
    })
}

struct List {
    version: i16,
    values: Vec<Value>,
}

impl List {
    /// A request that is read to its end.
    fn body<R: Decodable>(&self, mut bytes: Bytes) -> Option<R> {
        R::decode(&mut bytes, self.version).ok().filter(|_| bytes.is_empty())
    }

    fn number(&mut self, number: impl Into<i64>) {
        self.values.push(Value::Number(number.into()));
    }

    fn text(&mut self, text: &str) {
        self.values.push(Value::Text(text.to_owned()));
    }

    fn nullable_text(&mut self, text: Option<&StrBytes>) {
        self.values.push(text.map_or(Value::Null, |text| Value::Text(text.to_string())));
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

    fn member(&mut self, group: &GroupId, generation: i32, member: &str, instance: Option<&StrBytes>) {
        self.text(group);
        self.number(generation);
        self.text(member);
        self.nullable_text(instance);
    }

    fn read(&mut self, api: ApiKey, bytes: Bytes) -> Option<()> {
        match api {
            ApiKey::ApiVersions => drop(self.body::<ApiVersionsRequest>(bytes)?),
            ApiKey::DescribeCluster => drop(self.body::<DescribeClusterRequest>(bytes)?),
            ApiKey::Metadata => {
                let topics = self.body::<MetadataRequest>(bytes)?.topics;
                // In version 0 an empty array stands for all.
                let topics = topics.filter(|topics| self.version > 0 || !topics.is_empty());
                self.nullable_array(topics.as_deref(), |list, topic| {
                    list.text(topic.name.as_deref().map_or("", |name| name));
                });
            }
            ApiKey::Fetch => self.fetch(&self.body(bytes)?),
            ApiKey::ListOffsets => {
                self.array(&self.body::<ListOffsetsRequest>(bytes)?.topics, |list, topic| {
                    list.text(&topic.name);
                    list.array(&topic.partitions, |list, partition| {
                        list.number(partition.partition_index);
                        list.number(partition.current_leader_epoch);
                        list.number(partition.timestamp);
                    });
                });
            }
            ApiKey::FindCoordinator => {
                let request: FindCoordinatorRequest = self.body(bytes)?;
                let keys = if self.version < 4 { vec![request.key] } else { request.coordinator_keys };
                self.number(request.key_type == 0);
                self.array(&keys, |list, key| list.text(key));
            }
            ApiKey::Produce => {
                let request: ProduceRequest = self.body(bytes)?;
                self.number(request.acks != 0);
                self.array(&request.topic_data, |list, topic| {
                    list.text(&topic.name);
                    list.array(&topic.partition_data, |list, partition| list.number(partition.index));
                });
            }
            ApiKey::DescribeConfigs => {
                self.array(&self.body::<DescribeConfigsRequest>(bytes)?.resources, |list, resource| {
                    list.number(resource.resource_type);
                    list.text(&resource.resource_name);
                    list.nullable_array(resource.configuration_keys.as_deref(), |list, key| list.text(key));
                });
            }
            ApiKey::SaslHandshake => self.text(&self.body::<SaslHandshakeRequest>(bytes)?.mechanism),
            ApiKey::SaslAuthenticate => self.bytes(&self.body::<SaslAuthenticateRequest>(bytes)?.auth_bytes),
            ApiKey::OffsetCommit => self.commit(&self.body(bytes)?),
            ApiKey::OffsetFetch => self.committed(self.body(bytes)?),
            _ => return self.read_group(api, bytes),
        }
        Some(())
    }

    fn fetch(&mut self, request: &FetchRequest) {
        for number in [request.max_wait_ms, request.min_bytes, request.max_bytes, request.session_id] {
            self.number(number);
        }
        self.array(&request.topics, |list, topic| {
            list.text(&topic.topic);
            list.array(&topic.partitions, |list, partition| {
                list.number(partition.partition);
                list.number(partition.current_leader_epoch);
                list.number(partition.fetch_offset);
                list.number(partition.partition_max_bytes);
            });
        });
    }

    fn commit(&mut self, request: &OffsetCommitRequest) {
        let instance = request.group_instance_id.as_ref();
        self.member(&request.group_id, request.generation_id_or_member_epoch, &request.member_id, instance);
        self.array(&request.topics, |list, topic| {
            list.text(&topic.name);
            list.array(&topic.partitions, |list, partition| {
                list.number(partition.partition_index);
                list.number(partition.committed_offset);
                list.number(partition.committed_leader_epoch);
                list.text(partition.committed_metadata.as_deref().unwrap_or_default());
            });
        });
    }

    fn committed(&mut self, request: OffsetFetchRequest) {
        if self.version < 8 {
            self.values.push(Value::Array(1));
            self.text(&request.group_id);
            return self.nullable_array(request.topics.as_deref(), |list, topic| {
                list.text(&topic.name);
                list.array(&topic.partition_indexes, |list, index| list.number(*index));
            });
        }
        self.array(&request.groups, |list, group| {
            list.text(&group.group_id);
            list.nullable_array(group.topics.as_deref(), |list, topic| {
                list.text(&topic.name);
                list.array(&topic.partition_indexes, |list, index| list.number(*index));
            });
        });
    }

    fn read_group(&mut self, api: ApiKey, bytes: Bytes) -> Option<()> {
        match api {
            ApiKey::JoinGroup => {
                let request: JoinGroupRequest = self.body(bytes)?;
                let session_ms = request.session_timeout_ms;
                self.text(&request.group_id);
                self.number(session_ms);
                self.number(if self.version == 0 { session_ms } else { request.rebalance_timeout_ms });
                self.text(&request.member_id);
                self.nullable_text(request.group_instance_id.as_ref());
                self.text(&request.protocol_type);
                self.array(&request.protocols, |list, protocol| {
                    list.text(&protocol.name);
                    list.bytes(&protocol.metadata);
                });
            }
            ApiKey::SyncGroup => {
                let request: SyncGroupRequest = self.body(bytes)?;
                let instance = request.group_instance_id.as_ref();
                self.member(&request.group_id, request.generation_id, &request.member_id, instance);
                self.nullable_text(request.protocol_type.as_ref());
                self.nullable_text(request.protocol_name.as_ref());
                self.array(&request.assignments, |list, assignment| {
                    list.text(&assignment.member_id);
                    list.bytes(&assignment.assignment);
                });
            }
            ApiKey::Heartbeat => {
                let request: HeartbeatRequest = self.body(bytes)?;
                let instance = request.group_instance_id.as_ref();
                self.member(&request.group_id, request.generation_id, &request.member_id, instance);
            }
            ApiKey::LeaveGroup => self.leave(&self.body(bytes)?),
            ApiKey::DescribeGroups => {
                self.array(&self.body::<DescribeGroupsRequest>(bytes)?.groups, |list, name| list.text(name));
            }
            ApiKey::ListGroups => {
                self.array(&self.body::<ListGroupsRequest>(bytes)?.states_filter, |list, state| {
                    list.text(state)
                });
            }
            _ => return None,
        }
        Some(())
    }

    fn leave(&mut self, request: &LeaveGroupRequest) {
        self.text(&request.group_id);
        if self.version < 3 {
            self.values.push(Value::Array(1));
            self.text(&request.member_id);
            return self.values.push(Value::Null);
        }
        self.array(&request.members, |list, member| {
            list.text(&member.member_id);
            list.nullable_text(member.group_instance_id.as_ref());
        });
    }
}
