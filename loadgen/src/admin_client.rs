//! Asks the gateway how it is: one HTTP/1.1 GET over TCP, answered with JSON.
//!
//! `Connection: close` and a bounded read keep the client this small. It follows no redirects and speaks no
//! TLS: the admin port is on this machine.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde::Deserialize;

use crate::limits::{ADMIN_WAIT_MAX, ANSWER_BYTES_MAX};

/// The answer to `GET /v1/status`. Fields that this version does not know are ignored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Status {
    /// Name of the gateway.
    #[serde(default)]
    pub gateway: String,
    /// Which run of the gateway.
    #[serde(default)]
    pub epoch: u64,
    /// How it receives: `io_uring` or `recvmmsg`.
    #[serde(default)]
    pub receiver: String,
    /// Why so.
    #[serde(default)]
    pub receiver_reason: String,
    /// Receiving threads.
    #[serde(default)]
    pub shards: u32,
    /// Resolution of its timers.
    #[serde(default)]
    pub tick_ms: u64,
    /// Interval of nodes that do not tell theirs.
    pub interval_ms: u32,
    /// How it judges nodes that name no profile: `fixed`, `ewma` or `phi`.
    #[serde(default)]
    pub detector: String,
    /// Least and most silence until a node with that interval is suspect, in milliseconds.
    pub suspect_ms: [u64; 2],
    /// The same until it has failed.
    pub failed_ms: [u64; 2],
    /// Heartbeats that moved a node's last-seen time.
    pub heartbeats_accepted: u64,
    /// Datagrams taken from the kernel.
    #[serde(default)]
    pub datagrams_received: u64,
    /// Datagrams refused, for whatever reason.
    #[serde(default)]
    pub datagrams_rejected: u64,
    /// Datagrams that the kernel dropped at the gateway's sockets.
    #[serde(default)]
    pub kernel_drops: u64,
    /// Events in the log.
    #[serde(default)]
    pub events_published: u64,
    /// Events that are not in the log yet.
    pub events_waiting: u64,
    /// Longest time that a thread of the gateway did not run when it wanted to.
    #[serde(default)]
    pub longest_pause_us: u64,
    /// CPU time of the process.
    #[serde(default)]
    pub cpu_us: u64,
    /// Nodes by state.
    #[serde(default)]
    pub nodes: NodeCounts,
}

/// Nodes of the gateway by state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct NodeCounts {
    /// Heard once.
    pub new: u64,
    /// Alive.
    pub alive: u64,
    /// Suspect.
    pub suspect: u64,
    /// Failed.
    pub failed: u64,
    /// Left.
    pub left: u64,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No connection, or it broke.
    #[error("cannot reach the gateway's admin port {admin}: {source}; is the gateway running there?")]
    Unreachable {
        /// Where.
        admin: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// An answer, but not the expected one.
    #[error("{admin} does not answer like a gateway's admin port: {reason}")]
    Unexpected {
        /// Where.
        admin: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks for the status.
///
/// # Errors
/// [`AdminError`].
pub fn fetch_status(admin: SocketAddr) -> Result<Status, AdminError> {
    let answer = get(admin, "/v1/status").map_err(|source| AdminError::Unreachable { admin, source })?;
    parse_answer(&answer).map_err(|reason| AdminError::Unexpected { admin, reason })
}

fn get(admin: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&admin, ADMIN_WAIT_MAX)?;
    stream.set_read_timeout(Some(ADMIN_WAIT_MAX))?;
    stream.set_write_timeout(Some(ADMIN_WAIT_MAX))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parse_answer(answer: &[u8]) -> Result<Status, String> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("the answer has no header")?;
    let (header, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let mut lines = header.lines();
    let status_line = lines.next().unwrap_or_default();
    if status_line.split(' ').nth(1) != Some("200") {
        return Err(format!("it says {status_line:?}"));
    }
    let is_chunked = |line: &str| line.to_ascii_lowercase().starts_with("transfer-encoding:");
    if lines.any(is_chunked) {
        return Err("the answer comes in chunks, which this client does not read".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| format!("its status is not what was expected: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const BODY: &str = r#"{"gateway":"gw-1","interval_ms":1000,"suspect_ms":[3000,3000],"failed_ms":[5000,5000],
        "heartbeats_accepted":7,"events_waiting":2,"nodes":{"new":0,"alive":1,"suspect":0,"failed":0,"left":0},"later":[]}"#;

    /// Serves one answer and returns what the client made of it, and its request.
    fn serve(answer: String) -> (Result<Status, AdminError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1_024];
            let bytes = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..bytes]).into_owned()
        });
        (fetch_status(admin), server.join().unwrap())
    }

    #[test]
    fn a_status_is_read_and_unknown_fields_are_ignored() {
        let (status, request) =
            serve(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{BODY}"));
        let status = status.unwrap();
        assert_eq!((status.gateway.as_str(), status.failed_ms[0], status.nodes.alive), ("gw-1", 5_000, 1));
        assert_eq!((status.events_waiting, status.cpu_us), (2, 0));
        assert!(request.starts_with("GET /v1/status HTTP/1.1\r\n") && request.contains("Connection: close"));
    }

    #[test]
    fn other_answers_are_told_in_words() {
        for (answer, part) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "404 Not Found"),
            ("HTTP/1.1 200 OK\r\n\r\n{}".to_owned(), "interval_ms"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0".to_owned(), "chunks"),
            ("SSH-2.0-OpenSSH".to_owned(), "no header"),
        ] {
            let text = serve(answer).0.unwrap_err().to_string();
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn a_port_that_is_closed_is_told_in_words() {
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = fetch_status(admin).unwrap_err().to_string();
        assert!(text.contains(&admin.to_string()) && text.contains("is the gateway running"), "{text}");
    }
}
