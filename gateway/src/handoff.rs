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
//! [`WakeHandle`] keeps a burst from waking it more than once. A full mailbox drops the newest and the sender counts it: the owner
//! is then so far behind that the node's next heartbeat serves as well.
//!
//! Order between two queues is not kept, and need not be: sequence and incarnation say which heartbeat is newer.

use crossbeam::queue::ArrayQueue;
use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor};
use pulsegate_engine::verdict::NodeFacts;

use crate::io::wake::WakeHandle;

/// Parcels that wait for one shard at most: a second of heartbeats at 65,000 a second, 3 MiB.
pub const MAILBOX_PARCELS_MAX: usize = 65_536;

/// Something that belongs to another shard. Owned, because the frame that it came in is given back to the kernel.
#[derive(Debug)]
pub enum Parcel {
    /// A sign of life.
    Heartbeat(Heartbeat),
    /// A goodbye.
    Departure(Departure),
    /// A descriptor. Boxed: it is rare and large, and the queue's slots are as large as the largest parcel.
    Facts(Box<NodeFacts>),
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

    /// How to wake the owner.
    #[must_use]
    pub const fn owner(&self) -> &WakeHandle {
        &self.owner
    }

    /// Takes the oldest parcel. Owner only.
    #[must_use]
    pub fn take(&self) -> Option<Parcel> {
        self.parcels.pop()
    }
}

/// An owned copy of a descriptor.
#[must_use]
pub fn facts_of(descriptor: &NodeDescriptor<'_>) -> NodeFacts {
    NodeFacts {
        name: descriptor.name.into(),
        zone: descriptor.zone.into(),
        labels: descriptor.labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        interval_ms: descriptor.interval_ms,
        profile: descriptor.profile.into(),
        services: descriptor.services.iter().map(|service| (*service).into()).collect(),
    }
}

/// The reverse: facts as the descriptor that they were copied from.
#[must_use]
pub fn descriptor_of(facts: &NodeFacts) -> NodeDescriptor<'_> {
    NodeDescriptor {
        name: &facts.name,
        zone: &facts.zone,
        labels: facts.labels.iter().map(|(key, value)| (&**key, &**value)).collect(),
        interval_ms: facts.interval_ms,
        profile: &facts.profile,
        services: facts.services.iter().map(|service| &**service).collect(),
    }
}
