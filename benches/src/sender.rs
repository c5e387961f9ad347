//! Sends a load at its rate, whatever becomes of it: an open loop, paced by the clock, from several sockets, one
//! datagram a system call. The same for every contender.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pulsegate::io::Clock;

use crate::load::Load;

/// Sockets that take turns, so that no receiver profits from a single flow.
const FLOWS: usize = 16;

/// What the sender did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Datagrams that the kernel refused.
    pub refused: u64,
    /// How far behind its schedule the sender was at worst.
    pub lateness_max: Duration,
}

/// Sends all frames of `load`.
///
/// # Panics
/// If sockets cannot be opened on loopback.
#[must_use]
pub fn send(load: &Load, destination: SocketAddr, clock: Clock) -> Sent {
    let sockets: Vec<UdpSocket> = (0..FLOWS).map(|_| connected(destination)).collect();
    let second = Duration::from_secs(1).as_nanos();
    let rate = u128::from(load.config.frames_per_second);
    let began = clock.now();
    let mut sent = Sent::default();
    for (index, frame) in load.frames().enumerate() {
        let due = Duration::from_nanos(u64::try_from(index as u128 * second / rate).unwrap_or(u64::MAX));
        let mut elapsed = clock.now().since(began);
        while elapsed < due {
            std::hint::spin_loop();
            elapsed = clock.now().since(began);
        }
        sent.lateness_max = sent.lateness_max.max(elapsed - due);
        match sockets[index % FLOWS].send(frame) {
            Ok(_) => sent.datagrams += 1,
            Err(_) => sent.refused += 1,
        }
    }
    sent
}

/// Keeps the core busy for this long: a sleeping sender would let the machine change its frequency.
pub fn spin(duration: Duration, clock: Clock) {
    let began = clock.now();
    while clock.now().since(began) < duration {
        std::hint::spin_loop();
    }
}

fn connected(destination: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket on loopback");
    socket.connect(destination).expect("a destination on loopback");
    socket
}
