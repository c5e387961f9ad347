//! The few system calls on descriptors that `std` and `socket2` lack, each behind a safe function.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Sets a socket option whose value is a plain C value.
pub(super) fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = socklen_of::<T>();
    // SAFETY: `value` points to `length` readable bytes for the whole call; the kernel only reads them.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the socket glues trains of datagrams together (UDP_GRO).
pub(super) fn glues_trains(socket: BorrowedFd<'_>) -> bool {
    let mut value = [0_u32; 1];
    read_option(socket, libc::SOL_UDP, libc::UDP_GRO, &mut value).is_ok() && value[0] != 0
}

/// What the kernel tells of a socket's memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SocketMemory {
    /// Bytes that queued datagrams are charged with.
    pub(super) queued_bytes: u32,
    /// Datagrams dropped since the socket was made; wraps.
    pub(super) drops: u32,
}

/// Reads `SO_MEMINFO` (Linux 4.12 and later): the same drop counter that `SO_RXQ_OVFL` attaches to datagrams, but
/// exact at the time of the call instead of one datagram late, and without a control message a datagram once anything
/// was ever dropped. All zeros where it is not known.
pub(super) fn socket_memory(socket: BorrowedFd<'_>) -> SocketMemory {
    let mut words = [0_u32; MEMINFO_WORDS];
    if read_option(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut words).is_err() {
        return SocketMemory::default();
    }
    SocketMemory { queued_bytes: words[MEMINFO_QUEUED], drops: words[MEMINFO_DROPS] }
}

/// The receive buffer that the socket has, in bytes as the kernel accounts them.
pub(super) fn receive_buffer_bytes(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut value = [0_u32; 1];
    read_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &mut value)?;
    Ok(value[0] as usize)
}

// Positions in SO_MEMINFO's array: `enum` of SK_MEMINFO_* in include/uapi/linux/sock_diag.h.
const MEMINFO_QUEUED: usize = 0;
const MEMINFO_DROPS: usize = 8;
const MEMINFO_WORDS: usize = 9;

fn read_option<const N: usize>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    words: &mut [u32; N],
) -> io::Result<()> {
    let mut length = socklen_of::<[u32; N]>();
    // SAFETY: `words` is writable for `length` bytes, and the kernel writes no more than that; any bits are a `u32`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, words.as_mut_ptr().cast(), &raw mut length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn socklen_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("an option is a few bytes")
}

/// A counter that can be waited for.
pub(super) fn new_eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are involved.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Adds one to an eventfd. A full counter (EAGAIN) is as awake as it can be, so nothing can go wrong that matters.
pub(super) fn raise_eventfd(eventfd: BorrowedFd<'_>) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `one` is eight readable bytes, which is what an eventfd takes.
    let _ = unsafe { libc::write(eventfd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Sets an eventfd back to zero, without blocking if it is zero.
pub(super) fn reset_eventfd(eventfd: BorrowedFd<'_>) {
    let mut count = [0_u8; 8];
    // SAFETY: `count` is eight writable bytes, which is what an eventfd gives.
    let _ = unsafe { libc::read(eventfd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}
