//! `ListGroups` and `DescribeGroups`: written from the coordinator as it stands, group after group.
//!
//! All groups together may hold more than a response can, and a response more than the thread should write in one go. So
//! one is composed at a time, in turns, and between two turns it holds no more than it has taken of the memory that all
//! responses share.

use super::answer::{Answer, Response, distinct};
use super::api::admin;
use super::limits::{
    COMPOSED_BYTES_PER_TURN, GROUPS_PER_TURN, PARTITIONS_PER_REQUEST_MAX, UNSHARED_BYTES_MAX,
};
use super::memory::Share;
use super::server::KafkaServer;
use super::wire::{Reader, WireError, Writer};

impl KafkaServer {
    pub(super) fn list_groups(
        &self,
        reader: Reader<'_>,
        version: i16,
        mut writer: Writer,
    ) -> Result<Answer, WireError> {
        let states = admin::States::of_names(&admin::read_list_groups(reader, version)?);
        // Groups are bounded in number and listed by their names alone: no more than one turn.
        self.groups.look(|coordinator| {
            let groups = coordinator.list().filter(|group| states.contains(group.state));
            let groups: Vec<_> = groups.collect();
            admin::write_list_groups(&mut writer, version, &groups);
        });
        Ok(self.respond(writer))
    }

    pub(super) async fn describe_groups(
        &self,
        reader: Reader<'_>,
        version: i16,
        writer: Writer,
    ) -> Result<Answer, WireError> {
        // Requests that wait for their turn are not yet taken apart: one at a time takes the memory for that.
        let _only = self.composing.lock().await;
        let names = distinct(admin::read_describe_groups(reader, version)?);
        if names.len() > PARTITIONS_PER_REQUEST_MAX {
            return Ok(Answer::Close);
        }
        let Some(mut composition) = Composition::begin(self, writer) else { return Ok(Answer::Starved) };
        admin::begin_described_groups(&mut composition.writer, version, names.len());
        for name in names {
            self.groups.look(|coordinator| {
                let group = coordinator.describe(name);
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
