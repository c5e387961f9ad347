//! Who is measured. One file each, as short as its idea allows.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use pulsegate::io::{SocketGroup, SocketGroupConfig};

use crate::round::{Outcome, Ready, Stage};

pub mod bare;
pub mod gateway;
pub mod tokio_plain;
pub mod tokio_uring;

/// Receives that a contender may have in flight.
pub const RECEIVES_MAX: usize = 64;

/// Something that receives a load.
pub trait Contender: Sync {
    /// For the report.
    fn name(&self) -> &'static str;

    /// Receives until told to stop. Runs on a thread of its own, pinned.
    fn receive(&self, stage: &Stage<'_>) -> Outcome;
}

/// A socket on loopback as the gateway binds it, with or without trains.
///
/// # Panics
/// If the kernel refuses it.
#[must_use]
pub fn socket(glue_trains: bool) -> (UdpSocket, SocketAddr) {
    let mut config = SocketGroupConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.glue_trains = glue_trains;
    let mut group = SocketGroup::bind(&config).expect("a socket on loopback");
    (group.sockets.remove(0), group.local_address)
}

/// For contenders that only look up when a datagram comes: an empty one, behind all others, ends them.
#[must_use]
pub fn ready_with_datagram(address: SocketAddr) -> Ready {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket on loopback");
    let nudge = move || {
        // One for each receive that may be under way, and as many again.
        for _ in 0..2 * RECEIVES_MAX {
            let _ = socket.send_to(&[], address);
        }
    };
    Ready { address, nudge: Box::new(nudge) }
}
