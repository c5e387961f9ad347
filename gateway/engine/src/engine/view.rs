//! What the engine knows of its nodes, for whoever asks.

use pulsegate_codec::{Incarnation, NodeId, Sequence};

use super::Engine;
use crate::slot::SlotIndex;
use crate::time::Timestamp;
use crate::verdict::NodeState;

/// What the engine knows of one node now, for whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Which node.
    pub node_id: NodeId,
    /// Where it stands.
    pub state: NodeState,
    /// It says of itself that it should not be relied on.
    pub is_degraded: bool,
    /// It is not judged by its silence now.
    pub is_in_maintenance: bool,
    /// It beats and gets nothing done.
    pub is_stalled: bool,
    /// It is suspect or failed, and has been heard once since.
    pub is_returning: bool,
    /// Which run of it was heard last.
    pub incarnation: Incarnation,
    /// Its last sequence.
    pub last_sequence: Sequence,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// The interval that it is held to, in milliseconds.
    pub interval_ms: u32,
    /// How many verdicts were given on it.
    pub event_sequence: u32,
}

impl Engine {
    /// What is known of one node; `None` if it is not known.
    #[must_use]
    pub fn node(&self, node_id: NodeId) -> Option<NodeView> {
        self.registry.find(node_id).and_then(|slot| self.view(slot))
    }

    /// The node's place in the table, below [`Self::places`]: it stays there while it is known, and the place is another's
    /// after that. `None` if it is not known.
    #[must_use]
    pub fn place_of(&self, node_id: NodeId) -> Option<usize> {
        self.registry.find(node_id).map(SlotIndex::position)
    }

    /// How many places there are: more than nodes can be known.
    #[must_use]
    pub fn places(&self) -> usize {
        self.registry.slot_count()
    }

    /// What is known of all nodes, in no order that means anything. Walks the whole table.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView> + '_ {
        self.registry.slots().filter_map(|slot| self.view(slot))
    }

    fn view(&self, slot: SlotIndex) -> Option<NodeView> {
        let node = self.registry.node(slot);
        Some(NodeView {
            node_id: node.id,
            state: self.registry.state(slot)?,
            is_degraded: node.is_degraded(),
            is_in_maintenance: self.maintenance_of(slot).is_some(),
            is_stalled: self.works.of(slot).is_stalled,
            is_returning: node.is_returning(),
            incarnation: node.incarnation,
            last_sequence: node.sequence,
            last_seen: node.last_seen,
            interval_ms: node.interval_ms(),
            event_sequence: self.registry.event_sequence(slot),
        })
    }
}
