//! Wakes the control thread: a signal bit, and an eventfd that its runtime polls.
//!
//! Workers are its producers. They must not take a lock, which the wakers of an async runtime do; raising an eventfd
//! is one system call, and the [`Signal`] makes it one a burst.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::io::descriptor;
use crate::signal::Signal;

/// The workers' end. Clone it as you like.
#[derive(Clone, Debug)]
pub struct ControlWake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    signal: Signal,
    eventfd: OwnedFd,
}

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

/// The control thread's end.
#[derive(Debug)]
pub struct ControlSleep {
    // Holds its share, so the descriptor stays open for as long as the runtime polls it.
    eventfd: AsyncFd<Arc<Shared>>,
}

impl ControlWake {
    /// Something that can be woken and has not been.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let eventfd = descriptor::new_eventfd()?;
        Ok(Self { shared: Arc::new(Shared { signal: Signal::new(), eventfd }) })
    }

    /// Called after something was put into a queue that the control thread empties.
    pub fn wake(&self) {
        if self.shared.signal.raise() {
            descriptor::raise_eventfd(self.shared.eventfd.as_fd());
        }
    }

    /// The other end. Must be called within the control thread's runtime.
    ///
    /// # Errors
    /// When the runtime cannot poll the eventfd.
    pub fn sleeper(&self) -> io::Result<ControlSleep> {
        let shared = Arc::clone(&self.shared);
        // SAFETY: `Shared` gives the same descriptor every time and owns it, so it stays open for as long as the
        // `AsyncFd` holds its share.
        let eventfd = unsafe { AsyncFd::register_with_interest(shared, Interest::READABLE) };
        Ok(ControlSleep { eventfd: eventfd? })
    }
}

impl ControlSleep {
    /// Called before the queues are emptied.
    pub fn begin_pass(&self) {
        let shared = self.eventfd.get_ref();
        descriptor::reset_eventfd(shared.eventfd.as_fd());
        shared.signal.lower();
    }

    /// Waits until somebody woke the control thread since the last `begin_pass`.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn woken(&self) -> io::Result<()> {
        let mut ready = self.eventfd.readable().await?;
        // The eventfd is reset by `begin_pass`; the runtime must poll it anew next time.
        ready.clear_ready();
        Ok(())
    }
}
