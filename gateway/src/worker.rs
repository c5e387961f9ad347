//! The thread around a shard: wait, take, decide, hand over.
//!
//! ```text
//!   ┌─▶ wait (batch, wake-up, or the next deadline)
//!   │   read the clock once
//!   │   take datagrams ─▶ shard        take parcels ─▶ shard
//!   │   deadline due? drain the socket and the mailbox first, then let it pass
//!   │   snapshot under way? copy a piece of the table
//!   │   hand verdicts over, wake peers, copy the counters out
//!   └───┘
//! ```
//!
//! A worker takes no lock, makes no call that may block but the wait, and logs nothing per datagram. It measures its
//! own pauses (`presence.rs`) and hears of the trouble of others that heartbeats come by way of (`peers.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pulsegate_engine::{Duration, Timestamp};

use crate::counters::{Cell, CounterPage};
use crate::handoff::MAILBOX_PARCELS_MAX;
use crate::io::control_wake::ControlWake;
use crate::io::huge_pages::{self, Region};
use crate::io::{Clock, Receiver, ReceiverError};
use crate::peers::Peers;
use crate::presence::Presence;
use crate::shard::{PARCELS_PER_TURN_MAX, Shard};

/// How long a worker waits when verdicts found no room, before it offers them again.
pub const HELD_UP_WAIT: Duration = Duration::from_millis(1);

/// How long a worker waits at most between two pieces of a snapshot.
pub const SNAPSHOT_PIECE_WAIT: Duration = Duration::from_millis(1);

/// A time in which the shard did not run counts as a pause, and moves deadlines, from this length on: well above what
/// a busy machine does to a thread, well below any sensible timeout.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);

/// What a worker shares with the rest of the process.
#[derive(Debug)]
pub struct WorkerShared {
    /// Where the shard's numbers can be read.
    pub page: Arc<CounterPage>,
    /// Wakes the control thread.
    pub control: ControlWake,
    /// Set once, when the gateway stops; the worker is woken after.
    pub stop: Arc<AtomicBool>,
    /// The others that receive.
    pub peers: Peers,
}

/// One shard with its receiver, on its own thread.
#[derive(Debug)]
pub struct Worker {
    shard: Shard,
    receiver: Receiver,
    clock: Clock,
    shared: WorkerShared,
    /// Until when the last turn meant to sleep at most.
    woke_by: Option<Timestamp>,
    presence: Presence,
    mail_left: bool,
    /// Dropped datagrams that the engine knows of.
    drops_seen: u64,
    /// It paused or lost datagrams, which the control thread is to be told.
    is_ailing: bool,
}

impl Worker {
    /// A worker that has not run yet. Must be made on the thread that will run it.
    #[must_use]
    pub fn new(shard: Shard, receiver: Receiver, clock: Clock, shared: WorkerShared) -> Self {
        for (address, bytes) in shard.hot_memory() {
            huge_pages::advise(Region { address, bytes });
        }
        let presence = Presence::new(clock.now(), clock.suspended());
        Self {
            shard,
            receiver,
            clock,
            shared,
            woke_by: None,
            presence,
            mail_left: false,
            drops_seen: 0,
            is_ailing: false,
        }
    }

    /// Runs until told to stop; then takes what the socket still holds, hands over its verdicts and returns.
    ///
    /// # Errors
    /// When the receiver can no longer receive. Detection on this shard has ended then, so the process must end too.
    pub fn run(&mut self) -> Result<(), ReceiverError> {
        // Relaxed: the flag carries no data; the wake-up that follows it makes the worker look.
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.turn()?;
        }
        self.drain()?;
        while self.finish_turn() {
            self.receiver.wait(Some(HELD_UP_WAIT))?;
        }
        Ok(())
    }

    /// One turn.
    ///
    /// # Errors
    /// See [`Self::run`].
    pub fn turn(&mut self) -> Result<(), ReceiverError> {
        let timeout = self.timeout();
        self.receiver.wait(timeout)?;
        let now = self.begin_turn();
        self.reap(now)?;
        self.note_drops(now);
        self.take_mail();
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= now) {
            // Whatever arrived up to this moment is taken before anything is called silent at this moment.
            let horizon = self.look();
            self.drain()?;
            // The drain took datagrams at later moments than the horizon.
            let now = self.look();
            self.note_drops(now);
            self.note_peers(now);
            self.shard.on_tick(horizon);
        }
        self.ask();
        self.shard.take_snapshot_piece();
        self.finish_turn();
        Ok(())
    }

    /// Asks silent nodes whether they are there.
    fn ask(&mut self) {
        let now = self.clock.now();
        self.shard.consider_verdicts(now);
        while let Some(question) = self.shard.take_question(now) {
            // What the kernel does not take now is asked again, or not: the deadline stands either way.
            self.receiver.send(&question.datagram, question.address);
        }
    }

    /// Reads the clock, and notes how long it was not read.
    fn look(&mut self) -> Timestamp {
        let now = self.clock.now();
        let absence = self.presence.look(now);
        self.note_pause(absence, now);
        // It looks again soon; if it does not, it is because it does not run.
        self.shared.peers.note_due(Some(now));
        now
    }

    /// Tells the engine that nobody listened, if it was for long.
    fn note_pause(&mut self, pause: Duration, now: Timestamp) {
        let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        self.shard.tally_mut().raise(Cell::LongestPauseMicroseconds, pause_us);
        if pause >= PAUSE_MIN {
            self.shard.on_pause(pause, now);
            self.is_ailing = true;
        }
    }

    /// Tells the engine of datagrams that were lost here.
    fn note_drops(&mut self, now: Timestamp) {
        let drops = self.receiver.kernel_drops();
        if drops > self.drops_seen {
            self.drops_seen = drops;
            self.shard.on_drops(now);
            self.shard.tally_mut().set(Cell::KernelDrops, drops);
            self.shared.peers.note_drops();
            self.is_ailing = true;
        }
    }

    /// Tells the engine of heartbeats that were lost on the way here, or wait where nobody runs.
    fn note_peers(&mut self, now: Timestamp) {
        if self.shared.peers.is_any_in_trouble(now) {
            self.shard.on_drops(now);
            self.shard.tally_mut().add(Cell::PeerTroubles, 1);
        }
    }

    /// Takes everything that the socket and the mailbox hold now.
    fn drain(&mut self) -> Result<(), ReceiverError> {
        let mut drain = self.receiver.begin_drain();
        while self.receiver.drain_round(&mut drain)? {
            // A stamp older than the datagram would let its node's deadline pass early: read the clock every round.
            let now = self.look();
            self.reap(now)?;
        }
        // As with the socket: no more passes than the mailbox can have held when the drain began.
        for _ in 0..=MAILBOX_PARCELS_MAX / PARCELS_PER_TURN_MAX {
            self.take_mail();
            if !self.mail_left {
                break;
            }
        }
        Ok(())
    }

    /// Takes what the mailbox holds.
    fn take_mail(&mut self) {
        self.mail_left = self.shard.gather_mail();
        // Read after the parcels were taken: another shard may have received them a moment ago.
        let now = self.look();
        self.shard.on_mail(now);
    }

    /// Takes what the receiver has frozen; all of it arrived before `received_at`.
    fn reap(&mut self, received_at: Timestamp) -> Result<(), ReceiverError> {
        let shard = &mut self.shard;
        let reaped = self.receiver.reap(|datagram| {
            shard.on_datagram(datagram.payload, datagram.truncated, datagram.source, received_at);
        });
        // Before any error is looked at: what was handed over has arrived.
        self.shard.end_batch(received_at);
        let reaped = reaped?;
        let tally = self.shard.tally_mut();
        tally.add(Cell::BuffersReceived, reaped.buffers);
        tally.add(Cell::BuffersExhausted, reaped.buffers_exhausted);
        tally.add(Cell::ReceiveErrors, reaped.receive_errors);
        tally.set(Cell::KernelDrops, reaped.kernel_drops);
        Ok(())
    }

    /// How long the next wait may last; `None` when nothing is armed.
    fn timeout(&mut self) -> Option<Duration> {
        let now = self.look();
        let until_deadline = self.shard.next_deadline().map(|deadline| deadline.since(now));
        let timeout = if self.mail_left {
            Some(Duration::ZERO)
        } else if self.shard.is_held_up() {
            Some(HELD_UP_WAIT)
        } else if self.shard.is_taking_snapshot() {
            Some(until_deadline.map_or(SNAPSHOT_PIECE_WAIT, |wait| wait.min(SNAPSHOT_PIECE_WAIT)))
        } else {
            until_deadline
        };
        self.woke_by = timeout.map(|timeout| now + timeout);
        self.shared.peers.note_due(self.woke_by);
        timeout
    }

    fn begin_turn(&mut self) -> Timestamp {
        let now = self.clock.now();
        // Before what has gathered meanwhile is taken.
        let overslept = self.presence.wake(self.woke_by, now);
        self.note_pause(overslept, now);
        let suspended = self.presence.slept_through(self.clock.suspended());
        if !suspended.is_zero() {
            self.note_pause(suspended, now);
        }
        self.shared.peers.note_due(Some(now));
        now
    }

    /// Hands over verdicts, wakes peers, copies the counters out. True when verdicts are left.
    fn finish_turn(&mut self) -> bool {
        let has_news = self.shard.hand_over();
        let receiver = &mut self.receiver;
        let peers = &self.shared.peers;
        self.shard.wake_owners(|owner, mailbox, is_lost| {
            peers.note_handoff(owner, is_lost);
            receiver.wake(mailbox.owner());
        });
        self.shard.tally_mut().add(Cell::Turns, 1);
        self.shared.page.store(self.shard.settle_tally());
        // After the page, which tells the control thread what ails the shard.
        if std::mem::take(&mut self.is_ailing) || has_news {
            self.shared.control.wake();
        }
        self.shard.is_held_up()
    }
}
