//! Receives through `recvmmsg`: for kernels and containers that refuse io_uring.
//!
//! ```text
//!   wait:  [sleep min_wait, if there was traffic] ─▶ ppoll(socket, eventfd) ─▶ recvmmsg(MSG_DONTWAIT) = the batch
//!   reap:  hand the batch over
//! ```
//!
//! The batch is taken from the socket inside `wait`, so that a clock read after it is later than every arrival in it.
//! When the last batch was full, more is likely there and the next `wait` skips straight to `recvmmsg`. Gathering is
//! done by hand: after a batch that emptied the socket, `wait` first sleeps on the eventfd alone for `min_wait`.

use std::io;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::io::descriptor;
use crate::io::limits::{self, MESSAGES_PER_CALL};
use crate::io::message::{CONTROL_BYTES, Message, NAME_BYTES};
use crate::io::receive_buffers::Buffers;
use crate::io::receiver::{Datagram, Reaped, ReceiverConfig, ReceiverError, Wakeup};
use crate::io::wake::WakeHandle;

// Where things stand in a buffer.
const NAME_OFFSET: usize = 0;
const CONTROL_OFFSET: usize = (NAME_OFFSET + NAME_BYTES).next_multiple_of(align_of::<libc::cmsghdr>());
const PAYLOAD_OFFSET: usize = CONTROL_OFFSET + CONTROL_BYTES;

/// See the module's documentation.
pub(super) struct Mmsg {
    socket: UdpSocket,
    wake: WakeHandle,
    /// What `recvmmsg` reads and writes; each header points into one vector and one buffer below.
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    buffers: Buffers,
    /// Messages of the frozen batch; their headers must be set up again before the next call.
    frozen: usize,
    payload_bytes: usize,
    min_wait: Duration,
    woken: bool,
    /// The last batch was full, so the socket has probably more.
    more_likely: bool,
    /// There was traffic since the last sleep, so gathering pays.
    busy: bool,
    receive_errors: u64,
    barren_rearms: u32,
}

impl Mmsg {
    pub(super) fn open(socket: UdpSocket, config: &ReceiverConfig) -> Result<Self, ReceiverError> {
        let payload_bytes = config.buffer_payload_bytes as usize;
        let wake = WakeHandle::new(None).map_err(|source| ReceiverError::Kernel {
            call: "eventfd",
            source,
            remedy: "raise the limit of open files (ulimit -n)",
        })?;
        let gathers = config.batch > 1;
        let mut mmsg = Self {
            socket,
            wake,
            headers: vec![empty_header(); MESSAGES_PER_CALL],
            vectors: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MESSAGES_PER_CALL],
            buffers: Buffers::new(MESSAGES_PER_CALL, PAYLOAD_OFFSET + payload_bytes)?,
            frozen: 0,
            payload_bytes,
            min_wait: if gathers { config.min_wait } else { Duration::ZERO },
            woken: false,
            more_likely: false,
            busy: false,
            receive_errors: 0,
            barren_rearms: 0,
        };
        for index in 0..MESSAGES_PER_CALL {
            mmsg.set_up(index);
        }
        Ok(mmsg)
    }

    pub(super) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn wake_handle(&self) -> WakeHandle {
        self.wake.clone()
    }

    /// See [`crate::io::Receiver::wait`].
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<Wakeup, ReceiverError> {
        if self.frozen > 0 {
            return Ok(Wakeup::Ready);
        }
        let mut rest = timeout;
        if !self.more_likely {
            if self.busy && !self.min_wait.is_zero() {
                self.busy = false;
                let gather = timeout.map_or(self.min_wait, |timeout| timeout.min(self.min_wait));
                self.poll(Interest::WakeOnly, Some(gather))?;
                rest = timeout.map(|timeout| timeout - gather);
            }
            if !self.woken {
                self.poll(Interest::All, rest)?;
            }
        }
        let frozen = self.receive()?;
        let ready = frozen > 0 || self.woken || self.receive_errors > 0;
        Ok(if ready { Wakeup::Ready } else { Wakeup::TimedOut })
    }

    /// Takes a batch from the socket if there is one; returns its length.
    pub(super) fn freeze_without_waiting(&mut self) -> Result<u64, ReceiverError> {
        if self.frozen == 0 {
            self.receive()?;
        }
        Ok(self.frozen as u64)
    }

    /// See [`crate::io::Receiver::reap`].
    #[inline]
    pub(super) fn reap(&mut self, reaped: &mut Reaped, consume: &mut impl FnMut(Datagram<'_>)) {
        for index in 0..self.frozen {
            let header = &self.headers[index];
            let payload_bytes = (header.msg_len as usize).min(self.payload_bytes);
            let name_bytes = (header.msg_hdr.msg_namelen as usize).min(NAME_BYTES);
            #[expect(clippy::unnecessary_cast, reason = "the type differs between C libraries")]
            let control_bytes = (header.msg_hdr.msg_controllen as usize).min(CONTROL_BYTES);
            let bytes = |offset, length| {
                // SAFETY: `recvmmsg` has returned, so the kernel is done with this buffer until the next call, which
                // needs `&mut self` and so comes after the last use of `message`.
                unsafe { self.buffers.bytes(index, offset, length) }
            };
            let message = Message {
                name: bytes(NAME_OFFSET, name_bytes),
                control: bytes(CONTROL_OFFSET, control_bytes),
                payload: bytes(PAYLOAD_OFFSET, payload_bytes),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
            message.split(reaped, consume);
        }
        for index in 0..std::mem::take(&mut self.frozen) {
            self.set_up(index);
        }
        reaped.woken = std::mem::take(&mut self.woken);
        reaped.receive_errors = std::mem::take(&mut self.receive_errors);
    }

    /// Points header `index` at its buffer, as `recvmmsg` wants to find it: the kernel shortens the lengths.
    fn set_up(&mut self, index: usize) {
        let buffer = self.buffers.address(index).as_ptr();
        self.vectors[index] =
            libc::iovec { iov_base: buffer.wrapping_add(PAYLOAD_OFFSET).cast(), iov_len: self.payload_bytes };
        let vector = &raw mut self.vectors[index];
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = buffer.wrapping_add(NAME_OFFSET).cast();
        header.msg_namelen = NAME_BYTES_U32;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_control = buffer.wrapping_add(CONTROL_OFFSET).cast();
        header.msg_controllen = CONTROL_BYTES as _;
        header.msg_flags = 0;
    }

    /// One `recvmmsg`, without blocking.
    fn receive(&mut self) -> Result<usize, ReceiverError> {
        // Under constant load nobody polls, so a wake is looked for here, too.
        if self.wake.is_announced() {
            self.take_wake();
        }
        let count = libc::c_uint::try_from(MESSAGES_PER_CALL).unwrap_or(1);
        // SAFETY: each of the `count` headers points to its own vector and buffer, which live as long as `self`; the
        // vectors have not moved since `set_up`, for neither Vec ever grows.
        let received = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.more_likely = false;
        let Ok(received) = usize::try_from(received) else {
            return self.after_failed_receive(io::Error::last_os_error()).map(|()| 0);
        };
        self.frozen = received;
        self.more_likely = received == MESSAGES_PER_CALL;
        self.busy = true;
        self.barren_rearms = 0;
        Ok(received)
    }

    /// Names every errno of `recvmmsg(2)` and says what we do about it.
    fn after_failed_receive(&mut self, source: io::Error) -> Result<(), ReceiverError> {
        let remedy = match source.raw_os_error() {
            // Nothing there, or a signal arrived: the caller waits again.
            Some(libc::EAGAIN | libc::EINTR) => return Ok(()),
            // No memory for now, or what an ICMP error leaves on a socket: the next call may do.
            Some(
                libc::ENOMEM
                | libc::ENOBUFS
                | libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN,
            ) => {
                self.receive_errors += 1;
                self.barren_rearms += 1;
                if self.barren_rearms < limits::BARREN_REARMS_MAX {
                    return Ok(());
                }
                return Err(ReceiverError::Barren { restarts: self.barren_rearms, source });
            }
            Some(libc::EACCES | libc::EPERM) => {
                "a security policy forbids receiving; check SELinux, AppArmor and seccomp"
            }
            Some(libc::ENOSYS) => "the kernel has no recvmmsg: needs Linux 2.6.33 or later",
            // EBADF, ENOTSOCK, EFAULT, EINVAL: not the socket or not the buffers that we think they are.
            _ => "report this as a bug",
        };
        Err(ReceiverError::Kernel { call: "recvmmsg", source, remedy })
    }

    /// Sleeps until something of interest is there, and notes a wake.
    fn poll(&mut self, interest: Interest, timeout: Option<Duration>) -> Result<(), ReceiverError> {
        let entry = |descriptor: i32| libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        let mut entries = [entry(self.wake.eventfd().as_raw_fd()), entry(self.socket.as_raw_fd())];
        let watched = match interest {
            Interest::WakeOnly => 1,
            Interest::All => 2,
        };
        let timespec = timeout.map(|timeout| libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        });
        let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `watched` entries are writable, the timespec is null or lives through the call, and there is no mask.
        let result = unsafe { libc::ppoll(entries.as_mut_ptr(), watched, timespec, std::ptr::null()) };
        if result < 0 {
            let source = io::Error::last_os_error();
            return match source.raw_os_error() {
                // A signal arrived, or the kernel is short of memory for a moment: the caller waits again.
                Some(libc::EINTR | libc::EAGAIN | libc::ENOMEM) => Ok(()),
                // EFAULT, EINVAL: not the arguments that we think they are.
                _ => Err(ReceiverError::Kernel { call: "ppoll", source, remedy: "report this as a bug" }),
            };
        }
        if entries[0].revents != 0 {
            self.take_wake();
        }
        Ok(())
    }

    fn take_wake(&mut self) {
        // Back to zero first, then acknowledged: a wake that comes in between finds `pending` still set, and what it
        // announced is looked at after we return.
        descriptor::reset_eventfd(self.wake.eventfd());
        self.wake.acknowledge();
        self.woken = true;
    }
}

impl std::fmt::Debug for Mmsg {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Mmsg")
            .field("socket", &self.socket)
            .field("min_wait", &self.min_wait)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Interest {
    WakeOnly,
    All,
}

fn empty_header() -> libc::mmsghdr {
    let header = MaybeUninit::<libc::mmsghdr>::zeroed();
    // SAFETY: all zeros are a valid `mmsghdr`: null pointers and zero lengths.
    unsafe { header.assume_init() }
}

#[expect(clippy::cast_possible_truncation, reason = "28 bytes")]
const NAME_BYTES_U32: u32 = NAME_BYTES as u32;
