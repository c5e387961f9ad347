//! What a restart of the gateway does to nobody: known nodes are taken over with the time that they had left.
//!
//! The gateway's downtime, and what passed between the snapshot and its end, count as nobody's silence. A
//! node's heartbeats of that time are lost all the same, so of the silence that it had before, no more is counted than
//! a third of its suspect timeout: it has time to be heard. On top everybody gets a part of the smear, by its id,
//! as far as its counted silence reaches, so that those who died meanwhile are not all found in one tick. Hence a node that died during the downtime is
//! reported no later than its failed timeout and the smear after the restore.
//!
//! What is learnt of rhythms is not kept: a profile that learns begins anew, with the patience that it has for nodes of which
//! it knows nothing.

use std::sync::Arc;

use pulsegate_codec::Sequence;

use super::Engine;
use crate::slot::SlotIndex;
use crate::snapshot::NodeRecord;
use crate::time::Duration;
use crate::verdict::{NodeFacts, NodeState};
use crate::work::Work;

/// The part of its suspect timeout that a restored node may have been silent already.
const SILENCE_DIVISOR: u32 = 3;

impl Engine {
    /// Shows the nodes in up to `slots_max` slots of the table from `position` on (0 at first) to `take`; returns where to go
    /// on, `None` at the end. In pieces, so that no heartbeat waits for the whole table: what changes between two pieces is
    /// seen as it is then. Nodes that were told to nobody are left out.
    pub fn snapshot_piece(
        &self,
        position: usize,
        slots_max: usize,
        take: impl FnMut(NodeRecord),
    ) -> Option<usize> {
        let end = self.registry.slot_count().min(position.saturating_add(slots_max));
        self.registry.slots_between(position, end).filter_map(|slot| self.record(slot)).for_each(take);
        (end < self.registry.slot_count()).then_some(end)
    }

    fn record(&self, slot: SlotIndex) -> Option<NodeRecord> {
        let event_sequence = self.registry.event_sequence(slot);
        let node = self.registry.node(slot);
        let (state, sequence) = match self.registry.state(slot)? {
            NodeState::New if event_sequence == 0 => return None,
            // The world was told that it left, and nothing since. It left before the one heartbeat that was heard: what
            // the next one leads to must not look as old as the goodbye.
            NodeState::New => (NodeState::Left, Sequence(node.sequence.0.saturating_sub(1))),
            state => (state, node.sequence),
        };
        let silence_us = self.now.since(node.last_seen).as_micros();
        Some(NodeRecord {
            node_id: node.id,
            silence: Duration::from_micros(u64::try_from(silence_us).unwrap_or(u64::MAX)),
            incarnation: node.incarnation,
            sequence,
            interval_ms: node.interval_ms(),
            event_sequence,
            state,
            is_degraded: node.is_degraded(),
            is_stalled: self.works.of(slot).is_stalled,
            profile: self.detection.profile(slot).number(),
        })
    }

    /// Takes a node over from an earlier run, without a verdict, with what it told of itself if that is known. How it is
    /// judged follows from that, not from the record. False if the node is known already or there is no room.
    pub fn restore(
        &mut self,
        record: &NodeRecord,
        facts: Option<&Arc<NodeFacts>>,
        round_trip_us: u32,
        smear: Duration,
    ) -> bool {
        if self.registry.find(record.node_id).is_some() {
            return false;
        }
        let Some(slot) = self.registry.insert(record.node_id) else { return false };
        self.detection.begin(slot);
        self.works.begin(slot);
        if let Some(facts) = facts {
            self.registry.set_facts(slot, Arc::clone(facts));
            self.detection.describe(slot, &facts.descriptor(round_trip_us));
            self.detection.set_round_trip(slot, round_trip_us);
        }
        let interval_ms = self.config.interval_ms_for(record.interval_ms);
        let counted = if matches!(record.state, NodeState::Failed | NodeState::Left) {
            record.silence
        } else {
            let longest = self.detection.timeouts(slot, interval_ms).suspect / SILENCE_DIVISOR;
            record.silence.min(longest)
        };
        // Any part that differs from node to node will do; ids are hashes.
        let part = u32::try_from(record.node_id.0 % 1_024).unwrap_or(0);
        let smeared = counted.saturating_sub(smear * part / 1_024);
        let node = self.registry.node_mut(slot);
        node.incarnation = record.incarnation;
        node.sequence = record.sequence;
        node.last_seen = self.now - smeared;
        node.set_interval_ms(interval_ms);
        node.set_degraded(record.is_degraded);
        if record.is_stalled {
            let work = Work { is_stalled: true, ..Work::UNKNOWN };
            self.works.set(slot, work, self.registry.slot_count());
        }
        self.registry.set_event_sequence(slot, record.event_sequence);
        self.registry.set_state(slot, record.state);
        self.detection.skip_next_gap(slot);
        let look_by = self.look_by(slot, record.state, self.deadline(slot, record.state));
        self.arm(slot, look_by);
        self.look_for_order(slot);
        true
    }
}
