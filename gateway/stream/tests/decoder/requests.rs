//! Requests with contents by chance, encoded by kafka-protocol in every version that is advertised.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::messages::{
    describe_configs_request::DescribeConfigsResource,
    fetch_request::{FetchPartition, FetchTopic, ForgottenTopic},
    join_group_request::JoinGroupRequestProtocol,
    leave_group_request::MemberIdentity,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    metadata_request::MetadataRequestTopic,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics},
    produce_request::{PartitionProduceData, TopicProduceData},
    sync_group_request::SyncGroupRequestAssignment,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request, StrBytes};

/// Numbers by chance, the same for the same seed (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// Often one of those that stand for something.
    fn int64(&mut self) -> i64 {
        let number = self.next().cast_signed();
        [number, number >> 40, -1, -2, 0, i64::MAX, i64::MIN][self.below(7)]
    }

    fn int32(&mut self) -> i32 {
        let number = self.int64().to_le_bytes();
        i32::from_le_bytes([number[0], number[1], number[2], number[7]])
    }

    fn text(&mut self) -> StrBytes {
        // Lengths around the one at which a varint takes another byte are rare, but there.
        let length = [0, 1, 3, 9, 126, 127, 128, 200][self.below(8)].min(1 + self.below(250));
        let letters = ['a', 'z', '.', 'ä', '語', '\u{0}'];
        StrBytes::from_string((0..length).map(|_| letters[self.below(letters.len())]).collect())
    }

    fn some_text(&mut self) -> Option<StrBytes> {
        self.flag().then(|| self.text())
    }

    fn bytes(&mut self) -> Bytes {
        let length = self.below(200);
        (0..length).map(|_| self.byte()).collect()
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| one(self)).collect()
    }

    fn topic(&mut self) -> TopicName {
        TopicName(self.text())
    }

    fn group(&mut self) -> GroupId {
        GroupId(self.text())
    }
}

/// A frame (without its length) of each request in each version, with a name.
pub(crate) fn all(seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut frames = Frames { chance: Chance(seed), frames: Vec::new() };
    frames.reading();
    frames.looking_and_writing();
    frames.offsets();
    frames.groups();
    frames.administration();
    frames.frames
}

struct Frames {
    chance: Chance,
    frames: Vec<(String, Vec<u8>)>,
}

impl Frames {
    fn add<R: Request + HeaderVersion>(
        &mut self,
        name: &str,
        versions: std::ops::RangeInclusive<i16>,
        request: impl Fn(&mut Chance, i16) -> R,
    ) {
        for version in versions {
            let header = RequestHeader::default()
                .with_request_api_key(R::KEY)
                .with_request_api_version(version)
                .with_correlation_id(self.chance.int32())
                .with_client_id(self.chance.some_text());
            let mut frame = BytesMut::new();
            header.encode(&mut frame, R::header_version(version)).unwrap();
            let request = request(&mut self.chance, version);
            request.encode(&mut frame, version).unwrap_or_else(|error| panic!("{name} v{version}: {error}"));
            let frame = self.with_tag(frame, R::header_version(version) >= 2);
            self.frames.push((format!("{name}-{version}"), frame));
        }
    }

    /// At times with a tagged field of the whole request that nobody knows, instead of none.
    fn with_tag(&mut self, mut frame: BytesMut, is_flexible: bool) -> Vec<u8> {
        if is_flexible && self.chance.flag() {
            frame.truncate(frame.len() - 1);
            let value = self.chance.bytes();
            frame.put_slice(&[1, 0x90, 0x4e]);
            frame.put_slice(&[
                value.len().to_le_bytes()[0] & 0x7f | 0x80,
                (value.len() >> 7).to_le_bytes()[0],
            ]);
            frame.put_slice(&value);
        }
        frame.to_vec()
    }

    fn reading(&mut self) {
        self.add("api_versions", 0..=4, |chance, version| match version {
            0..3 => ApiVersionsRequest::default(),
            _ => ApiVersionsRequest::default()
                .with_client_software_name(chance.text())
                .with_client_software_version(chance.text()),
        });
        self.add("metadata", 0..=9, |chance, version| {
            let topic = |chance: &mut Chance| {
                MetadataRequestTopic::default().with_name(Some(TopicName(chance.text())))
            };
            let has_topics = version == 0 || chance.flag();
            MetadataRequest::default()
                .with_topics(has_topics.then(|| chance.many(topic)))
                .with_allow_auto_topic_creation(version < 4 || chance.flag())
                .with_include_cluster_authorized_operations((8..=10).contains(&version) && chance.flag())
                .with_include_topic_authorized_operations(version >= 8 && chance.flag())
        });
        self.add("fetch", 4..=12, |chance, version| {
            let partition = |chance: &mut Chance| {
                FetchPartition::default()
                    .with_partition(chance.int32())
                    .with_current_leader_epoch(if version >= 9 { chance.int32() } else { -1 })
                    .with_fetch_offset(chance.int64())
                    .with_last_fetched_epoch(if version >= 12 { chance.int32() } else { -1 })
                    .with_log_start_offset(if version >= 5 { chance.int64() } else { -1 })
                    .with_partition_max_bytes(chance.int32())
            };
            let forgotten = |chance: &mut Chance| {
                ForgottenTopic::default()
                    .with_topic(chance.topic())
                    .with_partitions(chance.many(Chance::int32))
            };
            let topic = |chance: &mut Chance| {
                FetchTopic::default().with_topic(chance.topic()).with_partitions(chance.many(partition))
            };
            FetchRequest::default()
                .with_replica_id(BrokerId(chance.int32()))
                .with_max_wait_ms(chance.int32())
                .with_min_bytes(chance.int32())
                .with_max_bytes(chance.int32())
                .with_isolation_level(chance.byte().cast_signed())
                .with_session_id(if version >= 7 { chance.int32() } else { 0 })
                .with_session_epoch(if version >= 7 { chance.int32() } else { -1 })
                .with_topics(chance.many(topic))
                .with_forgotten_topics_data(if version >= 7 { chance.many(forgotten) } else { Vec::new() })
                .with_rack_id(if version >= 11 { chance.text() } else { StrBytes::default() })
        });
    }

    fn looking_and_writing(&mut self) {
        self.add("list_offsets", 1..=7, |chance, version| {
            let partition = |chance: &mut Chance| {
                ListOffsetsPartition::default()
                    .with_partition_index(chance.int32())
                    .with_current_leader_epoch(if version >= 4 { chance.int32() } else { -1 })
                    .with_timestamp(chance.int64())
            };
            let topic = |chance: &mut Chance| {
                ListOffsetsTopic::default().with_name(chance.topic()).with_partitions(chance.many(partition))
            };
            ListOffsetsRequest::default()
                .with_replica_id(BrokerId(chance.int32()))
                .with_isolation_level(if version >= 2 { chance.byte().cast_signed() } else { 0 })
                .with_topics(chance.many(topic))
        });
        self.add("produce", 3..=9, |chance, _| {
            let partition = |chance: &mut Chance| {
                PartitionProduceData::default().with_index(chance.int32()).with_records(Some(chance.bytes()))
            };
            let topic = |chance: &mut Chance| {
                TopicProduceData::default()
                    .with_name(chance.topic())
                    .with_partition_data(chance.many(partition))
            };
            ProduceRequest::default()
                .with_transactional_id(chance.some_text().map(TransactionalId))
                .with_acks([-1, 0, 1][chance.below(3)])
                .with_timeout_ms(chance.int32())
                .with_topic_data(chance.many(topic))
        });
    }

    fn offsets(&mut self) {
        self.add("offset_commit", 2..=9, |chance, version| {
            let partition = |chance: &mut Chance| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(chance.int32())
                    .with_committed_offset(chance.int64())
                    .with_committed_leader_epoch(if version >= 6 { chance.int32() } else { -1 })
                    .with_committed_metadata(chance.some_text())
            };
            let topic = |chance: &mut Chance| {
                OffsetCommitRequestTopic::default()
                    .with_name(chance.topic())
                    .with_partitions(chance.many(partition))
            };
            OffsetCommitRequest::default()
                .with_group_id(chance.group())
                .with_generation_id_or_member_epoch(chance.int32())
                .with_member_id(chance.text())
                .with_group_instance_id(if version >= 7 { chance.some_text() } else { None })
                .with_retention_time_ms(if version <= 4 { chance.int64() } else { -1 })
                .with_topics(chance.many(topic))
        });
        self.add("offset_fetch", 1..=8, |chance, version| {
            let request = OffsetFetchRequest::default().with_require_stable(version >= 7 && chance.flag());
            if version >= 8 {
                let topic = |chance: &mut Chance| {
                    OffsetFetchRequestTopics::default()
                        .with_name(chance.topic())
                        .with_partition_indexes(chance.many(Chance::int32))
                };
                let group = |chance: &mut Chance| {
                    OffsetFetchRequestGroup::default()
                        .with_group_id(chance.group())
                        .with_topics(chance.flag().then(|| chance.many(topic)))
                };
                return request.with_groups(chance.many(group));
            }
            let topic = |chance: &mut Chance| {
                OffsetFetchRequestTopic::default()
                    .with_name(chance.topic())
                    .with_partition_indexes(chance.many(Chance::int32))
            };
            let has_topics = version < 2 || chance.flag();
            request.with_group_id(chance.group()).with_topics(has_topics.then(|| chance.many(topic)))
        });
    }

    fn groups(&mut self) {
        self.add("join_group", 0..=9, |chance, version| {
            let protocol = |chance: &mut Chance| {
                JoinGroupRequestProtocol::default().with_name(chance.text()).with_metadata(chance.bytes())
            };
            JoinGroupRequest::default()
                .with_group_id(chance.group())
                .with_session_timeout_ms(chance.int32())
                .with_rebalance_timeout_ms(if version >= 1 { chance.int32() } else { -1 })
                .with_member_id(chance.text())
                .with_group_instance_id(if version >= 5 { chance.some_text() } else { None })
                .with_protocol_type(chance.text())
                .with_protocols(chance.many(protocol))
                .with_reason(if version >= 8 { chance.some_text() } else { None })
        });
        self.add("sync_group", 0..=5, |chance, version| {
            let assignment = |chance: &mut Chance| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(chance.text())
                    .with_assignment(chance.bytes())
            };
            SyncGroupRequest::default()
                .with_group_id(chance.group())
                .with_generation_id(chance.int32())
                .with_member_id(chance.text())
                .with_group_instance_id(if version >= 3 { chance.some_text() } else { None })
                .with_protocol_type(if version >= 5 { chance.some_text() } else { None })
                .with_protocol_name(if version >= 5 { chance.some_text() } else { None })
                .with_assignments(chance.many(assignment))
        });
        self.add("heartbeat", 0..=4, |chance, version| {
            HeartbeatRequest::default()
                .with_group_id(chance.group())
                .with_generation_id(chance.int32())
                .with_member_id(chance.text())
                .with_group_instance_id(if version >= 3 { chance.some_text() } else { None })
        });
        self.add("leave_group", 0..=5, |chance, version| {
            let member = |chance: &mut Chance| {
                MemberIdentity::default()
                    .with_member_id(chance.text())
                    .with_group_instance_id(chance.some_text())
                    .with_reason(if version >= 5 { chance.some_text() } else { None })
            };
            let request = LeaveGroupRequest::default().with_group_id(chance.group());
            if version >= 3 {
                request.with_members(chance.many(member))
            } else {
                request.with_member_id(chance.text())
            }
        });
    }

    fn administration(&mut self) {
        self.add("find_coordinator", 0..=4, |chance, version| {
            let kind = if version >= 1 { chance.byte().cast_signed() & 1 } else { 0 };
            let request = FindCoordinatorRequest::default().with_key_type(kind);
            if version >= 4 {
                request.with_coordinator_keys(chance.many(Chance::text))
            } else {
                request.with_key(chance.text())
            }
        });
        self.add("describe_groups", 0..=5, |chance, version| {
            DescribeGroupsRequest::default()
                .with_groups(chance.many(Chance::group))
                .with_include_authorized_operations(version >= 3 && chance.flag())
        });
        self.add("list_groups", 0..=4, |chance, version| {
            let states = if version >= 4 { chance.many(Chance::text) } else { Vec::new() };
            ListGroupsRequest::default().with_states_filter(states)
        });
        self.add("describe_configs", 1..=4, |chance, version| {
            let resource = |chance: &mut Chance| {
                DescribeConfigsResource::default()
                    .with_resource_type(chance.byte().cast_signed())
                    .with_resource_name(chance.text())
                    .with_configuration_keys(chance.flag().then(|| chance.many(Chance::text)))
            };
            DescribeConfigsRequest::default()
                .with_resources(chance.many(resource))
                .with_include_synonyms(chance.flag())
                .with_include_documentation(version >= 3 && chance.flag())
        });
        self.add("describe_cluster", 0..=1, |chance, version| {
            DescribeClusterRequest::default()
                .with_include_cluster_authorized_operations(chance.flag())
                .with_endpoint_type(if version >= 1 { chance.byte().cast_signed() } else { 1 })
        });
        self.add("sasl_handshake", 0..=1, |chance, _| {
            SaslHandshakeRequest::default().with_mechanism(chance.text())
        });
        self.add("sasl_authenticate", 0..=2, |chance, _| {
            SaslAuthenticateRequest::default().with_auth_bytes(chance.bytes())
        });
    }
}
