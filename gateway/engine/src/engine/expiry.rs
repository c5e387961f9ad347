//! What time does: entries of the wheel come up, and nodes that stayed silent are judged.

use super::{Cause, Engine};
use crate::limits::WHEEL_ENTRIES_PER_CALL_MAX;
use crate::slot::SlotIndex;
use crate::verdict::{NodeState, VerdictKind, Verdicts};

impl Engine {
    /// Works off what the wheel says is due: entries whose place in the far ring has come first,
    /// then those that are due, then, with what is left of the budget, entries that may be sorted ahead of time.
    pub(super) fn expire(&mut self, verdicts: &mut Verdicts) {
        let mut budget = WHEEL_ENTRIES_PER_CALL_MAX;
        while budget > 0 && self.wheel.must_cascade() {
            self.cascade_one();
            budget -= 1;
        }
        while budget > 0 && self.wheel.has_due() {
            if verdicts.room() == 0 {
                self.counters.verdicts_postponed += 1;
                return;
            }
            self.fire_one(verdicts);
            budget -= 1;
        }
        while budget > 0 && self.cascade_one() {
            budget -= 1;
        }
    }

    /// Sorts one entry of the far ring into the near one; false when there is none to sort.
    fn cascade_one(&mut self) -> bool {
        let Some(slot) = self.wheel.pop_cascading() else { return false };
        let armed = self.registry.node(slot).armed();
        if self.registry.state(slot).is_some() && self.wheel.belongs_to_cascade(armed) {
            self.counters.wheel_entries_cascaded += 1;
            self.arm_at(slot, armed);
        } else {
            self.counters.wheel_entries_stale += 1;
        }
        true
    }

    fn fire_one(&mut self, verdicts: &mut Verdicts) {
        let Some(slot) = self.wheel.pop_due() else { return };
        self.counters.wheel_entries_fired += 1;
        match self.registry.state(slot) {
            Some(state) if self.registry.node(slot).armed() <= self.wheel.current() => {
                self.judge(slot, state, verdicts);
            }
            // The node is gone, or was armed anew and has another entry.
            _ => self.counters.wheel_entries_stale += 1,
        }
    }

    /// Moves a silent node through all states whose deadlines have passed, as far as there is room, and arms it again.
    fn judge(&mut self, slot: SlotIndex, mut state: NodeState, verdicts: &mut Verdicts) {
        let mut deadline = self.deadline(slot, state);
        if self.ticks.due(deadline) > self.wheel.current() {
            self.counters.wheel_entries_rearmed += 1;
        }
        while self.ticks.due(deadline) <= self.wheel.current() && verdicts.room() > 0 {
            let Some((next, kind)) = self.after_silence(slot, state) else {
                self.counters.new_nodes_never_confirmed += 1;
                self.registry.remove(slot);
                return;
            };
            if let Some(kind) = kind {
                self.decide(slot, state, Cause { kind, deadline: Some(deadline) }, verdicts);
                if kind == VerdictKind::Forgotten {
                    self.registry.remove(slot);
                    return;
                }
            } else {
                self.counters.new_nodes_never_confirmed += 1;
            }
            self.registry.set_state(slot, next);
            state = next;
            deadline = self.deadline(slot, state);
        }
        // If the buffer filled up on the way, the deadline has passed and the entry is due again at once.
        self.arm(slot, deadline);
    }

    /// What becomes of a node whose deadline has passed: the next state and what is said of it. `None`: it goes without
    /// a word.
    fn after_silence(&self, slot: SlotIndex, state: NodeState) -> Option<(NodeState, Option<VerdictKind>)> {
        match state {
            NodeState::New if self.registry.event_sequence(slot) == 0 => None,
            // The world was told that it left, and nothing since.
            NodeState::New => Some((NodeState::Left, None)),
            NodeState::Alive => Some((NodeState::Suspect, Some(VerdictKind::Suspected))),
            NodeState::Suspect => Some((NodeState::Failed, Some(VerdictKind::Failed))),
            NodeState::Failed | NodeState::Left => Some((state, Some(VerdictKind::Forgotten))),
        }
    }
}
