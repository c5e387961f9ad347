//! Interrupts a waiting receiver from another thread.
//!
//! A receiver owns one eventfd, which it waits for beside its socket; any thread may raise it through a
//! [`WakeHandle`]. Shards that both have rings use a ring message instead, which rides along with the sender's next
//! system call.
//!
//! A [`Signal`] keeps a burst from waking a receiver more than once. Whoever wants to wake first does what the sleeper
//! should see (pushes to its queue), then raises the signal; the receiver lowers it when it reaps the wake, before its
//! owner looks at the queue.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::io::descriptor;
use crate::signal::Signal;

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
    signal: Signal,
}

impl WakeHandle {
    pub(crate) fn new(ring: Option<OwnedFd>) -> io::Result<Self> {
        let eventfd = descriptor::new_eventfd()?;
        Ok(Self { shared: Arc::new(Shared { eventfd, ring, signal: Signal::new() }) })
    }

    /// Interrupts the receiver's current `wait`, or its next one. From any thread.
    pub fn wake(&self) {
        if self.announce() {
            descriptor::raise_eventfd(self.eventfd());
        }
    }

    /// Notes that a wake is on its way. `true` if it is for the caller to send it.
    pub(super) fn announce(&self) -> bool {
        self.shared.signal.raise()
    }

    /// Whether a wake is on its way.
    pub(super) fn is_announced(&self) -> bool {
        self.shared.signal.is_raised()
    }

    /// The receiver has seen the wake; its owner will look at everything that was done before it.
    pub(super) fn acknowledge(&self) {
        self.shared.signal.lower();
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
