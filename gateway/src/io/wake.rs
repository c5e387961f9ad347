//! Interrupts a waiting receiver from another thread.
//!
//! A receiver owns one eventfd, which it waits for beside its socket; any thread may raise it through a
//! [`WakeHandle`]. Shards that both have rings use a ring message instead, which rides along with the sender's next
//! system call.
//!
//! **Protocol.** `pending` says that a wake is on its way. Whoever wants to wake first does what the sleeper should
//! see (pushes to its queue), then swaps `pending` to true; only the one that found false sends. The receiver swaps it
//! back to false when it reaps the wake, before its owner looks at the queue. So at most one wake a receiver is in
//! flight, however busy the others are, and none is lost: a push whose swap found true precedes the receiver's swap
//! in the order of that one atomic, and is therefore seen after it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::descriptor;

/// Wakes one receiver; clone it as you like.
#[derive(Clone, Debug)]
pub struct WakeHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    eventfd: OwnedFd,
    /// A second descriptor of the receiver's ring, so that its number stays ours while anybody may send to it.
    ring: Option<OwnedFd>,
    pending: AtomicBool,
}

impl WakeHandle {
    pub(super) fn new(ring: Option<OwnedFd>) -> io::Result<Self> {
        let eventfd = descriptor::new_eventfd()?;
        Ok(Self { shared: Arc::new(Shared { eventfd, ring, pending: AtomicBool::new(false) }) })
    }

    /// Interrupts the receiver's current `wait`, or its next one. From any thread.
    pub fn wake(&self) {
        if self.announce() {
            descriptor::raise_eventfd(self.eventfd());
        }
    }

    /// Notes that a wake is on its way. `true` if it is for the caller to send it.
    pub(super) fn announce(&self) -> bool {
        // AcqRel: the release half publishes what the caller did before; it pairs with the swap in `acknowledge`.
        !self.shared.pending.swap(true, Ordering::AcqRel)
    }

    /// Whether a wake is on its way.
    pub(super) fn is_announced(&self) -> bool {
        // Relaxed: a hint; whoever acts on it calls `acknowledge`, which orders.
        self.shared.pending.load(Ordering::Relaxed)
    }

    /// The receiver has seen the wake; its owner will look at everything that was done before it.
    pub(super) fn acknowledge(&self) {
        // AcqRel: the acquire half sees what every caller of `announce` did before; see the protocol above.
        self.shared.pending.swap(false, Ordering::AcqRel);
    }

    /// Sends through the eventfd a wake that was announced but could not be sent otherwise.
    pub(super) fn send_by_eventfd(&self) {
        descriptor::raise_eventfd(self.eventfd());
    }

    pub(super) fn eventfd(&self) -> BorrowedFd<'_> {
        self.shared.eventfd.as_fd()
    }

    pub(super) fn ring(&self) -> Option<RawFd> {
        self.shared.ring.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}
