//! Asks what a silent node's descriptor names as its probe: whether a TCP port takes a connection, whether a URL
//! answers. The pull half of the monitor, for nodes that cannot answer a ping.
//!
//! ```text
//!   shard ── request ──▶ queue ──▶ prober (control thread) ──▶ connect, GET ──▶ the node
//!     ▲                                 │ good answer
//!     └────────── mailbox ◀─────────────┘
//! ```
//!
//! A request lives until the node's failed deadline and is tried up to [`TRIES_MAX`] times. Only a good answer is
//! reported; silence is what the detector has already. At most [`PROBES_OPEN_MAX`] are open; more are counted and
//! skipped, because a thousand nodes that fall silent together will not be cleared up one by one.
//!
//! **Who may be asked.** Descriptors are not authenticated yet, so a descriptor must not be able to point the gateway
//! at a third machine: by default ([`ProbeReach::SameHost`]) only the address that the descriptor itself came from is
//! asked.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use pulsegate_codec::NodeId;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::ProbeReach;
use crate::handoff::{Mailbox, Parcel};
use crate::io::control_wake::ControlWake;
use crate::second_opinion::TRIES_MAX;

/// Probes that are under way at most.
pub const PROBES_OPEN_MAX: usize = 256;

/// Requests that wait for the control thread at most.
pub const REQUESTS_MAX: usize = 1_024;

/// One try takes no longer than this, nor than its share of the time that is left.
pub const TRY_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// What a descriptor asks to be probed by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeTarget {
    /// A port that takes connections: `tcp://host:port`.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A URL that answers with a status from 200 to 399: `http://host:port/path`.
    Http {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// With its leading slash.
        path: String,
    },
}

impl ProbeTarget {
    /// Reads a descriptor's probe; `None` if it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(authority) = text.strip_prefix("tcp://") {
            let (host, port) = host_and_port(authority)?;
            return Some(Self::Tcp { host, port });
        }
        let rest = text.strip_prefix("http://")?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = host_and_port(authority)?;
        let path = path.to_owned();
        path.bytes().all(|byte| byte.is_ascii_graphic()).then_some(Self::Http { host, port, path })
    }

    const fn endpoint(&self) -> (&String, u16) {
        match self {
            Self::Tcp { host, port } | Self::Http { host, port, .. } => (host, *port),
        }
    }
}

/// `host:port` or `[v6]:port`.
fn host_and_port(authority: &str) -> Option<(String, u16)> {
    let (host, port) = authority.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_sound =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'@');
    Some((host.to_owned(), port.parse().ok().filter(|port| *port != 0)?)).filter(|_| is_sound)
}

/// A node to probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeRequest {
    /// Which node.
    pub node_id: NodeId,
    /// What to ask.
    pub target: ProbeTarget,
    /// Where its descriptor came from.
    pub source: IpAddr,
    /// How long until the node is called failed.
    pub time_left: Duration,
    /// How much longer that is after an answer.
    pub patience: Duration,
    /// Wait before the first try.
    pub first_wait: Duration,
}

impl ProbeRequest {
    /// The same after an answer: tries, and time for the last of them, spread over what the answer gives.
    #[must_use]
    pub fn again(self) -> Self {
        Self { time_left: self.patience, first_wait: self.patience / (TRIES_MAX + 1), ..self }
    }
}

/// What the prober counted. Written on the control thread alone, read by whoever scrapes: relaxed, each a number by
/// itself.
#[derive(Debug, Default)]
pub struct ProbeCounters {
    /// Tries made.
    pub tries: AtomicU64,
    /// Nodes that answered.
    pub answers: AtomicU64,
    /// Requests skipped because too many probes were open, or too many waited.
    pub skipped_for_load: AtomicU64,
    /// Requests whose target is not where their node is.
    pub refused_target: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The way from the shards to the prober. Any shard may post; nobody waits.
#[derive(Clone, Debug)]
pub struct ProbeDesk {
    requests: Arc<ArrayQueue<ProbeRequest>>,
    wake: ControlWake,
    counters: Arc<ProbeCounters>,
}

impl ProbeDesk {
    /// A desk without requests.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let requests = Arc::new(ArrayQueue::new(REQUESTS_MAX));
        Ok(Self { requests, wake: ControlWake::new()?, counters: Arc::default() })
    }

    /// Asks for a probe, or counts it as skipped.
    pub fn post(&self, request: ProbeRequest) {
        match self.requests.push(request) {
            Ok(()) => self.wake.wake(),
            Err(_full) => count(&self.counters.skipped_for_load),
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Arc<ProbeCounters> {
        Arc::clone(&self.counters)
    }
}

/// Works off the requests until the task is dropped. Runs where local tasks can be spawned.
///
/// # Errors
/// When the runtime cannot poll the desk's eventfd.
pub async fn serve(desk: ProbeDesk, reach: ProbeReach, mailboxes: Arc<[Mailbox]>) -> std::io::Result<()> {
    let sleeper = desk.wake.sleeper()?;
    let mut open = tokio::task::JoinSet::new();
    // A node that falls silent anew while it is asked is asked as of now.
    let mut asked: HashMap<NodeId, AbortHandle> = HashMap::new();
    loop {
        sleeper.begin_pass();
        asked.retain(|_, task| !task.is_finished());
        while let Some(request) = desk.requests.pop() {
            while open.try_join_next().is_some() {}
            if open.len() >= PROBES_OPEN_MAX {
                count(&desk.counters.skipped_for_load);
                continue;
            }
            let (counters, mailboxes) = (Arc::clone(&desk.counters), Arc::clone(&mailboxes));
            let node_id = request.node_id;
            let task = open.spawn_local(async move {
                if ask(&request, reach, &counters).await {
                    count(&counters.answers);
                    report(request, &mailboxes);
                }
            });
            if let Some(before) = asked.insert(node_id, task) {
                before.abort();
            }
        }
        sleeper.woken().await?;
    }
}

fn report(request: ProbeRequest, mailboxes: &[Mailbox]) {
    let mailbox = &mailboxes[request.node_id.lane().shard(mailboxes.len())];
    // Full: the shard is so far behind that it will not judge the node soon, and the probe is asked again after that.
    if mailbox.post(Parcel::ProbeAnswer(Box::new(request))) {
        mailbox.owner().wake();
    }
}

/// Tries until something answers or the time is used up.
async fn ask(request: &ProbeRequest, reach: ProbeReach, counters: &ProbeCounters) -> bool {
    let wait = (request.time_left / (TRIES_MAX + 1)).min(TRY_TIMEOUT_MAX);
    tokio::time::sleep(request.first_wait).await;
    for _ in 0..TRIES_MAX {
        count(&counters.tries);
        let next_try = tokio::time::sleep(wait);
        match timeout(wait, ask_once(&request.target, request.source, reach)).await {
            Ok(Ok(())) => return true,
            Ok(Err(NoAnswer::Refused)) => {
                count(&counters.refused_target);
                return false;
            }
            Ok(Err(NoAnswer::Silent)) | Err(_) => next_try.await,
        }
    }
    false
}

/// Why a try brought no answer.
enum NoAnswer {
    /// Nothing there, or not what a healthy service says.
    Silent,
    /// The target lies outside the reach.
    Refused,
}

async fn ask_once(target: &ProbeTarget, source: IpAddr, reach: ProbeReach) -> Result<(), NoAnswer> {
    let (host, port) = target.endpoint();
    let addresses = tokio::net::lookup_host((host.as_str(), port)).await.map_err(|_| NoAnswer::Silent)?;
    let mut allowed = addresses.filter(|address| is_allowed(address, source, reach));
    let Some(address) = allowed.next() else { return Err(NoAnswer::Refused) };
    let stream = TcpStream::connect(address).await.map_err(|_| NoAnswer::Silent)?;
    match target {
        ProbeTarget::Tcp { .. } => Ok(()),
        ProbeTarget::Http { host, path, .. } => {
            let status = get(stream, host, path).await.map_err(|_| NoAnswer::Silent)?;
            if (200..400).contains(&status) { Ok(()) } else { Err(NoAnswer::Silent) }
        }
    }
}

fn is_allowed(address: &SocketAddr, source: IpAddr, reach: ProbeReach) -> bool {
    match reach {
        ProbeReach::Off => false,
        ProbeReach::SameHost => address.ip().to_canonical() == source.to_canonical(),
        ProbeReach::Any => true,
    }
}

/// Sends one GET and returns the status; the body is not read.
async fn get(stream: TcpStream, host: &str, path: &str) -> Result<u16, Box<dyn std::error::Error>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "pulsegate-probe")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    // The connection is driven beside the request, and dropped with it.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn_local(connection);
    Ok(sender.send_request(request).await?.status().as_u16())
}

#[cfg(test)]
mod tests;
