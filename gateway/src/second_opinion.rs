//! The second opinion: before a silent node is called failed, it is asked itself.
//!
//! ```text
//!   suspect deadline                                              failed deadline
//!        │ ping ─────────── ping ─────────── ping ──────────────────────│
//!        │      a quarter         a quarter         a quarter, to wait for the last answer
//! ```
//!
//! Asking happens between the two deadlines, so it costs no detection time. An answer proves that a host and a process
//! are there, not that the node works: the engine keeps the node suspect for a while longer, and never calls it alive
//! (`pulsegate_engine::Engine::on_probe_answer`).
//!
//! One [`Inquiries`] a shard, pure: verdicts, datagrams and time come in, datagrams and node ids come out. Addresses are
//! learned from the frames that bring descriptors, which a node sends every minute or so; heartbeats pay nothing. They are
//! kept in [`Addresses`], of nodes that the engine knows and of no others.
//! When many nodes fall silent at once, asking them one by one proves little and costs much: beyond
//! [`INQUIRIES_OPEN_MAX`] nobody is asked, and that is counted.
//!
//! What a node's descriptor names as its probe (a TCP port, a URL) is asked by the control thread; see `prober.rs`.

mod addresses;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use pulsegate_codec::{NodeId, PING_BYTES, Ping, PingKind};
use pulsegate_engine::{Duration, Timestamp};

pub use addresses::Addresses;

/// Questions to one node at most, before its deadline.
pub const TRIES_MAX: u32 = 3;

/// Nodes of one shard that are asked at the same time at most.
pub const INQUIRIES_OPEN_MAX: usize = 1_024;

/// A datagram to send, and where to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// Where the node was last heard.
    pub address: SocketAddr,
    /// The ping.
    pub datagram: [u8; PING_BYTES],
}

/// What the inquiries of one shard counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InquiryCounters {
    /// Pings handed out to be sent.
    pub pings: u64,
    /// Pongs that answered an open question.
    pub answers: u64,
    /// Pongs that answered none: late, doubled or invented.
    pub pongs_unasked: u64,
    /// Suspect nodes that were not asked because too many were suspect at once.
    pub skipped_for_load: u64,
    /// Suspect nodes that were not asked because their address is not known.
    pub skipped_without_address: u64,
}

/// Who is asked, where, and with which secret.
#[derive(Debug, Default)]
pub struct Inquiries {
    open: HashMap<NodeId, Inquiry>,
    /// When each open inquiry asks next.
    due: BTreeSet<(Timestamp, NodeId)>,
    secret: RandomState,
    counters: InquiryCounters,
}

#[derive(Clone, Copy, Debug)]
struct Inquiry {
    address: SocketAddr,
    nonce: u64,
    tries_left: u32,
    next_at: Timestamp,
    wait: Duration,
    patience: Duration,
}

impl Inquiries {
    /// The node fell silent and will be called failed at `failed_deadline`: it is to be asked, first of all now. Each
    /// answer gives it `patience` more, in which it is asked again. False if it cannot be asked.
    pub fn begin(
        &mut self,
        (node_id, address): (NodeId, Option<SocketAddr>),
        now: Timestamp,
        failed_deadline: Timestamp,
        patience: Duration,
    ) -> bool {
        self.end(node_id);
        let Some(address) = address else {
            self.counters.skipped_without_address += 1;
            return false;
        };
        if self.open.len() >= INQUIRIES_OPEN_MAX {
            self.counters.skipped_for_load += 1;
            return false;
        }
        let wait = failed_deadline.since(now) / (TRIES_MAX + 1);
        self.ask_from(
            node_id,
            Inquiry { address, nonce: 0, tries_left: TRIES_MAX, next_at: now, wait, patience },
        );
        true
    }

    /// Opens an inquiry with a nonce of its own.
    fn ask_from(&mut self, node_id: NodeId, inquiry: Inquiry) {
        let nonce = self.secret.hash_one((node_id.0, inquiry.next_at.as_nanoseconds(), self.counters.pings));
        self.open.insert(node_id, Inquiry { nonce, ..inquiry });
        self.due.insert((inquiry.next_at, node_id));
    }

    /// The node has been judged, was heard, or is gone: no more questions.
    pub fn end(&mut self, node_id: NodeId) {
        if let Some(inquiry) = self.open.remove(&node_id) {
            self.due.remove(&(inquiry.next_at, node_id));
        }
    }

    /// When the next question is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|&(at, _)| at)
    }

    /// The next question that is due now.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Question> {
        let &(at, node_id) = self.due.first().filter(|&&(at, _)| at <= now)?;
        self.due.remove(&(at, node_id));
        let inquiry = self.open.get_mut(&node_id).expect("what is due is open");
        inquiry.tries_left -= 1;
        // After the last try it stays open for the answer, until the node is judged.
        if inquiry.tries_left > 0 {
            inquiry.next_at = now + inquiry.wait;
            self.due.insert((inquiry.next_at, node_id));
        }
        self.counters.pings += 1;
        let ping = Ping { kind: PingKind::Ping, node_id, nonce: inquiry.nonce };
        Some(Question { address: inquiry.address, datagram: ping.to_bytes() })
    }

    /// A pong arrived. Returns whose, if it answers an open question. The node is asked again in the time that the answer
    /// gives it.
    pub fn on_pong(&mut self, datagram: &[u8], now: Timestamp) -> Option<NodeId> {
        let answered = Ping::parse(datagram).filter(|pong| {
            let inquiry = self.open.get(&pong.node_id);
            pong.kind == PingKind::Pong && inquiry.is_some_and(|inquiry| inquiry.nonce == pong.nonce)
        });
        let Some(pong) = answered else {
            self.counters.pongs_unasked += 1;
            return None;
        };
        self.counters.answers += 1;
        let inquiry = self.open[&pong.node_id];
        self.end(pong.node_id);
        let wait = inquiry.patience / (TRIES_MAX + 1);
        let again = Inquiry { tries_left: TRIES_MAX, next_at: now + wait, wait, ..inquiry };
        self.ask_from(pong.node_id, again);
        Some(pong.node_id)
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &InquiryCounters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;
