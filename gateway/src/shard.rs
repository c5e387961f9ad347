//! What one shard does with a datagram: decode it, give its own nodes to the engine, pass foreign ones to their owner.
//!
//! A shard owns the nodes of its lanes alone, so nothing here takes a lock or waits. Time and bytes come in by
//! argument; verdicts and parcels leave through bounded queues. The thread around it is `worker.rs`.

mod asking;
mod memory;
mod ordering;

// Addresses are values; sockets are not to be had here.
use core::net::SocketAddr;
use std::sync::Arc;

use pulsegate_codec::limits::HEARTBEATS_PER_FRAME_MAX;
use pulsegate_codec::{Decoder, Heartbeat, NodeId, Ping, RejectReason};
use pulsegate_engine::{Duration, Engine, EngineConfig, Senders, Timestamp, Verdicts};

use crate::counters::{Cell, Tally};
use crate::handoff::{Description, Dispatch, Mailbox, Parcel};
use crate::outbox::Outbox;
use crate::second_opinion::{Addresses, Question};

pub use asking::Asking;
use memory::Memory;
pub use memory::SNAPSHOT_SLOTS_PER_TURN;
pub use ordering::NodesOrder;

/// Verdicts that a shard holds before it hands them over, once a turn.
pub const VERDICTS_PER_TURN_MAX: usize = 16_384;

/// Parcels taken from the mailbox in one turn at most, so that the socket is never left alone for long.
pub const PARCELS_PER_TURN_MAX: usize = 8_192;

/// Heartbeats that are given to the engine together: a few times what it looks up at once.
pub const HEARTBEATS_PER_LOOKUP: usize = 256;

/// Everything of a shard but its thread, its socket and its clock.
#[derive(Debug)]
pub struct Shard {
    index: usize,
    decoder: Decoder,
    engine: Engine,
    verdicts: Verdicts,
    /// Heartbeats of this shard that the engine has not been given yet; reused.
    own: Vec<Heartbeat>,
    /// Who sent them.
    senders: Senders,
    dispatch: Dispatch,
    /// Parcels taken from the mailbox and not acted on yet; reused.
    mail: Vec<Parcel>,
    outbox: Arc<Outbox>,
    handed_over: u64,
    asking: Asking,
    /// Verdicts of those that wait which the second opinion has seen.
    asked_for: usize,
    memory: Memory,
    tally: Tally,
}

impl Shard {
    /// A shard that knows no node. `mailboxes` holds one mailbox a shard, in shard order.
    #[must_use]
    pub fn new(
        index: usize,
        config: &EngineConfig,
        mailboxes: Arc<[Mailbox]>,
        outbox: Arc<Outbox>,
        now: Timestamp,
    ) -> Self {
        assert!(index < mailboxes.len(), "every shard has a mailbox");
        Self {
            index,
            decoder: Decoder::new(),
            engine: Engine::new(config, now),
            verdicts: Verdicts::with_capacity(VERDICTS_PER_TURN_MAX),
            own: Vec::with_capacity(
                PARCELS_PER_TURN_MAX.max(HEARTBEATS_PER_LOOKUP + HEARTBEATS_PER_FRAME_MAX),
            ),
            senders: Senders::default(),
            dispatch: Dispatch::new(mailboxes),
            mail: Vec::with_capacity(PARCELS_PER_TURN_MAX),
            outbox,
            handed_over: 0,
            asking: Asking::default(),
            asked_for: 0,
            memory: Memory::default(),
            tally: Tally::default(),
        }
    }

    /// The same shard, which asks nodes before it calls them failed.
    #[must_use]
    pub fn with_second_opinion(self, mut asking: Asking) -> Self {
        if asking.inquiries.is_some() {
            asking.addresses = Addresses::new(self.engine.places());
        }
        Self { asking, ..self }
    }

    /// Where the memory lies that every heartbeat touches: address and bytes.
    pub fn hot_memory(&self) -> impl Iterator<Item = (usize, usize)> {
        self.engine.hot_memory().into_iter()
    }

    /// Takes one datagram. A bad one changes one counter and nothing else. Heartbeats wait until [`Self::end_batch`].
    pub fn on_datagram(
        &mut self,
        payload: &[u8],
        truncated: bool,
        source: SocketAddr,
        received_at: Timestamp,
    ) {
        self.tally.add(Cell::DatagramsReceived, 1);
        self.tally.add(Cell::BytesReceived, payload.len() as u64);
        if truncated {
            self.tally.reject(RejectReason::TooLong);
            return;
        }
        let batch = match self.decoder.decode(payload) {
            Ok(batch) => batch,
            Err(_) if Ping::is_pong(payload) => {
                self.on_pong(payload, received_at);
                return;
            }
            Err(reason) => {
                self.tally.reject(reason);
                return;
            }
        };
        self.tally.add(Cell::FramesAccepted, 1);
        let (dispatch, tally) = (&mut self.dispatch, &mut self.tally);
        if !batch.header.mixes_lanes() && batch.lane().shard(dispatch.shard_count()) == self.index {
            self.own.extend_from_slice(batch.heartbeats);
        } else {
            for heartbeat in batch.heartbeats {
                match dispatch.owner(heartbeat.node_id) {
                    owner if owner == self.index => self.own.push(*heartbeat),
                    owner => dispatch.post(owner, Parcel::Heartbeat(*heartbeat, batch.sender_id), tally),
                }
            }
        }
        self.senders.extend_to(self.own.len(), batch.sender_id);
        // Heartbeats of many small frames are looked up together, so that their cache misses overlap. What else a frame
        // brings may follow from the heartbeats before it: keep their order.
        if self.own.len() >= HEARTBEATS_PER_LOOKUP || batch.has_more_than_heartbeats() {
            self.engine.on_heartbeats_of(&self.own, &self.senders, received_at, &mut self.verdicts);
            self.own.clear();
            self.senders.clear();
        }
        for descriptor in batch.descriptors() {
            match dispatch.owner(descriptor.node_id()) {
                owner if owner == self.index => {
                    self.engine.on_descriptor(&descriptor, received_at);
                    note_source(&self.engine, &mut self.asking, descriptor.node_id(), source);
                }
                owner => {
                    let description = Description::of(&descriptor, Some(source));
                    dispatch.post(owner, Parcel::Description(Box::new(description)), tally);
                }
            }
        }
        for departure in batch.departures() {
            match dispatch.owner(departure.node_id) {
                owner if owner == self.index => {
                    self.engine.on_departure(departure, received_at, &mut self.verdicts);
                }
                owner => dispatch.post(owner, Parcel::Departure(departure), tally),
            }
        }
    }

    /// Gives the heartbeats of the last datagrams to the engine. Called when all datagrams that were received at one
    /// moment have been taken.
    pub fn end_batch(&mut self, received_at: Timestamp) {
        self.take_own(received_at);
    }

    /// Takes parcels out of the mailbox, for [`Self::on_mail`]; true when more is left for the next turn. The caller
    /// reads the clock in between: a stamp older than the arrival of a heartbeat would let its node fail early.
    pub fn gather_mail(&mut self) -> bool {
        let mailbox = self.dispatch.mailbox(self.index);
        while self.mail.len() < PARCELS_PER_TURN_MAX {
            let Some(parcel) = mailbox.take() else { return false };
            self.mail.push(parcel);
        }
        true
    }

    /// Acts on the gathered parcels, all of which had arrived by `now`.
    pub fn on_mail(&mut self, now: Timestamp) {
        let mut mail = std::mem::take(&mut self.mail);
        for parcel in mail.drain(..) {
            if let Parcel::Heartbeat(heartbeat, sender) = parcel {
                self.own.push(heartbeat);
                self.senders.extend_to(self.own.len(), sender);
                continue;
            }
            // A parcel of another kind may follow from a heartbeat before it: keep their order.
            self.take_own(now);
            match parcel {
                Parcel::Heartbeat(..) => unreachable!("taken above"),
                Parcel::ProbeAnswer(request) => {
                    if self.engine.on_probe_answer(request.node_id, now) {
                        self.asking.note_answer(request.node_id);
                        self.asking.probe_again(*request);
                    }
                }
                Parcel::Description(description) => {
                    let descriptor = description.descriptor();
                    self.engine.on_descriptor(&descriptor, now);
                    if let Some(source) = description.source() {
                        note_source(&self.engine, &mut self.asking, descriptor.node_id(), source);
                    }
                }
                Parcel::Departure(departure) => {
                    self.engine.on_departure(departure, now, &mut self.verdicts);
                }
                Parcel::Snapshot(number) => self.begin_snapshot(number),
                Parcel::Order(order) => self.on_order(*order, now),
            }
        }
        self.take_own(now);
        self.mail = mail;
    }

    fn take_own(&mut self, now: Timestamp) {
        self.engine.on_heartbeats_of(&self.own, &self.senders, now, &mut self.verdicts);
        self.own.clear();
        self.senders.clear();
    }

    fn on_pong(&mut self, payload: &[u8], received_at: Timestamp) {
        let inquiries = self.asking.inquiries.as_mut();
        if let Some(node_id) = inquiries.and_then(|inquiries| inquiries.on_pong(payload, received_at))
            && self.engine.on_probe_answer(node_id, received_at)
        {
            self.asking.note_answer(node_id);
        }
    }

    /// This shard did not run for `pause`, up to `now`. What its socket holds has not been taken yet.
    pub fn on_pause(&mut self, pause: Duration, now: Timestamp) {
        self.engine.on_pause(pause, now);
        self.tally.add(Cell::Pauses, 1);
        self.tally.add(Cell::PausedMicroseconds, u64::try_from(pause.as_micros()).unwrap_or(u64::MAX));
    }

    /// Datagrams of this shard's nodes were dropped since the last time, or may have been.
    pub fn on_drops(&mut self, now: Timestamp) {
        self.engine.on_drops(now);
    }

    /// When [`Self::on_tick`] is next needed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [self.engine.next_deadline(), self.asking.next_due()];
        deadlines.into_iter().flatten().min()
    }

    /// The next silent node that is to be asked now.
    pub fn take_question(&mut self, now: Timestamp) -> Option<Question> {
        self.asking.take_due(now)
    }

    /// Lets the second opinion see the verdicts that are new, and say what it knows.
    pub fn consider_verdicts(&mut self, now: Timestamp) {
        for (node_id, kind, evidence) in self.verdicts.evidence_mut(self.asked_for) {
            evidence.second_opinion = self.asking.opinion_on(node_id, kind);
        }
        for verdict in &self.verdicts.as_slice()[self.asked_for..] {
            self.asking.on_verdict(verdict, now, |node_id| self.engine.place_of(node_id));
        }
        self.asked_for = self.verdicts.as_slice().len();
    }

    /// Lets the deadlines up to `horizon` pass. The caller has taken everything that had arrived by then.
    pub fn on_tick(&mut self, horizon: Timestamp) {
        self.engine.on_tick(horizon, &mut self.verdicts);
    }

    /// Hands verdicts to the control thread; true when there were any, so that it must be told.
    pub fn hand_over(&mut self) -> bool {
        if self.verdicts.is_empty() {
            return false;
        }
        let count = self.outbox.fill(&mut self.verdicts);
        self.asked_for = self.asked_for.saturating_sub(count);
        self.handed_over += count as u64;
        // Those that found no room count as well: they wait for publication all the same.
        self.tally.set(Cell::Verdicts, self.handed_over + self.verdicts.as_slice().len() as u64);
        count > 0
    }

    /// Whether verdicts are left that found no room in the outbox.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        !self.verdicts.is_empty()
    }

    /// Calls `wake` for every shard that was sent a parcel and must be woken for it: see [`Dispatch::wake_owners`].
    pub fn wake_owners(&mut self, wake: impl FnMut(usize, &Mailbox, bool)) {
        self.dispatch.wake_owners(wake);
    }

    /// The shard's own numbers, to add to.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Copies the engine's numbers into the shard's and returns all of them.
    pub fn settle_tally(&mut self) -> &Tally {
        let (counters, nodes) = (*self.engine.counters(), self.engine.node_counts());
        let asked = self.asking.counters();
        let tally = &mut self.tally;
        for (cell, value) in [
            (Cell::DropsSeen, counters.drops_seen),
            (Cell::Pings, asked.pings),
            (Cell::PingsAnswered, asked.answers),
            (Cell::PongsUnasked, asked.pongs_unasked),
            (Cell::PingsSkippedForLoad, asked.skipped_for_load),
            (Cell::PingsWithoutAddress, asked.skipped_without_address),
            (Cell::ProbeAnswersAccepted, counters.probe_answers_accepted),
            (Cell::ProbeAnswersIgnored, counters.probe_answers_ignored),
            (Cell::HeartbeatsAccepted, counters.heartbeats_accepted),
            (Cell::HeartbeatsStale, counters.heartbeats_stale),
            (Cell::HeartbeatsOlderIncarnation, counters.heartbeats_of_older_incarnation),
            (Cell::Conflicts, counters.conflicts),
            (Cell::RivalsNotWatched, counters.rivals_not_watched),
            (Cell::HeartbeatsRegistryFull, counters.heartbeats_refused_registry_full),
            (Cell::DescriptorsStored, counters.descriptors_stored),
            (Cell::DescriptorsRefused, counters.descriptors_refused),
            (Cell::IntervalsClamped, counters.intervals_clamped),
            (Cell::ProfilesUnknown, counters.profiles_unknown),
            (Cell::DeparturesAccepted, counters.departures_accepted),
            (Cell::DeparturesIgnored, counters.departures_ignored),
            (Cell::DeparturesRefused, counters.departures_refused),
            (Cell::NodesNeverConfirmed, counters.new_nodes_never_confirmed),
            (Cell::VerdictsPostponed, counters.verdicts_postponed),
            (Cell::WheelEntriesFired, counters.wheel_entries_fired),
            (Cell::WheelEntriesRearmed, counters.wheel_entries_rearmed),
            (Cell::NodesNew, u64::from(nodes.new)),
            (Cell::NodesAlive, u64::from(nodes.alive)),
            (Cell::NodesSuspect, u64::from(nodes.suspect)),
            (Cell::NodesFailed, u64::from(nodes.failed)),
            (Cell::NodesLeft, u64::from(nodes.left)),
            (Cell::NodesInMaintenance, self.engine.nodes_in_maintenance() as u64),
        ] {
            tally.set(cell, value);
        }
        tally
    }
}

/// A descriptor of this node came from there. Who is not known to the engine cannot be suspected, so need not be found.
fn note_source(engine: &Engine, asking: &mut Asking, node_id: NodeId, source: SocketAddr) {
    if let Some(place) = engine.place_of(node_id) {
        asking.addresses.note(place, node_id, source);
    }
}

#[cfg(test)]
mod tests;
