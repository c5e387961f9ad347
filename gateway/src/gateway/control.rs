//! The control thread of a gateway: opens the log, starts the shards, publishes what they say, answers on the admin
//! port and on the Kafka port, takes heartbeats over TCP, until a signal ends it all.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use pulsegate_engine::Publication;
use pulsegate_stream::kafka::Security;
use pulsegate_stream::{LogError, LogView, Storage};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::listeners::Listeners;
use super::logs::Logs;
use super::shards::{Shards, Stopper};
use super::{GatewayError, Reception, kafka};
use crate::announce::Announcer;
use crate::config::Config;
use crate::counters::CounterPage;
use crate::data_dir::{self, Endpoints};
use crate::io::control_wake::ControlWake;
use crate::io::{Clock, ReceiverKind};
use crate::node_states::NodeStates;
use crate::operator::MaintenanceDesk;
use crate::prober::{self, ProbeDesk};
use crate::publisher::Publisher;
use crate::restart::Recovered;
use crate::restart::gauges::RestartGauges;
use crate::restart::writer::{SnapshotDesk, SnapshotPlan, SnapshotWriter};
use crate::sinks::committed::{self, Committed};
use crate::sinks::losses::Losses;
use crate::sinks::{Sinks, Surroundings};
use crate::status::{Facts, NamedPage, Observed, StreamGauges};
use crate::{admin, kafka_security, operator, restart, tcp};

/// Runs the gateway from its open sockets to its last event.
pub(super) async fn serve(
    config: &Config,
    reception: Reception,
    listeners: Listeners,
    security: Security,
) -> Result<(), GatewayError> {
    let clock = Clock::new();
    let storage = storage(reception.kind);
    let mut logs = Logs::open(config, &storage).await?;
    let control = ControlWake::new().map_err(system("creating an eventfd"))?;
    let losses = Arc::new(Losses::new(control.clone()));
    let sinks = start_sinks(config, &logs, &losses, clock)?;
    let endpoints = Endpoints {
        heartbeats: listeners.heartbeats.local_address,
        admin: listeners.admin_address,
        kafka: listeners.kafka_address,
        process_id: std::process::id(),
        epoch: data_dir::begin_epoch(&config.data_dir)?,
    };
    let desk = ProbeDesk::new().map_err(system("creating an eventfd"))?;
    let snapshots = SnapshotDesk::new().map_err(system("creating an eventfd"))?;
    let (known, publication) = take_over(config, &mut logs, clock).await?;
    let (sockets, nodes) = (listeners.heartbeats, (known.shards, &snapshots));
    let mut shards = Shards::start(config, reception.kind, sockets, clock, &control, &desk, nodes)?;
    let tcp_page = Arc::new(CounterPage::default());
    let mut observed = observe(config, &reception, endpoints.epoch, &shards, &tcp_page);
    observed.probes = desk.counters();
    observed.sinks = sinks.running.progress();
    observed.restart = Arc::new(RestartGauges::new(known.summary));
    let of_restart = (snapshots, logs.events.view(), Arc::clone(&observed.restart));
    let snapshots = snapshot_writer(config, endpoints.epoch, of_restart, &shards, clock);
    let announcer = Announcer::new(config.name.clone(), endpoints.epoch, config.profiles.clone());
    let (gauges, kafka_counters) = (Arc::clone(&observed.stream), Arc::clone(&observed.kafka));
    tracing::info!(security = %kafka_security::describe(&security), "Kafka port");
    let port = kafka::Port { address: endpoints.kafka, security, counters: kafka_counters };
    let (offsets, damage) = kafka::open_offsets(config, storage, &logs.damage).await?;
    let topics = logs.topics();
    let form = (logs.sync, config.stream.values);
    let logs = (logs.events, NodeStates::new(logs.nodes, config.stream.values));
    let (desk_of_operators, asks) = operator::desk();
    let maintenance = MaintenanceDesk::open(&config.data_dir, shards.mailboxes(), clock).await?;
    let verdicts_and_asks = (shards.outboxes(), asks);
    let mut publisher = Publisher::new(announcer, logs, form, verdicts_and_asks, gauges, clock, publication);
    publisher.announce_losses(losses);
    publisher.announce_ailments(shards.pages());
    publisher.announce_start(&known.summary).await?;
    publisher.announce_damage(&damage).await?;
    offsets.confirm_told().await.map_err(LogError::from)?;
    let kafka = kafka::server(config, (topics, offsets), port, clock);
    let admin =
        spawn(listeners.admin, |listener| admin::serve(listener, observed, desk_of_operators, maintenance))?;
    let kafka = spawn(listeners.kafka, |listener| kafka.serve(listener))?;
    let (tcp, passage) = (listeners.heartbeats_tcp, shards.take_passage(clock));
    let tcp = spawn(tcp, |listener| tcp::serve(listener, passage, tcp_page))?;
    let prober = tokio::task::spawn_local(prober::serve(desk, config.probe.reach, shards.mailboxes()));
    let snapshots = tokio::task::spawn_local(snapshots.serve());
    let tasks = [admin.abort_handle(), kafka.abort_handle(), tcp.abort_handle()];
    let tasks = tasks.into_iter().chain([prober.abort_handle(), snapshots.abort_handle()]);
    let signals = Signals::listen()?;
    data_dir::write_endpoints(&config.data_dir, &endpoints)?;
    announce_ready(config, &endpoints, &reception);

    let running = shards.running();
    let sleeper = control.sleeper().map_err(system("polling an eventfd"))?;
    let published = tokio::select! {
        published = publisher.run(&sleeper, &running) => published,
        never = signals.stop_and_wait(shards.stopper()) => match never {},
    };
    tasks.for_each(|task| task.abort());
    data_dir::remove_endpoints(&config.data_dir);
    shards.join()?;
    sinks.stop().await;
    published?;
    tracing::info!("stopped; every event is on disk");
    Ok(())
}

/// What is known of earlier runs, and a publication that knows it.
async fn take_over(
    config: &Config,
    logs: &mut Logs,
    clock: Clock,
) -> Result<(Recovered, Publication), LogError> {
    let known = restart::recover(config, &logs.events.view(), &mut logs.nodes, clock.unix_us()).await?;
    let mut publication = Publication::new(config.publication.clone(), config.shards.count);
    known.introduce_to(&mut publication, clock.now());
    Ok((known, publication))
}

fn snapshot_writer(
    config: &Config,
    epoch: u64,
    (desk, events, gauges): (SnapshotDesk, Rc<LogView>, Arc<RestartGauges>),
    shards: &Shards,
    clock: Clock,
) -> SnapshotWriter {
    let profiles = config.profiles.detectors().iter();
    let plan = SnapshotPlan {
        path: data_dir::snapshot_path(&config.data_dir),
        interval: config.restart.snapshot_interval,
        epoch,
        profiles: profiles.map(|detector| detector.profile().name.to_string()).collect(),
    };
    SnapshotWriter::new(plan, desk, shards.mailboxes(), events, gauges, clock)
}

/// The sinks, and the task that tells them what is committed.
struct RunningSinks {
    running: Sinks,
    committed: Arc<Committed>,
    views: Vec<Rc<LogView>>,
    followers: Vec<JoinHandle<()>>,
}

fn start_sinks(
    config: &Config,
    logs: &Logs,
    losses: &Arc<Losses>,
    clock: Clock,
) -> Result<RunningSinks, GatewayError> {
    let views = vec![logs.events.view(), logs.nodes.view()];
    let topics: Vec<_> = views.iter().map(|view| (view.topic(), view.partition_count())).collect();
    let committed = Arc::new(Committed::new(&topics));
    views.iter().for_each(|view| committed.copy(view));
    let surroundings = Surroundings {
        data_dir: config.data_dir.clone(),
        committed: Arc::clone(&committed),
        losses: Arc::clone(losses),
        clock,
    };
    let running = Sinks::start(&config.sinks, &surroundings)?;
    let follow = |view| tokio::task::spawn_local(committed::follow(Rc::clone(view), Arc::clone(&committed)));
    let followers = views.iter().map(follow).collect();
    Ok(RunningSinks { running, committed, views, followers })
}

impl RunningSinks {
    /// Lets the sinks deliver what is there, for as long as each may.
    async fn stop(self) {
        self.followers.iter().for_each(JoinHandle::abort);
        self.views.iter().for_each(|view| self.committed.copy(view));
        // A panic in there was logged by the sink's own thread.
        let _ = tokio::task::spawn_blocking(|| self.running.stop()).await;
    }
}

fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> GatewayError {
    move |source| GatewayError::System { action, source }
}

const fn storage(kind: ReceiverKind) -> Storage {
    match kind {
        ReceiverKind::IoUring => Storage::Uring,
        ReceiverKind::Recvmmsg => Storage::Tokio,
    }
}

fn observe(
    config: &Config,
    reception: &Reception,
    epoch: u64,
    shards: &Shards,
    tcp_page: &Arc<CounterPage>,
) -> Observed {
    let pages = shards.pages();
    let of_shards = pages
        .iter()
        .enumerate()
        .map(|(index, page)| NamedPage { shard: index.to_string(), page: Arc::clone(page) });
    let of_tcp = NamedPage { shard: "tcp".to_owned(), page: Arc::clone(tcp_page) };
    Observed {
        facts: Arc::new(Facts {
            gateway: config.name.clone(),
            epoch,
            receiver: reception.kind.label(),
            receiver_reason: reception.reason.clone(),
            shards: config.shards.count,
            detector: config.detector.clone(),
            judge: config.profiles.detector(config.profiles.default_index()).clone(),
        }),
        pages: of_shards.chain([of_tcp]).collect(),
        stream: Arc::new(StreamGauges::default()),
        kafka: Arc::default(),
        probes: Arc::default(),
        sinks: Arc::default(),
        restart: Arc::default(),
    }
}

/// Starts a task that serves a listener.
fn spawn<Served: Future + 'static>(
    listener: TcpListener,
    serve: impl FnOnce(tokio::net::TcpListener) -> Served,
) -> Result<JoinHandle<Served::Output>, GatewayError> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(system("listening on a TCP port"))?;
    Ok(tokio::task::spawn_local(serve(listener)))
}

/// SIGINT and SIGTERM, caught from the moment of `listen`.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, GatewayError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(system("listening for SIGINT"))?,
            terminate: signal(SignalKind::terminate()).map_err(system("listening for SIGTERM"))?,
        })
    }

    /// Stops the shards at the first signal; a second one changes nothing. Never returns: the publisher ends when the
    /// shards have.
    async fn stop_and_wait(mut self, shards: Stopper) -> std::convert::Infallible {
        tokio::select! {
            _ = self.interrupt.recv() => tracing::info!("SIGINT: stopping"),
            _ = self.terminate.recv() => tracing::info!("SIGTERM: stopping"),
        }
        shards.stop();
        std::future::pending().await
    }
}

fn announce_ready(config: &Config, endpoints: &Endpoints, reception: &Reception) {
    match reception.kind {
        ReceiverKind::IoUring => {}
        ReceiverKind::Recvmmsg => tracing::warn!(
            reason = %reception.reason,
            "receiving with recvmmsg, which costs up to a fifth more CPU than io_uring"
        ),
    }
    tracing::info!(
        gateway = %config.name,
        epoch = endpoints.epoch,
        heartbeats = %endpoints.heartbeats,
        admin = %endpoints.admin,
        kafka = %endpoints.kafka,
        receiver = reception.kind.label(),
        shards = config.shards.count,
        data_dir = %config.data_dir.display(),
        "ready"
    );
}
