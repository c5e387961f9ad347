//! A gateway from start to stop: what is opened in which order, and what ends when.
//!
//! ```text
//!   start: kernel probe ─▶ data directory, epoch ─▶ sockets ─▶ event log ─▶ shard threads ─▶ endpoints file ─▶ serving
//!   stop:  signal ─▶ shards drain their sockets ─▶ outboxes run empty ─▶ last events on disk ─▶ exit 0
//! ```
//!
//! Everything that can be refused is refused before the first thread starts. A shard that can no longer receive ends
//! the gateway with an error: a monitor that is deaf on one lane in two must not look alive.

mod control;
mod damage;
mod kafka;
mod listeners;
mod logs;
mod shards;

use pulsegate_stream::LogError;
use pulsegate_stream::kafka::offsets::OffsetStoreError;

use crate::config::{Config, ConfigError, IoChoice};
use crate::data_dir::{self, DataDirError};
use crate::io::probe::{self, IoUringRefusal, Report, Severity, Wanted};
use crate::io::{ReceiverError, ReceiverKind, SocketError};
use crate::kafka_security::{self, KafkaSecurityError};
use crate::publisher::Unpublished;
use listeners::Listeners;

pub use damage::LogDamage;

pub use crate::topics::{EVENTS_TOPIC, NODES_TOPIC};

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
    /// A TCP port cannot be opened.
    #[error("config key `{key}` = {address} (TCP): {source}; is another gateway running? choose a free port")]
    Tcp {
        /// The key.
        key: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file that secures the Kafka port.
    #[error(transparent)]
    KafkaSecurity(#[from] KafkaSecurityError),
    /// A file in the data directory.
    #[error("config key `data-dir`: {0}")]
    DataDir(#[from] DataDirError),
    /// The event log.
    #[error("event log: {0}")]
    Log(#[from] LogError),
    /// A sink.
    #[error(transparent)]
    Sink(#[from] crate::sinks::SinkError),
    /// The committed offsets of Kafka consumers.
    #[error("committed offsets of consumer groups: {0}")]
    Offsets(#[from] OffsetStoreError),
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
    let security = kafka_security::load(&config.kafka)?;
    data_dir::create(&config.data_dir)?;
    let listeners = Listeners::bind(config)?;
    let control = control::serve(config, Reception { kind, reason }, listeners, security);
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

/// How heartbeats are received, and why so.
#[derive(Clone, Debug)]
struct Reception {
    kind: ReceiverKind,
    reason: String,
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
