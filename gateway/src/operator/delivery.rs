//! How the shards hear of an order about their nodes: by letters into their mailboxes, answered one by one.
//!
//! A mailbox cannot be reserved: its other senders do not ask. So whoever wants to be refused asks for room before anything is
//! done; once something was, letters wait for room as long as it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use pulsegate_codec::NodeId;
use pulsegate_engine::{Duration, Timestamp};
use tokio::sync::oneshot;

use super::NotDone;
use crate::handoff::{Mailbox, Parcel};
use crate::shard::NodesOrder;

/// Pause between two looks at a mailbox that is full.
const ROOM_RETRY_WAIT: Duration = Duration::from_millis(20);

/// The way to all shards.
#[derive(Debug)]
pub(super) struct Delivery {
    mailboxes: Arc<[Mailbox]>,
}

/// What one shard is told of some of its nodes.
#[derive(Debug)]
pub(super) struct Letter {
    shard: usize,
    nodes: Box<[NodeId]>,
    until: Option<Timestamp>,
}

/// An answer that is to come.
#[derive(Debug)]
pub(super) struct Asked {
    nodes: Box<[NodeId]>,
    answer: oneshot::Receiver<Vec<bool>>,
}

impl Delivery {
    /// The way by these mailboxes, one a shard, in shard order.
    pub(super) const fn new(mailboxes: Arc<[Mailbox]>) -> Self {
        Self { mailboxes }
    }

    /// One letter for each shard that owns any of the nodes: they are in maintenance until then, or no longer.
    pub(super) fn letters(&self, node_ids: &[NodeId], until: Option<Timestamp>) -> Vec<Letter> {
        let shards = 0..self.mailboxes.len();
        let letters = shards.map(|shard| {
            let owned = |node_id: &NodeId| node_id.lane().shard(self.mailboxes.len()) == shard;
            Letter { shard, nodes: node_ids.iter().copied().filter(owned).collect(), until }
        });
        letters.filter(|letter| !letter.nodes.is_empty()).collect()
    }

    /// Waits until each shard that owns any of the nodes has room for a letter. Others may take it meanwhile.
    ///
    /// # Errors
    /// When a mailbox stays full for this long.
    pub(super) async fn wait_for_room(&self, node_ids: &[NodeId], patience: Duration) -> Result<(), NotDone> {
        let mut waited = Duration::ZERO;
        let shard_of = |node_id: &NodeId| node_id.lane().shard(self.mailboxes.len());
        let is_full = |&shard: &usize| self.mailboxes[shard].room() == 0;
        while let Some(shard) = node_ids.iter().map(shard_of).find(is_full) {
            if waited >= patience {
                return Err(NotDone::Busy { shard });
            }
            tokio::time::sleep(ROOM_RETRY_WAIT).await;
            waited += ROOM_RETRY_WAIT;
        }
        Ok(())
    }

    /// Posts all letters, those that find room first. Ends when all are posted.
    pub(super) async fn post(&self, letters: Vec<Letter>) -> Vec<Asked> {
        let (mut asked, mut parcels) = (Vec::new(), Vec::new());
        for Letter { shard, nodes, until } in letters {
            let (sender, answer) = oneshot::channel();
            asked.push(Asked { nodes: nodes.clone(), answer });
            parcels.push((shard, Parcel::Order(Box::new(NodesOrder { nodes, until, answer: sender }))));
        }
        loop {
            let mut refused = Vec::new();
            for (shard, parcel) in parcels {
                match self.mailboxes[shard].offer(parcel) {
                    Ok(()) => self.mailboxes[shard].owner().wake(),
                    Err(parcel) => refused.push((shard, parcel)),
                }
            }
            if refused.is_empty() {
                return asked;
            }
            parcels = refused;
            tokio::time::sleep(ROOM_RETRY_WAIT).await;
        }
    }
}

/// What the shards say, by node; `None` if one of them has ended.
pub(super) async fn answers(asked: Vec<Asked>) -> Option<BTreeMap<NodeId, bool>> {
    let mut by_node = BTreeMap::new();
    for Asked { nodes, answer } in asked {
        by_node.extend(nodes.iter().copied().zip(answer.await.ok()?));
    }
    Some(by_node)
}
