//! Two sources that speak in one node's name at the same time: a copied image, or two relays that disagree.
//!
//! Of two runs the one with the greater incarnation counts, of two counts of one run the one that is ahead. The other's
//! heartbeats are refused, so the node does not go back and forth between them. But they are not thrown away unseen:
//!
//! ```text
//!   counts      i2 ──●─────●─────●─────●─────●─────▶
//!   refused     i1 ─────○─────○─────○─────○────────▶   goes on, beside it: somebody else
//!   refused     i1 ─────○──○                           ends: late arrivals of the run before
//! ```
//!
//! A refused heartbeat tells of a rival if it is of an older incarnation, or so far behind in its sequence that no network has
//! kept it for so long ([`ECHO_AGE_MAX`]). [`RIVAL_HEARTBEATS`] of them, each newer than the one before and each with a heartbeat that
//! counted in between, over at least [`RIVAL_SPAN`], are a conflict. Duplicates and echoes do not advance; what a
//! network held back ends. A conflict is told once an hour while it lasts.
//!
//! Rivals are watched in a side table that is empty in an ordinary world; beyond [`RIVALS_MAX`] nodes nobody more is
//! watched, and that is counted. It does not see two sources of one incarnation whose counts are close to each other: to
//! every rule here they look like one source whose datagrams are doubled.

use std::collections::HashMap;

use pulsegate_codec::{Heartbeat, Incarnation, NodeId, SenderId, Sequence};

use super::{Cause, Engine};
use crate::limits::{ECHO_AGE_MAX, RIVAL_HEARTBEATS, RIVAL_PATIENCE, RIVAL_REPEAT, RIVAL_SPAN, RIVALS_MAX};
use crate::node::Node;
use crate::slot::SlotIndex;
use crate::time::{Duration, Timestamp};
use crate::verdict::{NodeState, VerdictKind, Verdicts};

/// Least steps by which a sequence is behind that is no echo, however long the interval is.
const ECHO_STEPS_MAX: u32 = 8;

/// Nodes in whose name somebody else may speak.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    by_node: HashMap<NodeId, Rival>,
    /// Those of them whose node has not been heard since, with a sender.
    nodes_sought: usize,
    tidied_at: Timestamp,
}

/// Somebody who may speak in a node's name.
#[derive(Clone, Copy, Debug)]
struct Rival {
    incarnation: Incarnation,
    sequence: Sequence,
    /// Heartbeats that counted against it; 0 after it was told of.
    heartbeats: u32,
    since: Timestamp,
    heard_at: Timestamp,
    sender: Option<SenderId>,
    /// Who speaks for the node itself.
    node_sender: Option<SenderId>,
    told_at: Option<Timestamp>,
}

impl Rival {
    fn begin(
        heartbeat: &Heartbeat,
        sender: Option<SenderId>,
        told_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            incarnation: heartbeat.incarnation,
            sequence: heartbeat.sequence,
            heartbeats: 1,
            since: now,
            heard_at: now,
            sender,
            node_sender: None,
            told_at,
        }
    }

    /// Whether a heartbeat follows on the last one of the rival.
    const fn is_followed_by(&self, heartbeat: &Heartbeat) -> bool {
        let is_same_run = heartbeat.incarnation.0 == self.incarnation.0;
        let is_newer = heartbeat.sequence.0 == 0 || heartbeat.sequence.0 > self.sequence.0;
        heartbeat.incarnation.0 > self.incarnation.0 || is_same_run && is_newer
    }

    fn may_be_told(&self, now: Timestamp) -> bool {
        self.heartbeats >= RIVAL_HEARTBEATS
            && now.since(self.since) >= RIVAL_SPAN
            && self.told_at.is_none_or(|at| now.since(at) >= RIVAL_REPEAT)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.heard_at) > RIVAL_PATIENCE
            && self.told_at.is_none_or(|at| now.since(at) >= RIVAL_REPEAT)
    }
}

impl Rivals {
    /// Whether an accepted heartbeat may tell who speaks for a node.
    #[inline]
    pub(super) const fn seek(&self) -> bool {
        self.nodes_sought > 0
    }

    fn put(&mut self, node_id: NodeId, rival: Rival) {
        self.nodes_sought += usize::from(rival.node_sender.is_none());
        let before = self.by_node.insert(node_id, rival);
        self.nodes_sought -= usize::from(before.is_some_and(|before| before.node_sender.is_none()));
    }

    /// Whether one more can be watched. Looks for those that are over at most once a second.
    fn make_room(&mut self, now: Timestamp) -> bool {
        if self.by_node.len() >= RIVALS_MAX && now.since(self.tidied_at) >= Duration::from_secs(1) {
            self.tidied_at = now;
            self.by_node.retain(|_, rival| !rival.is_over(now));
            self.nodes_sought = self.by_node.values().filter(|rival| rival.node_sender.is_none()).count();
        }
        self.by_node.len() < RIVALS_MAX
    }
}

impl Engine {
    /// A heartbeat was refused because a newer one of its node is known.
    #[cold]
    pub(super) fn note_refused(
        &mut self,
        slot: SlotIndex,
        heartbeat: &Heartbeat,
        sender: Option<SenderId>,
        verdicts: &mut Verdicts,
    ) {
        let (node, now) = (*self.registry.node(slot), self.now);
        let state = node.state().expect("the lookup found a known node");
        if matches!(state, NodeState::New | NodeState::Left) || !is_of_a_rival(&node, heartbeat) {
            return;
        }
        let Some(&known) = self.rivals.by_node.get(&node.id) else {
            if self.rivals.make_room(now) {
                self.rivals.put(node.id, Rival::begin(heartbeat, sender, None, now));
            } else {
                self.counters.rivals_not_watched += 1;
            }
            return;
        };
        let patience = RIVAL_PATIENCE.max(Duration::from_millis(node.interval_ms().into()) * 3);
        if known.heartbeats == 0 || now.since(known.heard_at) > patience {
            self.rivals.put(node.id, Rival::begin(heartbeat, sender, known.told_at, now));
            return;
        }
        if !known.is_followed_by(heartbeat) || node.last_seen <= known.heard_at {
            return;
        }
        let mut rival = Rival {
            incarnation: heartbeat.incarnation,
            sequence: heartbeat.sequence,
            heartbeats: known.heartbeats.saturating_add(1),
            heard_at: now,
            sender,
            ..known
        };
        if rival.may_be_told(now) && verdicts.room() > 0 {
            self.counters.conflicts += 1;
            let kind = VerdictKind::Conflict { senders: [rival.node_sender, rival.sender] };
            self.decide(slot, state, Cause { kind, deadline: None }, verdicts);
            (rival.heartbeats, rival.told_at) = (0, Some(now));
        }
        self.rivals.put(node.id, rival);
    }

    /// A heartbeat was accepted while it is sought who speaks for some node.
    #[cold]
    pub(super) fn note_sender(&mut self, node_id: NodeId, sender: Option<SenderId>) {
        let rivals = &mut self.rivals;
        if let Some(rival) = rivals.by_node.get_mut(&node_id)
            && rival.node_sender.is_none()
            && sender.is_some()
        {
            rival.node_sender = sender;
            rivals.nodes_sought -= 1;
        }
    }
}

/// Whether a refused heartbeat can be neither a duplicate nor late.
fn is_of_a_rival(node: &Node, heartbeat: &Heartbeat) -> bool {
    if heartbeat.incarnation != node.incarnation {
        return true;
    }
    let steps_behind = node.sequence.0.saturating_sub(heartbeat.sequence.0);
    let behind = Duration::from_millis(u64::from(steps_behind) * u64::from(node.interval_ms()));
    steps_behind > ECHO_STEPS_MAX && behind > ECHO_AGE_MAX
}
