//! One bit between threads: "there is something in the queue, and you know it".
//!
//! Waking a thread costs a system call, and a burst needs only one. The bit says whether a wake-up is already under
//! way, so that of all who put something into a queue only the first pays for it.
//!
//! ```text
//! producer: put item; raise()  -> true: nobody has woken the consumer since it last looked, wake it now
//! consumer: lower();  take items until the queue is empty; wait
//! ```
//!
//! Nothing is lost: both sides change the bit with a read-modify-write, and these are totally ordered. If the
//! consumer's `lower` comes after the producer's `raise`, it synchronises with it and so sees the item. If it comes
//! before, the producer finds the bit down and wakes the consumer, which looks again.
//!
//! `tests/loom_signal.rs` tries all interleavings. It does not wake anybody itself and knows nothing of queues.

use crate::sync::{AtomicBool, Ordering};

/// Whether the consumer of a queue has been told that there is something in it.
#[derive(Debug)]
pub struct Signal {
    raised: AtomicBool,
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// A lowered signal.
    #[must_use]
    pub fn new() -> Self {
        Self { raised: AtomicBool::new(false) }
    }

    /// Called by a producer after it put something into the queue. True when it must wake the consumer.
    #[must_use]
    pub fn raise(&self) -> bool {
        // AcqRel: the release half publishes the item put before; it pairs with the acquire half of `lower`.
        !self.raised.swap(true, Ordering::AcqRel)
    }

    /// Called by the consumer before it empties the queue.
    pub fn lower(&self) {
        // AcqRel: the acquire half pairs with the release half of `raise`. A plain store would not be ordered after
        // an earlier `raise` that it overwrites, and the item behind it could stay unseen.
        self.raised.swap(false, Ordering::AcqRel);
    }

    /// Whether somebody has raised it since it was last lowered.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        // Relaxed: a hint; whoever acts on it calls `lower`, which orders.
        self.raised.load(Ordering::Relaxed)
    }
}
