//! Binds the UDP sockets: one a shard, all on the same address, as one SO_REUSEPORT group in shard order.
//!
//! The first socket is bound *without* SO_REUSEPORT, which fails if anybody else holds the port, and is opened for
//! company only afterwards. Bound the usual way, a second gateway of the same user would join the first one's group,
//! and the kernel would split the heartbeats between the two without a word. Later members of the group cannot hurt:
//! the steering program names sockets by number, and ours are the first. One shard alone needs no group at all.
//!
//! IPv6 sockets take IPv6 only; who wants both families binds two groups. That keeps a sender's address in one form.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::io::descriptor;
use crate::io::limits;
use crate::io::steering;

/// What to bind.
#[derive(Clone, Debug)]
pub struct SocketGroupConfig {
    /// Where. Port 0 lets the kernel choose one, the same for all shards.
    pub address: SocketAddr,
    /// How many sockets.
    pub shard_count: usize,
    /// Receive buffer wanted for each; see [`limits::SOCKET_BUFFER_BYTES_DEFAULT`].
    pub receive_buffer_bytes: usize,
    /// Whether the kernel may glue trains of datagrams together (UDP_GRO).
    pub glue_trains: bool,
}

impl SocketGroupConfig {
    /// One shard on `address`, everything else by default.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            shard_count: 1,
            receive_buffer_bytes: limits::SOCKET_BUFFER_BYTES_DEFAULT,
            glue_trains: true,
        }
    }
}

/// The bound sockets, and what the kernel granted.
#[derive(Debug)]
pub struct SocketGroup {
    /// Socket `i` is for shard `i`.
    pub sockets: Vec<UdpSocket>,
    /// Where they are bound, with the port that was chosen.
    pub local_address: SocketAddr,
    /// Receive buffer of each. Less than wanted where `net.core.rmem_max` forbids it; nothing is wrong then, but a
    /// shorter burst is lost.
    pub receive_buffer_bytes: usize,
    /// Whether trains are glued together; false on kernels before 5.0 even if wanted.
    pub glues_trains: bool,
}

/// Why sockets cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody else has the port.
    #[error(
        "port in use: another process is bound to UDP {address}; stop it (`ss -ulpn`) or listen elsewhere"
    )]
    PortInUse {
        /// Where.
        address: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error("UDP {address} is not an address of this machine; see `ip address`")]
    NoSuchAddress {
        /// Where.
        address: SocketAddr,
    },
    /// The port is reserved for root.
    #[error("not allowed to bind UDP {address}: take a port from 1024 up, or grant CAP_NET_BIND_SERVICE")]
    NotAllowed {
        /// Where.
        address: SocketAddr,
    },
    /// The number of shards is out of bounds.
    #[error("shard_count = {shard_count} is out of bounds: must be from 1 to {}", limits::SHARDS_MAX)]
    BadShardCount {
        /// What was asked for.
        shard_count: usize,
    },
    /// Another system call failed.
    #[error("{call} failed for UDP {address}: {source}")]
    Kernel {
        /// Which call.
        call: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SocketGroup {
    /// Binds the group.
    ///
    /// # Errors
    /// [`SocketError`]; nothing stays bound.
    pub fn bind(config: &SocketGroupConfig) -> Result<Self, SocketError> {
        let shard_count = config.shard_count;
        if !(1..=limits::SHARDS_MAX).contains(&shard_count) {
            return Err(SocketError::BadShardCount { shard_count });
        }
        let failed = |call| move |source| SocketError::Kernel { call, address: config.address, source };
        let first = open(config)?;
        bind(&first, config.address)?;
        let local_address = first.local_addr().map_err(failed("getsockname"))?;
        let local_address = local_address.as_socket().unwrap_or(config.address);
        let mut sockets = vec![first];
        if shard_count > 1 {
            sockets[0].set_reuse_port(true).map_err(failed("setsockopt(SO_REUSEPORT)"))?;
            for _ in 1..shard_count {
                let socket = open(config)?;
                socket.set_reuse_port(true).map_err(failed("setsockopt(SO_REUSEPORT)"))?;
                bind(&socket, local_address)?;
                sockets.push(socket);
            }
            let attached = steering::attach(sockets[0].as_fd(), shard_count);
            attached.map_err(failed("setsockopt(SO_ATTACH_REUSEPORT_CBPF)"))?;
        }
        let granted = sockets.iter().map(|socket| descriptor::receive_buffer_bytes(socket.as_fd()));
        let granted: Result<Vec<usize>, io::Error> = granted.collect();
        let granted = granted.map_err(failed("getsockopt(SO_RCVBUF)"))?;
        Ok(Self {
            local_address,
            receive_buffer_bytes: granted.into_iter().min().unwrap_or(0),
            glues_trains: sockets.iter().all(|socket| descriptor::glues_trains(socket.as_fd())),
            sockets: sockets.into_iter().map(UdpSocket::from).collect(),
        })
    }
}

/// An unbound socket with its options set: what arrives from the moment of binding must find them.
fn open(config: &SocketGroupConfig) -> Result<Socket, SocketError> {
    let failed = |call| move |source| SocketError::Kernel { call, address: config.address, source };
    let domain = Domain::for_address(config.address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(failed("socket"))?;
    if config.address.is_ipv6() {
        socket.set_only_v6(true).map_err(failed("setsockopt(IPV6_V6ONLY)"))?;
    }
    set_receive_buffer(&socket, config.receive_buffer_bytes).map_err(failed("setsockopt(SO_RCVBUF)"))?;
    if config.glue_trains {
        // Before Linux 5.0 there is no such option; datagrams then simply come one by one. What became of it is read
        // back and reported in `SocketGroup::glues_trains`.
        let _ = descriptor::set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, &1_i32);
    }
    Ok(socket)
}

/// Asks for a receive buffer beyond the system's bound if we may (CAP_NET_ADMIN), and within it otherwise.
fn set_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    // The kernel doubles what it is told, to leave room for its own structures (socket(7)).
    let wanted = i32::try_from(bytes / 2).unwrap_or(i32::MAX / 2);
    match descriptor::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &wanted) {
        Ok(()) => Ok(()),
        Err(_) => descriptor::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &wanted),
    }
}

fn bind(socket: &Socket, address: SocketAddr) -> Result<(), SocketError> {
    let Err(source) = socket.bind(&SockAddr::from(address)) else { return Ok(()) };
    Err(match source.raw_os_error() {
        Some(libc::EADDRINUSE) => SocketError::PortInUse { address },
        Some(libc::EADDRNOTAVAIL) => SocketError::NoSuchAddress { address },
        Some(libc::EACCES) => SocketError::NotAllowed { address },
        _ => SocketError::Kernel { call: "bind", address, source },
    })
}
