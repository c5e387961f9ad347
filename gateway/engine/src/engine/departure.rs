//! What a goodbye does.
//!
//! A goodbye may never be repeated, so one that finds the verdict buffer full cannot be left to a next time: it waits
//! in a queue, and `on_tick` takes it again, as if it came then. If the node has spoken meanwhile, the rules
//! below see that the goodbye is old news.

use pulsegate_codec::{Departure, Sequence};

use super::{Cause, Engine};
use crate::limits::DEPARTURES_POSTPONED_MAX;
use crate::slot::SlotIndex;
use crate::verdict::{NodeState, VerdictKind, Verdicts};

impl Engine {
    pub(super) fn take_departure(&mut self, departure: Departure, verdicts: &mut Verdicts) {
        let Some((slot, state)) = self.node_that_leaves(departure) else {
            self.counters.departures_ignored += 1;
            return;
        };
        if verdicts.room() > 0 {
            self.depart(slot, state, departure, verdicts);
        } else if self.departures_postponed.len() < DEPARTURES_POSTPONED_MAX {
            self.counters.verdicts_postponed += 1;
            self.departures_postponed.push_back(departure);
        } else {
            // The node will be found silent: later than it could have been, and not as politely.
            self.counters.departures_refused += 1;
        }
    }

    pub(super) fn take_postponed_departures(&mut self, verdicts: &mut Verdicts) {
        while verdicts.room() > 0 {
            let Some(departure) = self.departures_postponed.pop_front() else { return };
            self.take_departure(departure, verdicts);
        }
    }

    /// The node that this departure is about, and where it stands; `None` if the departure says nothing new.
    fn node_that_leaves(&self, departure: Departure) -> Option<(SlotIndex, NodeState)> {
        let slot = self.registry.find(departure.node_id)?;
        let state = self.registry.state(slot)?;
        let node = self.registry.node(slot);
        let is_older = departure.incarnation < node.incarnation;
        let has_left = state == NodeState::Left && departure.incarnation == node.incarnation;
        // It has been heard again since: the goodbye is a duplicate, or came late.
        let is_overtaken = departure.incarnation == node.incarnation
            && departure.sequence != Sequence::UNCOUNTED
            && departure.sequence < node.sequence;
        (!is_older && !has_left && !is_overtaken).then_some((slot, state))
    }

    fn depart(&mut self, slot: SlotIndex, state: NodeState, departure: Departure, verdicts: &mut Verdicts) {
        self.counters.departures_accepted += 1;
        let Departure { incarnation, sequence, reason, expected_return_ms, .. } = departure;
        let is_later_run = incarnation > self.registry.node(slot).incarnation;
        self.registry.node_mut(slot).incarnation = incarnation;
        let kind = VerdictKind::Left { reason, expected_return_ms };
        self.decide(slot, state, Cause { kind, deadline: None }, verdicts);
        self.move_to(slot, state, NodeState::Left);
        let node = self.registry.node_mut(slot);
        node.last_seen = self.now;
        node.set_degraded(false);
        // Never lower within a run: heartbeats that were heard before the goodbye stay old.
        node.sequence = if is_later_run { sequence } else { sequence.max(node.sequence) };
        self.works.begin(slot);
        // Forgetting may come sooner than the deadline that the node is armed for.
        let deadline = self.deadline(slot, NodeState::Left);
        self.arm_no_later(slot, deadline);
        self.note_planned_absence(slot, &departure, verdicts);
    }
}
