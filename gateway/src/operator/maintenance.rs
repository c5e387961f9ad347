//! Maintenance by order of an operator: kept in the book, carried out by the shards that own the nodes.
//!
//! ```text
//!   admin handler ──▶ [MaintenanceDesk] ──▶ book (on disk) ──▶ mailboxes ──▶ shards ──▶ engines
//!        ▲                                                                     │
//!        └─────────────────────── which nodes are known ◀──────────────────────┘
//! ```
//!
//! The book is written first: what it holds is ordered again at the next start. One change at a time, so that shards
//! hear of changes in the order in which the book took them. A change is refused before the book is written or not at all:
//! what the book took is carried out, however long a shard makes it wait and whether or not the asker does. An order
//! for a node that is not known waits in its engine. Absences that nodes announce with their goodbyes are not in the book.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pulsegate_codec::NodeId;
use pulsegate_engine::{Duration, Timestamp};
use serde::Serialize;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::timeout;

use super::ANSWER_WAIT;
use super::book::{Book, Entry, Held, HeldNodes, NODES_IN_BOOK_MAX};
use super::delivery::{self, Delivery, Letter};
use crate::data_dir::DataDirError;
use crate::handoff::Mailbox;
use crate::io::Clock;

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
    /// A change before it waits for a shard.
    #[error(
        "an earlier change is still on its way to a shard that is too far behind to take it; nothing was done, try again"
    )]
    Queued,
    /// A shard's mailbox stayed full.
    #[error("shard {shard} is too far behind to take the order; nothing was done, try again")]
    Busy {
        /// Which.
        shard: usize,
    },
    /// A shard did not answer.
    #[error(
        "the change is kept and on its way, but not every shard confirmed it within {} s; it need not be repeated: GET \
         /v1/maintenance lists what holds when all have taken it",
        ANSWER_WAIT.as_secs()
    )]
    Unanswered,
}

/// Takes operators' orders about maintenance.
#[derive(Debug)]
pub struct MaintenanceDesk {
    book: Mutex<Book>,
    /// Whose change is being made. Not the book's own lock, so that it can be read while a change waits for a shard.
    turn: Arc<Mutex<()>>,
    delivery: Delivery,
    clock: Clock,
    /// Longest wait for a turn, for room and for answers.
    patience: Duration,
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
    ) -> Result<Arc<Self>, DataDirError> {
        Self::with_patience(data_dir, mailboxes, clock, ANSWER_WAIT).await
    }

    async fn with_patience(
        data_dir: &Path,
        mailboxes: Arc<[Mailbox]>,
        clock: Clock,
        patience: Duration,
    ) -> Result<Arc<Self>, DataDirError> {
        let book = Book::open(data_dir, clock.now(), clock.wall_offset())?;
        let (book, delivery) = (Mutex::new(book), Delivery::new(mailboxes));
        let desk = Arc::new(Self { book, turn: Arc::default(), delivery, clock, patience });
        desk.order_again().await;
        Ok(desk)
    }

    async fn order_again(self: &Arc<Self>) {
        let held = self.book.lock().await.in_force(self.clock.now());
        if held.is_empty() {
            return;
        }
        tracing::info!(nodes = held.len(), "in maintenance by order of an operator before this start");
        let mut by_end: BTreeMap<Timestamp, Vec<NodeId>> = BTreeMap::new();
        for (node_id, held) in held {
            by_end.entry(held.until).or_default().push(node_id);
        }
        let letters =
            |(until, node_ids): (&Timestamp, &Vec<NodeId>)| self.delivery.letters(node_ids, Some(*until));
        let letters = by_end.iter().flat_map(letters).collect();
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if self.carry_out(turn, None, letters).await.is_err() {
            tracing::warn!("not every shard has confirmed the maintenance yet; it is on its way");
        }
    }

    /// What holds, or will as soon as its shard has taken it.
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
        self: &Arc<Self>,
        nodes: &[NodeRef],
        length: Duration,
        reason: &str,
    ) -> Result<Vec<MaintenanceView>, NotDone> {
        let turn = self.turn().await?;
        let node_ids: Vec<_> = nodes.iter().map(NodeRef::node_id).collect();
        self.delivery.wait_for_room(&node_ids, self.patience).await?;
        let (now, wall) = (self.clock.now(), self.clock.wall_offset());
        let until = now + length;
        let before = self.book.lock().await.in_force(now);
        let held = |node: &NodeRef| {
            let (node_id, node) = (node.node_id(), node.words());
            (node_id, Held { node, length, until, reason: reason.to_owned() })
        };
        let begun: HeldNodes = nodes.iter().map(held).collect();
        let mut after = before.clone();
        after.extend(begun.clone());
        if after.len() > NODES_IN_BOOK_MAX {
            return Err(NotDone::Full { held: before.len() });
        }
        let letters = self.delivery.letters(&node_ids, Some(until));
        let are_known = self.carry_out(turn, Some(after), letters).await?;
        let view = |(&node_id, held): (&NodeId, &Held)| {
            view(node_id, held.dated(wall), are_known.get(&node_id).copied())
        };
        Ok(begun.iter().map(view).collect())
    }

    /// Ends the maintenance of nodes, also one that a goodbye had announced. By node: whether it was in any.
    ///
    /// # Errors
    /// See [`NotDone`].
    pub async fn end(self: &Arc<Self>, nodes: &[NodeRef]) -> Result<Vec<bool>, NotDone> {
        let turn = self.turn().await?;
        let node_ids: Vec<_> = nodes.iter().map(NodeRef::node_id).collect();
        self.delivery.wait_for_room(&node_ids, self.patience).await?;
        let before = self.book.lock().await.in_force(self.clock.now());
        let mut after = before.clone();
        after.retain(|node_id, _| !node_ids.contains(node_id));
        let after = (after != before).then_some(after);
        let letters = self.delivery.letters(&node_ids, None);
        let ended = self.carry_out(turn, after, letters).await?;
        let was_any =
            |node_id: &NodeId| ended.get(node_id).copied().unwrap_or(false) || before.contains_key(node_id);
        Ok(node_ids.iter().map(was_any).collect())
    }

    /// Waits until no other change is being made.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, NotDone> {
        let turn = Arc::clone(&self.turn).lock_owned();
        timeout(self.patience, turn).await.map_err(|_elapsed| NotDone::Queued)
    }

    /// Writes the book, if it changes, gives the letters to the shards and waits for their answers. In a task of its own: an
    /// asker who leaves, or hears [`NotDone::Unanswered`], stops nothing half way. The turn is over when all is posted.
    async fn carry_out(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        after: Option<HeldNodes>,
        letters: Vec<Letter>,
    ) -> Result<BTreeMap<NodeId, bool>, NotDone> {
        let desk = Arc::clone(self);
        let (written, is_written) = oneshot::channel();
        let posting = tokio::spawn(async move {
            let _turn = turn;
            let kept = match after {
                Some(after) => desk.book.lock().await.replace(after, desk.clock.wall_offset()).await,
                None => Ok(()),
            };
            let is_kept = kept.is_ok();
            // Whether anybody listens makes no difference.
            let _ = written.send(kept);
            if is_kept { desk.delivery.post(letters).await } else { Vec::new() }
        });
        is_written.await.expect("the task says how the writing went")?;
        let answers = async { delivery::answers(posting.await.expect("posting does not panic")).await };
        timeout(self.patience, answers).await.ok().flatten().ok_or(NotDone::Unanswered)
    }
}

fn view(node_id: NodeId, entry: Entry, is_known: Option<bool>) -> MaintenanceView {
    MaintenanceView { node_id: node_id.to_string(), entry, is_known }
}

#[cfg(test)]
mod tests;
