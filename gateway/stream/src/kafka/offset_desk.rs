//! `OffsetCommit` and `OffsetFetch`: between the requests, the coordinator that admits a commit, and the store.

use super::answer::distinct;
use super::api::error_code;
use super::api::offsets::{Commit, CommitRequest, Committed, FetchRequest, GroupOffsets, Topic, write_fetch};
use super::group::{GroupErrorCode, GroupRequest, GroupResponse};
use super::limits::{OFFSET_EXPIRY_INTERVAL, PARTITIONS_PER_REQUEST_MAX};
use super::offsets::{CommittedOffset, OffsetStore, TopicPartition};
use super::server::{Failure, KafkaServer};
use super::wire::{Reader, WireError, Writer};
use crate::view::LogView;

impl KafkaServer {
    pub(super) async fn commit_offsets(
        &self,
        reader: Reader<'_>,
        version: i16,
        writer: &mut Writer,
    ) -> Result<(), WireError> {
        // Requests that wait for their turn are not yet taken apart: one at a time takes the memory for that.
        let mut store = self.offsets.write().await;
        let request = CommitRequest::read(reader, version)?;
        let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        let mut errors = match self.check_commit(&request, count).await {
            GroupErrorCode::None => self.store_offsets(&mut store, &request).await,
            refused => vec![refused.code(); count],
        }
        .into_iter();
        // One error a partition, in the order of the request, which is the order of the answer.
        request.write_response(writer, version, || errors.next().unwrap_or(error_code::INVALID_REQUEST));
        Ok(())
    }

    async fn check_commit(&self, request: &CommitRequest<'_>, count: usize) -> GroupErrorCode {
        if count > PARTITIONS_PER_REQUEST_MAX {
            return GroupErrorCode::InvalidRequest;
        }
        match self.groups.ask(GroupRequest::OffsetCommitCheck(request.member.clone())).await {
            Some(GroupResponse::OffsetCommitCheck(error)) => error,
            _ => GroupErrorCode::CoordinatorLoadInProgress,
        }
    }

    /// Stores what is acceptable. Returns an error, or none, for each partition of the request.
    async fn store_offsets(&self, store: &mut OffsetStore, request: &CommitRequest<'_>) -> Vec<i16> {
        let now_ms = (self.unix_ms)();
        let topics = request.topics.iter();
        let named = topics.flat_map(|topic| topic.partitions.iter().map(|commit| (topic.name, commit)));
        let mut errors: Vec<i16> =
            named.clone().map(|(topic, commit)| self.commit_fault(topic, commit)).collect();
        let acceptable = named.zip(&errors).filter(|(_, error)| **error == error_code::NONE);
        let commits = acceptable.map(|((topic, commit), _)| stored(topic, commit, now_ms)).collect();
        let committed = store.commit(&request.member.group_id, commits).await;
        let pending = errors.iter_mut().filter(|error| **error == error_code::NONE);
        match committed {
            Ok(results) => {
                for (error, result) in pending.zip(results) {
                    *error = result.map_or_else(|refusal| refusal.code(), |()| error_code::NONE);
                }
            }
            Err(failure) => {
                pending.for_each(|error| *error = error_code::COORDINATOR_NOT_AVAILABLE);
                (self.on_failure)(&Failure::Offsets(failure));
            }
        }
        errors
    }

    /// Why a partition's offset is not even offered to the store.
    fn commit_fault(&self, topic: &str, commit: &Commit<'_>) -> i16 {
        let partition_count = self.topics.find(topic).map_or(0, LogView::partition_count);
        if u32::try_from(commit.index).is_ok_and(|index| index < partition_count) {
            error_code::NONE
        } else {
            error_code::UNKNOWN_TOPIC_OR_PARTITION
        }
    }

    /// Writes the committed offsets. False: more was asked for than is answered.
    pub(super) async fn fetch_offsets(
        &self,
        reader: Reader<'_>,
        version: i16,
        writer: &mut Writer,
    ) -> Result<bool, WireError> {
        // As for a commit.
        let store = self.offsets.read().await;
        let request = FetchRequest::read(reader, version)?;
        let asked = request.groups.iter().map(|(_, topics)| match topics {
            None => self.topics.partition_count(),
            Some(topics) => 1 + topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(),
        });
        if asked.sum::<usize>() > PARTITIONS_PER_REQUEST_MAX {
            return Ok(false);
        }
        let groups = request.groups.into_iter();
        let answers: Vec<_> =
            groups.map(|(group, topics)| (group, offsets_of(&store, group, topics))).collect();
        write_fetch(writer, version, &answers);
        Ok(true)
    }

    /// Deletes offsets of groups that are long gone. Runs as long as the server.
    pub(super) async fn run_expiry(&self) {
        loop {
            tokio::time::sleep(OFFSET_EXPIRY_INTERVAL).await;
            let now_ms = (self.unix_ms)();
            let expired =
                self.offsets.write().await.expire(now_ms, |group| self.groups.has_members(group)).await;
            if let Err(failure) = expired {
                (self.on_failure)(&Failure::Offsets(failure));
            }
        }
    }
}

fn stored(topic: &str, commit: &Commit<'_>, now_ms: i64) -> (TopicPartition, CommittedOffset) {
    let partition = TopicPartition { topic: topic.to_owned(), partition: commit.index };
    let offset = CommittedOffset {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        commit_timestamp_ms: now_ms,
        metadata: commit.metadata.to_owned(),
    };
    (partition, offset)
}

fn offsets_of<'a>(
    store: &'a OffsetStore,
    group: &str,
    topics: Option<Vec<Topic<'a, i32>>>,
) -> GroupOffsets<'a> {
    let Some(topics) = topics else { return all_offsets(store, group) };
    let of_topic = |topic: Topic<'a, i32>| {
        let of_partition = |index| {
            let partition = TopicPartition { topic: topic.name.to_owned(), partition: index };
            (index, store.fetch_one(group, &partition).map_or(Committed::NOTHING, Committed::from))
        };
        (topic.name, distinct(topic.partitions).into_iter().map(of_partition).collect())
    };
    topics.into_iter().map(of_topic).collect()
}

fn all_offsets<'a>(store: &'a OffsetStore, group: &str) -> GroupOffsets<'a> {
    let mut topics: GroupOffsets<'a> = Vec::new();
    for (partition, offset) in store.fetch_all(group) {
        let entry = (partition.partition, Committed::from(offset));
        match topics.last_mut().filter(|(name, _)| *name == partition.topic) {
            Some((_, offsets)) => offsets.push(entry),
            None => topics.push((&partition.topic, vec![entry])),
        }
    }
    topics
}

impl From<&CommittedOffset> for Committed {
    fn from(offset: &CommittedOffset) -> Self {
        let CommittedOffset { offset, leader_epoch, metadata, .. } = offset;
        Self { offset: *offset, leader_epoch: *leader_epoch, metadata: metadata.clone() }
    }
}
