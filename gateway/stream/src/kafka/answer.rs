//! From a frame to its response: which request it is, what it asks of whom, and the bytes that say so.

use std::collections::BTreeSet;

use tokio::sync::OwnedSemaphorePermit;

use super::api::list_offsets::{EARLIEST, Found, LATEST, MAX_TIMESTAMP};
use super::api::{
    ApiKey, Frame, RequestHeader, admin, configs, coordinator, error_code, fetch, group, list_offsets,
    metadata, offsets, produce, versions,
};
use super::fetching::epoch_fault;
use super::group::{GroupRequest, GroupResponse};
use super::limits::PARTITIONS_PER_REQUEST_MAX;
use super::server::{Failure, KafkaServer};
use super::wire::{Reader, WireError, Writer};
use crate::view::ReadFault;

/// What becomes of a frame.
pub(super) enum Answer {
    Response(Response),
    /// Nothing can be answered: the connection ends.
    Close,
}

/// Bytes for the socket.
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
    /// Given back when the response was sent.
    _memory: Option<OwnedSemaphorePermit>,
}

impl Answer {
    fn of(writer: Writer) -> Self {
        Self::Response(Response { bytes: writer.finish(), _memory: None })
    }
}

/// Answers one frame; may wait for records or for members of a group.
pub(super) async fn answer(server: &KafkaServer, frame: &[u8], host: &str) -> Result<Answer, WireError> {
    match Frame::read(frame)? {
        Frame::Request(header, reader) => answer_request(server, header, reader, host).await,
        Frame::UnknownApiVersions { correlation_id } => {
            let bytes = versions::unknown_version(correlation_id, server.security.users.is_some());
            Ok(Answer::Response(Response { bytes, _memory: None }))
        }
        Frame::Unknown => Ok(Answer::Close),
    }
}

async fn answer_request(
    server: &KafkaServer,
    header: RequestHeader<'_>,
    reader: Reader<'_>,
    host: &str,
) -> Result<Answer, WireError> {
    let version = header.version;
    let mut writer = header.response();
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
        ApiKey::Fetch => return server.answer_fetch(version, reader, writer).await,
        ApiKey::ListOffsets => {
            let topics = list_offsets::read(reader, version)?;
            let count: usize = topics.iter().map(|topic| topic.partitions.len()).sum();
            if count > PARTITIONS_PER_REQUEST_MAX {
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
            let request = offsets::CommitRequest::read(reader, version)?;
            server.commit_offsets(&request, version, &mut writer).await;
        }
        ApiKey::OffsetFetch => {
            let request = offsets::FetchRequest::read(reader, version)?;
            if !server.fetch_offsets(request, version, &mut writer).await {
                return Ok(Answer::Close);
            }
        }
        _ => return server.answer_group(header, reader, writer, host).await,
    }
    Ok(Answer::of(writer))
}

/// Names once each: a name that is repeated in a request must not be answered at length each time.
pub(super) fn distinct<T: Ord + Copy>(names: Vec<T>) -> Vec<T> {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

impl KafkaServer {
    async fn answer_fetch(
        &self,
        version: i16,
        reader: Reader<'_>,
        mut writer: Writer,
    ) -> Result<Answer, WireError> {
        let request = fetch::Request::read(reader, version)?;
        let count: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        if count > PARTITIONS_PER_REQUEST_MAX {
            return Ok(Answer::Close);
        }
        if request.session_id != 0 {
            fetch::write_refusal(&mut writer, version);
            return Ok(Answer::of(writer));
        }
        let answer = self.fetch(&request).await;
        if answer.fetched.len() != count {
            return Ok(Answer::Close);
        }
        fetch::write(&mut writer, version, &request.topics, &answer.fetched);
        Ok(Answer::Response(Response { bytes: writer.finish(), _memory: answer.memory }))
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
        match tokio::task::spawn_blocking(move || plan.run()).await {
            Ok(Ok(Some((offset, timestamp)))) => at(offset, timestamp),
            Ok(Ok(None)) => Found::nothing(error_code::NONE),
            // Clients try again.
            Ok(Err(ReadFault::Rewritten)) => Found::nothing(error_code::KAFKA_STORAGE_ERROR),
            Ok(Err(failure)) => {
                (self.on_failure)(&Failure::Read(failure));
                Found::nothing(error_code::KAFKA_STORAGE_ERROR)
            }
            Err(_) => Found::nothing(error_code::KAFKA_STORAGE_ERROR),
        }
    }

    async fn answer_group(
        &self,
        header: RequestHeader<'_>,
        reader: Reader<'_>,
        mut writer: Writer,
        host: &str,
    ) -> Result<Answer, WireError> {
        let version = header.version;
        let request = match header.api.key {
            ApiKey::JoinGroup => {
                GroupRequest::Join(group::read_join(reader, version, header.client_id, host)?)
            }
            ApiKey::SyncGroup => GroupRequest::Sync(group::read_sync(reader, version)?),
            ApiKey::Heartbeat => GroupRequest::Heartbeat(group::read_heartbeat(reader, version)?),
            ApiKey::LeaveGroup => GroupRequest::Leave(group::read_leave(reader, version)?),
            ApiKey::ListGroups => GroupRequest::List { states: admin::read_list_groups(reader, version)? },
            ApiKey::DescribeGroups => {
                let names = admin::read_describe_groups(reader, version)?;
                return Ok(self.describe_groups(names, version, writer).await);
            }
            _ => return Ok(Answer::Close),
        };
        match self.groups.ask(request).await {
            Some(GroupResponse::Join(response)) => group::write_join(&mut writer, version, &response),
            Some(GroupResponse::Sync(response)) => group::write_sync(&mut writer, version, &response),
            Some(GroupResponse::Heartbeat(error)) => group::write_heartbeat(&mut writer, version, error),
            Some(GroupResponse::Leave(response)) => group::write_leave(&mut writer, version, &response),
            Some(GroupResponse::List(groups)) => admin::write_list_groups(&mut writer, version, &groups),
            _ => return Ok(Answer::Close),
        }
        Ok(Answer::of(writer))
    }

    async fn describe_groups(&self, names: Vec<String>, version: i16, mut writer: Writer) -> Answer {
        let names: BTreeSet<String> = names.into_iter().collect();
        if names.len() > PARTITIONS_PER_REQUEST_MAX {
            return Answer::Close;
        }
        let mut groups = Vec::with_capacity(names.len());
        for group_id in names {
            if let Some(GroupResponse::Describe(group)) =
                self.groups.ask(GroupRequest::Describe { group_id }).await
            {
                groups.push(group);
            }
        }
        admin::write_describe_groups(&mut writer, version, &groups);
        Answer::of(writer)
    }
}
