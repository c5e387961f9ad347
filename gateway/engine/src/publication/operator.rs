//! What an operator asks for: silences, an end to holding, and how the zones stand.

use super::Publication;
use super::group::GroupIndex;
use super::member::{Member, Waits};
use super::output::ReleaseReason;
use super::release::Release;
use super::silence::{Selector, Silence, SilenceId, TooManySilences};
use crate::time::Timestamp;
use pulsegate_codec::NodeId;

/// How a zone stands, as the guard counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneStatus {
    /// Its name.
    pub zone: Box<str>,
    /// Nodes alive.
    pub alive: u32,
    /// Nodes suspect.
    pub suspect: u32,
    /// Nodes failed, but for those whose failure was accepted.
    pub failed: u32,
    /// Failures that the zone's guard holds; `None` when it does not hold.
    pub held: Option<usize>,
}

impl Publication {
    /// Silences nodes until a time.
    ///
    /// # Errors
    /// When there are too many silences.
    pub fn silence(
        &mut self,
        selector: Selector,
        until: Timestamp,
        comment: &str,
        now: Timestamp,
    ) -> Result<SilenceId, TooManySilences> {
        self.now = self.now.max(now);
        self.silences.add(selector, self.now, until, comment.into())
    }

    /// Ends a silence before its time; `false` if there is none of this name.
    pub fn end_silence(&mut self, id: SilenceId, now: Timestamp) -> bool {
        self.now = self.now.max(now);
        let ended = self.silences.end(id);
        if ended {
            self.catch_up_with_released();
        }
        ended
    }

    /// All silences.
    #[must_use]
    pub fn silences(&self) -> &[Silence] {
        self.silences.all()
    }

    /// Makes the guard of a zone let go, or with `None` every guard, and takes the failures that there are for granted:
    /// what an operator says after a scale-down that nobody announced. Returns how many failures were let go of, `None`
    /// if there is no such zone.
    pub fn release(&mut self, zone: Option<&str>, now: Timestamp) -> Option<u64> {
        self.now = self.now.max(now);
        let before = self.guard.held();
        if let Some(zone) = zone {
            let index = self.groups.zone(zone)?;
            self.rebaseline(index);
        } else {
            let zones: Vec<_> = self.groups.zones().map(|(index, _, _)| index).collect();
            let shards = (0..self.groups.shards).map(GroupIndex::of_shard);
            for scope in [GroupIndex::GATEWAY].into_iter().chain(shards).chain(zones) {
                self.rebaseline(scope);
            }
        }
        Some((before - self.guard.held()) as u64)
    }

    fn rebaseline(&mut self, scope: GroupIndex) {
        self.groups.group_mut(scope).accept_failures(self.failures);
        self.let_go(scope, ReleaseReason::Operator);
    }

    /// How the zones stand, in no order that means anything.
    pub fn zones(&self) -> impl Iterator<Item = ZoneStatus> + '_ {
        self.groups.zones().map(|(index, name, group)| ZoneStatus {
            zone: name.into(),
            alive: group.alive,
            suspect: group.suspect,
            failed: group.failed,
            held: group.episode.map(|_| self.guard.held_by(index)),
        })
    }

    /// Queues every node that no silence keeps still any more.
    pub(super) fn catch_up_with_released(&mut self) {
        for (node_id, (shard, verdict)) in self.silences.released() {
            self.with_member_if_known(node_id, |this, member| {
                // What else waits of it tells more.
                if member.waits == Waits::Nowhere {
                    member.waits = Waits::Releasing(this.releases.push(Release::CatchUp(shard, verdict)));
                }
            });
        }
        self.releases.set_rate(self.now);
    }

    /// Works on a node, unless it is gone.
    pub(super) fn with_member_if_known(
        &mut self,
        node_id: NodeId,
        work: impl FnOnce(&mut Self, &mut Member),
    ) {
        if self.members.contains_key(&node_id) {
            self.with_member(node_id, work);
        }
    }
}
