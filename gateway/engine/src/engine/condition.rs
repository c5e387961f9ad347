//! What a heartbeat says of its node's condition, once the node is known to be alive.
//!
//! Told is the difference between what a heartbeat says and what the world was told last, so a full verdict buffer
//! loses nothing: the next heartbeat differs as well. A node that is not alive has no condition that matters; a suspect one
//! keeps what was told. `Joined` and `Restarted` begin with a healthy node that moves on.
//!
//! **Stalled** is the zombie: it beats, it has work pending, and its counter of work done stands still. Time counts only
//! while the gateway has listened and the node has beaten: a silence that ended, or a pause of the gateway, begins it anew.
//! It is looked at when a heartbeat comes, so `stalled` is told at most one interval after its time, and a node without
//! heartbeats is somebody else's case. Whoever has never declared progress in this run, or has nothing pending, is
//! never stalled.

use pulsegate_codec::{Heartbeat, NodeStatus};

use super::{Cause, Engine};
use crate::slot::SlotIndex;
use crate::verdict::{NodeState, VerdictKind, Verdicts};
use crate::work::Work;

impl Engine {
    /// After a heartbeat of an alive node was noted.
    #[inline]
    pub(super) fn take_condition(&mut self, slot: SlotIndex, heartbeat: &Heartbeat, verdicts: &mut Verdicts) {
        let is_degraded = heartbeat.status == NodeStatus::Degraded;
        if is_degraded != self.registry.node(slot).is_degraded() {
            self.tell_status(slot, is_degraded, verdicts);
        }
        if heartbeat.progress != 0 && !self.config.stalled_after.is_zero() {
            self.take_progress(slot, heartbeat, verdicts);
        }
    }

    fn take_progress(&mut self, slot: SlotIndex, heartbeat: &Heartbeat, verdicts: &mut Verdicts) {
        let Heartbeat { progress, pending, .. } = *heartbeat;
        let mut work = self.works.of(slot);
        // The first after a restart of the gateway may be told to be stalled: it stays so until it moves.
        let is_first = work.progress == 0;
        let moves = pending == 0 || (progress > work.progress && !is_first);
        let stands_since = work.since.max(self.samples_from);
        let told = if moves && work.is_stalled {
            Some(VerdictKind::Progressing { progress, pending })
        } else if !moves
            && !is_first
            && !work.is_stalled
            && self.now.since(stands_since) >= self.config.stalled_after
        {
            Some(VerdictKind::Stalled { progress, pending })
        } else {
            None
        };
        if let Some(kind) = told {
            if verdicts.room() == 0 {
                self.counters.verdicts_postponed += 1;
                return;
            }
            self.decide(slot, NodeState::Alive, Cause { kind, deadline: None }, verdicts);
            work.is_stalled = !moves;
        }
        if moves || is_first {
            (work.progress, work.since) = (progress.max(work.progress), self.now);
        }
        self.works.set(slot, work, self.registry.slot_count());
    }

    /// The node was not heard for a while: what it did meanwhile nobody knows.
    pub(super) fn stand_still_from_now(&mut self, slot: SlotIndex) {
        let work = self.works.of(slot);
        if work.progress != 0 {
            self.works.set(slot, Work { since: self.now, ..work }, self.registry.slot_count());
        }
    }

    #[cold]
    fn tell_status(&mut self, slot: SlotIndex, is_degraded: bool, verdicts: &mut Verdicts) {
        if verdicts.room() == 0 {
            self.counters.verdicts_postponed += 1;
            return;
        }
        let kind = if is_degraded { VerdictKind::Degraded } else { VerdictKind::Healthy };
        self.decide(slot, NodeState::Alive, Cause { kind, deadline: None }, verdicts);
        self.registry.node_mut(slot).set_degraded(is_degraded);
    }
}
