//! What a heartbeat does.
//!
//! A batch is walked in pieces, each of them twice: first all nodes of the piece are looked up, then all are updated.
//! The lookups do not depend on each other, so the processor has the cache misses of many of them under way at the
//! same time; looked up and updated one by one, each miss would be waited for. A prefetch instruction would need
//! `unsafe`. Splitting the lookup itself into passes (all tags, then all records) was tried: 15 % faster in batches of
//! eight and more at a million nodes, much slower for single heartbeats; not worth its code.

use pulsegate_codec::{Heartbeat, Sequence};

use super::{Cause, Engine};
use crate::detector::Gap;
use crate::senders::Senders;
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
    /// `senders` are of the whole batch, of which the piece begins at `position`.
    pub(super) fn take_heartbeats(
        &mut self,
        piece: &[Heartbeat],
        (senders, position): (&Senders, usize),
        verdicts: &mut Verdicts,
    ) {
        for (found, heartbeat) in self.found.iter_mut().zip(piece) {
            *found = self.registry.find(heartbeat.node_id);
        }
        for (index, heartbeat) in piece.iter().enumerate() {
            let source = (senders, position + index);
            match self.found[index] {
                Some(slot) => self.take_heartbeat(slot, heartbeat, source, verdicts),
                None => self.take_heartbeat_of_unknown(heartbeat, source, verdicts),
            }
        }
    }

    #[inline]
    fn take_heartbeat(
        &mut self,
        slot: SlotIndex,
        heartbeat: &Heartbeat,
        (senders, position): (&Senders, usize),
        verdicts: &mut Verdicts,
    ) {
        let node = self.registry.node_mut(slot);
        let novelty = if heartbeat.incarnation == node.incarnation {
            if heartbeat.sequence != Sequence::UNCOUNTED && heartbeat.sequence <= node.sequence {
                self.counters.heartbeats_stale += 1;
                self.note_refused(slot, heartbeat, senders.of(position), verdicts);
                return;
            }
            Novelty::SameRun
        } else if heartbeat.incarnation > node.incarnation {
            Novelty::LaterRun
        } else {
            self.counters.heartbeats_of_older_incarnation += 1;
            self.note_refused(slot, heartbeat, senders.of(position), verdicts);
            return;
        };
        self.counters.heartbeats_accepted += 1;
        if self.rivals.seek() {
            self.note_sender(heartbeat.node_id, senders.of(position));
        }
        let state = self.registry.state(slot).expect("the lookup found a known node");
        if state == NodeState::Alive && novelty == Novelty::SameRun {
            // Almost every heartbeat ends here, with one record written, or two where something is learnt.
            self.learn(slot, heartbeat);
            self.note_heartbeat(slot, heartbeat);
            self.take_condition(slot, heartbeat, verdicts);
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
        let is_down = matches!(state, NodeState::Suspect | NodeState::Failed);
        if is_down && novelty == Novelty::SameRun && self.is_held_by_operator(slot) {
            // A sign of life, and no way back.
            self.note_heartbeat(slot, heartbeat);
            self.detection.skip_next_gap(slot);
            return;
        }
        if is_down && novelty == Novelty::SameRun && !self.registry.node(slot).is_returning() {
            self.take_first_of_return(slot, state, heartbeat);
            return;
        }
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
                // Sequence and last-seen time no longer belong together.
                self.detection.skip_next_gap(slot);
                return;
            }
            if novelty == Novelty::LaterRun {
                // The verdict is about the run that begins. Evidence of the old one (its last sequence) stays until
                // the heartbeat is noted below.
                self.registry.node_mut(slot).incarnation = heartbeat.incarnation;
            }
            self.decide(slot, state, Cause { kind, deadline: None }, verdicts);
        }
        if novelty == Novelty::SameRun && state != NodeState::Left {
            self.learn(slot, heartbeat);
        }
        self.move_to(slot, state, next);
        if novelty == Novelty::LaterRun {
            let node = self.registry.node_mut(slot);
            node.incarnation = heartbeat.incarnation;
            node.sequence = Sequence::UNCOUNTED;
            node.set_degraded(false);
            self.works.begin(slot);
        }
        self.note_heartbeat(slot, heartbeat);
        self.stand_still_from_now(slot);
        if next == NodeState::Alive {
            self.end_planned_absence(slot, verdicts);
        }
        // A failed or left node may be armed for much later than a living one needs.
        let look_by = self.look_by(slot, NodeState::Alive, self.deadlines(slot).suspect);
        self.arm_no_later(slot, look_by);
        if next == NodeState::Alive {
            self.take_condition(slot, heartbeat, verdicts);
        }
    }

    #[cold]
    fn take_heartbeat_of_unknown(
        &mut self,
        heartbeat: &Heartbeat,
        source: (&Senders, usize),
        verdicts: &mut Verdicts,
    ) {
        // The same node may stand twice in a piece and be known since its first heartbeat.
        if let Some(slot) = self.registry.find(heartbeat.node_id) {
            self.take_heartbeat(slot, heartbeat, source, verdicts);
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
        self.detection.begin(slot);
        self.works.begin(slot);
        self.note_heartbeat(slot, heartbeat);
        // Sooner than a new node needs, so that it need not be armed anew, leaving a stale entry, when it joins.
        let look_by = self.look_by(slot, NodeState::Alive, self.deadlines(slot).suspect);
        self.arm(slot, look_by);
    }

    /// What a heartbeat in an ordinary life teaches, before it is noted.
    ///
    /// A gap that began before the gateway listened without a break is left out, with its losses: they were the
    /// gateway's own.
    #[inline]
    fn learn(&mut self, slot: SlotIndex, heartbeat: &Heartbeat) {
        if !self.detection.learns() {
            return;
        }
        let node = self.registry.node(slot);
        if node.last_seen < self.samples_from {
            return;
        }
        let gap = Gap {
            length_us: self.now.since(node.last_seen).as_secs_f32() * 1e6,
            steps: steps_between(node.sequence, heartbeat.sequence),
            interval_us: node.interval_ms() as f32 * 1e3,
        };
        self.detection.hear(slot, gap);
    }

    /// The first heartbeat of a suspect or failed node of the run that is known: noted, and nothing is said yet.
    ///
    /// The silence that it ends is no sample of the node's rhythm: it was too long for one, which is how the node came to
    /// be suspect. That it ended proves the verdict wrong, and lengthens the timeouts: at once, or a node that beats as
    /// slowly as its failed timeout would never be heard twice within it. Losses count if the node was only suspect: what is
    /// missing after a failure was an outage.
    fn take_first_of_return(&mut self, slot: SlotIndex, state: NodeState, heartbeat: &Heartbeat) {
        let node = self.registry.node(slot);
        let steps = steps_between(node.sequence, heartbeat.sequence);
        if state == NodeState::Suspect && node.last_seen >= self.samples_from {
            self.detection.count_losses(slot, steps);
        }
        self.detection.back_off(slot);
        self.note_heartbeat(slot, heartbeat);
        self.registry.node_mut(slot).set_returning();
        // A failed node is armed for when it will be forgotten.
        self.arm_no_later(slot, self.deadline(slot, state));
    }

    /// Gaps that are under way now teach nothing: the gateway did not listen all the time. To be called when it listens
    /// again and has taken what had gathered meanwhile.
    pub fn distrust_gaps(&mut self) {
        self.samples_from = self.now;
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

/// By how much the sequence rose; 0 if one of the two is not counted.
#[inline]
const fn steps_between(earlier: Sequence, later: Sequence) -> u32 {
    if earlier.0 == 0 { 0 } else { later.0.saturating_sub(earlier.0) }
}
