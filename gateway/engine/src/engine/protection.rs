//! What keeps the gateway from taking its own trouble for the death of nodes, and the second opinion.
//!
//! The worker notices pauses and drops and tells of them here; what they mean for deadlines is in
//! [`crate::listening`]. Order matters for a worker that wakes up late: first `on_pause`, then everything that has
//! gathered in the socket, then `on_tick`. A node whose heartbeats lay in the socket is then fresh, one whose heartbeats
//! were lost has the time that it had left, and one that died is reported after that time: late by the pause, and once.
//!
//! **An answer to a probe** proves that a host and a process are there, not that the node works. The node
//! stays suspect, and its failed deadline becomes the answer's time plus what lies between its two timeouts, so it can be
//! asked again in that time. As long as answers come the node stays suspect; the worker bounds how often it asks.

use pulsegate_codec::NodeId;

use super::Engine;
use crate::limits::PROBE_ANSWERS_KEPT_MAX;
use crate::slot::SlotIndex;
use crate::time::{Duration, Timestamp};
use crate::verdict::NodeState;

impl Engine {
    /// The gateway did not listen for `pause`, up to `now`: it was stopped or starved, or the machine slept (then, on a
    /// clock that slept too, the pause is what another clock says). Nobody's silence is counted for that time, and
    /// gaps that span it teach nothing.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_pause(&mut self, pause: Duration, now: Timestamp) {
        self.advance_now(now);
        self.counters.pauses += 1;
        self.listening.pause(pause, now);
        self.distrust_gaps();
    }

    /// The kernel has dropped datagrams of this shard since it was last asked.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_drops(&mut self, now: Timestamp) {
        self.advance_now(now);
        self.counters.drops_seen += 1;
        self.listening.drop_seen(now);
        self.distrust_gaps();
    }

    /// A node that was asked has answered. Means something only while it is suspect; false if it meant nothing.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_probe_answer(&mut self, node_id: NodeId, received_at: Timestamp) -> bool {
        self.advance_now(received_at);
        let suspect = self
            .registry
            .find(node_id)
            .filter(|&slot| self.registry.state(slot) == Some(NodeState::Suspect))
            .filter(|slot| self.answers.len() < PROBE_ANSWERS_KEPT_MAX || self.answers.contains_key(slot));
        let Some(slot) = suspect else {
            self.counters.probe_answers_ignored += 1;
            return false;
        };
        self.counters.probe_answers_accepted += 1;
        let timeouts = self.detection.timeouts(slot, self.registry.node(slot).interval_ms());
        // At least a tick, so that a profile without a suspect phase is not asked for nothing.
        let span = timeouts.failed.saturating_sub(timeouts.suspect).max(self.config.tick);
        let extended = self.answers.entry(slot).or_default();
        *extended = (*extended).max(received_at + span);
        true
    }

    /// Moves a node to another state. What it answered was about the suspicion that ends.
    pub(super) fn move_to(&mut self, slot: SlotIndex, previous: NodeState, next: NodeState) {
        if previous == NodeState::Suspect {
            self.answers.remove(&slot);
        }
        self.registry.set_state(slot, next);
    }
}
