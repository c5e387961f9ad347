//! Who means no good: raw connections from chosen loopback addresses, and bytes that no client would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// Number, versions, and the first version with the flexible encoding of each request that is advertised.
pub const APIS: [(i16, i16, i16, i16); 16] = [
    (0, 0, 9, 9),
    (1, 4, 12, 12),
    (2, 1, 7, 6),
    (3, 0, 9, 9),
    (8, 2, 9, 8),
    (9, 1, 8, 6),
    (10, 0, 4, 3),
    (11, 0, 9, 6),
    (12, 0, 4, 4),
    (13, 0, 5, 4),
    (14, 0, 5, 4),
    (15, 0, 5, 5),
    (16, 0, 4, 3),
    (18, 0, 4, 3),
    (32, 1, 4, 4),
    (60, 0, 1, 0),
];

/// How long an answer may take before it is taken for one that waits on purpose, for members of a group say.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// What a frame has led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Answered,
    Closed,
    /// Neither.
    Waiting,
}

/// Addresses of attackers; the consumer has another.
pub fn source(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// A connection from this address; a small receive buffer lets little of a response leave the gateway.
pub fn connect(source: Ipv4Addr, target: SocketAddr, receive_buffer_bytes: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&target.into()).unwrap();
    TcpStream::from(socket)
}

/// A request with its length.
pub fn frame(key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let is_flexible =
        APIS.iter().any(|&(of_api, _, _, flexible_from)| of_api == key && version >= flexible_from);
    let mut bytes = [&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation_id.to_be_bytes()].concat();
    bytes.extend([0xff, 0xff]);
    if is_flexible {
        bytes.push(0);
    }
    bytes.extend(body);
    with_length(&bytes)
}

pub fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A fetch (v4) of every byte of some partitions of a topic, which are named over and over.
pub fn greedy_fetch(topic: &str, partitions: i32) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [-1, 0, 1, i32::MAX] {
        body.extend(number.to_be_bytes());
    }
    body.push(0);
    body.extend(1_i32.to_be_bytes());
    body.extend(string(topic));
    body.extend(partitions.to_be_bytes());
    for partition in 0..partitions {
        body.extend((partition % 4).to_be_bytes());
        body.extend(0_i64.to_be_bytes());
        body.extend(i32::MAX.to_be_bytes());
    }
    frame(1, 4, 1, &body)
}

/// In the classic encoding.
pub fn string(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// In the classic encoding.
pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Sends bytes and waits for what comes of them.
pub fn provoke(stream: &mut TcpStream, bytes: &[u8]) -> Outcome {
    stream.set_read_timeout(Some(ANSWER_WAIT)).unwrap();
    if stream.write_all(bytes).is_err() {
        return Outcome::Closed;
    }
    match response(stream) {
        Ok(_) => Outcome::Answered,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Outcome::Waiting,
        Err(_) => Outcome::Closed,
    }
}

/// A whole response without its length.
pub fn response(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut response)?;
    Ok(response)
}

/// Bodies that claim more than there is, in both encodings: arrays of 2^31-1, of -2 and of -2^31 elements, nested ones,
/// strings longer than the frame, varints that never end.
pub fn monstrous_bodies() -> Vec<Vec<u8>> {
    let words =
        [0x7fff_ffff_u32, 0xffff_fffe, 0x8000_0000, 0xffff_ffff, 0x0000_7fff, 0x7fff_0000, 0x0001_0000];
    let mut bodies: Vec<Vec<u8>> = words.iter().map(|word| word.to_be_bytes().repeat(40)).collect();
    for unit in [
        &b"\xff\xff\xff\xff\x0f"[..],
        b"\xff",
        b"\x80",
        b"\x02a\xff\xff\xff\xff\x07",
        b"\x00\x01a\x00\x00\x00\x01",
    ] {
        bodies.push(unit.repeat(40));
    }
    bodies
}
