//! Who may stay when more want to connect than there is room for.
//!
//! ```text
//!   room left ───────────────────────────────────────────────▶ taken
//!   full, and a source with as many slots (without login) as
//!         the newcomer's or more holds one that has proved nothing ─────────▶ its oldest such goes, the newcomer is taken
//!   full, proof is cheap, and a source holds two more slots
//!         than the newcomer's ───────────────────────────────▶ its youngest goes, the newcomer is taken
//!   else ────────────────────────────────────────────────────▶ refused
//! ```
//!
//! A connection proves itself by a login where logins are asked for, otherwise by its first answered request. A login
//! cannot be had by connecting, so those who have one are never displaced; a request can be sent by anybody, so there
//! sources share as in max-min fairness: nobody loses a slot to a source that holds as many. Either way a source that
//! opens ten thousand connections displaces its own.
//!
//! A source is an IPv4 address, or an IPv6 network of 64 bits: whoever has one address there has all of them.
//!
//! The scan is linear in the slots: a few hundred. Pure: no socket, no clock; age is the order of arrival.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Names one connection, by the order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SlotId(u64);

/// Who answers for a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                Self(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << NETWORK_SHIFT)).into())
            }
            address @ IpAddr::V4(_) => Self(address),
        }
    }
}

/// Bits of an IPv6 address below the network that one site has.
const NETWORK_SHIFT: u32 = 64;

/// What proof is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proof {
    /// Anybody can give it.
    Cheap,
    /// Only a client that may be here can.
    Login,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    source: Source,
    is_proven: bool,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Taken(SlotId),
    /// Taken, and this other one has to go.
    TakenFor(SlotId, SlotId),
    Refused,
}

/// The slots that are taken.
#[derive(Debug)]
pub(super) struct Slots {
    slots_max: usize,
    proof: Proof,
    next: u64,
    taken: BTreeMap<SlotId, Slot>,
}

impl Slots {
    pub(super) const fn new(slots_max: usize, proof: Proof) -> Self {
        Self { slots_max, proof, next: 0, taken: BTreeMap::new() }
    }

    /// A connection from this source wants a slot.
    pub(super) fn admit(&mut self, source: Source) -> Admission {
        if self.taken.len() < self.slots_max {
            return Admission::Taken(self.take(source));
        }
        let Some(displaced) = self.displaced_by(source) else { return Admission::Refused };
        self.taken.remove(&displaced);
        Admission::TakenFor(self.take(source), displaced)
    }

    /// It has proved that it is a client.
    pub(super) fn prove(&mut self, id: SlotId) {
        if let Some(slot) = self.taken.get_mut(&id) {
            slot.is_proven = true;
        }
    }

    /// Its connection has ended; one that was displaced has no slot any more.
    pub(super) fn release(&mut self, id: SlotId) {
        self.taken.remove(&id);
    }

    fn take(&mut self, source: Source) -> SlotId {
        let id = SlotId(self.next);
        self.next += 1;
        self.taken.insert(id, Slot { source, is_proven: false });
        id
    }

    fn displaced_by(&self, newcomer: Source) -> Option<SlotId> {
        let mut held: BTreeMap<Source, usize> = BTreeMap::new();
        // A login is a right to a slot, so only slots without one count against a source.
        let counts = |slot: &&Slot| self.proof == Proof::Cheap || !slot.is_proven;
        for slot in self.taken.values().filter(counts) {
            *held.entry(slot.source).or_default() += 1;
        }
        let of_newcomer = held.get(&newcomer).copied().unwrap_or(0);
        let held_with = |slot: &Slot| held.get(&slot.source).copied().unwrap_or(0);
        let unproven = self.taken.iter().filter(|(_, slot)| !slot.is_proven);
        let unproven = unproven.filter(|(_, slot)| held_with(slot) >= of_newcomer);
        // The first of those that are equal is the oldest one.
        let oldest = unproven.rev().max_by_key(|(_, slot)| held_with(slot)).map(|(id, _)| *id);
        if oldest.is_some() || self.proof == Proof::Login {
            return oldest;
        }
        let richer = self.taken.iter().filter(|(_, slot)| held_with(slot) > of_newcomer + 1);
        richer.max_by_key(|(_, slot)| held_with(slot)).map(|(id, _)| *id)
    }
}
