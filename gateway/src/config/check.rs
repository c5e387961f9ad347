//! From what was written to what is right: ranges first, then the rules that join two keys.

mod stream;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use pulsegate_engine::detector::{Profile, Profiles};

use super::kafka::{self, OpenKafka};
use super::limits::{self, defaults};
use super::profiles::{self, DefaultProfile, ProfileError};
use super::raw::{RawConfig, RawDetector, RawKafka, RawListen, RawRestart, RawShards};
use super::{Config, Detector, Listen, Probe, Restart, Shards};

/// What is wrong with the configuration. Every message names the key, its value, the bound and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("config {}: cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of another type.
    #[error("config {}: {source}", path.display())]
    NotToml {
        /// Which file.
        path: PathBuf,
        /// Line, column, key and the keys that exist.
        source: Box<toml::de::Error>,
    },
    /// A number outside its range.
    #[error("config key `{key}` = {value}: must be {minimum} to {maximum}")]
    OutOfRange {
        /// Full name of the key.
        key: &'static str,
        /// What was given.
        value: u64,
        /// Smallest allowed value.
        minimum: u64,
        /// Largest allowed value.
        maximum: u64,
    },
    /// Two keys contradict each other.
    #[error("config key `{key}` = {value}: must be {relation} `{other_key}` = {other_value}; {remedy}")]
    Contradiction {
        /// The key to change.
        key: &'static str,
        /// Its value.
        value: u64,
        /// "above", "at most", …
        relation: &'static str,
        /// The other key.
        other_key: &'static str,
        /// Its value.
        other_value: u64,
        /// What to do.
        remedy: String,
    },
    /// Threads cannot be bound to cores that do not exist.
    #[error(
        "config key `shards.count` = {count}: with `shards.pin = true` at most {cores}, the cores of this machine; lower \
         the count or do not pin"
    )]
    PinWithoutCores {
        /// What was given.
        count: u64,
        /// Cores of the machine.
        cores: u64,
    },
    /// An address other than loopback without a word that it is meant.
    #[error(
        "config key `{key}` = {address}: anybody who reaches this address could speak for any node, because frames are \
         not authenticated; use a loopback address, or set `listen.allow-unauthenticated-network = true` if the \
         network is yours"
    )]
    OpenNetwork {
        /// The key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The Kafka port is reachable and not secured for that.
    #[error(transparent)]
    OpenKafka(#[from] OpenKafka),
    /// Kafka clients could not find the gateway.
    #[error(
        "config key `listen.kafka-advertised` = {value:?}: Kafka clients connect to what it says, so it must be \
         `host:port` with a name or address that they can reach; it can be left out if `listen.kafka` is one address \
         and not all of them"
    )]
    BadAdvertised {
        /// What was given; empty if nothing.
        value: String,
    },
    /// A profile, or a rule that gives one.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A key of a sink.
    #[error("config key `{key}` = {value}: must be {bound}")]
    BadSink {
        /// Full name of the key.
        key: String,
        /// What was given, unless it may be secret.
        value: String,
        /// What is allowed.
        bound: String,
    },
    /// The gateway's name would not fit an event.
    #[error("config key `name` = {value:?}: {minimum} to {maximum} characters out of a-z A-Z 0-9 . _ -")]
    BadName {
        /// What was given.
        value: String,
        /// Fewest characters.
        minimum: u64,
        /// Most characters.
        maximum: u64,
    },
}

/// Checks everything.
pub(super) fn check(raw: RawConfig) -> Result<Config, ConfigError> {
    let detector = check_detector(&raw.detector)?;
    let profiles = check_profiles(&raw, &detector)?;
    let nodes_max =
        ranged("registry.nodes-max", raw.registry.nodes_max, defaults::NODES_MAX, limits::NODES_MAX)?;
    let publication = super::publication::check(&raw.guard, &raw.correlation, &raw.damping)?;
    Ok(Config {
        publication,
        name: check_name(raw.name)?,
        data_dir: raw.data_dir.unwrap_or_else(|| PathBuf::from(defaults::DATA_DIR)),
        listen: check_listen(&raw.listen, &raw.kafka)?,
        shards: check_shards(&raw.shards)?,
        detector,
        profiles,
        probe: Probe { ping: raw.probe.ping.unwrap_or(true), reach: raw.probe.reach },
        nodes_max: small(nodes_max),
        stream: stream::check(&raw.stream)?,
        kafka: kafka::settings(&raw.kafka),
        sinks: super::sinks::check(raw.sinks)?,
        restart: check_restart(&raw.restart)?,
    })
}

fn check_restart(raw: &RawRestart) -> Result<Restart, ConfigError> {
    let interval_s = ranged(
        "restart.snapshot-interval-s",
        raw.snapshot_interval_s,
        defaults::SNAPSHOT_INTERVAL_S,
        limits::SNAPSHOT_INTERVAL_S,
    )?;
    let smear_ms = ranged("restart.smear-ms", raw.smear_ms, defaults::SMEAR_MS, limits::SMEAR_MS)?;
    Ok(Restart { snapshot_interval: Duration::from_secs(interval_s), smear: Duration::from_millis(smear_ms) })
}

fn check_name(name: Option<String>) -> Result<String, ConfigError> {
    let name = name.unwrap_or_else(|| "gateway-1".to_owned());
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if limits::NAME_BYTES.contains(&(name.len() as u64)) && name.bytes().all(legal) {
        return Ok(name);
    }
    Err(ConfigError::BadName {
        value: name,
        minimum: *limits::NAME_BYTES.start(),
        maximum: *limits::NAME_BYTES.end(),
    })
}

fn check_listen(raw: &RawListen, raw_kafka: &RawKafka) -> Result<Listen, ConfigError> {
    let heartbeats = raw.heartbeats.unwrap_or_else(|| address(defaults::HEARTBEATS));
    let admin = raw.admin.unwrap_or_else(|| address(defaults::ADMIN));
    let kafka = raw.kafka.unwrap_or_else(|| address(defaults::KAFKA));
    for (key, address) in [("listen.heartbeats", heartbeats), ("listen.admin", admin)] {
        if !address.ip().is_loopback() && !raw.allow_unauthenticated_network {
            return Err(ConfigError::OpenNetwork { key, address });
        }
    }
    kafka::check_reach(kafka, raw_kafka)?;
    let kafka_advertised = raw.kafka_advertised.as_deref().map(check_advertised).transpose()?;
    if kafka.ip().is_unspecified() && kafka_advertised.is_none() {
        return Err(ConfigError::BadAdvertised { value: String::new() });
    }
    Ok(Listen { heartbeats, admin, kafka, kafka_advertised })
}

fn check_advertised(value: &str) -> Result<(String, u16), ConfigError> {
    let bad = || ConfigError::BadAdvertised { value: value.to_owned() };
    let (host, port) = value.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
    // An IPv6 address stands in brackets here and without them on the wire.
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| bad())?;
        return Ok((address.to_string(), port));
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if !limits::HOST_BYTES.contains(&(host.len() as u64)) || !host.bytes().all(is_legal) {
        return Err(bad());
    }
    Ok((host.to_owned(), port))
}

fn check_shards(raw: &RawShards) -> Result<Shards, ConfigError> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let default_count = cores.min(*limits::SHARDS.end());
    let count = ranged("shards.count", raw.count, default_count, limits::SHARDS)?;
    if raw.pin && count > cores {
        return Err(ConfigError::PinWithoutCores { count, cores });
    }
    let receive_buffer_bytes = ranged(
        "shards.receive-buffer-bytes",
        raw.receive_buffer_bytes,
        defaults::RECEIVE_BUFFER_BYTES,
        limits::RECEIVE_BUFFER_BYTES,
    )?;
    let batch_wait_us =
        ranged("shards.batch-wait-us", raw.batch_wait_us, defaults::BATCH_WAIT_US, limits::BATCH_WAIT_US)?;
    Ok(Shards {
        count: small(count) as usize,
        pin: raw.pin,
        io: raw.io,
        receive_buffer_bytes: small(receive_buffer_bytes) as usize,
        batch_wait: Duration::from_micros(batch_wait_us),
    })
}

fn check_detector(raw: &RawDetector) -> Result<Detector, ConfigError> {
    let interval = |key, value, default| ranged(key, value, default, limits::INTERVAL_MS);
    let after = |key, value, default| ranged(key, value, default, limits::AFTER_INTERVALS);
    let tick_ms = ranged("detector.tick-ms", raw.tick_ms, defaults::TICK_MS, limits::TICK_MS)?;
    let interval_ms = interval("detector.interval-ms", raw.interval_ms, defaults::INTERVAL_MS)?;
    // A default bound gives way to an interval that was asked for; a bound that was asked for does not.
    let minimum = interval(
        "detector.interval-ms-min",
        raw.interval_ms_min,
        defaults::INTERVAL_MS_MIN.min(interval_ms),
    )?;
    let maximum = interval(
        "detector.interval-ms-max",
        raw.interval_ms_max,
        defaults::INTERVAL_MS_MAX.max(interval_ms),
    )?;
    let suspect = after(
        "detector.suspect-after-intervals",
        raw.suspect_after_intervals,
        defaults::SUSPECT_AFTER_INTERVALS,
    )?;
    let failed = after(
        "detector.failed-after-intervals",
        raw.failed_after_intervals,
        defaults::FAILED_AFTER_INTERVALS,
    )?;
    let forget_after_s = ranged(
        "detector.forget-after-s",
        raw.forget_after_s,
        defaults::FORGET_AFTER_S,
        limits::FORGET_AFTER_S,
    )?;
    let stalled_after_s = ranged(
        "detector.stalled-after-s",
        raw.stalled_after_s,
        defaults::STALLED_AFTER_S,
        limits::STALLED_AFTER_S,
    )?;
    check_interval_bounds(interval_ms, minimum, maximum)?;
    check_tick(tick_ms, minimum)?;
    check_timeouts(suspect, failed, maximum, forget_after_s)?;
    Ok(Detector {
        tick: Duration::from_millis(tick_ms),
        interval_ms: small(interval_ms),
        interval_ms_min: small(minimum),
        interval_ms_max: small(maximum),
        suspect_after_intervals: small(suspect),
        failed_after_intervals: small(failed),
        forget_after: Duration::from_secs(forget_after_s),
        stalled_after: Duration::from_secs(stalled_after_s),
    })
}

fn check_profiles(raw: &RawConfig, detector: &Detector) -> Result<Profiles, ConfigError> {
    let default = DefaultProfile {
        name: raw.detector.profile.as_deref().unwrap_or(Profile::DEFAULT_NAME),
        suspect_after_intervals: detector.suspect_after_intervals,
        failed_after_intervals: detector.failed_after_intervals,
    };
    Ok(profiles::check(&raw.profiles, &raw.profile_rules, default)?)
}

fn check_interval_bounds(interval_ms: u64, minimum: u64, maximum: u64) -> Result<(), ConfigError> {
    let bounds = [
        (minimum <= interval_ms, "at least", "detector.interval-ms-min", minimum),
        (interval_ms <= maximum, "at most", "detector.interval-ms-max", maximum),
    ];
    for (holds, relation, other_key, other_value) in bounds {
        if !holds {
            return Err(ConfigError::Contradiction {
                key: "detector.interval-ms",
                value: interval_ms,
                relation,
                other_key,
                other_value,
                remedy: "change one of the two".to_owned(),
            });
        }
    }
    Ok(())
}

/// The tick rounds every deadline up, so it must be a small part of the shortest interval.
fn check_tick(tick_ms: u64, interval_ms_min: u64) -> Result<(), ConfigError> {
    let maximum = interval_ms_min / limits::TICKS_PER_INTERVAL_MIN;
    if tick_ms <= maximum {
        return Ok(());
    }
    Err(ConfigError::Contradiction {
        key: "detector.tick-ms",
        value: tick_ms,
        relation: "at most a fifth of",
        other_key: "detector.interval-ms-min",
        other_value: interval_ms_min,
        remedy: format!("use a tick of {maximum} ms or less, or a longer interval"),
    })
}

fn check_timeouts(suspect: u64, failed: u64, interval_ms_max: u64, forget_s: u64) -> Result<(), ConfigError> {
    if suspect >= failed {
        return Err(ConfigError::Contradiction {
            key: "detector.suspect-after-intervals",
            value: suspect,
            relation: "below",
            other_key: "detector.failed-after-intervals",
            other_value: failed,
            remedy: "a node is suspect before it has failed: lower the first or raise the second".to_owned(),
        });
    }
    let timeout_ms = failed * interval_ms_max;
    if timeout_ms > limits::FAILED_TIMEOUT_MS_MAX {
        return Err(ConfigError::Contradiction {
            key: "detector.failed-after-intervals",
            value: failed,
            relation: "such that a node fails within a day at",
            other_key: "detector.interval-ms-max",
            other_value: interval_ms_max,
            remedy: "lower one of the two".to_owned(),
        });
    }
    if forget_s * 1_000 > timeout_ms {
        return Ok(());
    }
    Err(ConfigError::Contradiction {
        key: "detector.forget-after-s",
        value: forget_s,
        relation: "longer than the longest failed timeout, intervals times",
        other_key: "detector.interval-ms-max",
        other_value: interval_ms_max,
        remedy: format!(
            "use more than {} s: a node must fail before it is forgotten",
            timeout_ms.div_ceil(1_000)
        ),
    })
}

/// A value whose range was checked and ends below 2^32.
fn small(value: u64) -> u32 {
    u32::try_from(value).expect("the ranges in limits.rs end below 2^32")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("the defaults in limits.rs are addresses")
}

pub(super) fn ranged(
    key: &'static str,
    value: Option<u64>,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::OutOfRange { key, value, minimum: *range.start(), maximum: *range.end() })
}
