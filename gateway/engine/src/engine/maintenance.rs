//! Nodes that are not judged by their silence for a while.
//!
//! Two ways lead there. A node says goodbye for maintenance and when it means to be back: it has left, and is in maintenance
//! until it joins again, or until that time and its failed timeout as a grace are over; it is not forgotten meanwhile. Or an
//! operator says so of any node that was told to the world, and that outranks heartbeats: until the time is over or the operator ends it
//! the node is neither suspected nor failed nor forgotten, and a suspect or failed one does not recover, however it
//! beats. A restart, a goodbye and what a node says of itself are told as ever: they are no judgement of ours.
//!
//! At the end an alive or suspect node counts as just heard, so it has its timeouts from then on; a failed one that beats recovers by
//! the usual two heartbeats.
//!
//! Not kept over a restart of the gateway: whoever keeps the operator's orders gives them again.

use pulsegate_codec::{Departure, DepartureReason, NodeId};

use super::{Cause, Engine};
use crate::limits::MAINTENANCE_MAX;
use crate::slot::SlotIndex;
use crate::time::{Duration, Timestamp};
use crate::verdict::{NodeState, VerdictKind, Verdicts};

/// Until when a node is not judged by its silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Maintenance {
    pub(super) until: Timestamp,
    by_operator: bool,
}

impl Engine {
    /// An operator says that a node is in maintenance until then, at most [`MAINTENANCE_MAX`] from now. Said of one that is already, it
    /// moves the end, without a verdict. False, and nothing is done, if the node is not known or was told to nobody,
    /// or if `verdicts` has no room.
    ///
    /// # Panics
    /// If time goes back.
    pub fn set_maintenance(
        &mut self,
        node_id: NodeId,
        until: Timestamp,
        now: Timestamp,
        verdicts: &mut Verdicts,
    ) -> bool {
        self.advance_now(now);
        let Some(slot) = self.registry.find(node_id) else { return false };
        if self.registry.event_sequence(slot) == 0 || verdicts.room() == 0 {
            return false;
        }
        self.begin_maintenance(slot, until, true, verdicts);
        true
    }

    /// An operator says that a node is no longer in maintenance, whoever had said so. False if it is not, or if `verdicts` has
    /// no room.
    ///
    /// # Panics
    /// If time goes back.
    pub fn clear_maintenance(&mut self, node_id: NodeId, now: Timestamp, verdicts: &mut Verdicts) -> bool {
        self.advance_now(now);
        let slot = self.registry.find(node_id).filter(|slot| self.maintenance.contains_key(slot));
        let Some(slot) = slot.filter(|_| verdicts.room() > 0) else { return false };
        self.end_maintenance(slot, None, verdicts);
        let state = self.registry.state(slot).expect("the lookup found a known node");
        let look_by = self.look_by(slot, state, self.deadline(slot, state));
        self.arm_no_later(slot, look_by);
        true
    }

    /// What is known of the node's maintenance, if it is in any.
    #[inline]
    pub(super) fn maintenance_of(&self, slot: SlotIndex) -> Option<Maintenance> {
        if self.maintenance.is_empty() { None } else { self.maintenance.get(&slot).copied() }
    }

    /// A goodbye was taken. Without room nothing more is said: the goodbye told of its reason.
    pub(super) fn note_planned_absence(
        &mut self,
        slot: SlotIndex,
        departure: &Departure,
        verdicts: &mut Verdicts,
    ) {
        let is_planned = departure.reason == DepartureReason::Maintenance && departure.expected_return_ms > 0;
        if !is_planned || verdicts.room() == 0 || self.is_held_by_operator(slot) {
            return;
        }
        let length = Duration::from_millis(departure.expected_return_ms).min(MAINTENANCE_MAX);
        let grace = self.detection.timeouts(slot, self.registry.node(slot).interval_ms()).failed;
        self.begin_maintenance(slot, self.now + length + grace, false, verdicts);
    }

    /// Whether heartbeats do not bring this node back now.
    pub(super) fn is_held_by_operator(&self, slot: SlotIndex) -> bool {
        self.maintenance_of(slot).is_some_and(|maintenance| maintenance.by_operator)
    }

    /// The node has joined again: its planned absence is over. Without room it ends when its time does.
    pub(super) fn end_planned_absence(&mut self, slot: SlotIndex, verdicts: &mut Verdicts) {
        if self.maintenance_of(slot).is_some_and(|maintenance| !maintenance.by_operator)
            && verdicts.room() > 0
        {
            self.end_maintenance(slot, None, verdicts);
        }
    }

    fn begin_maintenance(
        &mut self,
        slot: SlotIndex,
        until: Timestamp,
        by_operator: bool,
        verdicts: &mut Verdicts,
    ) {
        let length = until.since(self.now).min(MAINTENANCE_MAX);
        let maintenance = Maintenance { until: self.now + length, by_operator };
        if self.maintenance.insert(slot, maintenance).is_none() {
            let state = self.registry.state(slot).expect("a known node");
            let kind = VerdictKind::MaintenanceStarted { length, by_operator };
            self.decide(slot, state, Cause { kind, deadline: None }, verdicts);
        }
        self.arm_no_later(slot, maintenance.until);
    }

    /// There is room for the verdict. The caller arms the node.
    pub(super) fn end_maintenance(
        &mut self,
        slot: SlotIndex,
        deadline: Option<Timestamp>,
        verdicts: &mut Verdicts,
    ) {
        let Some(Maintenance { by_operator, .. }) = self.maintenance.remove(&slot) else { return };
        let state = self.registry.state(slot).expect("a known node");
        let kind = VerdictKind::MaintenanceEnded { by_operator };
        self.decide(slot, state, Cause { kind, deadline }, verdicts);
        if matches!(state, NodeState::Alive | NodeState::Suspect) {
            // Its silence was not judged, and teaches nothing.
            self.registry.node_mut(slot).last_seen = self.now;
            self.detection.skip_next_gap(slot);
        }
    }
}
