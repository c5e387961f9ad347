//! The file as it is written: TOML, kebab-case keys, units in the names, every key optional, none unknown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use super::profiles::{RawProfile, RawRule};
use super::publication::{RawCorrelation, RawDamping, RawGuard};
use super::sinks::RawSinks;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawConfig {
    /// `name`
    pub name: Option<String>,
    /// `data-dir`
    pub data_dir: Option<PathBuf>,
    /// `[listen]`
    pub listen: RawListen,
    /// `[shards]`
    pub shards: RawShards,
    /// `[detector]`
    pub detector: RawDetector,
    /// `[probe]`
    pub probe: RawProbe,
    /// `[profiles.<name>]`
    pub profiles: BTreeMap<String, RawProfile>,
    /// `[[profile-rules]]`
    pub profile_rules: Vec<RawRule>,
    /// `[registry]`
    pub registry: RawRegistry,
    /// `[stream]`
    pub stream: RawStream,
    /// `[sinks]`
    pub sinks: RawSinks,
    /// `[kafka]`
    pub kafka: RawKafka,
    /// `[guard]`
    pub guard: RawGuard,
    /// `[correlation]`
    pub correlation: RawCorrelation,
    /// `[damping]`
    pub damping: RawDamping,
    /// `[restart]`
    pub restart: RawRestart,
}

/// `[restart]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawRestart {
    /// `snapshot-interval-s`
    pub snapshot_interval_s: Option<u64>,
    /// `smear-ms`
    pub smear_ms: Option<u64>,
}

/// `[kafka]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawKafka {
    /// `allow-unauthenticated-network`: whoever reaches the port may read all events.
    pub allow_unauthenticated_network: bool,
    /// `[kafka.tls]`
    pub tls: Option<RawTls>,
    /// `[kafka.sasl]`
    pub sasl: Option<RawSasl>,
}

/// `[kafka.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTls {
    /// `certificates`
    pub certificates: PathBuf,
    /// `key`
    pub key: PathBuf,
    /// `client-authority`
    pub client_authority: Option<PathBuf>,
}

/// `[kafka.sasl]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSasl {
    /// `users`
    pub users: PathBuf,
    /// `allow-passwords-in-clear`: PLAIN without TLS on a network.
    #[serde(default)]
    pub allow_passwords_in_clear: bool,
}

/// `[listen]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawListen {
    /// `heartbeats`
    pub heartbeats: Option<SocketAddr>,
    /// `admin`
    pub admin: Option<SocketAddr>,
    /// `kafka`
    pub kafka: Option<SocketAddr>,
    /// `kafka-advertised`: `host:port`
    pub kafka_advertised: Option<String>,
    /// `allow-unauthenticated-network`: heartbeats and the admin port know no key yet, so anything but loopback must be
    /// asked for.
    pub allow_unauthenticated_network: bool,
}

/// `[shards]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawShards {
    /// `count`
    pub count: Option<u64>,
    /// `pin`
    pub pin: bool,
    /// `io`
    pub io: IoChoice,
    /// `receive-buffer-bytes`
    pub receive_buffer_bytes: Option<u64>,
    /// `batch-wait-us`
    pub batch_wait_us: Option<u64>,
}

/// Which receiver to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IoChoice {
    /// `io_uring` where the kernel allows it, else `recvmmsg`, with a warning.
    #[default]
    Auto,
    /// `io_uring` or nothing.
    IoUring,
    /// `recvmmsg`.
    Recvmmsg,
}

/// `[detector]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawDetector {
    /// `tick-ms`
    pub tick_ms: Option<u64>,
    /// `interval-ms`
    pub interval_ms: Option<u64>,
    /// `interval-ms-min`
    pub interval_ms_min: Option<u64>,
    /// `interval-ms-max`
    pub interval_ms_max: Option<u64>,
    /// `profile`
    pub profile: Option<String>,
    /// `suspect-after-intervals`
    pub suspect_after_intervals: Option<u64>,
    /// `failed-after-intervals`
    pub failed_after_intervals: Option<u64>,
    /// `forget-after-s`
    pub forget_after_s: Option<u64>,
    /// `stalled-after-s`
    pub stalled_after_s: Option<u64>,
}

/// `[probe]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawProbe {
    /// `ping`
    pub ping: Option<bool>,
    /// `reach`
    pub reach: ProbeReach,
}

/// Which targets of probes that descriptors name are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeReach {
    /// None.
    Off,
    /// Those on the address that the descriptor came from.
    #[default]
    SameHost,
    /// All: for networks where nobody can forge a descriptor.
    Any,
}

/// `[registry]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawRegistry {
    /// `nodes-max`
    pub nodes_max: Option<u64>,
}

/// The form of the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawValues {
    /// One JSON object each.
    #[default]
    Json,
    /// `pulsegate.v1.Event`.
    Protobuf,
}

/// `[stream]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawStream {
    /// `partitions`
    pub partitions: Option<u64>,
    /// `segment-bytes`
    pub segment_bytes: Option<u64>,
    /// `retention-bytes`
    pub retention_bytes: Option<u64>,
    /// `retention-hours`
    pub retention_hours: Option<u64>,
    /// `fsync`
    pub fsync: FsyncPolicy,
    /// `values`
    pub values: RawValues,
    /// `on-damage`
    pub on_damage: DamagePolicy,
}

/// What a start does about damage in the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DamagePolicy {
    /// It refuses, and a person decides.
    #[default]
    Refuse,
    /// It sets aside what is damaged, says so, and serves the rest.
    Quarantine,
}

/// When events are forced to disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsyncPolicy {
    /// After every group commit.
    #[default]
    Always,
    /// Every so many milliseconds.
    IntervalMs(NonZeroU32),
    /// When the kernel likes.
    Never,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<RawConfig, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
    parse(&text, path)
}

/// Parses a text; `path` is for the message.
pub(super) fn parse(text: &str, path: &Path) -> Result<RawConfig, ConfigError> {
    toml::from_str(text)
        .map_err(|source| ConfigError::NotToml { path: path.to_path_buf(), source: Box::new(source) })
}
