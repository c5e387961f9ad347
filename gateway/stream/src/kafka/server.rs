//! The Kafka port: connections in, one task each, requests answered one after the other.
//!
//! ```text
//!   accept ─▶ connection: length ─▶ frame ─▶ answer.rs ─▶ response ─▶ next frame
//!                                                │
//!                         LogView (fetching.rs)  ├─ parked until a commit
//!                         groups  (group_desk.rs)└─ parked until the other members come
//! ```
//!
//! All of it runs on the thread that writes the log, as local tasks; only the reading of files is done in the blocking
//! pool. While a request is parked its connection reads nothing further, as in Kafka: the responses stay in order, and
//! clients keep a second connection for their heartbeats.
//!
//! A client that is slow, silent or hostile costs its connection and a bounded share of memory (`limits.rs`). There is
//! neither TLS nor authentication: whoever binds the port decides who reaches it.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, Semaphore};
use tokio::time::timeout;

use super::answer::{Answer, answer};
use super::counters::{Connected, KafkaCounters};
use super::group::{GroupConfig, GroupCoordinator};
use super::group_desk::GroupDesk;
use super::limits::{
    ACCEPT_RETRY_WAIT, CONNECTIONS_MAX, FETCH_MEMORY_BYTES_MAX, FIRST_REQUEST_TIMEOUT, FRAME_BYTES_MAX,
    IDLE_TIMEOUT, TRANSFER_TIMEOUT,
};
use super::offsets::{OffsetStore, OffsetStoreError};
use crate::view::{ReadFault, Topics};

/// How clients are told to reach this server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advertised {
    /// Name or address that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// Number of this one broker.
    pub node_id: i32,
    /// Names the cluster of this one broker.
    pub cluster_id: String,
}

/// Time since the start of the server.
pub type ServerClock = Rc<dyn Fn() -> Duration>;

/// Milliseconds since the Unix epoch.
pub type WallClock = Rc<dyn Fn() -> i64>;

/// What the disk did not do for a client. It was told so as well, by an error code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Batches could not be read, or are damaged.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// Committed offsets could not be written.
    #[error("committed offsets: {0}")]
    Offsets(#[from] OffsetStoreError),
    /// The system gave no connection (out of file descriptors, say).
    #[error("a connection could not be taken: {0}")]
    Accept(#[from] io::Error),
}

/// Is told what the disk did not do.
pub type FailureListener = Rc<dyn Fn(&Failure)>;

/// What a server needs besides the log.
pub struct KafkaConfig {
    /// How clients reach it.
    pub advertised: Advertised,
    /// Settings of the consumer groups.
    pub groups: GroupConfig,
    /// Reads no clock itself.
    pub clock: ServerClock,
    /// Dates committed offsets.
    pub unix_ms: WallClock,
    /// Its numbers.
    pub counters: Arc<KafkaCounters>,
    /// Writes no log itself.
    pub on_failure: FailureListener,
}

impl std::fmt::Debug for KafkaConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KafkaConfig").field("advertised", &self.advertised).finish_non_exhaustive()
    }
}

/// What serves Kafka clients.
pub struct KafkaServer {
    pub(super) advertised: Advertised,
    pub(super) topics: Topics,
    pub(super) groups: GroupDesk,
    pub(super) offsets: RwLock<OffsetStore>,
    pub(super) counters: Arc<KafkaCounters>,
    /// Bytes of records that may be read into memory.
    pub(super) fetch_memory: Arc<Semaphore>,
    pub(super) parked_fetches: Cell<usize>,
    pub(super) on_failure: FailureListener,
    pub(super) unix_ms: WallClock,
}

impl std::fmt::Debug for KafkaServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KafkaServer").field("advertised", &self.advertised).finish_non_exhaustive()
    }
}

impl KafkaServer {
    /// A server of `topics`, with the committed offsets of the groups in `offsets`.
    #[must_use]
    pub fn new(config: KafkaConfig, topics: impl Into<Topics>, offsets: OffsetStore) -> Self {
        Self {
            advertised: config.advertised,
            topics: topics.into(),
            groups: GroupDesk::new(GroupCoordinator::new(config.groups), config.clock),
            offsets: RwLock::new(offsets),
            counters: config.counters,
            on_failure: config.on_failure,
            unix_ms: config.unix_ms,
            fetch_memory: Arc::new(Semaphore::new(FETCH_MEMORY_BYTES_MAX)),
            parked_fetches: Cell::new(0),
        }
    }

    /// Accepts connections until the task is dropped. Runs where local tasks can be spawned.
    pub async fn serve(self, listener: TcpListener) {
        let server = Rc::new(self);
        let mut connections = tokio::task::JoinSet::new();
        let timer = Rc::clone(&server);
        connections.spawn_local(async move {
            tokio::join!(timer.groups.run_timer(), timer.run_expiry());
        });
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Err(error) => {
                    (server.on_failure)(&Failure::Accept(error));
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                }
                // The timer is one of them.
                Ok(_) if connections.len() > CONNECTIONS_MAX => {
                    KafkaCounters::add(&server.counters.connections_refused, 1);
                }
                Ok((stream, peer)) => {
                    KafkaCounters::add(&server.counters.connections_accepted, 1);
                    connections.spawn_local(connection(Rc::clone(&server), stream, peer));
                }
            }
        }
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The other side is done, or the network is.
    Closed,
    /// It did not send or take in time.
    TimedOut,
    /// It sent what is no request here.
    Malformed,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// Serves one connection to its end.
async fn connection(server: Rc<KafkaServer>, mut stream: TcpStream, peer: SocketAddr) {
    let counters = Arc::clone(&server.counters);
    let _connected = Connected::new(&counters.connections);
    // A small response must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    match serve_requests(&server, &mut stream, peer).await {
        End::Closed => {}
        End::TimedOut => KafkaCounters::add(&counters.connections_timed_out, 1),
        End::Malformed => KafkaCounters::add(&counters.connections_malformed, 1),
    }
}

async fn serve_requests(server: &KafkaServer, stream: &mut TcpStream, peer: SocketAddr) -> End {
    let client_host = peer.ip().to_string();
    let mut patience = FIRST_REQUEST_TIMEOUT;
    loop {
        if let Err(end) = serve_request(server, stream, &client_host, patience).await {
            return end;
        }
        patience = IDLE_TIMEOUT;
    }
}

async fn serve_request(
    server: &KafkaServer,
    stream: &mut TcpStream,
    client_host: &str,
    patience: Duration,
) -> Result<(), End> {
    let frame = read_frame(stream, patience).await?;
    let answered = tokio::select! {
        answered = answer(server, &frame, client_host) => answered,
        () = closed(stream) => return Err(End::Closed),
    };
    let response = match answered {
        Ok(Answer::Response(response)) => response,
        Ok(Answer::Close) | Err(_) => return Err(End::Malformed),
    };
    KafkaCounters::add(&server.counters.requests, 1);
    let written = timeout(TRANSFER_TIMEOUT, stream.write_all(&response.bytes)).await;
    written.map_err(|_elapsed| End::TimedOut)??;
    Ok(())
}

/// The next request, without its length.
async fn read_frame(stream: &mut TcpStream, patience: Duration) -> Result<Vec<u8>, End> {
    let length = timeout(patience, stream.read_u32()).await.map_err(|_elapsed| End::TimedOut)??;
    let length = length as usize;
    if length > FRAME_BYTES_MAX {
        return Err(End::Malformed);
    }
    // The buffer grows with what arrives, not with what is announced.
    let mut frame = Vec::new();
    let mut body = stream.take(length as u64);
    let read = timeout(TRANSFER_TIMEOUT, body.read_to_end(&mut frame)).await;
    let read = read.map_err(|_elapsed| End::TimedOut)??;
    if read < length { Err(End::Closed) } else { Ok(frame) }
}

/// Resolves when the other side has closed. Never, once it has sent the next request: then nobody can tell.
async fn closed(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
