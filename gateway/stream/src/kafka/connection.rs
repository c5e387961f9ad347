//! One connection, from its TLS handshake to its end: the same for plain and encrypted ones once there is a stream.
//!
//! While a request waits for its answer the stream is watched for its end by reading ahead: what comes meanwhile is
//! the next request and stays in the buffer.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, answer};
use super::api::{ApiKey, Frame, unserved};
use super::counters::{Connected, KafkaCounters};
use super::gate::{Gate, Passage};
use super::limits::{
    FAILED_LOGIN_WAIT, FIRST_REQUEST_TIMEOUT, FRAME_BYTES_MAX, IDLE_TIMEOUT, LOGIN_FRAME_BYTES_MAX,
    READ_AHEAD_BYTES, TRANSFER_TIMEOUT, UNSHARED_BYTES_MAX,
};
use super::memory::{Share, TooSlow, transfer};
use super::security::Tls;
use super::server::{Failure, KafkaServer};
use super::slots::SlotId;

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The other side is done, or the network is.
    Closed,
    /// It did not send or take in time.
    TimedOut,
    /// It kept memory that others waited for.
    Slow,
    /// There was no memory for it.
    Starved,
    /// It sent what is no request here.
    Malformed,
    /// There is no TLS with it.
    NoHandshake,
    /// It does not know the password.
    FailedLogin,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

impl From<TooSlow> for End {
    fn from(why: TooSlow) -> Self {
        match why {
            TooSlow::TimedOut => Self::TimedOut,
            TooSlow::Stalled => Self::Slow,
        }
    }
}

/// A request as it came, without its length.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    /// What is beyond the connection's own.
    _memory: Option<Share>,
}

/// Gives the slot back, however the connection ends.
struct Slot<'a> {
    server: &'a KafkaServer,
    id: SlotId,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.server.slots.borrow_mut().release(self.id);
    }
}

/// Serves one connection to its end. Returns its slot.
pub(super) async fn connection(
    server: Rc<KafkaServer>,
    stream: TcpStream,
    peer: SocketAddr,
    id: SlotId,
) -> Option<SlotId> {
    let counters = Arc::clone(&server.counters);
    let _connected = Connected::new(&counters.connections);
    let slot = Slot { server: &server, id };
    // A small response must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let end = match &server.security.tls {
        None => serve(&slot, stream, peer).await,
        Some(tls) => serve_encrypted(&slot, tls, stream, peer).await,
    };
    match end {
        End::Closed => {}
        End::TimedOut => KafkaCounters::add(&counters.connections_timed_out, 1),
        End::Slow => KafkaCounters::add(&counters.connections_slow, 1),
        End::Starved => KafkaCounters::add(&counters.connections_starved, 1),
        End::Malformed => KafkaCounters::add(&counters.connections_malformed, 1),
        End::NoHandshake => KafkaCounters::add(&counters.handshakes_failed, 1),
        End::FailedLogin => KafkaCounters::add(&counters.logins_failed, 1),
    }
    Some(id)
}

async fn serve_encrypted(slot: &Slot<'_>, tls: &Tls, stream: TcpStream, peer: SocketAddr) -> End {
    match timeout(FIRST_REQUEST_TIMEOUT, tls.acceptor().accept(stream)).await {
        // A timer and state machine of some size: not on the stack of every plain connection.
        Ok(Ok(stream)) => Box::pin(serve(slot, stream, peer)).await,
        Ok(Err(source)) => {
            slot.server.complain(&Failure::Handshake { host: peer.ip().to_string(), source });
            End::NoHandshake
        }
        Err(_elapsed) => End::TimedOut,
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(slot: &Slot<'_>, stream: S, peer: SocketAddr) -> End {
    let server = slot.server;
    let mut client = Client {
        server,
        stream: BufReader::with_capacity(READ_AHEAD_BYTES, stream),
        host: peer.ip().to_string(),
        gate: Gate::new(server.security.users.as_ref()),
        has_proved: false,
    };
    loop {
        if let Err(end) = client.serve_request().await {
            return end;
        }
        if client.gate == Gate::Open && !client.has_proved {
            client.has_proved = true;
            server.slots.borrow_mut().prove(slot.id);
        }
    }
}

/// The other side of a stream.
struct Client<'a, S> {
    server: &'a KafkaServer,
    stream: BufReader<S>,
    host: String,
    gate: Gate,
    has_proved: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<'_, S> {
    async fn serve_request(&mut self) -> Result<(), End> {
        let server = self.server;
        let received = self.read_frame().await?;
        let passage = self.gate.pass(server.security.users.as_ref(), &received.bytes);
        match passage.map_err(|_| End::Malformed)? {
            Passage::Through => {}
            Passage::Answered(response) | Passage::LoggedIn(response) => {
                return self.write(&response, None).await;
            }
            Passage::Refused => return Err(End::Malformed),
            Passage::Failed(response) => {
                server.complain(&Failure::Login { host: self.host.clone() });
                sleep(FAILED_LOGIN_WAIT).await;
                self.write(&response, None).await?;
                return Err(End::FailedLogin);
            }
        }
        if let Some(failure) = self.unserved(&received.bytes) {
            server.complain(&failure);
        }
        let answered = tokio::select! {
            answered = answer(server, received, &self.host) => answered,
            () = closed(&mut self.stream) => return Err(End::Closed),
        };
        let response = match answered {
            Ok(Answer::Response(response)) => response,
            Ok(Answer::Starved) => return Err(End::Starved),
            Ok(Answer::Close) | Err(_) => return Err(End::Malformed),
        };
        KafkaCounters::add(&server.counters.requests, 1);
        self.write(&response.bytes, response.memory.as_ref()).await
    }

    async fn read_frame(&mut self) -> Result<Received, End> {
        let patience = if self.has_proved { IDLE_TIMEOUT } else { FIRST_REQUEST_TIMEOUT };
        let bytes_max = if self.gate == Gate::Open { FRAME_BYTES_MAX } else { LOGIN_FRAME_BYTES_MAX };
        let length = timeout(patience, self.stream.read_u32()).await.map_err(|_elapsed| End::TimedOut)??;
        let length = length as usize;
        if length > bytes_max {
            return Err(End::Malformed);
        }
        let unshared = length.min(UNSHARED_BYTES_MAX);
        let mut bytes = Vec::with_capacity(unshared);
        self.fill(&mut bytes, unshared, None).await?;
        if length == unshared {
            return Ok(Received { bytes, _memory: None });
        }
        let share = self.server.frame_memory.take(length - unshared);
        let share = timeout(TRANSFER_TIMEOUT, share).await.map_err(|_elapsed| End::Starved)?;
        bytes.reserve_exact(length - unshared);
        self.fill(&mut bytes, length, Some(&share)).await?;
        Ok(Received { bytes, _memory: Some(share) })
    }

    /// Reads until there are so many bytes, for which there is room.
    async fn fill(&mut self, bytes: &mut Vec<u8>, length: usize, share: Option<&Share>) -> Result<(), End> {
        let (stream, moved) = (&mut self.stream, Cell::new(0));
        transfer(share, &moved, async {
            while bytes.len() < length {
                let read = stream.take((length - bytes.len()) as u64).read_buf(bytes).await?;
                if read == 0 {
                    return Err(End::Closed);
                }
                moved.set(moved.get() + read);
            }
            Ok(())
        })
        .await?
    }

    async fn write(&mut self, response: &[u8], share: Option<&Share>) -> Result<(), End> {
        let (stream, moved) = (&mut self.stream, Cell::new(0));
        transfer(share, &moved, async {
            while moved.get() < response.len() {
                let written = stream.write(&response[moved.get()..]).await?;
                if written == 0 {
                    return Err(End::Closed);
                }
                moved.set(moved.get() + written);
            }
            // What is encrypted waits in a buffer.
            Ok(stream.flush().await?)
        })
        .await?
    }

    /// What is to be said about a request that gets nothing.
    fn unserved(&self, frame: &[u8]) -> Option<Failure> {
        let why = match Frame::read(frame) {
            Ok(Frame::Unknown) => "this version of it, or the request, is not served here",
            Ok(Frame::Request(header, _)) if matches!(header.api.key, ApiKey::Produce) => {
                "it wants to write, and only the gateway writes here"
            }
            _ => return None,
        };
        let (key, version, client_id) = unserved(frame)?;
        let client_id = client_id.chars().take(CLIENT_ID_CHARS_TOLD).collect();
        Some(Failure::Unserved { client_id, host: self.host.clone(), key, version, why })
    }
}

/// How much of a client's own name goes to the log.
const CLIENT_ID_CHARS_TOLD: usize = 64;

/// Resolves when the other side has closed. Never, once it has sent the next request: then nobody can tell.
async fn closed<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) {
    match stream.fill_buf().await {
        Ok([]) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
