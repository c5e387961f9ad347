//! Verdicts on their way from one shard to the control thread: a bounded lock-free queue with one producer.
//!
//! When publication falls behind, the queue fills, then the shard's own verdict buffer fills, then the engine
//! postpones transitions (`pulsegate_engine::Engine::on_heartbeats`). Nothing is dropped on the way, and heartbeats
//! go on being taken.

use crossbeam::queue::ArrayQueue;
use pulsegate_engine::{Verdict, Verdicts};

/// Verdicts that wait for the control thread at most, a shard: 6 MiB.
pub const OUTBOX_VERDICTS_MAX: usize = 65_536;

/// The queue of one shard.
#[derive(Debug)]
pub struct Outbox {
    verdicts: ArrayQueue<Verdict>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::with_capacity(OUTBOX_VERDICTS_MAX)
    }
}

impl Outbox {
    /// An empty queue for this many verdicts.
    #[must_use]
    pub fn with_capacity(verdicts_max: usize) -> Self {
        Self { verdicts: ArrayQueue::new(verdicts_max) }
    }

    /// Moves as many verdicts as fit, oldest first; returns how many. Called by the owning shard alone: with one
    /// producer the room can only grow between the question and the push.
    pub fn fill(&self, verdicts: &mut Verdicts) -> usize {
        let room = self.verdicts.capacity() - self.verdicts.len();
        let count = room.min(verdicts.as_slice().len());
        for verdict in verdicts.drain(count) {
            let pushed = self.verdicts.push(verdict);
            assert!(pushed.is_ok(), "an outbox has one producer, and it asked for the room");
        }
        count
    }

    /// Takes the oldest verdict. Control thread only.
    #[must_use]
    pub fn take(&self) -> Option<Verdict> {
        self.verdicts.pop()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.verdicts.len()
    }
}
