//! What time does: entries of the wheel come up, and nodes that stayed silent are judged.
//!
//! Due entries are taken in pieces, each of them walked several times, for the same reason as a batch of heartbeats (see
//! there): first everything that the piece needs is loaded, record by record and then what verdicts need besides, so that
//! the cache misses of many nodes are under way together; then the nodes are judged, one after the other. A million nodes
//! that fall silent in one tick are five million misses.

use std::hint::black_box;

use super::{Cause, Engine};
use crate::limits::WHEEL_ENTRIES_PER_CALL_MAX;
use crate::slot::SlotIndex;
use crate::time::Duration;
use crate::verdict::{NodeState, VerdictKind, Verdicts};

/// Entries whose records are fetched before the first of them is judged.
const PIECE: usize = 32;

// A budget is a number of whole pieces.
const _: () = assert!(WHEEL_ENTRIES_PER_CALL_MAX.is_multiple_of(PIECE));

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
            budget = budget.saturating_sub(self.fire_piece(verdicts));
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

    /// Looks at up to [`PIECE`] due entries; returns how many there were.
    fn fire_piece(&mut self, verdicts: &mut Verdicts) -> usize {
        let mut piece = [SlotIndex::from_number(0); PIECE];
        let count = self.wheel.pop_due(&mut piece);
        let horizon_tick = self.wheel.current();
        let mut are_live = [false; PIECE];
        let mut loaded = 0;
        for (is_live, &slot) in are_live.iter_mut().zip(&piece[..count]) {
            *is_live = self.registry.node(slot).armed() <= horizon_tick;
            loaded ^= self.detection.load(slot);
        }
        let mut silent = [SlotIndex::from_number(0); PIECE];
        let mut silent_count = 0;
        for (_, &slot) in are_live.iter().zip(&piece[..count]).filter(|(is_live, _)| **is_live) {
            // Only of a node that has missed a beat, for which there will likely be a verdict.
            let node = self.registry.node(slot);
            if self.now.since(node.last_seen) > Duration::from_millis(node.interval_ms().into()) {
                loaded ^= self.registry.load_cold(slot);
                silent[silent_count] = slot;
                silent_count += 1;
            }
        }
        // What lies behind a pointer has a loop of its own: the fewer instructions between two misses, the more of them
        // are under way.
        for &slot in &silent[..silent_count] {
            loaded ^= self.registry.load_facts(slot);
        }
        // Else the compiler would see that nobody wants it.
        black_box(loaded);
        self.counters.wheel_entries_fired += count as u64;
        for (is_live, &slot) in are_live.into_iter().zip(&piece[..count]) {
            match self.registry.state(slot) {
                // Asked again: an entry of the same node may stand earlier in the piece, and have armed it anew.
                Some(state) if is_live && self.registry.node(slot).armed() <= horizon_tick => {
                    self.judge(slot, state, verdicts);
                }
                // The node is gone, or was armed anew and has another entry.
                _ => self.counters.wheel_entries_stale += 1,
            }
        }
        count
    }

    /// Moves a silent node through all states whose deadlines have passed, as far as there is room, and arms it again.
    ///
    /// The horizon is the beginning of a tick, so "not after the horizon" is "its tick has come".
    fn judge(&mut self, slot: SlotIndex, mut state: NodeState, verdicts: &mut Verdicts) {
        let horizon = self.horizon();
        let mut deadline = self.deadline(slot, state);
        if deadline > horizon {
            self.counters.wheel_entries_rearmed += 1;
        }
        while deadline <= horizon && verdicts.room() > 0 {
            if self.maintenance_of(slot).is_some() {
                self.end_maintenance(slot, Some(deadline), verdicts);
                deadline = self.deadline(slot, state);
                continue;
            }
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
            } else if state == NodeState::New {
                self.counters.new_nodes_never_confirmed += 1;
            }
            self.move_to(slot, state, next);
            state = next;
            deadline = self.deadline(slot, state);
        }
        // If the buffer filled up on the way, the deadline has passed and the entry is due again at once.
        let look_by = self.look_by(slot, state, deadline);
        self.arm(slot, look_by);
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
            // Heard once, and not again.
            NodeState::Failed if self.registry.node(slot).is_returning() => Some((state, None)),
            NodeState::Failed | NodeState::Left => Some((state, Some(VerdictKind::Forgotten))),
        }
    }
}
