//! The sockets of a gateway, all bound before anything else happens: a port that stays in use refuses the start.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::GatewayError;
use crate::config::Config;
use crate::io::{SocketError, SocketGroup, SocketGroupConfig};

/// Free UDP ports that are tried until the same TCP port is free as well, when the configuration leaves the choice.
const FREE_PORT_TRIES_MAX: usize = 64;

/// Connections that the kernel completes ahead of us, on each TCP port. When they are more, the client is not answered, and
/// tries again only after a second: whoever comes in the same moment as a crowd must not have to.
const BACKLOG: i32 = 4_096;

/// Tries to bind a UDP port that is in use, and the wait between two: two seconds. A gateway that was killed is gone before
/// its sockets are: the kernel takes its rings apart afterwards, and they hold them.
const PORT_TRIES_MAX: usize = 40;
const PORT_WAIT: Duration = Duration::from_millis(50);

/// Everything that listens.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Heartbeats over UDP, one socket a shard.
    pub(super) heartbeats: SocketGroup,
    /// Heartbeats over TCP, on the same address and port.
    pub(super) heartbeats_tcp: TcpListener,
    /// The admin port.
    pub(super) admin: TcpListener,
    /// Where the admin port was bound.
    pub(super) admin_address: SocketAddr,
    /// The Kafka port.
    pub(super) kafka: TcpListener,
    /// Where the Kafka port was bound.
    pub(super) kafka_address: SocketAddr,
}

impl Listeners {
    /// Binds all of them.
    ///
    /// # Errors
    /// The first that is refused, by its key.
    pub(super) fn bind(config: &Config) -> Result<Self, GatewayError> {
        let (heartbeats, heartbeats_tcp) = bind_heartbeats(config)?;
        let (admin, admin_address) = bind_named("listen.admin", config.listen.admin)?;
        let (kafka, kafka_address) = bind_named("listen.kafka", config.listen.kafka)?;
        Ok(Self { heartbeats, heartbeats_tcp, admin, admin_address, kafka, kafka_address })
    }
}

/// UDP and TCP on one port. If the kernel chooses the port, it knows only what is free over UDP.
fn bind_heartbeats(config: &Config) -> Result<(SocketGroup, TcpListener), GatewayError> {
    let wanted = SocketGroupConfig {
        shard_count: config.shards.count,
        receive_buffer_bytes: config.shards.receive_buffer_bytes,
        ..SocketGroupConfig::new(config.listen.heartbeats)
    };
    let is_free_choice = config.listen.heartbeats.port() == 0;
    let mut tries = 1;
    loop {
        let group = bind_group(&wanted)?;
        let address = group.local_address;
        match bind_tcp(address) {
            Ok(listener) => return Ok((group, listener)),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && is_free_choice
                    && tries < FREE_PORT_TRIES_MAX =>
            {
                tries += 1;
            }
            Err(error) => return Err(tcp_error("listen.heartbeats", address)(error)),
        }
    }
}

fn bind_group(wanted: &SocketGroupConfig) -> Result<SocketGroup, SocketError> {
    let mut tries = 1;
    loop {
        match SocketGroup::bind(wanted) {
            Err(SocketError::PortInUse { address }) if tries < PORT_TRIES_MAX => {
                if tries == 1 {
                    tracing::warn!(%address, "port in use; waiting, in case a killed gateway is still going");
                }
                tries += 1;
                // Nothing runs yet that could be held up.
                std::thread::park_timeout(PORT_WAIT);
            }
            bound => return bound,
        }
    }
}

fn bind_named(key: &'static str, wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let listener = bind_tcp(wanted).map_err(tcp_error(key, wanted))?;
    let address = listener.local_addr().map_err(tcp_error(key, wanted))?;
    Ok((listener, address))
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // As the standard library does: connections that a former gateway left to time out are no reason to refuse.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn tcp_error(key: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> GatewayError {
    move |source| GatewayError::Tcp { key, address, source }
}
