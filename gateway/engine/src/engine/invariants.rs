//! What must be true of an engine between any two calls, checked the slow way: for tests and debugging.

use crate::counters::NodeCounts;
use crate::verdict::NodeState;

use super::Engine;

impl Engine {
    /// Walks everything and checks that the parts agree with each other.
    ///
    /// # Panics
    /// If they do not.
    pub fn check_invariants(&self) {
        let mut counts = NodeCounts::default();
        for slot in self.registry.slots() {
            let state = self.registry.state(slot).expect("a known node stands somewhere");
            *counts.of_mut(state) += 1;
            let node = self.registry.node(slot);
            assert_eq!(self.registry.find(node.id), Some(slot), "a known node is found where it is");
            assert!(node.last_seen <= self.now);
            // It is looked at before anything can happen to it: in time, or after a cut wait.
            let deadline = self.deadline(slot, state);
            assert!(node.armed() <= self.ticks.due(deadline), "{} is armed too late", node.id);
        }
        assert_eq!(counts, self.registry.counts());
        let is_suspect = |&slot| self.registry.state(slot) == Some(NodeState::Suspect);
        assert!(self.answers.keys().all(is_suspect), "an answer outlived its suspicion");
        let is_known = |slot| self.registry.state(slot).is_some();
        assert!(self.maintenance.slots().all(is_known), "a maintenance outlived its node");
        self.check_entries();
    }

    /// Every known node has an entry where its record says. Duplicates at the same tick are allowed: see the wheel.
    fn check_entries(&self) {
        let mut live = vec![false; self.registry.slots().last().map_or(0, |slot| slot.position() + 1)];
        for (slot, first, last) in self.wheel.entries() {
            let is_live = self.registry.state(slot).is_some()
                && (first..=last).contains(&self.registry.node(slot).armed());
            if is_live {
                live[slot.position()] = true;
            }
        }
        for slot in self.registry.slots() {
            assert!(live[slot.position()], "{} has no live entry", self.registry.node(slot).id);
        }
    }
}
