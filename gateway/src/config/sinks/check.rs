//! What makes a sink's table right.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use pulsegate_codec::event::EventType;

use super::raw::{RawKafkaSink, RawProperty, RawSinks, RawWebhookSink, WebhookMode};
use super::{Authorization, KafkaSink, Secret, Sinks, WebhookSink};
use crate::config::ConfigError;
use crate::config::limits::{self, sinks as bounds};
use crate::topics::{EVENTS_TOPIC, NODES_TOPIC};

/// Properties that the sink sets itself, and why they cannot be set here.
const REFUSED_PROPERTIES: [(&str, &str); 20] = [
    ("acks", ACKS),
    ("request.required.acks", ACKS),
    ("bootstrap.servers", "use `bootstrap-servers`"),
    ("metadata.broker.list", "use `bootstrap-servers`"),
    ("delivery.report.only.error", "the cursor moves by delivery reports"),
    ("delivery.timeout.ms", TIMEOUT),
    ("message.timeout.ms", TIMEOUT),
    ("enable.gapless.guarantee", "the sink relies on it being true"),
    ("enable.idempotence", "without it a lost acknowledgement makes duplicates and disorder"),
    ("linger.ms", "use `linger-ms`"),
    ("queue.buffering.max.ms", "use `linger-ms`"),
    ("message.send.max.retries", RETRIES),
    ("retries", RETRIES),
    ("partitioner", PARTITIONER),
    ("sticky.partitioning.linger.ms", PARTITIONER),
    ("queue.buffering.max.messages", "use `in-flight-max`"),
    ("max.in.flight", IN_FLIGHT),
    ("max.in.flight.requests.per.connection", IN_FLIGHT),
    ("transactional.id", "the sink does not use transactions"),
    ("test.mock.num.brokers", "it would replace the brokers"),
];
const ACKS: &str = "an event counts as delivered when all replicas have it";
const TIMEOUT: &str = "an outage costs time, never events: delivery is tried without end";
const RETRIES: &str = "delivery is tried without end";
const PARTITIONER: &str = "events of a node stay in one partition by Kafka's own hash of the key";
const IN_FLIGHT: &str = "order is kept with the five requests that an idempotent producer may have under way";

/// Checks every sink.
pub(crate) fn check(raw: RawSinks) -> Result<Sinks, ConfigError> {
    let mut sinks = Sinks::default();
    if let Some(name) = raw.kafka.keys().find(|name| raw.webhook.contains_key(*name)) {
        let bound =
            format!("a name of its own: `sinks.webhook.{name}` is there too, and both would share a cursor");
        return Err(bad(format!("sinks.kafka.{name}"), name, bound));
    }
    for (name, table) in raw.kafka {
        sinks.kafka.push(check_kafka(name, table)?);
    }
    for (name, table) in raw.webhook {
        sinks.webhook.push(check_webhook(name, table)?);
    }
    Ok(sinks)
}

fn bad(key: String, value: &str, bound: impl Into<String>) -> ConfigError {
    ConfigError::BadSink { key, value: value.to_owned(), bound: bound.into() }
}

/// The keys of one table.
struct Table {
    prefix: String,
}

impl Table {
    fn open(kind: &str, name: &str) -> Result<Self, ConfigError> {
        let prefix = format!("sinks.{kind}.{name}");
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if limits::NAME_BYTES.contains(&(name.len() as u64)) && name.bytes().all(legal) {
            return Ok(Self { prefix });
        }
        Err(bad(prefix, name, "named with 1 to 64 characters out of a-z A-Z 0-9 _ -"))
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn ranged(
        &self,
        key: &str,
        value: Option<u64>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let value = value.unwrap_or(default);
        if range.contains(&value) {
            return Ok(value);
        }
        let bound = format!("{} to {}", range.start(), range.end());
        Err(bad(self.key(key), &value.to_string(), bound))
    }

    fn milliseconds(
        &self,
        key: &str,
        value: Option<u64>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.ranged(key, value, default, range).map(Duration::from_millis)
    }

    fn topic(&self, key: &str, topic: String) -> Result<String, ConfigError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if bounds::TOPIC_BYTES.contains(&(topic.len() as u64)) && topic.bytes().all(legal) {
            return Ok(topic);
        }
        Err(bad(self.key(key), &topic, "a topic name: 1 to 249 characters out of a-z A-Z 0-9 . _ -"))
    }
}

fn check_kafka(name: String, raw: RawKafkaSink) -> Result<KafkaSink, ConfigError> {
    let table = Table::open("kafka", &name)?;
    if !cfg!(feature = "kafka-client") {
        return Err(bad(
            table.prefix,
            &name,
            "left out: this build has no Kafka client (feature `kafka-client`)",
        ));
    }
    let servers = raw.bootstrap_servers.trim();
    let is_server = |server: &str| {
        let port = server.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty());
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0))
    };
    if !servers.split(',').all(is_server) {
        return Err(bad(
            table.key("bootstrap-servers"),
            servers,
            "`host:port`, several of them separated by commas",
        ));
    }
    let mut topics = Vec::new();
    let events = raw.events_topic.unwrap_or_else(|| EVENTS_TOPIC.to_owned());
    topics.push((EVENTS_TOPIC.to_owned(), table.topic("events-topic", events)?));
    if let Some(nodes) = raw.nodes_topic {
        topics.push((NODES_TOPIC.to_owned(), table.topic("nodes-topic", nodes)?));
    }
    let properties = texts(raw.properties);
    let all = properties.iter().map(|(key, value)| (key, value.as_str(), "properties"));
    let all = all.chain(raw.property_files.keys().map(|key| (key, "(in a file)", "property-files")));
    for (property, value, of) in all {
        if let Some((_, reason)) = REFUSED_PROPERTIES.iter().find(|(refused, _)| refused == property) {
            return Err(bad(
                table.key(&format!("{of}.\"{property}\"")),
                value,
                format!("left out: {reason}"),
            ));
        }
    }
    let in_flight = table.ranged(
        "in-flight-max",
        raw.in_flight_max,
        bounds::IN_FLIGHT_MAX_DEFAULT,
        bounds::IN_FLIGHT_MAX,
    )?;
    Ok(KafkaSink {
        bootstrap_servers: servers.to_owned(),
        topics,
        from: raw.from,
        in_flight_max: usize::try_from(in_flight).expect("the range ends below 2^32"),
        linger: table.milliseconds(
            "linger-ms",
            raw.linger_ms,
            bounds::LINGER_MS_DEFAULT,
            bounds::LINGER_MS,
        )?,
        stop_wait: stop_wait(&table, raw.stop_wait_ms)?,
        properties: Secret(properties),
        property_files: raw.property_files,
        name,
    })
}

fn texts(properties: BTreeMap<String, RawProperty>) -> BTreeMap<String, String> {
    properties.into_iter().map(|(key, value)| (key, value.to_string())).collect()
}

fn stop_wait(table: &Table, value: Option<u64>) -> Result<Duration, ConfigError> {
    table.milliseconds("stop-wait-ms", value, bounds::STOP_WAIT_MS_DEFAULT, bounds::STOP_WAIT_MS)
}

fn check_webhook(name: String, raw: RawWebhookSink) -> Result<WebhookSink, ConfigError> {
    let table = Table::open("webhook", &name)?;
    check_url(&table, &raw.url)?;
    let types: Vec<EventType> =
        raw.types.iter().map(|word| check_type(&table, word)).collect::<Result<_, _>>()?;
    let batch_events_max = table.ranged(
        "batch-events-max",
        raw.batch_events_max,
        if raw.mode == WebhookMode::Batch { bounds::BATCH_EVENTS_MAX_DEFAULT } else { 1 },
        bounds::BATCH_EVENTS_MAX,
    )?;
    if batch_events_max > 1 && raw.mode != WebhookMode::Batch {
        let bound = format!("1 unless `{}` = \"batch\"", table.key("mode"));
        return Err(bad(table.key("batch-events-max"), &batch_events_max.to_string(), bound));
    }
    let retry = |key, value, default| table.milliseconds(key, value, default, bounds::RETRY_MS);
    let retry_min = retry("retry-ms-min", raw.retry_ms_min, bounds::RETRY_MS_MIN_DEFAULT)?;
    let longest = bounds::RETRY_MS_MAX_DEFAULT.max(u64::try_from(retry_min.as_millis()).unwrap_or(u64::MAX));
    let retry_max = retry("retry-ms-max", raw.retry_ms_max, longest)?;
    if retry_max < retry_min {
        let bound = format!("at least `{}` = {}", table.key("retry-ms-min"), retry_min.as_millis());
        return Err(bad(table.key("retry-ms-max"), &retry_max.as_millis().to_string(), bound));
    }
    let workers = table.ranged("workers", raw.workers, bounds::WORKERS_DEFAULT, bounds::WORKERS)?;
    let attempts_max = table.ranged("attempts-max", raw.attempts_max, 0, bounds::ATTEMPTS_MAX)?;
    let authorization = match (raw.authorization_file, raw.authorization_env) {
        (Some(_), Some(variable)) => {
            let bound = format!("left out: `{}` is there too", table.key("authorization-file"));
            return Err(bad(table.key("authorization-env"), &variable, bound));
        }
        (Some(path), None) => Authorization::File(path),
        (None, Some(variable)) => Authorization::Environment(variable),
        (None, None) => Authorization::None,
    };
    Ok(WebhookSink {
        url: raw.url,
        from: raw.from,
        types,
        mode: raw.mode,
        batch_events_max: usize::try_from(batch_events_max).expect("the range ends below 2^32"),
        workers: usize::try_from(workers).expect("the range ends below 2^32"),
        timeout: table.milliseconds(
            "timeout-ms",
            raw.timeout_ms,
            bounds::TIMEOUT_MS_DEFAULT,
            bounds::TIMEOUT_MS,
        )?,
        retry_min,
        retry_max,
        attempts_max: (attempts_max > 0).then_some(attempts_max),
        authorization,
        headers: Secret(check_headers(&table, raw.headers)?),
        ca_file: raw.ca_file,
        dead_letter_bytes_max: table.ranged(
            "dead-letter-bytes-max",
            raw.dead_letter_bytes_max,
            bounds::DEAD_LETTER_BYTES_MAX_DEFAULT,
            bounds::DEAD_LETTER_BYTES_MAX,
        )?,
        stop_wait: stop_wait(&table, raw.stop_wait_ms)?,
        name,
    })
}

fn check_url(table: &Table, url: &str) -> Result<(), ConfigError> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    if host.contains('@') {
        // What stands before the @ is not repeated: it may be a password.
        let bound = "without a user and password: use `authorization-file` or `authorization-env`";
        return Err(bad(table.key("url"), "(not shown)", bound));
    }
    if host.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(
            table.key("url"),
            url,
            "a URL that begins with http:// or https:// and names a host",
        ));
    }
    Ok(())
}

fn check_type(table: &Table, word: &str) -> Result<EventType, ConfigError> {
    match EventType::from_word(word) {
        EventType::Other(_) => {
            let known: Vec<&str> = EventType::KNOWN.iter().map(EventType::word).collect();
            Err(bad(table.key("types"), word, format!("one of {}", known.join(", "))))
        }
        known => Ok(known),
    }
}

fn check_headers(
    table: &Table,
    headers: BTreeMap<String, RawProperty>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let headers = texts(headers);
    for (name, value) in &headers {
        let lower = name.to_ascii_lowercase();
        let key = || table.key(&format!("headers.\"{name}\""));
        let ours = ["content-type", "content-length", "transfer-encoding", "host"].contains(&&*lower);
        if ours || lower.starts_with("ce-") {
            return Err(bad(key(), "(not shown)", "left out: the sink sets this header itself"));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_value = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if name.is_empty() || !name.bytes().all(is_name) || !value.bytes().all(is_value) {
            return Err(bad(key(), "(not shown)", "a header's name and printable ASCII"));
        }
    }
    Ok(headers)
}
