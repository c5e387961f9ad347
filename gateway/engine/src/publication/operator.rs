//! What an operator asks for: silences, an end to holding, and what is held.

use super::Publication;
use super::group::GroupIndex;
use super::member::{Member, Waits};
use super::output::{GuardScope, ReleaseReason};
use super::release::Release;
use super::silence::{Selector, Silence, SilenceId, TooManySilences};
use crate::time::Timestamp;
use pulsegate_codec::NodeId;

/// A scope whose failures are held now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldStatus {
    /// Whose failures.
    pub scope: GuardScope,
    /// Its nodes that are alive.
    pub alive: u32,
    /// Its nodes that are suspect.
    pub suspect: u32,
    /// Its nodes that have failed, but for those whose failure was accepted.
    pub failed: u32,
    /// Failures that are held. A wider scope takes precedence: a zone holds none of what the gateway's guard holds.
    pub held: usize,
    /// When the first of them was held.
    pub since: Timestamp,
    /// When the guard lets go at the latest.
    pub until: Timestamp,
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

    /// What the guards hold now, the one that ends next first.
    pub fn holds(&self) -> impl Iterator<Item = HoldStatus> + '_ {
        self.guard.ends().filter_map(|(until, scope)| {
            let group = self.groups.group(scope);
            let since = group.episode.as_ref()?.began_at;
            let (alive, suspect, failed) = (group.alive, group.suspect, group.failed);
            let (scope, held) = (group.shared.scope(), self.guard.held_by(scope));
            Some(HoldStatus { scope, alive, suspect, failed, held, since, until })
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
