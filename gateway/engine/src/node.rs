//! What the engine keeps of a node where every heartbeat touches it: 32 bytes, half a cache line.
//!
//! ```text
//!   0        8          16           20        24                        32
//!   | id     | last_seen| incarnation| sequence| interval_ms:24  armed:40 |
//! ```
//!
//! The state of the node is not here but in the registry's tag array, where the lookup has just read it. What only
//! verdicts need (event sequence, facts) lies in arrays that heartbeats never touch.

use pulsegate_codec::{Incarnation, NodeId, Sequence};

use crate::limits::{INTERVAL_MS_BITS, TICK_BITS};
use crate::time::{Tick, Timestamp};

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
    /// Low bits: the interval in milliseconds. High bits: the tick at which the node's wheel entry fires.
    interval_and_armed: u64,
}

// Two records a cache line, none across two: a new field is a decision.
const _: () = assert!(size_of::<Node>() == 32);

impl Node {
    /// What a free slot holds.
    pub const FREE: Self = Self {
        id: NodeId(0),
        last_seen: Timestamp::ZERO,
        incarnation: Incarnation(0),
        sequence: Sequence(0),
        interval_and_armed: 0,
    };

    /// The empty record of a node that has just become known.
    #[must_use]
    pub const fn of(id: NodeId) -> Self {
        Self { id, ..Self::FREE }
    }

    /// The interval that the node is held to, in milliseconds.
    #[must_use]
    pub fn interval_ms(&self) -> u32 {
        let bits = self.interval_and_armed & ((1 << INTERVAL_MS_BITS) - 1);
        u32::try_from(bits).expect("24 bits fit into 32")
    }

    /// Holds the node to another interval.
    ///
    /// # Panics
    /// If the interval needs more than [`INTERVAL_MS_BITS`] bits.
    pub fn set_interval_ms(&mut self, interval_ms: u32) {
        assert!(interval_ms < 1 << INTERVAL_MS_BITS, "intervals are clamped before they are stored");
        let armed = self.interval_and_armed >> INTERVAL_MS_BITS << INTERVAL_MS_BITS;
        self.interval_and_armed = armed | u64::from(interval_ms);
    }

    /// The tick at which the node is looked at next.
    #[must_use]
    pub const fn armed(&self) -> Tick {
        Tick(self.interval_and_armed >> INTERVAL_MS_BITS)
    }

    /// Notes the tick at which the node is looked at next.
    ///
    /// # Panics
    /// If the tick needs more than [`TICK_BITS`] bits: after 34 years at the finest resolution.
    pub fn set_armed(&mut self, tick: Tick) {
        assert!(tick.0 < 1 << TICK_BITS, "the gateway's clock ran out of ticks");
        self.interval_and_armed = tick.0 << INTERVAL_MS_BITS | u64::from(self.interval_ms());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::INTERVAL_MS_MAX;

    #[test]
    fn interval_and_tick_do_not_touch_each_other() {
        let mut node = Node::FREE;
        let tick_max = Tick((1 << TICK_BITS) - 1);
        node.set_armed(tick_max);
        node.set_interval_ms(INTERVAL_MS_MAX);
        assert_eq!((node.armed(), node.interval_ms()), (tick_max, INTERVAL_MS_MAX));
        node.set_armed(Tick(1 << 32));
        assert_eq!((node.armed(), node.interval_ms()), (Tick(1 << 32), INTERVAL_MS_MAX));
        node.set_interval_ms(1);
        assert_eq!((node.armed(), node.interval_ms()), (Tick(1 << 32), 1));
    }
}
