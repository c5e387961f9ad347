//! Drives the fleet: one thread, one loop, everything in it bounded.
//!
//! ```text
//!  faults due ──▶ fleet changes, goodbyes ─┐
//!  beats due ───▶ composed into datagrams ─┴─▶ network ──▶ outbox ──▶ kernel ──▶ ground truth
//! ```
//!
//! The loop never wakes more often than once a millisecond, so that a large fleet costs little; the beats of
//! that millisecond leave together. When it falls behind, it sends what is due in pieces of
//! [`OUTBOX_DATAGRAMS_MAX`].

use std::collections::BTreeMap;

use pulsegate_codec::{DepartureReason, NodeId, NodeStatus};

use crate::clock::Clock;
use crate::compose::{Composer, Datagram, SentAt};
use crate::faults::{Action, FaultPlan, Step};
use crate::fleet::{Beat, Fleet, NodeIndex, RelayIndex};
use crate::ground_truth::GroundTruth;
use crate::limits::OUTBOX_DATAGRAMS_MAX;
use crate::moment::{Duration, Moment, microseconds};
use crate::network::Network;
use crate::schedule::{Due, Schedule};
use crate::sender::{SendError, Sender};

/// What the driver counts beside the counters of its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DriveCounters {
    /// Heartbeats in datagrams that the kernel took, copies included.
    pub heartbeats_handed: u64,
    /// Heartbeats in datagrams that the simulated network lost.
    pub heartbeats_lost: u64,
    /// Longest time from when a beat was meant to be sent to when its frame was built, in microseconds.
    pub behind_us_max: u64,
    /// Nodes that changed their relay.
    pub moves: u64,
}

/// A fleet under way.
#[derive(Debug)]
pub struct Drive {
    /// The nodes.
    pub fleet: Fleet,
    /// When they beat.
    pub schedule: Schedule,
    /// What strikes them.
    pub plan: FaultPlan,
    /// What strikes their datagrams.
    pub network: Network<Datagram>,
    /// What truly happened.
    pub truth: GroundTruth,
    /// The sockets.
    pub sender: Sender,
    composer: Composer,
    /// Nodes that do nothing but answer pings. Few.
    mute: BTreeMap<NodeId, NodeIndex>,
    beats_per_minute: u64,
    counters: DriveCounters,
    beats: Vec<Beat>,
    fresh: Vec<Datagram>,
    outbox: Vec<Datagram>,
}

/// Shortest sleep of the loop.
const PACE_MIN: Duration = Duration::from_millis(1);

/// How often sockets are looked at for pings, while there are nodes that answer them.
const PING_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Senders repeat descriptors every minute.
const DESCRIBE_EVERY: Duration = Duration::from_secs(60);

/// The parts of a drive, made by the caller.
#[derive(Debug)]
pub struct DriveParts {
    /// See [`Drive::fleet`].
    pub fleet: Fleet,
    /// See [`Drive::schedule`].
    pub schedule: Schedule,
    /// See [`Drive::plan`].
    pub plan: FaultPlan,
    /// See [`Drive::network`].
    pub network: Network<Datagram>,
    /// See [`Drive::truth`].
    pub truth: GroundTruth,
    /// See [`Drive::sender`].
    pub sender: Sender,
    /// Builds the datagrams.
    pub composer: Composer,
}

impl Drive {
    /// A fleet about to send its first beat.
    #[must_use]
    pub fn new(parts: DriveParts, interval: Duration) -> Self {
        let DriveParts { fleet, schedule, plan, network, truth, sender, composer } = parts;
        let beats_per_minute = (microseconds(DESCRIBE_EVERY) / microseconds(interval).max(1)).max(1);
        Self {
            fleet,
            schedule,
            plan,
            network,
            truth,
            sender,
            composer,
            mute: BTreeMap::new(),
            beats_per_minute,
            counters: DriveCounters::default(),
            beats: Vec::new(),
            fresh: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &DriveCounters {
        &self.counters
    }

    /// Sends everything that is due before `end`. Calls `on_pause` before each sleep, and stops if that says
    /// false.
    ///
    /// # Errors
    /// If the path to the gateway is broken.
    pub fn run_until(
        &mut self,
        clock: &Clock,
        end: Moment,
        mut on_pause: impl FnMut(&Self, Moment) -> bool,
    ) -> Result<(), SendError> {
        loop {
            let now = clock.now();
            if now >= end {
                return Ok(());
            }
            self.catch_up(clock, now)?;
            let now = clock.now();
            if !on_pause(self, now) {
                return Ok(());
            }
            // Pings come when they come; a loop that ran dry would answer late.
            let ping_look = (!self.mute.is_empty()).then(|| now + PING_LOOK_INTERVAL);
            let next =
                [self.schedule.next_due(), self.plan.next_due(), self.network.next_arrival(), ping_look];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            clock.sleep_until(next.max(now + PACE_MIN).min(end));
        }
    }

    /// Sends everything that is due at `now`.
    fn catch_up(&mut self, clock: &Clock, now: Moment) -> Result<(), SendError> {
        while let Some(step) = self.plan.pop_due(now) {
            self.strike(step, clock);
        }
        if !self.mute.is_empty() {
            let mute = &self.mute;
            self.sender.answer_pings(|node_id| mute.contains_key(&node_id));
        }
        while let Some(due) = self.schedule.pop_due(now) {
            self.beat(due, clock);
            if self.fresh.len() >= OUTBOX_DATAGRAMS_MAX {
                self.transmit(clock)?;
            }
        }
        self.transmit(clock)
    }

    fn strike(&mut self, step: Step, clock: &Clock) {
        let node = step.node;
        match step.action {
            Action::Silence => self.fleet.silence(node),
            Action::Mute => {
                self.fleet.mute(node);
                self.truth.note_mute(node);
                self.mute.insert(self.fleet.node_id(node), node);
            }
            Action::Resume => {
                self.fleet.resume(node);
                self.mute.remove(&self.fleet.node_id(node));
            }
            Action::Degrade => self.fleet.set_status(node, NodeStatus::Degraded),
            Action::EndDegraded => self.fleet.set_status(node, NodeStatus::Ok),
            Action::Restart => self.fleet.restart(node),
            Action::Move(further) => {
                let relays = self.fleet.options().relays;
                let relay = RelayIndex((self.fleet.relay(node).0 + further) % relays);
                // Not if that relay sends no batch of the node's lane, in a small fleet.
                self.counters.moves += u64::from(self.fleet.move_to(node, relay));
            }
            Action::Leave => {
                let relay = self.fleet.relay(node);
                let departure = self.fleet.leave(node, DepartureReason::ScaleDown);
                self.composer.departure(node, relay, departure, sent_at(clock), &mut self.fresh);
            }
        }
    }

    fn beat(&mut self, due: Due, clock: &Clock) {
        let sent_at = sent_at(clock);
        let behind_us = microseconds(sent_at.moment.since(due.intended));
        self.counters.behind_us_max = self.counters.behind_us_max.max(behind_us);
        // The batch's number spreads the repetition over the minute.
        if due.beat > 0 && (due.beat + u64::from(due.batch.0)).is_multiple_of(self.beats_per_minute) {
            self.fleet.describe_again(due.batch);
        }
        self.beats.clear();
        self.fleet.beat(due.batch, &mut self.beats);
        let relay = self.fleet.batches()[due.batch.0 as usize].relay;
        self.composer.beats(&self.fleet, relay, &self.beats, due.intended, sent_at, &mut self.fresh);
    }

    /// Passes the fresh datagrams through the network, and what comes out of it to the kernel.
    fn transmit(&mut self, clock: &Clock) -> Result<(), SendError> {
        let now = clock.now();
        for datagram in self.fresh.drain(..) {
            if let Some(lost) = self.network.send(datagram, now) {
                self.counters.heartbeats_lost += heartbeats_of(&lost);
                self.composer.recycle(lost);
            }
        }
        self.outbox.extend(std::iter::from_fn(|| self.network.deliver(now)));
        let Self { sender, truth, counters, outbox, .. } = self;
        let result = sender.send_all(clock, outbox, |datagram, span| {
            counters.heartbeats_handed += heartbeats_of(datagram);
            for sign in &datagram.signs {
                truth.note(sign, span);
            }
        });
        for sent in self.outbox.drain(..) {
            self.composer.recycle(sent);
        }
        result
    }
}

fn heartbeats_of(datagram: &Datagram) -> u64 {
    datagram.signs.iter().map(|sign| u64::from(!sign.departs)).sum()
}

fn sent_at(clock: &Clock) -> SentAt {
    let moment = clock.now();
    SentAt { moment, unix_us: clock.unix_us(moment) }
}

#[cfg(test)]
mod tests;
