//! The gateway itself: a real worker with a real shard, in its steady state.
//!
//! Before the measurement the shard hears every node in [`SWEEPS_BEFORE`] sweeps at times that lie in the past, so
//! that the wheel is filled as it is after running for long: while the load is sent, entries fire at the rate at which
//! they always do, find that their node was heard meanwhile, and are put back. No node is silent, so no verdict is due.

use std::sync::Arc;
use std::time::Duration;

use pulsegate::counters::{Cell, CounterPage};
use pulsegate::handoff::Mailbox;
use pulsegate::io::control_wake::ControlWake;
use pulsegate::io::{Receiver, ReceiverConfig, ReceiverKind};
use pulsegate::outbox::Outbox;
use pulsegate::peers::Peers;
use pulsegate::shard::Shard;
use pulsegate::worker::{Worker, WorkerShared};
use pulsegate_codec::{BatchEncoder, Compression, SenderId};
use pulsegate_engine::{EngineConfig, Timestamp};

use crate::contenders::{Contender, socket};
use crate::fleet::{self, heartbeat};
use crate::load::{Load, SWEEPS_BEFORE};
use crate::round::{Outcome, Ready, Stage};

/// One shard of the gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// For the report.
    pub name: &'static str,
    /// Which way to receive.
    pub kind: ReceiverKind,
    /// How.
    pub config: ReceiverConfig,
}

impl Contender for Gateway {
    fn name(&self) -> &'static str {
        self.name
    }

    fn receive(&self, stage: &Stage<'_>) -> Outcome {
        let (socket, address) = socket(true);
        let receiver = Receiver::open(self.kind, socket, &self.config).expect("a receiver");
        let handle = receiver.wake_handle();
        let mailboxes: Arc<[Mailbox]> = Arc::new([Mailbox::new(receiver.wake_handle())]);
        let outbox = Arc::new(Outbox::default());
        let page = Arc::new(CounterPage::default());

        let (mut shard, begins) = warmed_up(stage, &mailboxes, &outbox);
        let accepted_before = {
            page.store(shard.settle_tally());
            page.read(Cell::HeartbeatsAccepted)
        };
        let frames_before = page.read(Cell::DatagramsReceived);
        let verdicts_before = page.read(Cell::Verdicts);
        let control = ControlWake::new().expect("an eventfd");
        let peers = Peers::of(1).pop().expect("one");
        let shared = WorkerShared { page: Arc::clone(&page), control, stop: Arc::clone(&stage.stop), peers };
        while stage.clock.now() < begins {
            std::hint::spin_loop();
        }
        let mut worker = Worker::new(shard, receiver, stage.clock, shared);
        let nudge = move || {
            // A worker does not return before its verdicts were taken, so they are, in case there are any.
            while outbox.take().is_some() {}
            handle.wake();
        };
        let _ = stage.ready.send(Ready { address, nudge: Box::new(nudge) });
        let before = stage.clock.thread_cpu_time();
        worker.run().expect("a working receiver");
        let processor_time = stage.clock.thread_cpu_time() - before;
        Outcome {
            datagrams: page.read(Cell::DatagramsReceived) - frames_before,
            heartbeats: page.read(Cell::HeartbeatsAccepted) - accepted_before,
            processor_time,
            turns: page.read(Cell::Turns),
            verdicts: page.read(Cell::Verdicts) - verdicts_before,
        }
    }
}

/// Nodes that beat as the load lets them, three intervals until suspicion, five until failure.
#[must_use]
pub fn engine_config(load: &Load) -> EngineConfig {
    EngineConfig {
        interval_ms: load.interval_ms,
        interval_ms_min: load.interval_ms,
        interval_ms_max: load.interval_ms,
        ..fleet::engine_config(load.node_ids.len())
    }
}

/// When virtual time begins.
#[must_use]
pub fn epoch(load: &Load, begins: Timestamp) -> Timestamp {
    begins - Duration::from_millis(u64::from(load.interval_ms)) * SWEEPS_BEFORE
}

/// A shard in its steady state, and the moment at which its virtual time ends: shortly after now.
fn warmed_up(stage: &Stage<'_>, mailboxes: &Arc<[Mailbox]>, outbox: &Arc<Outbox>) -> (Shard, Timestamp) {
    let mut budget = Duration::from_secs(1);
    loop {
        let begins = stage.clock.now() + budget;
        let began = epoch(stage.load, begins);
        let config = engine_config(stage.load);
        let mut shard = Shard::new(0, &config, Arc::clone(mailboxes), Arc::clone(outbox), began);
        warm_up(&mut shard, outbox, stage.load, begins);
        if stage.clock.now() < begins {
            return (shard, begins);
        }
        // A busy or slow machine: the end of virtual time must lie ahead, so try again with more room.
        budget *= 2;
    }
}

/// Lets every node speak [`SWEEPS_BEFORE`] times, evenly spread over the time up to `begins`.
fn warm_up(shard: &mut Shard, outbox: &Outbox, load: &Load, begins: Timestamp) {
    let mut encoder = BatchEncoder::new(SenderId::from_name("relay"), Compression::Off);
    let mut frame = Vec::new();
    let interval = Duration::from_millis(u64::from(load.interval_ms));
    let piece_count = u32::try_from(load.node_ids.len().div_ceil(PIECE)).unwrap_or(u32::MAX);
    for sweep in 0..SWEEPS_BEFORE {
        for (index, piece) in (0..).zip(load.node_ids.chunks(PIECE)) {
            for id in piece {
                encoder.heartbeat(heartbeat(*id, sweep));
            }
            let spoken_at = epoch(load, begins) + interval * sweep + interval * index / piece_count;
            encoder.finish(1, 0, &mut frame).expect("a frame within the bounds");
            shard.on_datagram(&frame, false, SOURCE, spoken_at);
            shard.end_batch(spoken_at);
            shard.on_tick(spoken_at);
            shard.hand_over();
            while outbox.take().is_some() {}
        }
    }
}

/// Nodes that speak at once while warming up.
const PIECE: usize = 1_024;

const SOURCE: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
