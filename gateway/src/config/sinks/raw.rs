//! The tables of the sinks as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::Begin;

/// `[sinks]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawSinks {
    /// `[sinks.kafka.<name>]`
    pub kafka: BTreeMap<String, RawKafkaSink>,
    /// `[sinks.webhook.<name>]`
    pub webhook: BTreeMap<String, RawWebhookSink>,
}

/// `[sinks.kafka.<name>]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawKafkaSink {
    /// `bootstrap-servers`
    pub bootstrap_servers: String,
    /// `events-topic`
    pub events_topic: Option<String>,
    /// `nodes-topic`
    pub nodes_topic: Option<String>,
    /// `from`
    pub from: Begin,
    /// `in-flight-max`
    pub in_flight_max: Option<u64>,
    /// `linger-ms`
    pub linger_ms: Option<u64>,
    /// `stop-wait-ms`
    pub stop_wait_ms: Option<u64>,
    /// `properties`
    pub properties: BTreeMap<String, RawProperty>,
    /// `property-files`
    pub property_files: BTreeMap<String, PathBuf>,
}

/// The value of a property: text, a number, or a truth.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum RawProperty {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// true or false.
    Truth(bool),
}

impl std::fmt::Debug for RawProperty {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(not shown)")
    }
}

impl std::fmt::Display for RawProperty {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Number(number) => number.fmt(formatter),
            Self::Truth(truth) => truth.fmt(formatter),
        }
    }
}

/// `[sinks.webhook.<name>]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawWebhookSink {
    /// `url`
    pub url: String,
    /// `from`
    pub from: Begin,
    /// `types`
    pub types: Vec<String>,
    /// `mode`
    pub mode: WebhookMode,
    /// `batch-events-max`
    pub batch_events_max: Option<u64>,
    /// `workers`
    pub workers: Option<u64>,
    /// `timeout-ms`
    pub timeout_ms: Option<u64>,
    /// `retry-ms-min`
    pub retry_ms_min: Option<u64>,
    /// `retry-ms-max`
    pub retry_ms_max: Option<u64>,
    /// `attempts-max`: 0 means without end.
    pub attempts_max: Option<u64>,
    /// `authorization-file`
    pub authorization_file: Option<PathBuf>,
    /// `authorization-env`
    pub authorization_env: Option<String>,
    /// `headers`
    pub headers: BTreeMap<String, RawProperty>,
    /// `ca-file`
    pub ca_file: Option<PathBuf>,
    /// `dead-letter-bytes-max`
    pub dead_letter_bytes_max: Option<u64>,
    /// `stop-wait-ms`
    pub stop_wait_ms: Option<u64>,
}

/// How events look in a request, in the words of the HTTP binding of CloudEvents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookMode {
    /// One event: attributes as headers, the event's value as the body.
    #[default]
    Binary,
    /// One event as a JSON object, `application/cloudevents+json`.
    Structured,
    /// Several events as a JSON array, `application/cloudevents-batch+json`.
    Batch,
}
