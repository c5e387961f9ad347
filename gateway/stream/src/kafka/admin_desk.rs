//! `ListGroups` and `DescribeGroups`: written from the coordinator as it stands, group after group.
//!
//! The coordinator forgets a group some time after its last member left, and all of them when the process ends. As long as
//! their offsets are kept they are groups without members all the same: the lag of a consumer is looked at when it has
//! stopped.
//!
//! All groups together may hold more than a response can, and a response more than the thread should write in one go. So
//! one is composed at a time, in turns, and between two turns it holds no more than it has taken of the memory that all
//! responses share.

use std::collections::BTreeSet;

use super::answer::{Answer, Response, distinct};
use super::api::admin;
use super::group::{DescribedGroup, GroupState, ListedGroup};
use super::limits::{
    COMPOSED_BYTES_PER_TURN, GROUPS_PER_TURN, PARTITIONS_PER_REQUEST_MAX, UNSHARED_BYTES_MAX,
};
use super::memory::Share;
use super::server::KafkaServer;
use super::wire::{Reader, WireError, Writer};

impl KafkaServer {
    pub(super) async fn list_groups(
        &self,
        reader: Reader<'_>,
        version: i16,
        writer: Writer,
    ) -> Result<Answer, WireError> {
        // Requests that wait for their turn are not yet taken apart: one at a time takes the memory for that.
        let _only = self.composing.lock().await;
        // It must not change while it is counted and listed.
        let store = self.offsets.read().await;
        let states = admin::States::of_names(&admin::read_list_groups(reader, version)?);
        let Some(mut composition) = Composition::begin(self, writer) else { return Ok(Answer::Starved) };
        let known = self.groups.look(|coordinator| {
            let known: BTreeSet<&str> =
                coordinator.list().filter_map(|group| store.group_id(group.group_id)).collect();
            let groups: Vec<_> = coordinator.list().filter(|group| states.contains(group.state)).collect();
            let others = if states.contains(GroupState::Empty) { store.groups() - known.len() } else { 0 };
            let writer = &mut composition.writer;
            admin::begin_listed_groups(writer, version, groups.len() + others);
            groups.iter().for_each(|group| admin::write_listed_group(writer, version, group));
            (others > 0).then_some(known)
        });
        let others =
            known.iter().flat_map(|known| store.group_ids().filter(|group_id| !known.contains(group_id)));
        for group_id in others {
            admin::write_listed_group(
                &mut composition.writer,
                version,
                &ListedGroup::without_members(group_id),
            );
            if !composition.goes_on().await {
                return Ok(Answer::Starved);
            }
        }
        composition.writer.tags();
        Ok(composition.finish())
    }

    pub(super) async fn describe_groups(
        &self,
        reader: Reader<'_>,
        version: i16,
        writer: Writer,
    ) -> Result<Answer, WireError> {
        // As for a list.
        let _only = self.composing.lock().await;
        let store = self.offsets.read().await;
        let names = distinct(admin::read_describe_groups(reader, version)?);
        if names.len() > PARTITIONS_PER_REQUEST_MAX {
            return Ok(Answer::Close);
        }
        let Some(mut composition) = Composition::begin(self, writer) else { return Ok(Answer::Starved) };
        admin::begin_described_groups(&mut composition.writer, version, names.len());
        for name in names {
            self.groups.look(|coordinator| {
                let group = match coordinator.describe(name) {
                    group if group.state == GroupState::Dead && store.group_id(name).is_some() => {
                        DescribedGroup::WITHOUT_MEMBERS
                    }
                    group => group,
                };
                admin::write_described_group(&mut composition.writer, version, name, &group);
            });
            if !composition.goes_on().await {
                return Ok(Answer::Starved);
            }
        }
        composition.writer.tags();
        Ok(composition.finish())
    }
}

/// A response that is written in turns.
struct Composition {
    writer: Writer,
    share: Share,
    /// Of this turn.
    groups: usize,
    /// How long the response was when the turn began.
    begun_bytes: usize,
}

impl Composition {
    fn begin(server: &KafkaServer, writer: Writer) -> Option<Self> {
        let share = server.response_memory.try_take(0)?;
        Some(Self { begun_bytes: writer.written_bytes(), writer, share, groups: 0 })
    }

    /// Takes note of one more group, and lets others run if the turn is over. False: there is no room for the response.
    async fn goes_on(&mut self) -> bool {
        self.groups += 1;
        let is_over = self.groups >= GROUPS_PER_TURN
            || self.writer.written_bytes() - self.begun_bytes >= COMPOSED_BYTES_PER_TURN;
        if self.writer.is_cut() || (is_over && !self.pay()) {
            return false;
        }
        if is_over {
            (self.groups, self.begun_bytes) = (0, self.writer.written_bytes());
            tokio::task::yield_now().await;
        }
        true
    }

    /// Takes a share for all that was written. Returns whether it is there.
    fn pay(&mut self) -> bool {
        self.writer.trim();
        self.share.try_grow_to(self.writer.written_bytes().saturating_sub(UNSHARED_BYTES_MAX))
    }

    fn finish(mut self) -> Answer {
        if self.writer.is_cut() || !self.pay() {
            return Answer::Starved;
        }
        let memory = Some(self.share).filter(|share| share.bytes() > 0);
        Answer::Response(Response { bytes: self.writer.finish(), memory })
    }
}
