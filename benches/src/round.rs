//! One measurement: a contender on core 1, the sender on core 0, one load.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use pulsegate::io::{Clock, affinity};

use crate::contenders::Contender;
use crate::load::Load;
use crate::sender::{self, Sent};

/// Where the two threads run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// The sender on core 0, where on loopback it also does the kernel's protocol work for the receiver; the contender
    /// on core 1.
    Pinned,
    /// Anywhere: for tests, whose figures nobody reads.
    Anywhere,
}

impl Placement {
    fn pin(self, core: usize) {
        if self == Self::Pinned {
            affinity::pin_current_thread(core).expect("a machine with two cores");
        }
    }
}

/// Time for what is still queued to be taken.
const AFTERGLOW: Duration = Duration::from_millis(50);

/// A contender tells where it listens and how to end it.
pub struct Ready {
    /// Where to send.
    pub address: SocketAddr,
    /// Makes the contender end, or look at its stop flag. Called until it has ended.
    pub nudge: Box<dyn Fn() + Send>,
}

/// What a contender is given.
pub struct Stage<'a> {
    /// The clock.
    pub clock: Clock,
    /// What will be sent.
    pub load: &'a Load,
    /// To be called once, when the contender is about to receive.
    pub ready: mpsc::Sender<Ready>,
    /// Set when the contender shall return.
    pub stop: Arc<AtomicBool>,
}

impl Stage<'_> {
    /// Whether it is time to return.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // Relaxed: the flag carries no data, and a nudge follows it.
        self.stop.load(Ordering::Relaxed)
    }
}

/// What a contender did between `ready` and its return.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Datagrams taken.
    pub datagrams: u64,
    /// Heartbeats that were new to the contender's state; 0 for one that keeps none.
    pub heartbeats: u64,
    /// Processor time of its thread.
    pub processor_time: Duration,
    /// How often it waited for more, where that is known.
    pub turns: u64,
    /// Nodes that it called silent. All of them speak, so more than 0 means that the sender was held up for long.
    pub verdicts: u64,
}

/// One contender with one load.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The receiving side.
    pub outcome: Outcome,
    /// The sending side.
    pub sent: Sent,
}

impl Measured {
    /// Processor time of one datagram, in nanoseconds.
    #[must_use]
    pub fn nanoseconds_a_datagram(&self) -> f64 {
        self.outcome.processor_time.as_nanos() as f64 / self.outcome.datagrams.max(1) as f64
    }

    /// Datagrams that were sent and not taken.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.datagrams.saturating_sub(self.outcome.datagrams)
    }
}

/// Time between two nudges.
const NUDGE_EVERY: Duration = Duration::from_millis(10);

/// Runs one contender against one load.
///
/// # Panics
/// If a thread cannot be pinned or the contender fails: there is nothing to measure then.
#[must_use]
pub fn run(contender: &dyn Contender, load: &Load, placement: Placement) -> Measured {
    let clock = Clock::new();
    let (ready, told) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stage = Stage { clock, load, ready, stop: Arc::clone(&stop) };
    std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            placement.pin(1);
            contender.receive(&stage)
        });
        let sending = scope.spawn(move || {
            placement.pin(0);
            let Ready { address, nudge } = told.recv().expect("the contender to become ready");
            let sent = sender::send(load, address, clock);
            sender::spin(AFTERGLOW, clock);
            // Relaxed: see `Stage::is_over`.
            stop.store(true, Ordering::Relaxed);
            (sent, nudge)
        });
        let (sent, nudge) = sending.join().expect("the sender to finish");
        // More than once: a contender that is behind has a full socket, which drops a nudge that is a datagram.
        while !receiving.is_finished() {
            nudge();
            sender::spin(NUDGE_EVERY, clock);
        }
        let outcome = receiving.join().expect("the contender to finish");
        Measured { outcome, sent }
    })
}
