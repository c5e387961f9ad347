//! Receives through io_uring: one multishot `recvmsg` that never ends, into buffers lent to the kernel.
//!
//! ```text
//!   we:      lend buffers ─▶ [buffer ring] ─▶ kernel: recvmsg into the next one ─▶ [completion queue] ─▶ we: read it,
//!                 ▲                                                                                  give it back
//!                 └──────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - **Flags.** `SINGLE_ISSUER | DEFER_TASKRUN` (Linux 6.1): the kernel does our work only inside our own
//!   `io_uring_enter`, so nothing interrupts the worker, and between two enters nobody writes to a buffer.
//! - **Waiting.** An enter asks for `batch` completions but settles for one after `min_wait` (`min_wait_usec`, Linux
//!   6.12). The kernel counts a socket with any number of datagrams as one piece of work, so under load the worker
//!   sleeps for `min_wait`, wakes once, and takes them all. Before 6.12 two enters do the same.
//! - **Running out of buffers** (`ENOBUFS`) ends the multishot; the datagrams stay in the socket, and the next enter
//!   starts it again with the buffers that were given back meanwhile.
//! - **Wakes** come as a multishot poll of our eventfd, or as a message from another shard's ring.
//!
//! The socket is not registered as a fixed file: a multishot request holds its file once, not once a datagram.

use std::io;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use crate::io::limits;
use crate::io::message::{CONTROL_BYTES, Message, NAME_BYTES};
use crate::io::probe;
use crate::io::receive_buffers::{BufferRing, Buffers};
use crate::io::receiver::{Datagram, Reaped, ReceiverConfig, ReceiverError, Wakeup};
use crate::io::wake::WakeHandle;

mod outcome;

use outcome::{EVENTFD, MESSAGE, MESSAGE_FAILED, Others, RECEIVE, after_ended_receive, after_failed_enter};

/// `struct io_uring_recvmsg_out`: four 32-bit fields in front of each message.
const MESSAGE_HEAD_BYTES: usize = 16;

/// The one group of provided buffers.
const BUFFER_GROUP: u16 = 0;

// Field order is drop order: the ring closes before the memory that its requests point to is freed.
/// See the module's documentation.
pub(super) struct Ring {
    ring: IoUring,
    /// Which header fields the kernel is to fill. The multishot request points to it for as long as it lives.
    header: Box<libc::msghdr>,
    lent: BufferRing,
    buffers: Buffers,
    socket: UdpSocket,
    wake: WakeHandle,
    /// Shards that were woken by message; a failed message names its position here.
    neighbours: Vec<WakeHandle>,
    batch: usize,
    min_wait: Duration,
    /// The kernel knows `min_wait_usec`.
    min_wait_in_kernel: bool,
    /// The kernel knows `IORING_ENTER_NO_IOWAIT`: a receiver that sleeps is idle, not waiting for a disk.
    no_iowait: bool,
    receive_armed: bool,
    eventfd_armed: bool,
    /// Restarts of the receive since the last datagram.
    barren_rearms: u32,
}

impl Ring {
    pub(super) fn open(socket: UdpSocket, config: &ReceiverConfig) -> Result<Self, ReceiverError> {
        let ring = probe::open_ring(completion_entries(config.buffers))
            .map_err(|refusal| ReceiverError::Refused { refusal })?;
        let head_bytes = MESSAGE_HEAD_BYTES + NAME_BYTES + CONTROL_BYTES;
        let buffers =
            Buffers::new(usize::from(config.buffers), head_bytes + config.buffer_payload_bytes as usize)?;
        let mut lent = BufferRing::new(config.buffers)?;
        for index in 0..config.buffers {
            lent.lend(index, &buffers);
        }
        lent.publish();
        let registered = {
            let submitter = ring.submitter();
            // SAFETY: the entries are page-aligned, mapped, and live until after the ring is closed (field order).
            unsafe {
                submitter.register_buf_ring_with_flags(lent.address(), lent.entry_count(), BUFFER_GROUP, 0)
            }
        };
        registered.map_err(|source| ReceiverError::Kernel {
            call: "io_uring_register(IORING_REGISTER_PBUF_RING)",
            source,
            remedy: "lower `buffers`, or set io = \"recvmmsg\"",
        })?;
        let second_descriptor = duplicate(&ring);
        let wake = second_descriptor.and_then(|ring| WakeHandle::new(Some(ring)));
        let wake = wake.map_err(|source| ReceiverError::Kernel {
            call: "eventfd",
            source,
            remedy: "raise the limit of open files (ulimit -n)",
        })?;
        let min_wait_in_kernel = ring.params().is_feature_min_timeout();
        let no_iowait = ring.params().is_feature_no_iowait();
        Ok(Self {
            ring,
            header: Box::new(empty_header()),
            lent,
            buffers,
            socket,
            wake,
            neighbours: Vec::new(),
            batch: config.batch as usize,
            min_wait: config.min_wait,
            min_wait_in_kernel,
            no_iowait,
            receive_armed: false,
            eventfd_armed: false,
            barren_rearms: 0,
        })
    }

    pub(super) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn buffers_max(&self) -> u16 {
        self.lent.entry_count()
    }

    pub(super) fn wake_handle(&self) -> WakeHandle {
        self.wake.clone()
    }

    /// See [`crate::io::Receiver::wait`].
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<Wakeup, ReceiverError> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            let frozen = self.freeze_without_waiting()?;
            return Ok(if frozen > 0 { Wakeup::Ready } else { Wakeup::TimedOut });
        }
        self.arm()?;
        let gathers = self.batch > 1 && !self.min_wait.is_zero();
        if !gathers {
            return self.enter_and_wait(1, None, timeout);
        }
        if self.min_wait_in_kernel {
            // Without a timeout the kernel would return empty-handed when `min_wait` has passed (io_uring/io_uring.c,
            // io_cqring_min_timer_wakeup: "no general timeout … we are done"), and an idle shard would spin.
            let timeout = timeout.unwrap_or(limits::WAIT_MAX);
            return self.enter_and_wait(self.batch, Some(self.min_wait), Some(timeout));
        }
        // The same by hand: gather for `min_wait`, then settle for anything.
        let gather = timeout.map_or(self.min_wait, |timeout| timeout.min(self.min_wait));
        let wakeup = self.enter_and_wait(self.batch, None, Some(gather))?;
        let rest = timeout.map(|timeout| timeout - gather);
        if wakeup == Wakeup::Ready || rest.is_some_and(|rest| rest.is_zero()) {
            return Ok(wakeup);
        }
        self.enter_and_wait(1, None, rest)
    }

    /// Runs the kernel's pending work for us; returns how many completions are there.
    pub(super) fn freeze_without_waiting(&mut self) -> Result<u64, ReceiverError> {
        self.arm()?;
        self.enter(0, None, None)?;
        Ok(self.ring.completion().len() as u64)
    }

    fn enter_and_wait(
        &mut self,
        want: usize,
        min_wait: Option<Duration>,
        timeout: Option<Duration>,
    ) -> Result<Wakeup, ReceiverError> {
        self.enter(want, min_wait, timeout)?;
        Ok(if self.ring.completion().is_empty() { Wakeup::TimedOut } else { Wakeup::Ready })
    }

    /// One `io_uring_enter`: submits what is queued, runs pending work, waits for `want` completions.
    fn enter(
        &mut self,
        want: usize,
        min_wait: Option<Duration>,
        timeout: Option<Duration>,
    ) -> Result<(), ReceiverError> {
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        flags.set(EnterFlags::NO_IOWAIT, self.no_iowait);
        let timespec = timeout.map(Timespec::from);
        let mut arguments = SubmitArgs::new();
        if let Some(timespec) = &timespec {
            arguments = arguments.timespec(timespec);
        }
        if let Some(min_wait) = min_wait {
            arguments = arguments.min_wait_usec(u32::try_from(min_wait.as_micros()).unwrap_or(u32::MAX));
        }
        let queued = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        let submitter = self.ring.submitter();
        // SAFETY: EXT_ARG goes with a `SubmitArgs`, and the timespec in it outlives the call. What the queued
        // submissions point to outlives the ring (see `arm`).
        let result = unsafe { submitter.enter(queued, want, flags.bits(), Some(&arguments)) };
        match result {
            Ok(_) => Ok(()),
            Err(error) => after_failed_enter(error),
        }
    }

    /// Queues what must be under way: the receive and the poll of our eventfd.
    fn arm(&mut self) -> Result<(), ReceiverError> {
        if !self.receive_armed {
            let header = &raw const *self.header;
            let receive = opcode::RecvMsgMulti::new(Fd(self.socket.as_raw_fd()), header, BUFFER_GROUP);
            self.push(&receive.build().user_data(RECEIVE))?;
            self.receive_armed = true;
        }
        if !self.eventfd_armed {
            let poll = opcode::PollAdd::new(Fd(self.wake.eventfd().as_raw_fd()), POLL_IN).multi(true);
            self.push(&poll.build().user_data(EVENTFD))?;
            self.eventfd_armed = true;
        }
        Ok(())
    }

    fn push(&mut self, entry: &squeue::Entry) -> Result<(), ReceiverError> {
        if self.ring.submission().is_full() {
            self.enter(0, None, None)?;
        }
        let mut submissions = self.ring.submission();
        // SAFETY: an entry points to nothing but `header`, which is boxed and dropped after the ring; its descriptors
        // (socket, eventfd, another ring's) are owned by `self` and live as long.
        let pushed = unsafe { submissions.push(entry) };
        pushed.map_err(|_| ReceiverError::Kernel {
            call: "io_uring submission",
            source: io::Error::from_raw_os_error(libc::EBUSY),
            remedy: "the kernel takes no submissions; set io = \"recvmmsg\"",
        })
    }

    /// See [`crate::io::Receiver::reap`].
    #[inline]
    pub(super) fn reap(
        &mut self,
        reaped: &mut Reaped,
        consume: &mut impl FnMut(Datagram<'_>),
    ) -> Result<(), ReceiverError> {
        let mut fatal = None;
        let Self { ring, header, lent, buffers, .. } = self;
        let mut others = Others::default();
        for completion in ring.completion() {
            if completion.user_data() != RECEIVE {
                others.note(&completion);
                continue;
            }
            let flags = completion.flags();
            if !cqueue::more(flags) {
                self.receive_armed = false;
            }
            let Some(index) = cqueue::buffer_select(flags) else {
                if let Err(error) = after_ended_receive(completion.result(), reaped, &mut self.barren_rearms)
                {
                    fatal = Some(error);
                }
                continue;
            };
            let length = usize::try_from(completion.result()).unwrap_or(0);
            // SAFETY: the completion says that the kernel has filled this buffer and lent it back to us; it does not
            // write to it again before `lend` and `publish` below, which come after the last use of `message`.
            let filled = unsafe { buffers.bytes(usize::from(index), 0, length) };
            if let Ok(out) = RecvMsgOut::parse(filled, header) {
                self.barren_rearms = 0;
                let message = Message {
                    name: out.name_data(),
                    control: out.control_data(),
                    payload: out.payload_data(),
                    truncated: out.is_payload_truncated(),
                };
                message.split(reaped, consume);
            } else {
                // The kernel writes whole heads only; a negative result carries no buffer on kernels that we know.
                reaped.receive_errors += 1;
            }
            lent.lend(index, buffers);
        }
        lent.publish();
        self.settle(others, reaped);
        fatal.map_or(Ok(()), Err)
    }

    /// Acts on the completions that were not datagrams.
    fn settle(&mut self, others: Others, reaped: &mut Reaped) {
        if others.eventfd_ended {
            self.eventfd_armed = false;
        }
        if others.woken {
            self.wake.acknowledge();
            reaped.woken = true;
        }
        for position in others.unreached {
            // The neighbour's ring took no message (it is closing, or its queue is full), but its eventfd will do.
            if let Some(neighbour) = self.neighbours.get(position) {
                neighbour.send_by_eventfd();
            }
        }
    }

    /// See [`crate::io::Receiver::wake`].
    pub(super) fn wake(&mut self, other: &WakeHandle) {
        let Some(ring) = other.ring() else { return other.wake() };
        if !other.announce() {
            return;
        }
        let known = self.neighbours.iter().position(|neighbour| neighbour.is_same(other));
        let position = known.unwrap_or_else(|| {
            self.neighbours.push(other.clone());
            self.neighbours.len() - 1
        });
        // Only a failure is worth a completion.
        let message = opcode::MsgRingData::new(Fd(ring), 0, MESSAGE, None)
            .build()
            .user_data(MESSAGE_FAILED + position as u64)
            .flags(squeue::Flags::SKIP_SUCCESS);
        if self.push(&message).is_err() {
            other.send_by_eventfd();
        }
    }
}

impl Drop for Ring {
    /// Ends the requests and takes the buffers back. Closing the descriptor would do that too, but later, from a
    /// kernel worker, and not at all while a neighbour still holds a `WakeHandle` with our second descriptor.
    fn drop(&mut self) {
        let submitter = self.ring.submitter();
        // ENOENT: nothing was under way. No other failure leaves a request that could still write to a buffer: with
        // DEFER_TASKRUN requests run inside our own `enter` only, and there will be none.
        let _ = submitter.register_sync_cancel(None, CancelBuilder::any());
        let _ = submitter.unregister_buf_ring(BUFFER_GROUP);
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Ring")
            .field("socket", &self.socket)
            .field("buffers", &self.lent.entry_count())
            .field("batch", &self.batch)
            .field("min_wait", &self.min_wait)
            .finish_non_exhaustive()
    }
}

/// Twice the buffers, so that the completion queue can never overflow, and room for wakes.
fn completion_entries(buffers: u16) -> u32 {
    u32::from(buffers) * 2 + limits::SUBMISSION_ENTRIES
}

/// Bits of `poll(2)`.
const POLL_IN: u32 = libc::POLLIN.cast_unsigned() as u32;

/// A second descriptor of the ring, for those who send messages to it.
fn duplicate(ring: &IoUring) -> io::Result<OwnedFd> {
    // SAFETY: the ring is open for as long as this borrow of its descriptor lives.
    let descriptor = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
    descriptor.try_clone_to_owned()
}

/// A message header that asks for the sender's address and one control message.
fn empty_header() -> libc::msghdr {
    let header = MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: all zeros are a valid `msghdr`: null pointers and zero lengths.
    let mut header = unsafe { header.assume_init() };
    header.msg_namelen = NAME_BYTES_U32;
    header.msg_controllen = CONTROL_BYTES as _;
    header
}

#[expect(clippy::cast_possible_truncation, reason = "28 bytes")]
const NAME_BYTES_U32: u32 = NAME_BYTES as u32;

#[cfg(test)]
mod tests;
