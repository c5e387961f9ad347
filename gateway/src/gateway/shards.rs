//! The shard threads of one gateway: started together, stopped together, joined.
//!
//! A receiver must be opened on the thread that uses it, and a mailbox needs the receiver's wake handle; so each
//! thread first opens its receiver and reports, and only when all have does the gateway hand out the mailboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver as Incoming, Sender as Outgoing, channel};
use std::thread::JoinHandle;

use pulsegate_engine::{Duration, EngineConfig};

use super::GatewayError;
use crate::config::{Config, ProbeReach};
use crate::counters::CounterPage;
use crate::handoff::Mailbox;
use crate::io::Clock;
use crate::io::control_wake::ControlWake;
use crate::io::{Receiver, ReceiverConfig, ReceiverError, ReceiverKind, SocketGroup, WakeHandle};
use crate::outbox::Outbox;
use crate::peers::Peers;
use crate::prober::ProbeDesk;
use crate::restart::RestoredNode;
use crate::restart::writer::SnapshotDesk;
use crate::second_opinion::Inquiries;
use crate::shard::{Asking, Shard};
use crate::tcp::Passage;
use crate::worker::{PAUSE_MIN, Worker, WorkerShared};

/// All shard threads.
#[derive(Debug)]
pub(super) struct Shards {
    threads: Vec<JoinHandle<Result<(), ReceiverError>>>,
    pages: Arc<[Arc<CounterPage>]>,
    outboxes: Arc<[Arc<Outbox>]>,
    running: Arc<AtomicUsize>,
    stopper: Stopper,
    control_peers: Option<Peers>,
}

/// Stops all shards.
#[derive(Clone, Debug)]
pub(super) struct Stopper {
    stop: Arc<AtomicBool>,
    mailboxes: Arc<[Mailbox]>,
}

impl Stopper {
    /// Tells every shard to drain its socket and end.
    pub(super) fn stop(&self) {
        // Relaxed: the flag carries no data; the wake-up makes each worker look.
        self.stop.store(true, Ordering::Relaxed);
        for mailbox in self.mailboxes.iter() {
            mailbox.owner().wake();
        }
    }
}

impl Shards {
    /// Starts one thread a socket; returns when all of them receive.
    ///
    /// # Errors
    /// When a receiver cannot be opened; no thread is left then.
    pub(super) fn start(
        config: &Config,
        kind: ReceiverKind,
        sockets: SocketGroup,
        clock: Clock,
        control: &ControlWake,
        desk: &ProbeDesk,
        (known, snapshots): (Vec<Vec<RestoredNode>>, &SnapshotDesk),
    ) -> Result<Self, GatewayError> {
        let count = config.shards.count;
        let pages: Arc<[_]> = (0..count).map(|_| Arc::new(CounterPage::default())).collect();
        let outboxes: Arc<[_]> = (0..count).map(|_| Arc::new(Outbox::default())).collect();
        let running = Arc::new(AtomicUsize::new(count));
        let stop = Arc::new(AtomicBool::new(false));
        // The control thread is the last: heartbeats over TCP come by way of it.
        let mut peers = Peers::of(count + 1);
        let control_peers = peers.pop().expect("one more than there are shards");
        let mut threads = Vec::with_capacity(count);
        let mut opened = Vec::with_capacity(count);
        for (index, ((socket, known), peers)) in sockets.sockets.into_iter().zip(known).zip(peers).enumerate()
        {
            let (opened_sender, opened_receiver) = channel();
            let (mailboxes_sender, mailboxes_receiver) = channel();
            let start = ShardStart {
                index,
                kind,
                clock,
                receiver_config: receiver_config(config),
                engine_config: engine_config(config, clock),
                pin: config.shards.pin,
                outbox: Arc::clone(&outboxes[index]),
                shared: WorkerShared {
                    page: Arc::clone(&pages[index]),
                    control: control.clone(),
                    stop: Arc::clone(&stop),
                    peers,
                },
                running: Arc::clone(&running),
                asking: asking(config, desk),
                known,
                smear: config.restart.smear,
                snapshots: snapshots.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || start.run(socket, &opened_sender, &mailboxes_receiver))
                .map_err(|source| GatewayError::System { action: "starting a shard's thread", source })?;
            threads.push(thread);
            opened.push((opened_receiver, mailboxes_sender));
        }
        let mailboxes = hand_out_mailboxes(opened)?;
        let stopper = Stopper { stop, mailboxes };
        Ok(Self { threads, pages, outboxes, running, stopper, control_peers: Some(control_peers) })
    }

    /// The way to them for heartbeats that arrive on the control thread. There is one, to be taken once.
    pub(super) fn take_passage(&mut self, clock: Clock) -> Passage {
        let peers = self.control_peers.take().expect("taken once");
        Passage { mailboxes: self.mailboxes(), peers, clock }
    }

    pub(super) fn mailboxes(&self) -> Arc<[Mailbox]> {
        Arc::clone(&self.stopper.mailboxes)
    }

    pub(super) fn pages(&self) -> Arc<[Arc<CounterPage>]> {
        Arc::clone(&self.pages)
    }

    pub(super) fn outboxes(&self) -> Arc<[Arc<Outbox>]> {
        Arc::clone(&self.outboxes)
    }

    /// How many shards still run.
    pub(super) fn running(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.running)
    }

    pub(super) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for all threads; reports the first that ended in disorder.
    pub(super) fn join(&mut self) -> Result<(), GatewayError> {
        let mut first = Ok(());
        for (shard, thread) in self.threads.drain(..).enumerate() {
            let result = match thread.join() {
                Ok(Ok(())) => Ok(()),
                Ok(Err(source)) => Err(GatewayError::Receiver { shard, source }),
                Err(_panic) => Err(GatewayError::ShardPanicked { shard }),
            };
            first = first.and(result);
        }
        first
    }
}

/// What a thread reports when it has opened its receiver, or could not.
type Opened = Result<WakeHandle, ReceiverError>;

/// The two ends by which the gateway speaks with a thread that starts.
type StartingThread = (Incoming<Opened>, Outgoing<Arc<[Mailbox]>>);

/// Collects the wake handles of all threads and answers each with all mailboxes.
fn hand_out_mailboxes(opened: Vec<StartingThread>) -> Result<Arc<[Mailbox]>, GatewayError> {
    let mut mailboxes = Vec::with_capacity(opened.len());
    for (shard, (report, _)) in opened.iter().enumerate() {
        // Returning drops the senders: threads that wait for their mailboxes end by themselves.
        let handle = report.recv().map_err(|_ended| GatewayError::ShardPanicked { shard })?;
        mailboxes.push(Mailbox::new(handle.map_err(|source| GatewayError::Receiver { shard, source })?));
    }
    let mailboxes: Arc<[Mailbox]> = mailboxes.into();
    for (_, answer) in opened {
        // A thread that has gone meanwhile is found when it is joined.
        let _ = answer.send(Arc::clone(&mailboxes));
    }
    Ok(mailboxes)
}

/// What a shard's thread needs to begin.
struct ShardStart {
    index: usize,
    kind: ReceiverKind,
    clock: Clock,
    receiver_config: ReceiverConfig,
    engine_config: EngineConfig,
    pin: bool,
    outbox: Arc<Outbox>,
    shared: WorkerShared,
    running: Arc<AtomicUsize>,
    asking: Asking,
    /// Nodes of the run before, and over how long those of them that are silent are spread.
    known: Vec<RestoredNode>,
    smear: Duration,
    snapshots: SnapshotDesk,
}

impl ShardStart {
    fn run(
        self,
        socket: std::net::UdpSocket,
        opened: &Outgoing<Opened>,
        mailboxes: &Incoming<Arc<[Mailbox]>>,
    ) -> Result<(), ReceiverError> {
        let mut ended =
            Ended { running: Arc::clone(&self.running), control: self.shared.control.clone(), stopper: None };
        if self.pin
            && let Err(error) = crate::io::affinity::pin_current_thread(self.index)
        {
            tracing::warn!(shard = self.index, %error, "cannot bind the shard to its core; it runs unbound");
        }
        let receiver = match Receiver::open(self.kind, socket, &self.receiver_config) {
            Ok(receiver) => receiver,
            Err(error) => {
                // Nobody listens only when the start has failed already.
                let _ = opened.send(Err(error));
                return Ok(());
            }
        };
        let _ = opened.send(Ok(receiver.wake_handle()));
        let Ok(mailboxes) = mailboxes.recv() else { return Ok(()) };
        ended.stopper =
            Some(Stopper { stop: Arc::clone(&self.shared.stop), mailboxes: Arc::clone(&mailboxes) });
        let began_at = self.clock.now();
        let mut shard = Shard::new(self.index, &self.engine_config, mailboxes, self.outbox, began_at)
            .with_second_opinion(self.asking)
            .with_memory(self.snapshots);
        shard.restore(self.known, self.smear, began_at);
        let now = self.clock.now();
        if now.since(began_at) >= PAUSE_MIN {
            // What was sent meanwhile lies in the socket; nobody has been silent for that long.
            shard.on_pause(now.since(began_at), now);
        }
        Worker::new(shard, receiver, self.clock, self.shared).run()
    }
}

/// Says that a shard's thread has ended, however it ended, and takes the others with it.
struct Ended {
    running: Arc<AtomicUsize>,
    control: ControlWake,
    stopper: Option<Stopper>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(stopper) = &self.stopper {
            stopper.stop();
        }
        // Release: pairs with the publisher's acquire load; who sees the lower count sees the shard's last verdicts.
        self.running.fetch_sub(1, Ordering::Release);
        self.control.wake();
    }
}

fn asking(config: &Config, desk: &ProbeDesk) -> Asking {
    let probes = config.probe.reach != ProbeReach::Off;
    Asking {
        inquiries: (config.probe.ping || probes).then(Inquiries::default),
        pings: config.probe.ping,
        desk: probes.then(|| desk.clone()),
        ..Asking::default()
    }
}

fn receiver_config(config: &Config) -> ReceiverConfig {
    ReceiverConfig { min_wait: config.shards.batch_wait, ..ReceiverConfig::default() }
}

fn engine_config(config: &Config, clock: Clock) -> EngineConfig {
    let detector = &config.detector;
    EngineConfig {
        nodes_max: config.nodes_max_per_shard(),
        tick: detector.tick,
        interval_ms: detector.interval_ms,
        interval_ms_min: detector.interval_ms_min,
        interval_ms_max: detector.interval_ms_max,
        profiles: config.profiles.clone(),
        forget_after: detector.forget_after,
        stalled_after: detector.stalled_after,
        // Nanoseconds of this start: nobody outside can know them.
        hash_seed: clock.wall_offset().unix_us(clock.now()).rotate_left(32) ^ clock.now().as_nanoseconds(),
    }
}
