//! Maintenance by order of an operator: kept in the book, carried out by the shards that own the nodes.
//!
//! ```text
//!   admin handler ──▶ [MaintenanceDesk] ──▶ book (on disk) ──▶ mailboxes ──▶ shards ──▶ engines
//!        ▲                                                                     │
//!        └─────────────────────── which nodes are known ◀──────────────────────┘
//! ```
//!
//! The book is written first: what it holds is ordered again at the next start. One change at a time, so that shards
//! hear of changes in the order in which the book took them. An order for a node that is not known waits in its engine.
//! Absences that nodes announce with their goodbyes are not in the book.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pulsegate_codec::NodeId;
use pulsegate_engine::{Duration, Timestamp};
use serde::Serialize;
use tokio::sync::{Mutex, oneshot};

use super::ANSWER_WAIT;
use super::book::{Book, Entry, Held, HeldNodes, NODES_IN_BOOK_MAX};
use crate::data_dir::DataDirError;
use crate::handoff::{Mailbox, Parcel};
use crate::io::Clock;
use crate::shard::NodesOrder;

/// Pause between two tries to put an order into a mailbox that is full.
const POST_RETRY_WAIT: Duration = Duration::from_millis(20);

/// A node as an operator names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NodeRef {
    /// By its name.
    Name(String),
    /// By its id: a node that never described itself has no name.
    Id(NodeId),
}

impl NodeRef {
    /// Which node that is.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        match self {
            Self::Name(name) => NodeId::from_name(name),
            Self::Id(node_id) => *node_id,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Id(node_id) => node_id.to_string(),
        }
    }
}

/// A node in maintenance, as the admin port shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MaintenanceView {
    /// 16 hexadecimal digits.
    pub node_id: String,
    /// Name, times and reason.
    #[serde(flatten)]
    pub entry: Entry,
    /// Whether the node is known, so that it is in maintenance now; else it will be as soon as it joins. Absent where nobody
    /// asked its shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_known: Option<bool>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The book is full.
    #[error(
        "{held} nodes are in maintenance already and {NODES_IN_BOOK_MAX} is the most; end some first (GET /v1/maintenance \
         lists them), or silence a zone or label instead (POST /v1/silences)"
    )]
    Full {
        /// How many there are.
        held: usize,
    },
    /// The book cannot be written.
    #[error("the order cannot be kept, so nothing was done: {0}")]
    Book(#[from] DataDirError),
    /// A shard's mailbox stayed full.
    #[error("shard {shard} is too far behind to take the order; nothing was done, try again")]
    Busy {
        /// Which.
        shard: usize,
    },
    /// A shard did not answer.
    #[error(
        "the order is kept and on its way, but not every shard answered in time; GET /v1/maintenance lists what holds"
    )]
    Unanswered,
}

/// Takes operators' orders about maintenance.
#[derive(Debug)]
pub struct MaintenanceDesk {
    book: Mutex<Book>,
    mailboxes: Arc<[Mailbox]>,
    clock: Clock,
}

impl MaintenanceDesk {
    /// A desk with the book of this data directory. What it holds is ordered anew: no shard knows of it.
    ///
    /// # Errors
    /// When the book cannot be read.
    pub async fn open(
        data_dir: &Path,
        mailboxes: Arc<[Mailbox]>,
        clock: Clock,
    ) -> Result<Self, DataDirError> {
        let book = Book::open(data_dir, clock.now(), clock.wall_offset())?;
        let desk = Self { book: Mutex::new(book), mailboxes, clock };
        desk.order_again().await;
        Ok(desk)
    }

    async fn order_again(&self) {
        let held = self.book.lock().await.in_force(self.clock.now());
        if held.is_empty() {
            return;
        }
        tracing::info!(nodes = held.len(), "in maintenance by order of an operator before this start");
        if let Err(error) = self.order_begin(&held).await {
            tracing::error!(%error, "maintenance could not be ordered again");
        }
    }

    /// What holds.
    pub async fn list(&self) -> Vec<MaintenanceView> {
        let held = self.book.lock().await.in_force(self.clock.now());
        let wall = self.clock.wall_offset();
        held.iter().map(|(&node_id, held)| view(node_id, held.dated(wall), None)).collect()
    }

    /// Puts nodes into maintenance from now on, or moves its end.
    ///
    /// # Errors
    /// See [`NotDone`].
    pub async fn begin(
        &self,
        nodes: &[NodeRef],
        length: Duration,
        reason: &str,
    ) -> Result<Vec<MaintenanceView>, NotDone> {
        let mut book = self.book.lock().await;
        let (now, wall) = (self.clock.now(), self.clock.wall_offset());
        let before = book.in_force(now);
        let held = |node: &NodeRef| {
            let (node_id, node) = (node.node_id(), node.words());
            (node_id, Held { node, length, until: now + length, reason: reason.to_owned() })
        };
        let begun: HeldNodes = nodes.iter().map(held).collect();
        let mut after = before.clone();
        after.extend(begun.clone());
        if after.len() > NODES_IN_BOOK_MAX {
            return Err(NotDone::Full { held: before.len() });
        }
        book.replace(after, wall).await?;
        match self.order_begin(&begun).await {
            Ok(are_known) => Ok(begun
                .iter()
                .map(|(&node_id, held)| view(node_id, held.dated(wall), are_known.get(&node_id).copied()))
                .collect()),
            Err(busy @ NotDone::Busy { .. }) => {
                book.replace(before, wall).await?;
                Err(busy)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the maintenance of nodes, also one that a goodbye had announced. By node: whether it was in any.
    ///
    /// # Errors
    /// See [`NotDone`].
    pub async fn end(&self, nodes: &[NodeRef]) -> Result<Vec<bool>, NotDone> {
        let mut book = self.book.lock().await;
        let (before, wall) = (book.in_force(self.clock.now()), self.clock.wall_offset());
        let node_ids: Vec<_> = nodes.iter().map(NodeRef::node_id).collect();
        let mut after = before.clone();
        after.retain(|node_id, _| !node_ids.contains(node_id));
        if after != before {
            book.replace(after, wall).await?;
        }
        let ended = match self.order(&node_ids, None).await {
            Err(busy @ NotDone::Busy { .. }) => {
                book.replace(before, wall).await?;
                return Err(busy);
            }
            ended => ended?,
        };
        let was_any =
            |node_id: &NodeId| ended.get(node_id).copied().unwrap_or(false) || before.contains_key(node_id);
        Ok(node_ids.iter().map(was_any).collect())
    }

    /// Gives maintenances to the shards, those with one end together. By node: whether it is known.
    async fn order_begin(&self, nodes: &HeldNodes) -> Result<BTreeMap<NodeId, bool>, NotDone> {
        let mut by_end: BTreeMap<Timestamp, Vec<NodeId>> = BTreeMap::new();
        for (&node_id, held) in nodes {
            by_end.entry(held.until).or_default().push(node_id);
        }
        let mut are_known = BTreeMap::new();
        for (until, node_ids) in by_end {
            are_known.append(&mut self.order(&node_ids, Some(until)).await?);
        }
        Ok(are_known)
    }

    /// Gives an order to the shards that own the nodes, and waits for their answers.
    async fn order(
        &self,
        node_ids: &[NodeId],
        until: Option<Timestamp>,
    ) -> Result<BTreeMap<NodeId, bool>, NotDone> {
        let shard_count = self.mailboxes.len();
        let mut answers = Vec::new();
        for (shard, mailbox) in self.mailboxes.iter().enumerate() {
            let owned = |node_id: &NodeId| node_id.lane().shard(shard_count) == shard;
            let nodes: Box<[NodeId]> = node_ids.iter().copied().filter(owned).collect();
            if !nodes.is_empty() {
                let asked = nodes.clone();
                let (answer, receiver) = oneshot::channel();
                self.post(shard, mailbox, NodesOrder { nodes, until, answer }).await?;
                answers.push((asked, receiver));
            }
        }
        let mut by_node = BTreeMap::new();
        for (asked, receiver) in answers {
            let Ok(Ok(answer)) = tokio::time::timeout(ANSWER_WAIT, receiver).await else {
                return Err(NotDone::Unanswered);
            };
            by_node.extend(asked.iter().copied().zip(answer));
        }
        Ok(by_node)
    }

    async fn post(&self, shard: usize, mailbox: &Mailbox, order: NodesOrder) -> Result<(), NotDone> {
        let mut parcel = Parcel::Order(Box::new(order));
        let mut waited = Duration::ZERO;
        while let Err(refused) = mailbox.offer(parcel) {
            if waited >= ANSWER_WAIT {
                return Err(NotDone::Busy { shard });
            }
            parcel = refused;
            tokio::time::sleep(POST_RETRY_WAIT).await;
            waited += POST_RETRY_WAIT;
        }
        mailbox.owner().wake();
        Ok(())
    }
}

fn view(node_id: NodeId, entry: Entry, is_known: Option<bool>) -> MaintenanceView {
    MaintenanceView { node_id: node_id.to_string(), entry, is_known }
}
