//! Names every way in which the kernel may answer, and says what we do about it.
//!
//! Three places answer: `io_uring_enter` itself, the completion that ends a multishot receive, and the completions of
//! wakes. What a new attempt
//! mends is counted and tried again; the rest is an error with a remedy.

use std::io;

use io_uring::cqueue;

use crate::io::limits;
use crate::io::receiver::{Reaped, ReceiverError};

// What a completion belongs to. A failed wake of another shard adds the shard's position to the last one.
pub(super) const RECEIVE: u64 = 0;
pub(super) const EVENTFD: u64 = 1;
pub(super) const MESSAGE: u64 = 2;
pub(super) const MESSAGE_FAILED: u64 = 3;

/// Completions of wakes, gathered while the datagrams are handed over.
#[derive(Default)]
pub(super) struct Others {
    pub(super) woken: bool,
    pub(super) eventfd_ended: bool,
    /// Empty, and without an allocation, unless a neighbour could not be reached.
    pub(super) unreached: Vec<usize>,
}

impl Others {
    pub(super) fn note(&mut self, completion: &cqueue::Entry) {
        match completion.user_data() {
            EVENTFD => {
                // The counter is never read back: each `wake` is an edge of its own, and 2^64 of them do not happen.
                self.woken = true;
                self.eventfd_ended |= !cqueue::more(completion.flags());
            }
            MESSAGE => self.woken = true,
            failed => {
                let position = failed.saturating_sub(MESSAGE_FAILED);
                self.unreached.push(usize::try_from(position).unwrap_or(usize::MAX));
            }
        }
    }
}

/// What a failed `io_uring_enter` means for us: nothing, or the end.
pub(super) fn after_failed_enter(source: io::Error) -> Result<(), ReceiverError> {
    let remedy = match source.raw_os_error() {
        // The timeout passed: what we asked for.
        Some(libc::ETIME) => return Ok(()),
        // A signal arrived; the caller looks at its own flags and waits again.
        Some(libc::EINTR) => return Ok(()),
        // Completions overflowed into the kernel's own list (BUSY), or there was no memory for a request (AGAIN). Both
        // pass once we have reaped; submissions that were not taken stay queued.
        Some(libc::EBUSY | libc::EAGAIN) => return Ok(()),
        // A completion was lost for want of memory, and with it the buffer that it named.
        Some(libc::EBADR) => "the kernel lost completions for want of memory; give the machine more",
        // Another thread than the one that opened the ring (SINGLE_ISSUER): our mistake.
        Some(libc::EEXIST) => "a receiver must stay on the thread that opened it; report this as a bug",
        // A security policy forbids it although it allowed the set-up.
        Some(libc::EACCES | libc::EPERM) => "a security policy forbids io_uring; set io = \"recvmmsg\"",
        // EBADF, EBADFD, EFAULT, EINVAL, ENXIO, EOPNOTSUPP, EOWNERDEAD: the ring is not what we think it is.
        _ => "the ring is unusable; set io = \"recvmmsg\" and report this as a bug",
    };
    Err(ReceiverError::Kernel { call: "io_uring_enter", source, remedy })
}

/// What the end of a multishot receive means: it is started again with the next enter, or never.
///
/// `result` is the completion's: a negated errno, or what a completion without a buffer may carry.
pub(super) fn after_ended_receive(
    result: i32,
    reaped: &mut Reaped,
    barren_rearms: &mut u32,
) -> Result<(), ReceiverError> {
    let errno = -result;
    let remedy = match errno {
        // All buffers were filled at once. The rest waits in the socket.
        libc::ENOBUFS => {
            reaped.buffers_exhausted += 1;
            return Ok(());
        }
        // Passing troubles: no memory for the request (NOMEM), an interrupted or refused attempt (INTR, AGAIN), a
        // cancellation that was not ours (CANCELED), and what an ICMP error leaves on a socket (the rest).
        libc::ENOMEM
        | libc::EINTR
        | libc::EAGAIN
        | libc::ECANCELED
        | libc::ECONNREFUSED
        | libc::ECONNRESET
        | libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::ENETDOWN
        | libc::EMSGSIZE
        | libc::EPROTO => {
            reaped.receive_errors += 1;
            *barren_rearms += 1;
            if *barren_rearms < limits::BARREN_REARMS_MAX {
                return Ok(());
            }
            let source = io::Error::from_raw_os_error(errno);
            return Err(ReceiverError::Barren { restarts: *barren_rearms, source });
        }
        // The kernel does not know multishot receives or provided buffers.
        libc::EINVAL | libc::EOPNOTSUPP => "needs Linux 6.1 or later; set io = \"recvmmsg\"",
        // A security policy on the socket.
        libc::EACCES | libc::EPERM => {
            "a security policy forbids receiving; check SELinux, AppArmor and seccomp"
        }
        // EBADF, ENOTSOCK, EFAULT, ENOTCONN: not the socket or not the buffers that we think they are.
        _ => "report this as a bug",
    };
    let source = io::Error::from_raw_os_error(errno);
    Err(ReceiverError::Kernel { call: "multishot recvmsg", source, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_signal_and_overflow_do_not_end_a_receiver() {
        for errno in [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN] {
            assert!(after_failed_enter(io::Error::from_raw_os_error(errno)).is_ok(), "errno {errno}");
        }
    }

    #[test]
    fn unusable_ring_is_reported_with_a_remedy() {
        let message = after_failed_enter(io::Error::from_raw_os_error(libc::EBADF)).unwrap_err().to_string();
        assert!(message.starts_with("io_uring_enter failed: Bad file descriptor"), "{message}");
        assert!(message.contains("recvmmsg"), "{message}");
    }

    #[test]
    fn exhausted_buffers_are_counted_and_never_barren() {
        let (mut reaped, mut barren_rearms) = (Reaped::default(), 0);
        for _ in 0..2 * limits::BARREN_REARMS_MAX {
            after_ended_receive(-libc::ENOBUFS, &mut reaped, &mut barren_rearms).unwrap();
        }
        assert_eq!(reaped.buffers_exhausted, u64::from(2 * limits::BARREN_REARMS_MAX));
    }

    #[test]
    fn lasting_trouble_ends_the_receiver_instead_of_spinning() {
        let (mut reaped, mut barren_rearms) = (Reaped::default(), 0);
        let attempts =
            (0..).take_while(|_| after_ended_receive(-libc::ENOMEM, &mut reaped, &mut barren_rearms).is_ok());
        assert_eq!(attempts.count() + 1, limits::BARREN_REARMS_MAX as usize);
    }
}
