//! Hands datagrams to the kernel: one connected socket a relay, neighbours of equal size in one call.
//!
//! `UDP_SEGMENT` (udp(7), Linux 4.18) takes a buffer and a size and sends a train of datagrams of that size;
//! only the last may be shorter. A receiver that asked for `UDP_GRO` gets the train whole, steered by its
//! first frame, so a train stays within one lane. Where the kernel or a device refuses segmentation,
//! datagrams go one by one from then on.
//!
//! What the kernel answers, and what it means here:
//!
//! | errno | meaning | response |
//! |---|---|---|
//! | EAGAIN, ENOBUFS | the send buffer or the device queue is full | wait a millisecond, again, up to [`WAITS_MAX`] times |
//! | EINTR | a signal came | again |
//! | ECONNREFUSED | nobody listened when an *earlier* datagram arrived | counted; again |
//! | EINVAL, EIO, EMSGSIZE, EOPNOTSUPP on a train | no segmentation on this path | one by one, for good |
//! | anything else | the path is broken | an error that ends the run |
//!
//! Each hand-over is timed before and after the call, for the ground truth.

use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;

use pulsegate_codec::{NodeId, PING_BYTES, Ping, PingKind};
use socket2::{Domain, MsgHdr, Protocol, Socket, Type};

use crate::clock::Clock;
use crate::compose::Datagram;
use crate::ground_truth::Span;
use crate::limits::{REFUSALS_MAX, SOCKETS_MAX, TRAIN_BYTES_MAX, TRAIN_DATAGRAMS_MAX, WAITS_MAX};
use crate::moment::Duration;

/// Asked of the kernel; it gives what `net.core.wmem_max` allows.
const SEND_BUFFER_BYTES: usize = 4 << 20;

const WAIT: Duration = Duration::from_millis(1);

/// What was handed to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderCounters {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Their bytes, without IP and UDP headers.
    pub bytes: u64,
    /// Calls that it took.
    pub calls: u64,
    /// Waits for a full queue.
    pub waits: u64,
    /// Datagrams that the kernel did not take in [`WAITS_MAX`] attempts.
    pub unsent: u64,
    /// Notices that nobody listened.
    pub refusals: u64,
    /// Pings that were answered.
    pub pongs: u64,
}

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No socket.
    #[error("cannot open a UDP socket to {gateway}: {source}")]
    Open {
        /// Where to.
        gateway: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses for another reason than a full queue.
    #[error("cannot send to {gateway}: {source}")]
    Send {
        /// Where to.
        gateway: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Too many refusals.
    #[error(
        "nobody listens at {gateway}: {REFUSALS_MAX} datagrams were refused; is the gateway running there?"
    )]
    NobodyListens {
        /// Where to.
        gateway: SocketAddr,
    },
}

/// The sockets of all relays.
#[derive(Debug)]
pub struct Sender {
    gateway: SocketAddr,
    sockets: Vec<Socket>,
    segmentation: bool,
    train: Vec<u8>,
    refusals_max: u64,
    counters: SenderCounters,
}

impl Sender {
    /// Opens the sockets of `relays` relays.
    ///
    /// # Errors
    /// [`SendError::Open`].
    pub fn open(gateway: SocketAddr, relays: u32) -> Result<Self, SendError> {
        let sockets = (0..relays.clamp(1, SOCKETS_MAX)).map(|_| open_socket(gateway));
        let sockets =
            sockets.collect::<io::Result<_>>().map_err(|source| SendError::Open { gateway, source })?;
        let train = Vec::with_capacity(TRAIN_BYTES_MAX);
        let counters = SenderCounters::default();
        Ok(Self { gateway, sockets, segmentation: true, train, refusals_max: REFUSALS_MAX, counters })
    }

    /// Goes on for as long as nobody listens: the gateway is expected to be away for a while.
    pub const fn allow_refusals(&mut self) {
        self.refusals_max = u64::MAX;
    }

    /// What was sent so far.
    #[must_use]
    pub const fn counters(&self) -> &SenderCounters {
        &self.counters
    }

    /// Sends datagrams in their order, and tells of each one that the kernel took when that was.
    ///
    /// # Errors
    /// [`SendError`]; datagrams before the one that failed have been told of.
    pub fn send_all(
        &mut self,
        clock: &Clock,
        datagrams: &[Datagram],
        mut on_handed: impl FnMut(&Datagram, Span),
    ) -> Result<(), SendError> {
        let mut rest = datagrams;
        while !rest.is_empty() {
            let count = if self.segmentation { train_length(rest) } else { 1 };
            let (train, tail) = rest.split_at(count);
            match self.send_train(clock, train)? {
                Handed::At(span) => train.iter().for_each(|datagram| on_handed(datagram, span)),
                Handed::Not => {}
                Handed::NotAsTrain => continue,
            }
            rest = tail;
        }
        Ok(())
    }

    /// Sends bytes that are no frame of the fleet, through the first relay's socket. False if the kernel took
    /// nothing.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send_bytes(&mut self, clock: &Clock, bytes: &[u8]) -> Result<bool, SendError> {
        self.train.clear();
        self.train.extend_from_slice(bytes);
        Ok(matches!(self.hand_over(clock, 0, 1, bytes.len())?, Handed::At(_)))
    }

    /// Answers the pings that have come for nodes that are there, from the sockets that they came to. Best effort: the
    /// gateway asks again.
    pub fn answer_pings(&mut self, is_there: impl Fn(NodeId) -> bool) {
        let mut datagram = [0; PING_BYTES + 1];
        for socket in &self.sockets {
            // Bounded by what the socket holds; nobody but the gateway sends to it, for it is connected.
            while let Ok(bytes) = (&*socket).read(&mut datagram) {
                let ping = Ping::parse(&datagram[..bytes]).filter(|ping| ping.kind == PingKind::Ping);
                let Some(ping) = ping.filter(|ping| is_there(ping.node_id)) else { continue };
                if socket.send(&ping.pong().to_bytes()).is_ok() {
                    self.counters.pongs += 1;
                }
            }
        }
    }

    fn send_train(&mut self, clock: &Clock, train: &[Datagram]) -> Result<Handed, SendError> {
        self.train.clear();
        for datagram in train {
            self.train.extend_from_slice(&datagram.bytes);
        }
        let socket = train[0].relay.0 as usize % self.sockets.len();
        self.hand_over(clock, socket, train.len(), train[0].bytes.len())
    }

    /// Hands `self.train`, which holds `count` datagrams of `segment_bytes` each, to the kernel.
    fn hand_over(
        &mut self,
        clock: &Clock,
        socket: usize,
        count: usize,
        segment_bytes: usize,
    ) -> Result<Handed, SendError> {
        let mut waits_left = WAITS_MAX;
        loop {
            let before = clock.now();
            self.counters.calls += 1;
            let result = send_once(&self.sockets[socket], &self.train, count, segment_bytes);
            let error = match result {
                Ok(sent_bytes) => {
                    self.counters.datagrams += count as u64;
                    self.counters.bytes += sent_bytes as u64;
                    return Ok(Handed::At(Span { before, after: clock.now() }));
                }
                Err(error) => error,
            };
            match error.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOBUFS) if waits_left > 0 => {
                    waits_left -= 1;
                    self.counters.waits += 1;
                    clock.sleep(WAIT);
                }
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    self.counters.unsent += count as u64;
                    return Ok(Handed::Not);
                }
                Some(libc::EINTR) => {}
                Some(libc::ECONNREFUSED) => {
                    self.counters.refusals += 1;
                    if self.counters.refusals >= self.refusals_max {
                        return Err(SendError::NobodyListens { gateway: self.gateway });
                    }
                }
                Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::EOPNOTSUPP) if count > 1 => {
                    self.segmentation = false;
                    return Ok(Handed::NotAsTrain);
                }
                _ => return Err(SendError::Send { gateway: self.gateway, source: error }),
            }
        }
    }
}

enum Handed {
    At(Span),
    Not,
    NotAsTrain,
}

fn open_socket(gateway: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(gateway), Type::DGRAM, Some(Protocol::UDP))?;
    // Best effort: the kernel cuts it to its own bound, and a smaller buffer only means more waits.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.connect(&gateway.into())?;
    Ok(socket)
}

fn send_once(socket: &Socket, bytes: &[u8], count: usize, segment_bytes: usize) -> io::Result<usize> {
    if count == 1 {
        return socket.send(bytes);
    }
    let control = segment_control(segment_bytes);
    let buffers = [IoSlice::new(bytes)];
    socket.sendmsg(&MsgHdr::new().with_buffers(&buffers).with_control(&control), 0)
}

const CONTROL_HEADER_BYTES: usize = size_of::<usize>() + 8;
const CONTROL_BYTES: usize = (CONTROL_HEADER_BYTES + 2).next_multiple_of(size_of::<usize>());

/// The control message `UDP_SEGMENT`, as cmsg(3) lays it out: length, level, type, a u16, padding.
fn segment_control(segment_bytes: usize) -> [u8; CONTROL_BYTES] {
    let segment_bytes = u16::try_from(segment_bytes).expect("shorter than the longest datagram");
    let mut control = [0; CONTROL_BYTES];
    let fields: [&[u8]; 4] = [
        &(CONTROL_HEADER_BYTES + 2).to_ne_bytes(),
        &libc::SOL_UDP.to_ne_bytes(),
        &libc::UDP_SEGMENT.to_ne_bytes(),
        &segment_bytes.to_ne_bytes(),
    ];
    let mut offset = 0;
    for field in fields {
        control[offset..offset + field.len()].copy_from_slice(field);
        offset += field.len();
    }
    control
}

/// How many of the first datagrams can go as one train: one relay, one class, one size; a shorter one ends
/// it.
fn train_length(datagrams: &[Datagram]) -> usize {
    let first = &datagrams[0];
    let size = first.bytes.len();
    let mut length = 1;
    for datagram in &datagrams[1..] {
        let same_path = datagram.relay == first.relay && datagram.train_class == first.train_class;
        let fits = length < TRAIN_DATAGRAMS_MAX && (length + 1) * size <= TRAIN_BYTES_MAX;
        if !same_path || !fits || datagram.bytes.len() > size {
            break;
        }
        length += 1;
        if datagram.bytes.len() < size {
            break;
        }
    }
    length
}

#[cfg(test)]
mod tests;
