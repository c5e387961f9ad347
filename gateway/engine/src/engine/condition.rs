//! What a heartbeat says of its node's condition, once the node is known to be alive.
//!
//! Told is the difference between what a heartbeat says and what the world was told last, so a full verdict buffer
//! loses nothing: the next heartbeat differs as well. A node that is not alive has no condition that matters; a suspect one
//! keeps what was told. `Joined` and `Restarted` begin with a healthy node.

use pulsegate_codec::{Heartbeat, NodeStatus};

use super::{Cause, Engine};
use crate::slot::SlotIndex;
use crate::verdict::{NodeState, VerdictKind, Verdicts};

impl Engine {
    /// After a heartbeat of an alive node was noted.
    #[inline]
    pub(super) fn take_condition(&mut self, slot: SlotIndex, heartbeat: &Heartbeat, verdicts: &mut Verdicts) {
        let is_degraded = heartbeat.status == NodeStatus::Degraded;
        if is_degraded != self.registry.node(slot).is_degraded() {
            self.tell_status(slot, is_degraded, verdicts);
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
