//! `[sinks.kafka.<name>]` and `[sinks.webhook.<name>]`: where events are sent beside the gateway's own log.
//!
//! Sinks of both kinds share one name space, because a name is a label of metrics and the name of a cursor's file. What
//! may be secret (properties of the Kafka client, headers, credentials) is never part of a `Debug` text.

mod check;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pulsegate_codec::event::EventType;

pub(super) use check::check;
pub use raw::{RawSinks, WebhookMode};

/// All sinks.
#[derive(Clone, Debug, Default)]
pub struct Sinks {
    /// `[sinks.kafka.<name>]`
    pub kafka: Vec<KafkaSink>,
    /// `[sinks.webhook.<name>]`
    pub webhook: Vec<WebhookSink>,
}

/// Where a sink without a cursor begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    /// With the oldest event that the log has.
    #[default]
    Beginning,
    /// With the first event after its first start.
    End,
}

/// A Kafka cluster.
#[derive(Clone, Debug)]
pub struct KafkaSink {
    /// Name of the sink.
    pub name: String,
    /// `host:port`, comma separated.
    pub bootstrap_servers: String,
    /// Our topic and theirs.
    pub topics: Vec<(String, String)>,
    /// Where it begins.
    pub from: Begin,
    /// Most records that are sent and not acknowledged.
    pub in_flight_max: usize,
    /// How long a record waits for others to share a request with.
    pub linger: Duration,
    /// How long delivery may go on at a stop.
    pub stop_wait: Duration,
    /// Further properties of librdkafka.
    pub properties: Secret<BTreeMap<String, String>>,
    /// Properties whose values stand in files.
    pub property_files: BTreeMap<String, PathBuf>,
}

/// An HTTP endpoint.
#[derive(Clone, Debug)]
pub struct WebhookSink {
    /// Name of the sink.
    pub name: String,
    /// `http://` or `https://`.
    pub url: String,
    /// Where it begins.
    pub from: Begin,
    /// Only these types; empty: all.
    pub types: Vec<EventType>,
    /// How an event looks in a request.
    pub mode: WebhookMode,
    /// Most events of a request; more than 1 only in batch mode.
    pub batch_events_max: usize,
    /// Threads, each with some of the partitions.
    pub workers: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// First wait before a request is repeated.
    pub retry_min: Duration,
    /// Longest wait.
    pub retry_max: Duration,
    /// Tries after which an event becomes a dead letter; `None`: never.
    pub attempts_max: Option<u64>,
    /// Where the value of the header `Authorization` comes from.
    pub authorization: Authorization,
    /// Further headers.
    pub headers: Secret<BTreeMap<String, String>>,
    /// Certificates (PEM) that may sign the endpoint's, instead of the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// Most bytes of the dead-letter file.
    pub dead_letter_bytes_max: u64,
    /// How long delivery may go on at a stop.
    pub stop_wait: Duration,
}

/// Where the value of the header `Authorization` comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Authorization {
    /// No such header.
    #[default]
    None,
    /// A file, read again whenever the endpoint says 401.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
}

/// Something whose `Debug` does not show it.
#[derive(Clone, Default)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(not shown)")
    }
}
