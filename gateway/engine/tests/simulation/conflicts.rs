//! Two sources of one node, the plain way: all that was refused and looks like somebody else, in a list.

use pulsegate_codec::Heartbeat;
use pulsegate_engine::limits::{ECHO_AGE_MAX, RIVAL_HEARTBEATS, RIVAL_PATIENCE, RIVAL_REPEAT, RIVAL_SPAN};
use pulsegate_engine::{NodeState, Verdict, VerdictKind};

use crate::oracle::Oracle;

/// A heartbeat that somebody else may have sent: when, and what it said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    at: u64,
    incarnation: u32,
    sequence: u32,
}

/// What was claimed in a node's name, and when the world was last told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    list: Vec<Claim>,
    told_at: Option<u64>,
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

impl Oracle {
    /// A heartbeat was refused; returns the conflict that this makes.
    pub(crate) fn refused(&mut self, heartbeat: &Heartbeat, now: u64, has_room: bool) -> Option<Verdict> {
        let (incarnation, sequence) = (heartbeat.incarnation.0, heartbeat.sequence.0);
        let known = &self.nodes[&heartbeat.node_id];
        let is_counted = !matches!(known.state, NodeState::New | NodeState::Left);
        let steps = u64::from(known.sequence.saturating_sub(sequence));
        let behind = steps * u64::from(known.interval_ms) * 1_000_000;
        let is_too_old = steps > 8 && behind > nanoseconds(ECHO_AGE_MAX);
        if !is_counted || (incarnation == known.incarnation && !is_too_old) {
            return None;
        }
        let patience = nanoseconds(RIVAL_PATIENCE).max(3 * u64::from(known.interval_ms) * 1_000_000);
        let (last_seen, claim) = (known.last_seen, Claim { at: now, incarnation, sequence });
        let claims = self.claims.entry(heartbeat.node_id).or_default();
        match claims.list.last() {
            Some(last) if now - last.at <= patience => {
                let advances = incarnation > last.incarnation
                    || (incarnation == last.incarnation && (sequence == 0 || sequence > last.sequence));
                if !advances || last_seen <= last.at {
                    return None;
                }
            }
            _ => claims.list.clear(),
        }
        claims.list.push(claim);
        let spans = now - claims.list[0].at;
        let is_conflict = claims.list.len() >= RIVAL_HEARTBEATS as usize
            && spans >= nanoseconds(RIVAL_SPAN)
            && claims.told_at.is_none_or(|at| now - at >= nanoseconds(RIVAL_REPEAT));
        if !is_conflict || !has_room {
            return None;
        }
        *claims = Claims { list: Vec::new(), told_at: Some(now) };
        let known = self.nodes.get_mut(&heartbeat.node_id).unwrap();
        let before = known.clone();
        known.verdicts += 1;
        let after = known.clone();
        let kind = VerdictKind::Conflict { senders: [None, None] };
        Some(self.verdict(heartbeat.node_id, kind, (&before, &after), now, None))
    }
}
