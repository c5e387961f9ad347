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
        said.extend(self.progress(heartbeat, now, said.len() < room));
        said
    }

    fn progress(&mut self, heartbeat: &Heartbeat, now: u64, has_room: bool) -> Option<Verdict> {
        let stalled_after = u64::try_from(self.config.stalled_after.as_nanos()).unwrap();
        let listens_since = self.listens_since;
        let known = self.nodes.get_mut(&heartbeat.node_id)?;
        let Heartbeat { progress, pending, .. } = *heartbeat;
        if progress == 0 || stalled_after == 0 {
            return None;
        }
        let Some(last) = known.progress else {
            (known.progress, known.moved_at) = (Some(progress), now);
            return None;
        };
        if progress > last || pending == 0 {
            if known.is_stalled && !has_room {
                return None;
            }
            (known.progress, known.moved_at) = (Some(progress.max(last)), now);
        }
        let stands = now - known.moved_at.max(listens_since);
        let is_stalled =
            if progress > last || pending == 0 { false } else { known.is_stalled || stands >= stalled_after };
        if is_stalled == known.is_stalled || !has_room {
            return None;
        }
        let before = known.clone();
        known.is_stalled = is_stalled;
        known.verdicts += 1;
        let after = known.clone();
        let kind = if is_stalled {
            VerdictKind::Stalled { progress, pending }
        } else {
            VerdictKind::Progressing { progress, pending }
        };
        Some(self.verdict(heartbeat.node_id, kind, (&before, &after), now, None))
    }
}
