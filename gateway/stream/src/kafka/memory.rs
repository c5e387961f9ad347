//! Memory that connections share: requests, records and responses are bounded together, not one by one.
//!
//! ```text
//!   a request      16 KiB of its own ─▶ the rest waits for a share ─▶ read ─▶ given back when it is understood
//!   records        wait for a share ─▶ read from the files ─▶ sent ─▶ given back
//!   a response     composed ─▶ 16 KiB of its own, the rest takes a share or is not sent at all; one that takes several
//!                  turns of the thread takes its share turn by turn, and only one of that kind is composed at a time
//! ```
//!
//! Shares are given in the order in which they were asked for. Whoever holds one and neither reads nor sends keeps it from
//! the others, and would for all of [`TRANSFER_TIMEOUT`]; so while somebody waits a transfer has to make progress
//! ([`transfer`]). A slow client alone is served as slowly as it likes.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::{PROGRESS_BYTES_MIN, PROGRESS_INTERVAL, TRANSFER_TIMEOUT};

/// Bytes that may be taken.
#[derive(Debug)]
pub(super) struct Memory {
    left: Arc<Semaphore>,
    waiting: Cell<usize>,
}

/// Bytes that were taken. Dropped: given back.
#[derive(Debug)]
pub(super) struct Share {
    permit: OwnedSemaphorePermit,
    memory: Rc<Memory>,
}

/// Counts somebody as waiting as long as that lasts.
struct Waiting<'a>(&'a Memory);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

impl Memory {
    pub(super) fn new(bytes: usize) -> Rc<Self> {
        Rc::new(Self { left: Arc::new(Semaphore::new(bytes)), waiting: Cell::new(0) })
    }

    pub(super) fn left_bytes(&self) -> usize {
        self.left.available_permits()
    }

    /// Waits for a share. More than there is altogether is not to be asked for.
    pub(super) async fn take(self: &Rc<Self>, bytes: usize) -> Share {
        self.waiting.set(self.waiting.get() + 1);
        let _waiting = Waiting(self);
        let permit = Arc::clone(&self.left).acquire_many_owned(permits(bytes)).await;
        Share { permit: permit.expect("the semaphore is never closed"), memory: Rc::clone(self) }
    }

    /// A share, if it is there.
    pub(super) fn try_take(self: &Rc<Self>, bytes: usize) -> Option<Share> {
        let permit = Arc::clone(&self.left).try_acquire_many_owned(permits(bytes)).ok()?;
        Some(Share { permit, memory: Rc::clone(self) })
    }
}

impl Share {
    pub(super) fn bytes(&self) -> usize {
        self.permit.num_permits()
    }

    /// Takes as much more as makes it so large, if that is there. Returns whether it is so large now.
    pub(super) fn try_grow_to(&mut self, bytes: usize) -> bool {
        let Some(more) = self.memory.try_take(bytes.saturating_sub(self.bytes())) else { return false };
        self.permit.merge(more.permit);
        true
    }

    /// Gives back what is more than this.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.permit.split(self.bytes().saturating_sub(bytes));
    }

    fn is_wanted(&self) -> bool {
        self.memory.waiting.get() > 0
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("what is asked for is bounded by what there is, which has 32 bits")
}

/// Why a transfer was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TooSlow {
    /// It was not done in time.
    TimedOut,
    /// Others waited, and it hardly moved.
    Stalled,
}

/// Runs a transfer that counts the bytes it has `moved`, and holds `share` if it holds any.
pub(super) async fn transfer<T>(
    share: Option<&Share>,
    moved: &Cell<usize>,
    transfer: impl Future<Output = T>,
) -> Result<T, TooSlow> {
    let mut transfer = pin!(timeout(TRANSFER_TIMEOUT, transfer));
    let Some(share) = share else { return transfer.await.map_err(|_elapsed| TooSlow::TimedOut) };
    loop {
        let before = moved.get();
        if let Ok(done) = timeout(PROGRESS_INTERVAL, &mut transfer).await {
            return done.map_err(|_elapsed| TooSlow::TimedOut);
        }
        if share.is_wanted() && moved.get() - before < PROGRESS_BYTES_MIN {
            return Err(TooSlow::Stalled);
        }
    }
}
