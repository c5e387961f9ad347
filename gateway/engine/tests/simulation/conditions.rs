//! What heartbeats say of a node's condition, the plain way.

use pulsegate_codec::{Heartbeat, NodeStatus};
use pulsegate_engine::{NodeState, Verdict, VerdictKind};

use crate::oracle::Oracle;

impl Oracle {
    /// What must be said of the condition of a node whose heartbeat has just been taken, if it counted: it did if the
    /// node is alive and its last sign of life is this one.
    pub(crate) fn conditions(&mut self, heartbeat: &Heartbeat, now: u64, room: usize) -> Vec<Verdict> {
        let mut said = Vec::new();
        let Some(known) = self.nodes.get_mut(&heartbeat.node_id) else { return said };
        let was_heard = std::mem::take(&mut known.was_heard);
        if known.state != NodeState::Alive || !was_heard {
            return said;
        }
        let is_degraded = heartbeat.status == NodeStatus::Degraded;
        if is_degraded != known.is_degraded && said.len() < room {
            let before = known.clone();
            known.is_degraded = is_degraded;
            known.verdicts += 1;
            let after = known.clone();
            let kind = if is_degraded { VerdictKind::Degraded } else { VerdictKind::Healthy };
            said.push(self.verdict(heartbeat.node_id, kind, (&before, &after), now, None));
        }
        said
    }
}
