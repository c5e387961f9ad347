//! A gateway from start to stop: what is opened in which order, and what ends when.
//!
//! ```text
//!   start: kernel probe ─▶ data directory, epoch ─▶ sockets ─▶ event log ─▶ shard threads ─▶ endpoints file ─▶ serving
//!   stop:  signal ─▶ shards drain their sockets ─▶ outboxes run empty ─▶ last events on disk ─▶ exit 0
//! ```
//!
//! Everything that can be refused is refused before the first thread starts. A shard that can no longer receive ends
//! the gateway with an error: a monitor that is deaf on one lane in two must not look alive.

mod shards;

use std::sync::Arc;

use pulsegate_codec::event::EventType;
use pulsegate_stream::{EventLog, LogConfig, LogError, RecoveryReport, Storage, SyncPolicy};
use tokio::signal::unix::{SignalKind, signal};

use crate::announce::Announcer;
use crate::config::{Config, ConfigError, FsyncPolicy, IoChoice};
use crate::data_dir::{self, DataDirError, Endpoints};
use crate::io::Clock;
use crate::io::control_wake::ControlWake;
use crate::io::probe::{self, IoUringRefusal, Report, Severity, Wanted};
use crate::io::{ReceiverError, ReceiverKind, SocketError, SocketGroup, SocketGroupConfig};
use crate::publisher::{Publisher, Unpublished};
use crate::status::{Facts, Observed, StreamGauges};
use shards::Shards;

/// Name of the topic that holds all events.
pub const EVENTS_TOPIC: &str = "pulsegate.events";

/// Why a gateway did not start, or ended in disorder.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `io_uring` was demanded and is not to be had.
    #[error("config key `shards.io` = \"io_uring\": {refusal}; {}", refusal.remedy())]
    IoUringRefused {
        /// Why.
        refusal: IoUringRefusal,
    },
    /// The kernel lacks something that nothing can replace.
    #[error("{what}; {remedy}")]
    Kernel {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The heartbeat sockets cannot be opened.
    #[error("config key `listen.heartbeats`: {0}")]
    Heartbeats(#[from] SocketError),
    /// The admin port cannot be opened.
    #[error(
        "config key `listen.admin` = {address}: {source}; is another gateway running? choose a free port"
    )]
    Admin {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file in the data directory.
    #[error("config key `data-dir`: {0}")]
    DataDir(#[from] DataDirError),
    /// The event log.
    #[error("event log: {0}")]
    Log(#[from] LogError),
    /// A system call that should always succeed.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A shard can no longer receive.
    #[error("shard {shard} can no longer receive heartbeats: {source}")]
    Receiver {
        /// Which shard.
        shard: usize,
        /// Why.
        source: ReceiverError,
    },
    /// A shard's thread panicked: a bug.
    #[error("shard {shard} panicked: this is a bug, please report it with the lines above")]
    ShardPanicked {
        /// Which shard.
        shard: usize,
    },
    /// The last events were lost.
    #[error(transparent)]
    Unpublished(#[from] Unpublished),
}

/// Runs a gateway until SIGINT or SIGTERM.
///
/// # Errors
/// When something is refused at start, when a shard dies, or when the last events cannot be written.
pub fn run(config: &Config) -> Result<(), GatewayError> {
    let report = probe::report(&wanted(config));
    let (kind, reason) = choose_receiver(config.shards.io, &report)?;
    for finding in &report.findings {
        tracing::warn!(why = finding.why, remedy = %finding.remedy, "{}", finding.what);
    }
    if let Some(finding) = report.findings.iter().find(|finding| finding.severity == Severity::Fatal) {
        return Err(GatewayError::Kernel { what: finding.what.clone(), remedy: finding.remedy.clone() });
    }
    data_dir::create(&config.data_dir)?;
    let sockets = SocketGroup::bind(&SocketGroupConfig {
        shard_count: config.shards.count,
        receive_buffer_bytes: config.shards.receive_buffer_bytes,
        ..SocketGroupConfig::new(config.listen.heartbeats)
    })?;
    let admin = std::net::TcpListener::bind(config.listen.admin)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|source| GatewayError::Admin { address: config.listen.admin, source })?;
    let control = serve(config, kind, reason, sockets, admin);
    match kind {
        ReceiverKind::IoUring => tokio_uring::start(control),
        ReceiverKind::Recvmmsg => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime
                .map_err(|source| GatewayError::System { action: "starting the control thread", source })?;
            tokio::task::LocalSet::new().block_on(&runtime, control)
        }
    }
}

/// What the kernel is asked for.
#[must_use]
pub fn wanted(config: &Config) -> Wanted {
    Wanted { shard_count: config.shards.count, receive_buffer_bytes: config.shards.receive_buffer_bytes }
}

/// Which receiver, and why.
///
/// # Errors
/// When the configuration demands io_uring and the kernel refuses it.
pub fn choose_receiver(choice: IoChoice, report: &Report) -> Result<(ReceiverKind, String), GatewayError> {
    match (choice, report.io_uring) {
        (IoChoice::Recvmmsg, _) => {
            Ok((ReceiverKind::Recvmmsg, "config key `shards.io` asks for it".to_owned()))
        }
        (_, Ok(())) => Ok((ReceiverKind::IoUring, "the kernel offers it".to_owned())),
        (IoChoice::IoUring, Err(refusal)) => Err(GatewayError::IoUringRefused { refusal }),
        (IoChoice::Auto, Err(refusal)) => {
            Ok((ReceiverKind::Recvmmsg, format!("io_uring cannot be used: {refusal}; {}", refusal.remedy())))
        }
    }
}

/// The control thread: opens the log, starts the shards, publishes, answers, until a signal.
async fn serve(
    config: &Config,
    kind: ReceiverKind,
    reason: String,
    sockets: SocketGroup,
    admin: std::net::TcpListener,
) -> Result<(), GatewayError> {
    let clock = Clock::new();
    let system = |action| move |source| GatewayError::System { action, source };
    let storage = if kind == ReceiverKind::IoUring { Storage::Uring } else { Storage::Tokio };
    let log_config = log_config(config);
    let sync = log_config.sync;
    let (log, recovery) =
        EventLog::open(&data_dir::stream_dir(&config.data_dir), log_config, storage).await?;
    tell_recovery(&recovery);
    let epoch = data_dir::begin_epoch(&config.data_dir)?;
    let endpoints = Endpoints {
        heartbeats: sockets.local_address,
        admin: admin.local_addr().map_err(system("asking for the admin address"))?,
        process_id: std::process::id(),
        epoch,
    };
    let control = ControlWake::new().map_err(system("creating an eventfd"))?;
    let mut shards = Shards::start(config, kind, sockets, clock, &control)?;
    let gauges = Arc::new(StreamGauges::default());
    let observed = Observed {
        facts: Arc::new(Facts {
            gateway: config.name.clone(),
            epoch,
            receiver: kind.label(),
            receiver_reason: reason.clone(),
            detector: config.detector.clone(),
        }),
        pages: shards.pages(),
        outboxes: shards.outboxes(),
        stream: Arc::clone(&gauges),
    };
    let announcer = Announcer::new(config.name.clone(), epoch, &config.detector);
    let mut publisher = Publisher::new(announcer, log, sync, shards.outboxes(), gauges, clock);
    publisher.announce(EventType::GatewayStarted).await?;
    let admin = tokio::net::TcpListener::from_std(admin).map_err(system("listening on the admin port"))?;
    let admin = tokio::task::spawn_local(crate::admin::serve(admin, observed));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listening for SIGINT"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system("listening for SIGTERM"))?;
    data_dir::write_endpoints(&config.data_dir, &endpoints)?;
    announce_ready(config, &endpoints, kind, &reason);

    let running = shards.running();
    let sleeper = control.sleeper().map_err(system("polling an eventfd"))?;
    let publishing = publisher.run(&sleeper, &running);
    let stop = shards.stopper();
    let signals = async {
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        }
        stop.stop();
        // The publisher ends when the shards have; a second signal changes nothing.
        std::future::pending::<()>().await;
    };
    let published = tokio::select! {
        published = publishing => published,
        () = signals => unreachable!("it waits for ever once the shards are stopping"),
    };
    admin.abort();
    data_dir::remove_endpoints(&config.data_dir);
    shards.join()?;
    published?;
    tracing::info!("stopped; every event is on disk");
    Ok(())
}

fn log_config(config: &Config) -> LogConfig {
    LogConfig {
        segment_bytes: config.stream.segment_bytes,
        retention_bytes: config.stream.retention_bytes,
        sync: match config.stream.fsync {
            FsyncPolicy::Always => SyncPolicy::Always,
            FsyncPolicy::IntervalMs(interval_ms) => SyncPolicy::IntervalMs(interval_ms),
            FsyncPolicy::Never => SyncPolicy::Never,
        },
        ..LogConfig::new(EVENTS_TOPIC, config.stream.partitions)
    }
}

fn tell_recovery(recovery: &RecoveryReport) {
    let records: u64 =
        recovery.partitions.iter().map(|partition| partition.next_offset - partition.start_offset).sum();
    tracing::info!(partitions = recovery.partitions.len(), records, "event log opened");
    for cut in recovery.cut_tails() {
        tracing::warn!(
            file = %cut.file.display(),
            position = cut.position,
            bytes = cut.bytes,
            fault = %cut.fault,
            "the last append had not been finished when the gateway ended; its remains were cut off"
        );
    }
}

fn announce_ready(config: &Config, endpoints: &Endpoints, kind: ReceiverKind, reason: &str) {
    match kind {
        ReceiverKind::IoUring => {}
        ReceiverKind::Recvmmsg => tracing::warn!(
            reason,
            "receiving with recvmmsg, which costs about half as much CPU again as io_uring"
        ),
    }
    tracing::info!(
        gateway = %config.name,
        epoch = endpoints.epoch,
        heartbeats = %endpoints.heartbeats,
        admin = %endpoints.admin,
        receiver = kind.label(),
        shards = config.shards.count,
        data_dir = %config.data_dir.display(),
        "ready"
    );
}
