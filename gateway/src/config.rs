//! Configuration that cannot be wrong: read once, checked whole, refused with the key, the value and the bound.
//!
//! A file is parsed into [`raw::RawConfig`], where every key is optional and no key is unknown; [`Config`] is what
//! remains after all checks, with defaults filled in and units in the types. `pulsegate serve` prints the effective
//! configuration once at start.
//!
//! It is never reloaded while the gateway runs: a restart is the one way to change it.

mod check;
mod kafka;
pub mod limits;
pub mod profiles;
mod publication;
pub mod raw;
pub mod sinks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pulsegate_engine::publication::PublicationConfig;

pub use check::ConfigError;
use pulsegate_codec::event::ValueFormat;
use pulsegate_engine::detector::Profiles;
pub use raw::{DamagePolicy, FsyncPolicy, IoChoice, ProbeReach};

/// The whole configuration, every rule checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this gateway in events and metrics.
    pub name: String,
    /// Where the event log, the epoch and the endpoints file live.
    pub data_dir: PathBuf,
    /// Sockets.
    pub listen: Listen,
    /// Receiving threads.
    pub shards: Shards,
    /// Who is alive.
    pub detector: Detector,
    /// How nodes are judged, and which of them how.
    pub profiles: Profiles,
    /// The second opinion on silent nodes.
    pub probe: Probe,
    /// Most nodes the gateway can know, all shards together.
    pub nodes_max: u32,
    /// The event log.
    pub stream: Stream,
    /// Where events are sent beside the log.
    pub sinks: sinks::Sinks,
    /// What secures the Kafka port.
    pub kafka: Kafka,
    /// What of the verdicts is published, and when.
    pub publication: PublicationConfig,
    /// What is kept for the next start.
    pub restart: Restart,
}

/// What is kept for the next start, and how it is taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart {
    /// Time between two snapshots, at least.
    pub snapshot_interval: Duration,
    /// Nodes that are silent at a start are spread over this time.
    pub smear: Duration,
}

/// What secures the Kafka port. The files are read by `kafka_security.rs`.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// Encrypts it.
    pub tls: Option<KafkaTls>,
    /// File of `name:password` lines; whoever connects must log in as one of them.
    pub users: Option<PathBuf>,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct KafkaTls {
    /// The gateway's own certificate, then those that signed it.
    pub certificates: PathBuf,
    /// The key of the first.
    pub key: PathBuf,
    /// Who must have signed a client's certificate; without it clients need none.
    pub client_authority: Option<PathBuf>,
}

/// Where the gateway can be reached.
#[derive(Clone, Debug)]
pub struct Listen {
    /// UDP address for heartbeats; port 0 takes a free one.
    pub heartbeats: SocketAddr,
    /// TCP address for metrics, status and the page; port 0 takes a free one.
    pub admin: SocketAddr,
    /// TCP address for Kafka clients; port 0 takes a free one.
    pub kafka: SocketAddr,
    /// Host and port that Kafka clients are told to connect to, if not `kafka`.
    pub kafka_advertised: Option<(String, u16)>,
}

/// How heartbeats are received.
#[derive(Clone, Debug)]
pub struct Shards {
    /// Threads that receive, each with its own socket, engine and wheel.
    pub count: usize,
    /// Whether shard `i` is bound to core `i`.
    pub pin: bool,
    /// Which receiver.
    pub io: IoChoice,
    /// Kernel memory for datagrams that wait, in bytes, a shard.
    pub receive_buffer_bytes: usize,
    /// How long a loaded receiver waits for a fuller batch before it takes what is there.
    pub batch_wait: Duration,
}

/// Whether a silent node is asked before it is called failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// By UDP, at its last address.
    pub ping: bool,
    /// By what its descriptor names, and where that may be.
    pub reach: ProbeReach,
}

/// When a silent node is suspect, failed, forgotten.
#[derive(Clone, Debug)]
pub struct Detector {
    /// Resolution of the timing wheel.
    pub tick: Duration,
    /// Interval of nodes that do not tell theirs.
    pub interval_ms: u32,
    /// Shortest interval that a node may ask for.
    pub interval_ms_min: u32,
    /// Longest interval that a node may ask for.
    pub interval_ms_max: u32,
    /// Intervals of silence until suspect.
    pub suspect_after_intervals: u32,
    /// Intervals of silence until failed.
    pub failed_after_intervals: u32,
    /// Silence after which a failed or departed node is forgotten.
    pub forget_after: Duration,
    /// Time without progress after which a node with work pending is stalled; zero: never.
    pub stalled_after: Duration,
}

/// How events are written.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Partitions of the topic `pulsegate.events`.
    pub partitions: u32,
    /// Size at which a segment file is closed and the next begun.
    pub segment_bytes: u64,
    /// Bytes kept a partition; the oldest segments go first. 0 keeps everything.
    pub retention_bytes: u64,
    /// Age beyond which segments go, by the time of their youngest event. Zero keeps everything.
    pub retention: Duration,
    /// When events are forced to disk.
    pub fsync: FsyncPolicy,
    /// The form of the events.
    pub values: ValueFormat,
    /// What a start does about damage in the logs.
    pub on_damage: DamagePolicy,
}

impl Config {
    /// Reads and checks a file; without one, the defaults.
    ///
    /// # Errors
    /// The first thing that is wrong, by key. Nothing has been opened or created then.
    pub fn load(path: Option<&Path>, data_dir: Option<PathBuf>) -> Result<Self, ConfigError> {
        let mut raw = match path {
            Some(path) => raw::read(path)?,
            None => raw::RawConfig::default(),
        };
        if data_dir.is_some() {
            raw.data_dir = data_dir;
        }
        check::check(raw)
    }

    /// Checks a configuration given as text.
    ///
    /// # Errors
    /// The first thing that is wrong, by key.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        check::check(raw::parse(text, Path::new("<text>"))?)
    }

    /// Nodes that one shard must have room for: an even share and a quarter more, because lanes are spread by hash
    /// and never quite evenly.
    #[must_use]
    pub fn nodes_max_per_shard(&self) -> u32 {
        let share = self.nodes_max.div_ceil(u32::try_from(self.shards.count).unwrap_or(u32::MAX));
        if self.shards.count == 1 { share } else { share.saturating_add(share / 4).saturating_add(64) }
    }
}

#[cfg(test)]
mod tests;
