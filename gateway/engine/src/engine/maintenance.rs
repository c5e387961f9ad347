//! Nodes that are not judged by their silence for a while.
//!
//! Two ways lead there. A node says goodbye for maintenance and when it means to be back: it has left, and is in
//! maintenance until it joins again, or until that time and its failed timeout as a grace are over; it is not forgotten
//! meanwhile. Or an operator says so of any node that was told to the world, and that outranks heartbeats: until the time
//! is over or the operator ends it the node is neither suspected nor failed nor forgotten, and a suspect or failed one
//! does not recover, however it beats. A restart, a goodbye and what a node says of itself are told as ever: they are no
//! judgement of ours.
//!
//! An order for a node that was told to nobody yet waits, and is carried out by the `on_tick` after it has joined; so does
//! one that found no room for its verdict.
//!
//! At the end an alive or suspect node counts as just heard, so it has its timeouts from then on; a failed one that
//! beats recovers by the usual two heartbeats.
//!
//! Not in the snapshot: whoever keeps the operator's orders gives them again after a restart, and an absence that a goodbye
//! announced is then a goodbye like any other.

use std::collections::HashMap;

use pulsegate_codec::{Departure, DepartureReason, NodeId};

use super::{Cause, Engine};
use crate::limits::{MAINTENANCE_MAX, MAINTENANCE_ORDERS_WAITING_MAX};
use crate::slot::SlotIndex;
use crate::time::{Duration, Timestamp};
use crate::verdict::{NodeState, VerdictKind, Verdicts};

/// Until when a node is not judged by its silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Maintenance {
    pub(super) until: Timestamp,
    by_operator: bool,
}

/// All that is known of maintenance.
#[derive(Debug, Default)]
pub(super) struct Maintenances {
    in_force: HashMap<SlotIndex, Maintenance>,
    /// Operators' orders that could not be carried out yet, and until when they hold.
    waiting: HashMap<NodeId, Timestamp>,
    /// One of them can be carried out now.
    is_due: bool,
}

/// What became of an operator's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ordered {
    /// The node is in maintenance.
    InForce,
    /// It will be as soon as it is known to the world.
    Waiting,
    /// Too many orders wait.
    Refused,
}

impl Maintenances {
    pub(super) const fn has_due_order(&self) -> bool {
        self.is_due
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = SlotIndex> + '_ {
        self.in_force.keys().copied()
    }
}

impl Engine {
    /// An operator says that a node is in maintenance until then, at most [`MAINTENANCE_MAX`] from now. Said of one that
    /// is already, it moves the end, without a verdict.
    ///
    /// # Panics
    /// If time goes back.
    pub fn set_maintenance(
        &mut self,
        node_id: NodeId,
        until: Timestamp,
        now: Timestamp,
        verdicts: &mut Verdicts,
    ) -> Ordered {
        self.advance_now(now);
        let until = until.min(self.now + MAINTENANCE_MAX);
        let slot = self.registry.find(node_id).filter(|&slot| self.registry.event_sequence(slot) > 0);
        if let Some(slot) = slot.filter(|_| verdicts.room() > 0) {
            self.maintenance.waiting.remove(&node_id);
            self.begin_maintenance(slot, until, true, verdicts);
            return Ordered::InForce;
        }
        let waiting = &mut self.maintenance.waiting;
        if waiting.len() >= MAINTENANCE_ORDERS_WAITING_MAX {
            waiting.retain(|_, until| *until > self.now);
        }
        if waiting.len() >= MAINTENANCE_ORDERS_WAITING_MAX && !waiting.contains_key(&node_id) {
            return Ordered::Refused;
        }
        waiting.insert(node_id, until);
        self.maintenance.is_due |= slot.is_some();
        Ordered::Waiting
    }

    /// An operator says that a node is no longer in maintenance, whoever had said so. False if it is not. Without room in
    /// `verdicts` it ends with the next `on_tick` that finds some.
    ///
    /// # Panics
    /// If time goes back.
    pub fn clear_maintenance(&mut self, node_id: NodeId, now: Timestamp, verdicts: &mut Verdicts) -> bool {
        self.advance_now(now);
        let was_waiting = self.maintenance.waiting.remove(&node_id).is_some();
        let slot = self.registry.find(node_id);
        let Some(slot) = slot.filter(|slot| self.maintenance.in_force.contains_key(slot)) else {
            return was_waiting;
        };
        self.end_maintenance_soon(slot, verdicts);
        let state = self.registry.state(slot).expect("a node in maintenance is known");
        let look_by = self.look_by(slot, state, self.deadline(slot, state));
        self.arm_no_later(slot, look_by);
        true
    }

    /// How many nodes are in maintenance.
    #[must_use]
    pub fn nodes_in_maintenance(&self) -> usize {
        self.maintenance.in_force.len()
    }

    /// The world hears of the node: an order may have waited for that.
    #[inline]
    pub(super) fn look_for_order(&mut self, slot: SlotIndex) {
        if !self.maintenance.waiting.is_empty() {
            self.maintenance.is_due |= self.maintenance.waiting.contains_key(&self.registry.node(slot).id);
        }
    }

    /// Carries out orders that waited, in the order of the nodes' ids, while there is room.
    pub(super) fn carry_out_orders(&mut self, verdicts: &mut Verdicts) {
        if !std::mem::take(&mut self.maintenance.is_due) {
            return;
        }
        let find = |(&node_id, &until)| {
            let slot = self.registry.find(node_id)?;
            (self.registry.event_sequence(slot) > 0).then_some((node_id, slot, until))
        };
        let mut due: Vec<_> = self.maintenance.waiting.iter().filter_map(find).collect();
        due.sort_unstable_by_key(|&(node_id, ..)| node_id);
        for (node_id, slot, until) in due {
            if verdicts.room() == 0 {
                self.maintenance.is_due = true;
                return;
            }
            self.maintenance.waiting.remove(&node_id);
            if until > self.now {
                self.begin_maintenance(slot, until, true, verdicts);
            }
        }
    }

    /// What is known of the node's maintenance, if it is in any.
    #[inline]
    pub(super) fn maintenance_of(&self, slot: SlotIndex) -> Option<Maintenance> {
        let in_force = &self.maintenance.in_force;
        if in_force.is_empty() { None } else { in_force.get(&slot).copied() }
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

    /// The node has joined again: its planned absence is over. Without room it ends with the next `on_tick` that finds
    /// some.
    pub(super) fn end_planned_absence(&mut self, slot: SlotIndex, verdicts: &mut Verdicts) {
        if self.maintenance_of(slot).is_some_and(|maintenance| !maintenance.by_operator) {
            self.end_maintenance_soon(slot, verdicts);
        }
    }

    /// Now, or with the next `on_tick` that finds room. The caller arms the node for what comes after.
    fn end_maintenance_soon(&mut self, slot: SlotIndex, verdicts: &mut Verdicts) {
        if verdicts.room() > 0 {
            self.end_maintenance(slot, None, verdicts);
        } else if let Some(maintenance) = self.maintenance.in_force.get_mut(&slot) {
            maintenance.until = self.now;
            self.arm_no_later(slot, self.now);
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
        if self.maintenance.in_force.insert(slot, maintenance).is_none() {
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
        let Some(Maintenance { by_operator, .. }) = self.maintenance.in_force.remove(&slot) else { return };
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
