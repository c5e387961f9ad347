//! What an operator orders of a shard's nodes: maintenance, and its end.

use pulsegate_codec::NodeId;
use pulsegate_engine::{Ordered, Timestamp};
use tokio::sync::oneshot;

use super::Shard;

/// One order for nodes of one shard. It is carried out whether or not the asker still waits for the answer.
#[derive(Debug)]
pub struct NodesOrder {
    /// Which nodes.
    pub nodes: Box<[NodeId]>,
    /// Until when they are in maintenance; `None` ends it.
    pub until: Option<Timestamp>,
    /// By node, in the same order: whether it is in maintenance now, or was until now.
    pub answer: oneshot::Sender<Vec<bool>>,
}

impl Shard {
    pub(super) fn on_order(&mut self, order: NodesOrder, now: Timestamp) {
        let carry_out = |&node_id: &NodeId| match order.until {
            Some(until) => {
                self.engine.set_maintenance(node_id, until, now, &mut self.verdicts) == Ordered::InForce
            }
            None => self.engine.clear_maintenance(node_id, now, &mut self.verdicts),
        };
        let answers = order.nodes.iter().map(carry_out).collect();
        // Sending neither blocks nor fails but for an asker who is gone.
        let _ = order.answer.send(answers);
    }
}
