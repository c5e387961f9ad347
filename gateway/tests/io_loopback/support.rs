//! Receivers, senders and trains for the tests of this folder.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pulsegate::io::socket::{SocketGroup, SocketGroupConfig};
use pulsegate::io::{Datagram, Reaped, Receiver, ReceiverConfig, ReceiverKind, probe};
use socket2::{MsgHdr, SockAddr, SockRef};

pub(crate) const LOOPBACK_V4: &str = "127.0.0.1:0";
pub(crate) const LOOPBACK_V6: &str = "[::1]:0";

/// Runs `test` once for each way of receiving that this kernel allows.
pub(crate) fn for_each_kind(test: impl Fn(ReceiverKind)) {
    test(ReceiverKind::Recvmmsg);
    match probe::io_uring() {
        Ok(()) => test(ReceiverKind::IoUring),
        Err(refusal) => println!("skipped with io_uring: {refusal}"),
    }
}

/// A receiver with these settings on an address of its own.
pub(crate) struct Bench {
    pub(crate) receiver: Receiver,
    pub(crate) address: SocketAddr,
}

impl Bench {
    pub(crate) fn new(kind: ReceiverKind, address: &str) -> Self {
        Self::with(kind, address, &ReceiverConfig::default(), |_| {})
    }

    pub(crate) fn with(
        kind: ReceiverKind,
        address: &str,
        config: &ReceiverConfig,
        adjust: impl FnOnce(&mut SocketGroupConfig),
    ) -> Self {
        let mut group = SocketGroupConfig::new(address.parse().unwrap());
        adjust(&mut group);
        let mut group = SocketGroup::bind(&group).unwrap();
        let receiver = Receiver::open(kind, group.sockets.remove(0), config).unwrap();
        Self { receiver, address: group.local_address }
    }

    /// Waits and reaps until `count` datagrams have come, or nothing has for two seconds.
    pub(crate) fn receive(&mut self, count: u64, mut consume: impl FnMut(Datagram<'_>)) -> Reaped {
        let mut total = Reaped::default();
        let mut silent_rounds = 0;
        while total.datagrams < count && silent_rounds < 20 {
            self.receiver.wait(Some(Duration::from_millis(100))).unwrap();
            let reaped = self.receiver.reap(&mut consume).unwrap();
            silent_rounds = if reaped.datagrams == 0 { silent_rounds + 1 } else { 0 };
            total.merge(&reaped);
        }
        total
    }
}

/// A socket that sends to `destination`.
pub(crate) fn sender_to(destination: SocketAddr) -> UdpSocket {
    let local = if destination.is_ipv4() { LOOPBACK_V4 } else { LOOPBACK_V6 };
    let socket = UdpSocket::bind(local).unwrap();
    socket.connect(destination).unwrap();
    socket
}

/// Sends one train: the kernel cuts `payload` into datagrams of `segment_bytes` each.
pub(crate) fn send_train(socket: &UdpSocket, destination: SocketAddr, payload: &[u8], segment_bytes: u16) {
    // struct cmsghdr { size_t length; int level; int type; } and the value, padded to a multiple of eight.
    let mut control = Vec::new();
    control.extend((8 + 4 + 4 + 2_usize).to_ne_bytes());
    control.extend(libc::SOL_UDP.to_ne_bytes());
    control.extend(libc::UDP_SEGMENT.to_ne_bytes());
    control.extend(segment_bytes.to_ne_bytes());
    control.resize(24, 0);
    let destination = SockAddr::from(destination);
    let vectors = [IoSlice::new(payload)];
    let message = MsgHdr::new().with_addr(&destination).with_buffers(&vectors).with_control(&control);
    let sent = SockRef::from(socket).sendmsg(&message, 0).unwrap();
    assert_eq!(sent, payload.len());
}
