//! The Kafka port: connections in, one task each, requests answered one after the other.
//!
//! ```text
//!   accept ─▶ connection: length ─▶ frame ─▶ answer.rs ─▶ response ─▶ next frame
//!                                                │
//!                         LogView (fetching.rs)  ├─ parked until a commit
//!                         groups  (group_desk.rs)├─ parked until the other members come
//!                                (admin_desk.rs) └─ many groups, in turns
//! ```
//!
//! All of it runs on the thread that writes the log, as local tasks; only the reading of files is done in the blocking
//! pool. While a request is parked its connection reads nothing further, as in Kafka: the responses stay in order, and
//! clients keep a second connection for their heartbeats.
//!
//! A client that is slow, silent or hostile costs its connection and a bounded share of memory (`limits.rs`); when there
//! are too many, `slots.rs` says whose goes. TLS and logins are in `connection.rs` and `gate.rs`, if they are configured.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, RwLock, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use super::connection::connection;
use super::counters::KafkaCounters;
use super::group::{GroupConfig, GroupCoordinator};
use super::group_desk::GroupDesk;
use super::limits::{
    ACCEPT_RETRY_WAIT, COMPLAINT_INTERVAL, CONNECTIONS_MAX, FETCH_MEMORY_BYTES_MAX, FRAME_MEMORY_BYTES_MAX,
    READERS_MAX, RESPONSE_MEMORY_BYTES_MAX, partitions_named_max,
};
use super::memory::Memory;
use super::offsets::{OffsetStore, OffsetStoreError};
use super::security::Security;
use super::slots::{Admission, SlotId, Slots, Source};
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
    /// A client asked for what is not served. One in [`COMPLAINT_INTERVAL`] is told; the counters have all.
    #[error(
        "client {client_id:?} at {host} sent request {key} in version {version}: {why} (the Kafka protocol numbers \
         requests; others of this kind are not told for a while)"
    )]
    Unserved {
        /// As the client calls itself.
        client_id: String,
        /// Its address.
        host: String,
        /// Number of the request.
        key: i16,
        /// Its version.
        version: i16,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A connection that came to no TLS session. Told as seldom.
    #[error("a connection from {host} came to no TLS session: {source} (others are not told for a while)")]
    Handshake {
        /// Where it came from.
        host: String,
        /// What went wrong, or what the client complained of.
        source: io::Error,
    },
    /// A login with a wrong name or password. Told as seldom.
    #[error("a login from {host} failed: unknown user or wrong password (others are not told for a while)")]
    Login {
        /// Where it came from.
        host: String,
    },
}

/// Is told what the disk did not do, and which clients ask in vain.
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
    /// TLS and logins.
    pub security: Security,
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
    /// For records that are read and sent.
    pub(super) fetch_memory: Rc<Memory>,
    /// Whose turn it is to read files.
    pub(super) readers: Semaphore,
    /// For large requests.
    pub(super) frame_memory: Rc<Memory>,
    /// For large responses.
    pub(super) response_memory: Rc<Memory>,
    /// Whose turn it is to compose a response about many groups.
    pub(super) composing: Mutex<()>,
    pub(super) parked_fetches: Cell<usize>,
    pub(super) on_failure: FailureListener,
    pub(super) unix_ms: WallClock,
    pub(super) security: Security,
    pub(super) slots: RefCell<Slots>,
    clock: ServerClock,
    complained: Cell<Option<Duration>>,
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
            groups: GroupDesk::new(GroupCoordinator::new(config.groups), Rc::clone(&config.clock)),
            clock: config.clock,
            complained: Cell::new(None),
            slots: RefCell::new(Slots::new(CONNECTIONS_MAX, config.security.proof())),
            security: config.security,
            offsets: RwLock::new(offsets),
            counters: config.counters,
            on_failure: config.on_failure,
            unix_ms: config.unix_ms,
            fetch_memory: Memory::new(FETCH_MEMORY_BYTES_MAX),
            readers: Semaphore::new(READERS_MAX),
            frame_memory: Memory::new(FRAME_MEMORY_BYTES_MAX),
            response_memory: Memory::new(RESPONSE_MEMORY_BYTES_MAX),
            composing: Mutex::new(()),
            parked_fetches: Cell::new(0),
        }
    }

    /// Accepts connections until the task is dropped. Runs where local tasks can be spawned.
    pub async fn serve(self, listener: TcpListener) {
        let server = Rc::new(self);
        let mut connections = Connections::default();
        let timer = Rc::clone(&server);
        connections.tasks.spawn_local(async move {
            tokio::join!(timer.groups.run_timer(), timer.run_expiry());
            None
        });
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(ended) = connections.tasks.join_next() => {
                    // One that was displaced has been forgotten already.
                    if let Ok(Some(id)) = ended {
                        connections.by_slot.remove(&id);
                    }
                    continue;
                }
            };
            match accepted {
                Err(error) => {
                    (server.on_failure)(&Failure::Accept(error));
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                }
                Ok((stream, peer)) => connections.take(&server, stream, peer),
            }
        }
    }

    /// Does something with files in the blocking pool, when it is its turn. `None`: the process ends.
    pub(super) async fn read_files<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.readers.acquire().await.ok()?;
        tokio::task::spawn_blocking(read).await.ok()
    }

    /// Most partitions that a request may name that waits.
    pub(super) fn partitions_named_max(&self) -> usize {
        partitions_named_max(self.topics.partition_count())
    }

    /// Tells of a client that asks in vain, unless another has just been told of: anybody can cause such lines.
    pub(super) fn complain(&self, failure: &Failure) {
        let now = (self.clock)();
        let is_quiet = self.complained.get().is_none_or(|last| now >= last + COMPLAINT_INTERVAL);
        if is_quiet {
            self.complained.set(Some(now));
            (self.on_failure)(failure);
        }
    }
}

/// The tasks of the connections, and which has which slot.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<Option<SlotId>>,
    by_slot: BTreeMap<SlotId, AbortHandle>,
}

impl Connections {
    fn take(&mut self, server: &Rc<KafkaServer>, stream: TcpStream, peer: SocketAddr) {
        let admission = server.slots.borrow_mut().admit(Source::of(peer.ip()));
        let id = match admission {
            Admission::Taken(id) => id,
            Admission::TakenFor(id, displaced) => {
                KafkaCounters::add(&server.counters.connections_displaced, 1);
                if let Some(task) = self.by_slot.remove(&displaced) {
                    task.abort();
                }
                id
            }
            Admission::Refused => {
                KafkaCounters::add(&server.counters.connections_refused, 1);
                return;
            }
        };
        KafkaCounters::add(&server.counters.connections_accepted, 1);
        let task = self.tasks.spawn_local(connection(Rc::clone(server), stream, peer, id));
        self.by_slot.insert(id, task);
    }
}
