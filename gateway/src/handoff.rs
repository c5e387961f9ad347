//! What arrives at the wrong shard travels to its owner: one bounded lock-free queue a shard.
//!
//! ```text
//! shard 0 ──┐                       ┌─▶ mailbox of shard 1 ─▶ shard 1
//! shard 2 ──┼─ heartbeats, facts, ──┤
//! TCP     ──┘  departures           └─▶ mailbox of shard 3 ─▶ shard 3
//! ```
//!
//! Most frames never come here: the kernel steers a frame by its lane. A frame that mixes lanes, a train of datagrams
//! steered by its first, and a kernel without steering do. The queue is crossbeam's `ArrayQueue`; the owner's
//! [`WakeHandle`] keeps a burst from waking it more than once. A full mailbox drops the newest, and the sender counts it and
//! lets the owner know (`peers.rs`): the owner is then so far behind that the node's next heartbeat serves as well.
//!
//! Order between two queues is not kept, and need not be: sequence and incarnation say which heartbeat is newer.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor, NodeId, SenderId};
use pulsegate_engine::verdict::NodeFacts;

use crate::counters::{Cell, Tally};
use crate::io::wake::WakeHandle;
use crate::prober::ProbeRequest;
use crate::shard::NodesOrder;

/// Parcels that wait for one shard at most: a second of heartbeats at 65,000 a second, 3 MiB.
pub const MAILBOX_PARCELS_MAX: usize = 65_536;

/// Something that belongs to another shard. Owned, because the frame that it came in is given back to the kernel.
#[derive(Debug)]
pub enum Parcel {
    /// A sign of life, and who sent it.
    Heartbeat(Heartbeat, SenderId),
    /// A goodbye.
    Departure(Departure),
    /// A node's probe was answered (`prober.rs`): the request, to be made again while the node stays suspect.
    ProbeAnswer(Box<ProbeRequest>),
    /// A snapshot begins: the shard is to give its part (`restart/writer.rs`).
    Snapshot(u64),
    /// A descriptor. Boxed: it is rare and large, and the queue's slots are as large as the largest parcel.
    Description(Box<Description>),
    /// What an operator orders of the shard's nodes.
    Order(Box<NodesOrder>),
}

/// The queue of one shard.
#[derive(Debug)]
pub struct Mailbox {
    parcels: ArrayQueue<Parcel>,
    owner: WakeHandle,
}

impl Mailbox {
    /// An empty mailbox of the shard that `owner` wakes.
    #[must_use]
    pub fn new(owner: WakeHandle) -> Self {
        Self { parcels: ArrayQueue::new(MAILBOX_PARCELS_MAX), owner }
    }

    /// Puts a parcel in; the caller then wakes the owner. `false` when the mailbox is full: the parcel is gone, count it.
    #[must_use]
    pub fn post(&self, parcel: Parcel) -> bool {
        self.parcels.push(parcel).is_ok()
    }

    /// The same for a sender that can wait: gets the parcel back when the mailbox is full.
    ///
    /// # Errors
    /// The parcel.
    pub fn offer(&self, parcel: Parcel) -> Result<(), Parcel> {
        self.parcels.push(parcel)
    }

    /// How to wake the owner.
    #[must_use]
    pub const fn owner(&self) -> &WakeHandle {
        &self.owner
    }

    /// How many more parcels fit, as of now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.parcels.capacity() - self.parcels.len()
    }

    /// Takes the oldest parcel. Owner only.
    #[must_use]
    pub fn take(&self) -> Option<Parcel> {
        self.parcels.pop()
    }
}

/// One thread's way to all mailboxes: posts parcels to their owners, and remembers whom to wake.
#[derive(Debug)]
pub struct Dispatch {
    mailboxes: Arc<[Mailbox]>,
    /// By shard: what became of what was posted since the last `wake_owners`.
    posted: Vec<Posted>,
}

/// What became of parcels for one shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Posted {
    any: bool,
    is_any_lost: bool,
}

impl Dispatch {
    /// A way to these mailboxes, one a shard, in shard order.
    #[must_use]
    pub fn new(mailboxes: Arc<[Mailbox]>) -> Self {
        Self { posted: vec![Posted::default(); mailboxes.len()], mailboxes }
    }

    /// How many shards there are.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.mailboxes.len()
    }

    /// The shard that owns a node.
    #[must_use]
    pub fn owner(&self, node_id: NodeId) -> usize {
        node_id.lane().shard(self.mailboxes.len())
    }

    /// The mailbox of a shard.
    #[must_use]
    pub fn mailbox(&self, shard: usize) -> &Mailbox {
        &self.mailboxes[shard]
    }

    /// Posts a parcel, or counts it as dropped.
    pub fn post(&mut self, owner: usize, parcel: Parcel, tally: &mut Tally) {
        self.posted[owner].any = true;
        if self.mailboxes[owner].post(parcel) {
            tally.add(Cell::HandedOff, 1);
        } else {
            tally.add(Cell::HandoffDropped, 1);
            self.posted[owner].is_any_lost = true;
        }
    }

    /// Calls `wake` for every shard that something was posted to since the last time: with its number, its mailbox, and
    /// whether something was lost.
    pub fn wake_owners(&mut self, mut wake: impl FnMut(usize, &Mailbox, bool)) {
        for (owner, (mailbox, posted)) in self.mailboxes.iter().zip(&mut self.posted).enumerate() {
            let posted = std::mem::take(posted);
            if posted.any {
                wake(owner, mailbox, posted.is_any_lost);
            }
        }
    }
}

/// A descriptor that outlives its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    facts: NodeFacts,
    round_trip_time_us: u32,
    source: Option<SocketAddr>,
}

impl Description {
    /// An owned copy; `source` is where it can be answered by UDP.
    #[must_use]
    pub fn of(descriptor: &NodeDescriptor<'_>, source: Option<SocketAddr>) -> Self {
        let facts = NodeFacts {
            name: descriptor.name.into(),
            zone: descriptor.zone.into(),
            labels: descriptor.labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            interval_ms: descriptor.interval_ms,
            profile: descriptor.profile.into(),
            services: descriptor.services.iter().map(|service| (*service).into()).collect(),
            probe: descriptor.probe.into(),
        };
        Self { facts, round_trip_time_us: descriptor.round_trip_time_us, source }
    }

    /// Where it came from by UDP.
    #[must_use]
    pub const fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// The descriptor that it was copied from.
    #[must_use]
    pub fn descriptor(&self) -> NodeDescriptor<'_> {
        self.facts.descriptor(self.round_trip_time_us)
    }
}
