//! From a frame to its response: which request it is, what it asks of whom, and the bytes that say so.

use std::collections::BTreeSet;

use super::api::list_offsets::{EARLIEST, Found, LATEST, MAX_TIMESTAMP};
use super::api::{
    ApiKey, Frame, RequestHeader, admin, configs, coordinator, error_code, fetch, group, list_offsets,
    metadata, produce, versions,
};
use super::connection::Received;
use super::fetching::epoch_fault;
use super::group::{GroupRequest, GroupResponse};
use super::limits::{PARTITIONS_PER_REQUEST_MAX, UNSHARED_BYTES_MAX};
use super::memory::Share;
use super::server::{Failure, KafkaServer};
use super::wire::{Reader, WireError, Writer};
use crate::limits::TOPIC_BYTES_MAX;
use crate::view::ReadFault;

/// What becomes of a frame.
pub(super) enum Answer {
    Response(Response),
    /// Nothing can be answered: the connection ends.
    Close,
    /// There is no memory for the answer: the connection ends.
    Starved,
}

/// Bytes for the socket.
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
    /// What is beyond the connection's own; given back when the response was sent.
    pub(super) memory: Option<Share>,
}

/// Answers one request; may wait for records or for members of a group, and then keeps nothing of its bytes.
pub(super) async fn answer(
    server: &KafkaServer,
    received: Received,
    host: &str,
) -> Result<Answer, WireError> {
    let (header, reader) = match Frame::read(&received.bytes)? {
        Frame::Request(header, reader) => (header, reader),
        Frame::UnknownApiVersions { correlation_id } => {
            let bytes = versions::unknown_version(correlation_id, server.security.users.is_some());
            return Ok(Answer::Response(Response { bytes, memory: None }));
        }
        Frame::Unknown => return Ok(Answer::Close),
    };
    let (version, writer) = (header.version, header.response());
    if matches!(header.api.key, ApiKey::Fetch) {
        let request = fetch::Request::read(reader, version)?;
        drop(received);
        return Ok(server.answer_fetch(version, &request, writer).await);
    }
    if let Some(request) = group_request(&header, &reader, host)? {
        drop(received);
        return Ok(server.answer_group(request, version, writer).await);
    }
    answer_at_once(server, &header, reader, writer).await
}

/// What goes to the group coordinator.
fn group_request(
    header: &RequestHeader<'_>,
    reader: &Reader<'_>,
    host: &str,
) -> Result<Option<GroupRequest>, WireError> {
    let (version, reader) = (header.version, reader.clone());
    Ok(Some(match header.api.key {
        ApiKey::JoinGroup => GroupRequest::Join(group::read_join(reader, version, header.client_id, host)?),
        ApiKey::SyncGroup => GroupRequest::Sync(group::read_sync(reader, version)?),
        ApiKey::Heartbeat => GroupRequest::Heartbeat(group::read_heartbeat(reader, version)?),
        ApiKey::LeaveGroup => GroupRequest::Leave(group::read_leave(reader, version)?),
        _ => return Ok(None),
    }))
}

async fn answer_at_once(
    server: &KafkaServer,
    header: &RequestHeader<'_>,
    reader: Reader<'_>,
    mut writer: Writer,
) -> Result<Answer, WireError> {
    let version = header.version;
    match header.api.key {
        ApiKey::ApiVersions => {
            versions::read(reader, version)?;
            versions::write(&mut writer, version, error_code::NONE, server.security.users.is_some());
        }
        ApiKey::Metadata => {
            let wanted = metadata::read(reader, version)?.map(distinct);
            if wanted.as_ref().is_some_and(|wanted| wanted.len() > PARTITIONS_PER_REQUEST_MAX) {
                return Ok(Answer::Close);
            }
            metadata::write(&mut writer, version, &server.advertised, &server.topics, wanted);
        }
        ApiKey::ListOffsets => {
            let topics = list_offsets::read(reader, version)?;
            let count: usize = topics.iter().map(|topic| 1 + topic.partitions.len()).sum();
            if count > server.partitions_named_max() {
                return Ok(Answer::Close);
            }
            let mut found = server.find_offsets(&topics).await.into_iter();
            let nothing = Found::nothing(error_code::INVALID_REQUEST);
            list_offsets::write(&mut writer, version, &topics, |_, _| found.next().unwrap_or(nothing));
        }
        ApiKey::FindCoordinator => {
            let request = coordinator::Request::read(reader, version)?;
            request.write_response(&mut writer, version, &server.advertised);
        }
        ApiKey::Produce => {
            let request = produce::Request::read(reader, version)?;
            if !request.wants_response {
                return Ok(Answer::Close);
            }
            request.write_refusal(&mut writer, version);
        }
        ApiKey::DescribeCluster => {
            admin::read_describe_cluster(reader, version)?;
            admin::write_describe_cluster(&mut writer, version, &server.advertised);
        }
        ApiKey::DescribeConfigs => {
            let resources = configs::read(reader, version)?;
            if resources.len() > PARTITIONS_PER_REQUEST_MAX {
                return Ok(Answer::Close);
            }
            configs::write(&mut writer, version, &resources, &server.topics);
        }
        ApiKey::OffsetCommit => {
            server.commit_offsets(reader, version, &mut writer).await?;
        }
        ApiKey::OffsetFetch => {
            if !server.fetch_offsets(reader, version, &mut writer).await? {
                return Ok(Answer::Close);
            }
        }
        ApiKey::ListGroups => return server.list_groups(reader, version, writer).await,
        ApiKey::DescribeGroups => return server.describe_groups(reader, version, writer).await,
        _ => return Ok(Answer::Close),
    }
    Ok(server.respond(writer))
}

/// Names once each: a name that is repeated in a request must not be answered at length each time.
pub(super) fn distinct<T: Ord + Copy>(names: Vec<T>) -> Vec<T> {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

impl KafkaServer {
    /// The response, with the memory that it takes.
    pub(super) fn respond(&self, writer: Writer) -> Answer {
        if writer.is_cut() {
            return Answer::Starved;
        }
        let bytes = writer.finish();
        let memory = match bytes.len().saturating_sub(UNSHARED_BYTES_MAX) {
            0 => None,
            shared_bytes => match self.response_memory.try_take(shared_bytes) {
                None => return Answer::Starved,
                share => share,
            },
        };
        Answer::Response(Response { bytes, memory })
    }

    async fn answer_fetch(&self, version: i16, request: &fetch::Request, mut writer: Writer) -> Answer {
        let count: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        let has_long_name = request.topics.iter().any(|topic| topic.name.len() > TOPIC_BYTES_MAX);
        if count + request.topics.len() > self.partitions_named_max() || has_long_name {
            return Answer::Close;
        }
        if request.session_id != 0 {
            fetch::write_refusal(&mut writer, version);
            return self.respond(writer);
        }
        let answer = self.fetch(request).await;
        if answer.fetched.len() != count {
            return Answer::Close;
        }
        fetch::write(&mut writer, version, &request.topics, &answer.fetched);
        match answer.memory {
            None => self.respond(writer),
            memory => Answer::Response(Response { bytes: writer.finish(), memory }),
        }
    }

    async fn find_offsets(&self, topics: &[list_offsets::Topic<'_>]) -> Vec<Found> {
        let mut found = Vec::new();
        for topic in topics {
            for partition in &topic.partitions {
                found.push(self.find_offset(topic.name, partition).await);
            }
        }
        found
    }

    async fn find_offset(&self, name: &str, partition: &list_offsets::Partition) -> Found {
        let unknown = Found::nothing(error_code::UNKNOWN_TOPIC_OR_PARTITION);
        let Ok(index) = u32::try_from(partition.index) else { return unknown };
        let Some(view) = self.topics.find(name) else { return unknown };
        let Some(range) = view.range(index) else { return unknown };
        if let Some(error) = epoch_fault(partition.leader_epoch) {
            return Found::nothing(error);
        }
        let at = |offset: u64, timestamp| Found {
            error: error_code::NONE,
            timestamp,
            offset: offset.cast_signed(),
        };
        let timestamp_ms = match partition.timestamp {
            LATEST => return at(range.end, -1),
            EARLIEST => return at(range.start, -1),
            MAX_TIMESTAMP => view.max_timestamp_ms(index).unwrap_or(i64::MAX),
            timestamp_ms => timestamp_ms,
        };
        let Some(plan) = view.plan_time(index, timestamp_ms) else {
            return Found::nothing(error_code::NONE);
        };
        match self.read_files(move || plan.run()).await {
            Some(Ok(Some((offset, timestamp)))) => at(offset, timestamp),
            Some(Ok(None)) => Found::nothing(error_code::NONE),
            // Clients try again.
            Some(Err(ReadFault::Rewritten)) => Found::nothing(error_code::KAFKA_STORAGE_ERROR),
            Some(Err(failure)) => {
                (self.on_failure)(&Failure::Read(failure));
                Found::nothing(error_code::KAFKA_STORAGE_ERROR)
            }
            None => Found::nothing(error_code::KAFKA_STORAGE_ERROR),
        }
    }

    async fn answer_group(&self, request: GroupRequest, version: i16, mut writer: Writer) -> Answer {
        match self.groups.ask(request).await {
            Some(GroupResponse::Join(response)) => group::write_join(&mut writer, version, &response),
            Some(GroupResponse::Sync(response)) => group::write_sync(&mut writer, version, &response),
            Some(GroupResponse::Heartbeat(error)) => group::write_heartbeat(&mut writer, version, error),
            Some(GroupResponse::Leave(response)) => group::write_leave(&mut writer, version, &response),
            _ => return Answer::Close,
        }
        self.respond(writer)
    }
}
