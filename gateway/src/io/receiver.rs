//! One face for two ways to receive: io_uring where the kernel allows it, `recvmmsg` where it does not.
//!
//! A worker turns in this circle:
//!
//! ```text
//!   wait(timeout) ── blocks until something is there, then freezes it as one batch
//!   clock.now()   ── later than the arrival of every datagram in the batch, so nobody is stamped too early
//!   reap(consume) ── hands the batch over, datagram by datagram; gives the buffers back; never blocks
//!   drain(consume) ─ before anything expires: takes all that was queued when the call began
//! ```
//!
//! Waiting is batched. A receiver that has just had traffic lets datagrams gather for [`ReceiverConfig::min_wait`];
//! one that was idle longer than that is woken by the first datagram. Load costs less, idle costs nothing, and a
//! datagram is seen at most `min_wait` after it arrived.
//!
//! A train of datagrams that the kernel glued together (UDP_GRO) is split here: consumers see single datagrams.
//!
//! A receiver looks into no payload and drops none: what it cannot take whole it hands over with `truncated` set.

use std::marker::PhantomData;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::io::descriptor::{self, SocketMemory};
use crate::io::limits;
use crate::io::mmsg::Mmsg;
use crate::io::ring::Ring;
use crate::io::wake::WakeHandle;

mod config;
mod error;

pub use config::{ReceiverConfig, ReceiverKind};
pub use error::ReceiverError;

/// One datagram, borrowed from the receiver until the consumer returns.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What the sender wrote; cut short if `truncated`.
    pub payload: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// The datagram was longer than the buffer; its tail is lost.
    pub truncated: bool,
}

/// What one call of `reap` or `drain` took. Add them up: only `kernel_drops` is a total.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reaped {
    /// Datagrams handed over.
    pub datagrams: u64,
    /// Buffers that they came in; fewer than datagrams when trains arrive.
    pub buffers: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Datagrams among them that were cut short.
    pub truncated: u64,
    /// Somebody called `wake` since the last call.
    pub woken: bool,
    /// Times that receiving paused because the kernel had no buffer left. Nothing is lost by it.
    pub buffers_exhausted: u64,
    /// Times that receiving had to be started again for another passing cause.
    pub receive_errors: u64,
    /// Datagrams that the kernel has dropped since the socket was bound, as last read: no room in the socket's receive
    /// buffer, or a bad checksum. Fresh after `drain`, otherwise at most
    /// [`limits::DATAGRAMS_PER_DROP_READING`] datagrams old.
    pub kernel_drops: u64,
}

impl Reaped {
    /// Adds what a later call took.
    pub fn merge(&mut self, later: &Self) {
        self.datagrams += later.datagrams;
        self.buffers += later.buffers;
        self.payload_bytes += later.payload_bytes;
        self.truncated += later.truncated;
        self.woken |= later.woken;
        self.buffers_exhausted += later.buffers_exhausted;
        self.receive_errors += later.receive_errors;
        self.kernel_drops = self.kernel_drops.max(later.kernel_drops);
    }
}

/// Why `wait` returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wakeup {
    /// There is something to reap: datagrams, a wake, or news about the receiver itself.
    Ready,
    /// The timeout passed, or a signal arrived.
    TimedOut,
}

/// What is left of a drain; see [`Receiver::begin_drain`].
#[derive(Debug)]
pub struct Drain {
    buffers_left: u64,
}

/// Takes datagrams from one socket. One a shard; it stays on the thread that opened it.
#[derive(Debug)]
pub struct Receiver {
    method: Method,
    drops: DropCounter,
    // The kernel refuses a ring to any thread but the one that set it up (IORING_SETUP_SINGLE_ISSUER).
    _stays_on_its_thread: PhantomData<*const ()>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a shard, and never moved again")]
enum Method {
    Ring(Ring),
    Mmsg(Mmsg),
}

impl Receiver {
    /// Sets up a receiver for `socket`, on the thread that will use it.
    ///
    /// # Errors
    /// [`ReceiverError::Refused`] when the kernel gives no usable io_uring (then `ReceiverKind::Recvmmsg` works);
    /// [`ReceiverError::BadConfig`] when `config` breaks a bound; otherwise the system call that failed.
    pub fn open(
        kind: ReceiverKind,
        socket: UdpSocket,
        config: &ReceiverConfig,
    ) -> Result<Self, ReceiverError> {
        config.check()?;
        let glues_trains = descriptor::glues_trains(socket.as_fd());
        if glues_trains && config.buffer_payload_bytes < limits::BUFFER_PAYLOAD_BYTES_DEFAULT {
            return Err(ReceiverError::BadConfig {
                key: "buffer_payload_bytes",
                value: u64::from(config.buffer_payload_bytes),
                bound: "at least 65536 while the socket has UDP_GRO on, or trains would be cut",
            });
        }
        let method = match kind {
            ReceiverKind::IoUring => Method::Ring(Ring::open(socket, config)?),
            ReceiverKind::Recvmmsg => Method::Mmsg(Mmsg::open(socket, config)?),
        };
        let drops = DropCounter::default();
        Ok(Self { method, drops, _stays_on_its_thread: PhantomData })
    }

    /// Which way this receiver works.
    #[must_use]
    pub const fn kind(&self) -> ReceiverKind {
        match self.method {
            Method::Ring(_) => ReceiverKind::IoUring,
            Method::Mmsg(_) => ReceiverKind::Recvmmsg,
        }
    }

    /// The socket, to send answers from.
    #[must_use]
    pub const fn socket(&self) -> &UdpSocket {
        match &self.method {
            Method::Ring(ring) => ring.socket(),
            Method::Mmsg(mmsg) => mmsg.socket(),
        }
    }

    /// Blocks until something arrived, somebody woke us, or `timeout` passed (`None` waits for ever, zero not at all).
    /// What has arrived is then frozen: [`Self::reap`] hands over exactly that. Read the clock in between.
    ///
    /// # Errors
    /// Only what cannot be mended by trying again.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Wakeup, ReceiverError> {
        match &mut self.method {
            Method::Ring(ring) => ring.wait(timeout),
            Method::Mmsg(mmsg) => mmsg.wait(timeout),
        }
    }

    /// Hands over what the last `wait` found, without blocking.
    ///
    /// # Errors
    /// Only what cannot be mended by trying again; every datagram that was there has been handed over first.
    pub fn reap(&mut self, mut consume: impl FnMut(Datagram<'_>)) -> Result<Reaped, ReceiverError> {
        let mut reaped = Reaped::default();
        let result = match &mut self.method {
            Method::Ring(ring) => ring.reap(&mut reaped, &mut consume),
            Method::Mmsg(mmsg) => {
                mmsg.reap(&mut reaped, &mut consume);
                Ok(())
            }
        };
        self.drops.datagrams_since_reading += reaped.datagrams;
        if self.drops.datagrams_since_reading >= limits::DATAGRAMS_PER_DROP_READING {
            self.read_socket_memory();
        }
        reaped.kernel_drops = self.drops.total;
        result.map(|()| reaped)
    }

    /// Without waiting, hands over everything that was queued when the call began (and perhaps some that came later;
    /// the work is bounded by what the socket could hold at the start). Equal to [`Self::begin_drain`] and rounds of
    /// [`Self::drain_round`] and [`Self::reap`]; use those to read the clock between rounds.
    ///
    /// # Errors
    /// As [`Self::reap`].
    pub fn drain(&mut self, mut consume: impl FnMut(Datagram<'_>)) -> Result<Reaped, ReceiverError> {
        let mut total = Reaped::default();
        let mut drain = self.begin_drain();
        while self.drain_round(&mut drain)? {
            total.merge(&self.reap(&mut consume)?);
        }
        total.kernel_drops = self.drops.total;
        Ok(total)
    }

    /// Starts a drain: notes how much the socket holds, and reads the kernel's drop counter.
    pub fn begin_drain(&mut self) -> Drain {
        let queued_bytes = self.read_socket_memory();
        let frozen = match &self.method {
            Method::Ring(ring) => u64::from(ring.buffers_max()),
            Method::Mmsg(_) => limits::MESSAGES_PER_CALL as u64,
        };
        // What was already taken from the socket but not reaped comes first and must not eat up the budget.
        let buffers_left = u64::from(queued_bytes / limits::QUEUED_DATAGRAM_BYTES_MIN) + 1 + frozen;
        Drain { buffers_left }
    }

    /// Freezes the next batch of a drain without blocking, to be reaped. `false` when everything that was queued at
    /// the drain's start has been handed over.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn drain_round(&mut self, drain: &mut Drain) -> Result<bool, ReceiverError> {
        if drain.buffers_left == 0 {
            return Ok(false);
        }
        let frozen = match &mut self.method {
            Method::Ring(ring) => ring.freeze_without_waiting()?,
            Method::Mmsg(mmsg) => mmsg.freeze_without_waiting()?,
        };
        drain.buffers_left = drain.buffers_left.saturating_sub(frozen);
        Ok(frozen > 0)
    }

    /// Datagrams that the kernel has dropped since the socket was bound, as last read: fresh after `begin_drain`.
    #[must_use]
    pub const fn kernel_drops(&self) -> u64 {
        self.drops.total
    }

    /// Sends a datagram from this socket without waiting; false if the kernel does not take it now.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> bool {
        let socket = socket2::SockRef::from(self.socket());
        socket.send_to_with_flags(datagram, &to.into(), libc::MSG_DONTWAIT).is_ok()
    }

    /// A handle with which any thread can interrupt `wait`.
    #[must_use]
    pub fn wake_handle(&self) -> WakeHandle {
        match &self.method {
            Method::Ring(ring) => ring.wake_handle(),
            Method::Mmsg(mmsg) => mmsg.wake_handle(),
        }
    }

    /// Wakes another shard: by a ring message if both have rings, which travels with our next `wait` (or drain) at no
    /// cost, and through its eventfd otherwise.
    pub fn wake(&mut self, other: &WakeHandle) {
        match &mut self.method {
            Method::Ring(ring) => ring.wake(other),
            Method::Mmsg(_) => other.wake(),
        }
    }

    /// Reads what the kernel knows of the socket's memory; returns the bytes queued.
    fn read_socket_memory(&mut self) -> u32 {
        let SocketMemory { queued_bytes, drops } = descriptor::socket_memory(self.socket().as_fd());
        self.drops.advance(drops);
        queued_bytes
    }
}

/// Widens the kernel's 32-bit counter.
#[derive(Debug, Default)]
struct DropCounter {
    last_reading: u32,
    total: u64,
    datagrams_since_reading: u64,
}

impl DropCounter {
    fn advance(&mut self, reading: u32) {
        // The counter wraps at 2^32; a difference is right as long as fewer were dropped between two readings.
        self.total += u64::from(reading.wrapping_sub(self.last_reading));
        self.last_reading = reading;
        self.datagrams_since_reading = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_counter_survives_the_wrap_of_the_kernels_32_bits() {
        let mut counter = DropCounter::default();
        counter.advance(u32::MAX - 1);
        counter.advance(3);
        assert_eq!(counter.total, u64::from(u32::MAX) + 4);
    }
}
