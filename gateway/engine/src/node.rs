//! What the engine keeps of a node where every heartbeat touches it: 32 bytes, half a cache line.
//!
//! ```text
//!   0        8          16           20        24                                            32
//!   | id     | last_seen| incarnation| sequence| state:3  degraded:1  interval_ms:22  armed:38 |
//! ```
//!
//! What only verdicts need (event sequence, facts) lies in arrays of the registry that heartbeats never touch.

use pulsegate_codec::{Incarnation, NodeId, Sequence};

use crate::limits::{DEGRADED_BITS, INTERVAL_MS_BITS, STATE_BITS, TICK_BITS};
use crate::time::{Tick, Timestamp};
use crate::verdict::NodeState;

/// One node's hot record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Node {
    /// Whose record this is. Means nothing while the slot is free.
    pub id: NodeId,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// Which run of it was heard.
    pub incarnation: Incarnation,
    /// Greatest sequence heard of that run; 0 while it has not counted.
    pub sequence: Sequence,
    /// From the low bits up: state plus one (zero for a free slot; two more for nodes that return), whether it is degraded, interval in milliseconds,
    /// armed tick.
    packed: u64,
}

// Two records a cache line, none across two: a new field is a decision.
const _: () = assert!(size_of::<Node>() == 32);

const INTERVAL_SHIFT: u32 = STATE_BITS + DEGRADED_BITS;
const ARMED_SHIFT: u32 = INTERVAL_SHIFT + INTERVAL_MS_BITS;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
/// Suspect, and heard once since.
const SUSPECT_RETURNING: u64 = 6;
/// Failed, and heard once since.
const FAILED_RETURNING: u64 = 7;
const DEGRADED_MASK: u64 = 1 << STATE_BITS;
const INTERVAL_MASK: u64 = ((1 << INTERVAL_MS_BITS) - 1) << INTERVAL_SHIFT;

impl Node {
    /// What a free slot holds.
    pub const FREE: Self = Self {
        id: NodeId(0),
        last_seen: Timestamp::ZERO,
        incarnation: Incarnation(0),
        sequence: Sequence(0),
        packed: 0,
    };

    /// The empty record of a node that has just become known: it is new.
    #[must_use]
    pub fn of(id: NodeId) -> Self {
        let mut node = Self { id, ..Self::FREE };
        node.set_state(NodeState::New);
        node
    }

    /// Where the node stands; `None` if the slot is free.
    #[inline]
    #[must_use]
    pub const fn state(&self) -> Option<NodeState> {
        match self.packed & STATE_MASK {
            1 => Some(NodeState::New),
            2 => Some(NodeState::Alive),
            3 | SUSPECT_RETURNING => Some(NodeState::Suspect),
            4 | FAILED_RETURNING => Some(NodeState::Failed),
            5 => Some(NodeState::Left),
            _ => None,
        }
    }

    /// Whether the node is suspect or failed, and has been heard once since.
    #[inline]
    #[must_use]
    pub const fn is_returning(&self) -> bool {
        self.packed & STATE_MASK >= SUSPECT_RETURNING
    }

    /// Notes that the node has been heard, if it is suspect or failed. Moving it to any state forgets that.
    pub fn set_returning(&mut self) {
        let bits = match self.state() {
            Some(NodeState::Suspect) => SUSPECT_RETURNING,
            Some(NodeState::Failed) => FAILED_RETURNING,
            _ => return,
        };
        self.packed = self.packed & !STATE_MASK | bits;
    }

    /// Moves the node to another state. The registry does it, because it counts them.
    pub(crate) fn set_state(&mut self, state: NodeState) {
        self.packed = self.packed & !STATE_MASK | (u64::from(state as u8) + 1);
    }

    /// Whether the world was told that the node is degraded, and not that it no longer is.
    #[inline]
    #[must_use]
    pub const fn is_degraded(&self) -> bool {
        self.packed & DEGRADED_MASK != 0
    }

    /// Notes what the world was told.
    pub const fn set_degraded(&mut self, is_degraded: bool) {
        self.packed = self.packed & !DEGRADED_MASK | (is_degraded as u64) << STATE_BITS;
    }

    /// The interval that the node is held to, in milliseconds.
    #[must_use]
    pub fn interval_ms(&self) -> u32 {
        u32::try_from((self.packed & INTERVAL_MASK) >> INTERVAL_SHIFT).expect("22 bits fit into 32")
    }

    /// Holds the node to another interval.
    ///
    /// # Panics
    /// If the interval needs more than [`INTERVAL_MS_BITS`] bits.
    pub fn set_interval_ms(&mut self, interval_ms: u32) {
        assert!(interval_ms < 1 << INTERVAL_MS_BITS, "intervals are clamped before they are stored");
        self.packed = self.packed & !INTERVAL_MASK | u64::from(interval_ms) << INTERVAL_SHIFT;
    }

    /// The tick at which the node is looked at next.
    #[inline]
    #[must_use]
    pub const fn armed(&self) -> Tick {
        Tick(self.packed >> ARMED_SHIFT)
    }

    /// Notes the tick at which the node is looked at next.
    ///
    /// # Panics
    /// If the tick needs more than [`TICK_BITS`] bits: after 8 years at the finest resolution.
    pub fn set_armed(&mut self, tick: Tick) {
        assert!(tick.0 < 1 << TICK_BITS, "the gateway's clock ran out of ticks");
        self.packed = self.packed & (INTERVAL_MASK | DEGRADED_MASK | STATE_MASK) | tick.0 << ARMED_SHIFT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::INTERVAL_MS_MAX;

    #[test]
    fn state_interval_and_tick_do_not_touch_each_other() {
        // Method: each field is moved between its extremes while the others hold theirs.
        let mut node = Node::of(NodeId(1));
        let tick_max = Tick((1 << TICK_BITS) - 1);
        for (tick, interval_ms, state) in [
            (tick_max, INTERVAL_MS_MAX, NodeState::Left),
            (Tick(1 << 32), INTERVAL_MS_MAX, NodeState::Left),
            (Tick(1 << 32), 0, NodeState::Left),
            (Tick(1 << 32), 0, NodeState::New),
            (tick_max, 0, NodeState::New),
            (Tick(0), INTERVAL_MS_MAX, NodeState::New),
        ] {
            node.set_armed(tick);
            node.set_interval_ms(interval_ms);
            node.set_state(state);
            let is_degraded = tick.0.is_multiple_of(2);
            node.set_degraded(is_degraded);
            assert_eq!(node.is_degraded(), is_degraded);
            assert_eq!((node.armed(), node.interval_ms(), node.state()), (tick, interval_ms, Some(state)));
        }
    }

    #[test]
    fn a_node_that_returns_stands_where_it_stood_until_it_is_moved() {
        for state in [NodeState::Suspect, NodeState::Failed, NodeState::Alive] {
            let mut node = Node::of(NodeId(1));
            node.set_state(state);
            node.set_returning();
            assert_eq!((node.state(), node.is_returning()), (Some(state), state != NodeState::Alive));
            node.set_state(state);
            assert!(!node.is_returning());
        }
    }

    #[test]
    fn a_free_slot_stands_nowhere() {
        assert_eq!(Node::FREE.state(), None);
        assert_eq!(Node::of(NodeId(0)).state(), Some(NodeState::New));
    }

    #[test]
    #[should_panic(expected = "clamped before")]
    fn an_interval_that_does_not_fit_is_the_callers_mistake() {
        Node::of(NodeId(1)).set_interval_ms(1 << INTERVAL_MS_BITS);
    }

    #[test]
    #[should_panic(expected = "ran out of ticks")]
    fn a_tick_that_does_not_fit_ends_the_gateway_and_corrupts_nothing() {
        Node::of(NodeId(1)).set_armed(Tick(1 << TICK_BITS));
    }
}
