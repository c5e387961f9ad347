//! Every request in every advertised version, encoded by another implementation of the protocol, is answered, and the
//! answer decodes there to its last byte.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::messages::{
    describe_configs_request::DescribeConfigsResource, fetch_request as fetch, join_group_request as join,
    leave_group_request as leave, list_offsets_request as list, metadata_request as metadata,
    offset_commit_request as commit, offset_fetch_request as committed, produce_request as produce,
    sync_group_request as sync,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::client::Client;
use super::*;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic() -> TopicName {
    TopicName(text(TOPIC))
}

fn group() -> GroupId {
    GroupId(text("g"))
}

/// Sends the request in each version and decodes what comes back.
async fn check<R: Request>(port: &Port, versions: std::ops::RangeInclusive<i16>, request: impl Fn(i16) -> R)
where
    R::Response: std::fmt::Debug,
{
    let api = super::super::api::APIS.into_iter().find(|api| api.key as i16 == R::KEY).unwrap();
    assert_eq!(
        (api.version_min, api.version_max),
        (*versions.start(), *versions.end()),
        "the advertised versions"
    );
    // The other implementation has dropped what Apache Kafka 4 has: the oldest versions of some requests.
    let versions = versions.filter(|version| (R::VERSIONS.min..=R::VERSIONS.max).contains(version));
    let versions: Vec<i16> = versions.collect();
    assert_eq!(versions.last(), Some(&api.version_max));
    for version in versions {
        let mut frame = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(77)
            .with_client_id(Some(text("oracle")))
            .encode(&mut frame, R::header_version(version))
            .unwrap();
        request(version).encode(&mut frame, version).unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        let mut client = Client::connect(port.address).await;
        let response = client.raw(&[&length.to_be_bytes(), &frame[..]].concat()).await;
        let mut response =
            Bytes::from(response.unwrap_or_else(|| panic!("{} v{version} is refused", R::KEY)));
        let header = ResponseHeader::decode(&mut response, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, 77);
        let decoded = R::Response::decode(&mut response, version).unwrap();
        assert_eq!(response.remaining(), 0, "{} v{version}: {decoded:?}", R::KEY);
    }
}

async fn check_reading(port: &Port) {
    check(port, 0..=4, |_| ApiVersionsRequest::default()).await;
    check(port, 0..=9, |_| {
        let topics = [TOPIC, "other"]
            .map(|name| metadata::MetadataRequestTopic::default().with_name(Some(TopicName(text(name)))));
        MetadataRequest::default().with_topics(Some(topics.to_vec()))
    })
    .await;
    check(port, 1..=7, |_| {
        let partitions = [-1, -2, 0].map(|time| list::ListOffsetsPartition::default().with_timestamp(time));
        let topic = list::ListOffsetsTopic::default().with_name(topic()).with_partitions(partitions.to_vec());
        ListOffsetsRequest::default().with_topics(vec![topic])
    })
    .await;
    check(port, 4..=12, |_| {
        let partition = fetch::FetchPartition::default().with_partition_max_bytes(1_000);
        let topic = fetch::FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
        FetchRequest::default().with_max_bytes(10_000).with_topics(vec![topic])
    })
    .await;
    check(port, 0..=9, |_| {
        let topic = produce::TopicProduceData::default().with_name(topic()).with_partition_data(vec![
            produce::PartitionProduceData::default().with_records(Some(Bytes::new())),
        ]);
        ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])
    })
    .await;
}

async fn check_groups(port: &Port) {
    check(port, 0..=4, |version| {
        let request = FindCoordinatorRequest::default();
        if version >= 4 {
            request.with_coordinator_keys(vec![text("g")])
        } else {
            request.with_key(text("g"))
        }
    })
    .await;
    // A group each: a second member would wait for the first.
    check(port, 0..=9, |version| {
        let protocol = join::JoinGroupRequestProtocol::default().with_name(text("range"));
        JoinGroupRequest::default()
            .with_group_id(GroupId(text(&format!("g{version}"))))
            .with_session_timeout_ms(10_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol.with_metadata(Bytes::from_static(b"m"))])
    })
    .await;
    check(port, 0..=5, |_| {
        let assignment = sync::SyncGroupRequestAssignment::default().with_member_id(text("m"));
        SyncGroupRequest::default().with_group_id(group()).with_assignments(vec![assignment])
    })
    .await;
    check(port, 0..=4, |_| HeartbeatRequest::default().with_group_id(group())).await;
    check(port, 0..=5, |version| {
        let request = LeaveGroupRequest::default().with_group_id(group());
        if version >= 3 {
            request.with_members(vec![leave::MemberIdentity::default().with_member_id(text("m"))])
        } else {
            request.with_member_id(text("m"))
        }
    })
    .await;
    check(port, 2..=9, |_| {
        let partition = commit::OffsetCommitRequestPartition::default().with_committed_offset(1);
        let topic = commit::OffsetCommitRequestTopic::default().with_name(topic());
        OffsetCommitRequest::default()
            .with_group_id(GroupId(text("simple")))
            .with_topics(vec![topic.with_partitions(vec![partition])])
    })
    .await;
    check(port, 1..=8, |version| {
        if version >= 8 {
            let topic = committed::OffsetFetchRequestTopics::default().with_name(topic());
            let group = committed::OffsetFetchRequestGroup::default().with_group_id(GroupId(text("simple")));
            let groups = vec![group.with_topics(Some(vec![topic.with_partition_indexes(vec![0, 1])]))];
            return OffsetFetchRequest::default().with_groups(groups);
        }
        let topic = committed::OffsetFetchRequestTopic::default().with_name(topic());
        OffsetFetchRequest::default()
            .with_group_id(GroupId(text("simple")))
            .with_topics(Some(vec![topic.with_partition_indexes(vec![0, 1])]))
    })
    .await;
}

async fn check_administration(port: &Port) {
    check(port, 0..=5, |_| {
        DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g3")), GroupId(text("none"))])
    })
    .await;
    check(port, 0..=4, |_| ListGroupsRequest::default()).await;
    check(port, 1..=4, |_| {
        let resources = [TOPIC, OTHER, "absent"].map(|name| {
            DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text(name))
        });
        DescribeConfigsRequest::default().with_resources(resources.to_vec())
    })
    .await;
    check(port, 0..=1, |_| DescribeClusterRequest::default()).await;
}

#[test]
fn another_implementation_understands_every_version_of_every_answer() {
    with_port(config(), async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        check_reading(&port).await;
        check_groups(&port).await;
        check_administration(&port).await;
    });
}
