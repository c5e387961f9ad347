//! A TCP proxy that understands just enough of the Kafka protocol to lose acknowledgements.
//!
//! ```text
//!   client ─▶ request (api 0 = Produce: its correlation id is noted) ─▶ broker
//!   client ◀─ response, but of every n-th Produce: dropped, and both connections cut ◀─ broker has stored it
//! ```

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Api key of Produce.
const PRODUCE: [u8; 2] = [0, 0];
/// No frame of these tests is larger.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A running proxy. It ends with the test's process.
pub struct Proxy {
    pub port: u16,
    numbers: Arc<Numbers>,
}

struct Numbers {
    broker: SocketAddr,
    lose_every: u64,
    acknowledgements: AtomicU64,
    lost: AtomicU64,
}

impl Proxy {
    /// Stands before a broker, which need not run yet.
    pub fn start(broker: SocketAddr, lose_every: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let numbers = Numbers { broker, lose_every, acknowledgements: 0.into(), lost: 0.into() };
        let numbers = Arc::new(numbers);
        let shared = Arc::clone(&numbers);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let numbers = Arc::clone(&shared);
                // Whatever goes wrong, both ends are closed and the client connects again.
                std::thread::spawn(move || client.and_then(|client| serve(client, &numbers)));
            }
        });
        Self { port, numbers }
    }

    /// Acknowledgements that the client never got.
    pub fn lost(&self) -> u64 {
        self.numbers.lost.load(Ordering::Relaxed)
    }
}

fn serve(client: TcpStream, numbers: &Arc<Numbers>) -> io::Result<()> {
    let broker = TcpStream::connect(numbers.broker)?;
    let produces = Arc::new(Mutex::new(HashSet::new()));
    let (mut from_client, mut to_broker) = (client.try_clone()?, broker.try_clone()?);
    let noted = Arc::clone(&produces);
    std::thread::spawn(move || {
        while let Ok(frame) = read_frame(&mut from_client) {
            if frame[4..6] == PRODUCE {
                noted.lock().unwrap().insert(frame[8..12].to_vec());
            }
            if to_broker.write_all(&frame).is_err() {
                break;
            }
        }
        cut(&from_client, &to_broker);
    });
    let (mut from_broker, mut to_client) = (broker, client);
    while let Ok(frame) = read_frame(&mut from_broker) {
        if produces.lock().unwrap().remove(&frame[4..8]) {
            let number = numbers.acknowledgements.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(numbers.lose_every) {
                numbers.lost.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        if to_client.write_all(&frame).is_err() {
            break;
        }
    }
    cut(&from_broker, &to_client);
    Ok(())
}

fn cut(one: &TcpStream, other: &TcpStream) {
    let _ = (one.shutdown(Shutdown::Both), other.shutdown(Shutdown::Both));
}

/// A frame with its length.
fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length) as usize;
    if !(8..=FRAME_BYTES_MAX).contains(&bytes) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; 4 + bytes];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..])?;
    Ok(frame)
}
