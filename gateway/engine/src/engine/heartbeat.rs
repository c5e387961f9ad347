//! What a heartbeat does.
//!
//! A batch is walked in pieces, each of them twice: first all nodes of the piece are looked up, then all are updated.
//! The lookups do not depend on each other, so the processor has the cache misses of many of them under way at the
//! same time; looked up and updated one by one, each miss would be waited for. A prefetch instruction would need
//! `unsafe`. Splitting the lookup itself into passes (all tags, then all records) was tried: 15 % faster in batches of
//! eight and more at a million nodes, much slower for single heartbeats; not worth its code.

use pulsegate_codec::{Heartbeat, Sequence};

use super::{Cause, Engine};
use crate::slot::SlotIndex;
use crate::verdict::{NodeState, VerdictKind, Verdicts};

/// Heartbeats that are looked up before the first of them is updated: more than a core has misses under way.
pub(super) const PIECE: usize = 32;

/// What a heartbeat says, against what is known of its node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Novelty {
    /// The run that is known, later than anything heard of it.
    SameRun,
    /// A later run.
    LaterRun,
}

impl Engine {
    pub(super) fn take_heartbeats(&mut self, piece: &[Heartbeat], verdicts: &mut Verdicts) {
        for (found, heartbeat) in self.found.iter_mut().zip(piece) {
            *found = self.registry.find(heartbeat.node_id);
        }
        for (index, heartbeat) in piece.iter().enumerate() {
            match self.found[index] {
                Some(slot) => self.take_heartbeat(slot, heartbeat, verdicts),
                None => self.take_heartbeat_of_unknown(heartbeat, verdicts),
            }
        }
    }

    #[inline]
    fn take_heartbeat(&mut self, slot: SlotIndex, heartbeat: &Heartbeat, verdicts: &mut Verdicts) {
        let node = self.registry.node_mut(slot);
        let novelty = if heartbeat.incarnation == node.incarnation {
            if heartbeat.sequence != Sequence::UNCOUNTED && heartbeat.sequence <= node.sequence {
                self.counters.heartbeats_stale += 1;
                return;
            }
            Novelty::SameRun
        } else if heartbeat.incarnation > node.incarnation {
            Novelty::LaterRun
        } else {
            self.counters.heartbeats_of_older_incarnation += 1;
            return;
        };
        self.counters.heartbeats_accepted += 1;
        let state = self.registry.state(slot).expect("the lookup found a known node");
        if state == NodeState::Alive && novelty == Novelty::SameRun {
            // Almost every heartbeat ends here, with one record written.
            self.note_heartbeat(slot, heartbeat);
        } else {
            self.take_heartbeat_that_changes(slot, heartbeat, (state, novelty), verdicts);
        }
    }

    /// A heartbeat that was found newer and moves its node to another state, or to another incarnation.
    #[cold]
    fn take_heartbeat_that_changes(
        &mut self,
        slot: SlotIndex,
        heartbeat: &Heartbeat,
        (state, novelty): (NodeState, Novelty),
        verdicts: &mut Verdicts,
    ) {
        let (next, kind) = match (state, novelty) {
            (NodeState::New, Novelty::LaterRun) | (NodeState::Left, _) => (NodeState::New, None),
            (NodeState::New, Novelty::SameRun) => (NodeState::Alive, Some(VerdictKind::Joined)),
            (_, Novelty::LaterRun) => (NodeState::Alive, Some(VerdictKind::Restarted)),
            (_, Novelty::SameRun) => (NodeState::Alive, Some(VerdictKind::Recovered)),
        };
        if let Some(kind) = kind {
            if verdicts.room() == 0 {
                // A sign of life, and nothing else: the next heartbeat will mean again what this one meant.
                self.counters.verdicts_postponed += 1;
                self.registry.node_mut(slot).last_seen = self.now;
                return;
            }
            if novelty == Novelty::LaterRun {
                // The verdict is about the run that begins. Evidence of the old one (its last sequence) stays until
                // the heartbeat is noted below.
                self.registry.node_mut(slot).incarnation = heartbeat.incarnation;
            }
            self.decide(slot, state, Cause { kind, deadline: None }, verdicts);
        }
        self.registry.set_state(slot, next);
        if novelty == Novelty::LaterRun {
            let node = self.registry.node_mut(slot);
            node.incarnation = heartbeat.incarnation;
            node.sequence = Sequence::UNCOUNTED;
        }
        self.note_heartbeat(slot, heartbeat);
        // A failed or left node may be armed for much later than a living one needs.
        let deadlines = self.deadlines(slot);
        self.arm_no_later(slot, deadlines.suspect);
    }

    #[cold]
    fn take_heartbeat_of_unknown(&mut self, heartbeat: &Heartbeat, verdicts: &mut Verdicts) {
        // The same node may stand twice in a piece and be known since its first heartbeat.
        if let Some(slot) = self.registry.find(heartbeat.node_id) {
            self.take_heartbeat(slot, heartbeat, verdicts);
            return;
        }
        let Some(slot) = self.registry.insert(heartbeat.node_id) else {
            self.counters.heartbeats_refused_registry_full += 1;
            return;
        };
        self.counters.heartbeats_accepted += 1;
        let node = self.registry.node_mut(slot);
        node.incarnation = heartbeat.incarnation;
        node.set_interval_ms(self.config.interval_ms);
        self.note_heartbeat(slot, heartbeat);
        // Sooner than a new node needs, so that it need not be armed anew, leaving a stale entry, when it joins.
        let deadlines = self.deadlines(slot);
        self.arm(slot, deadlines.suspect);
    }

    #[inline]
    fn note_heartbeat(&mut self, slot: SlotIndex, heartbeat: &Heartbeat) {
        let node = self.registry.node_mut(slot);
        node.last_seen = self.now;
        // An uncounted heartbeat must not make late counted ones look new.
        if heartbeat.sequence != Sequence::UNCOUNTED {
            node.sequence = heartbeat.sequence;
        }
    }
}
