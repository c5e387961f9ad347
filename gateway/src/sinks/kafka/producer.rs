//! librdkafka's producer as the sink sees it: made from the configuration, records in, delivery reports out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use parking_lot::Mutex;
use pulsegate_engine::Timestamp;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};

use crate::config::sinks::KafkaSink;
use crate::io::Clock;
use crate::sinks::SinkError;
use crate::sinks::feed::Outgoing;

/// How long to wait for the brokers' answer about a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an abandoned producer may take to say what became of its records.
const ABANDON_TIMEOUT: Duration = Duration::from_millis(500);

/// The same complaint is logged again after this long.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Why a producer is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// What librdkafka or the brokers say.
    pub(super) code: RDKafkaErrorCode,
    /// The record at fault, by lane and offset, if one is.
    pub(super) record: Option<(usize, u64)>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) lane: usize,
    pub(super) offset: u64,
    pub(super) outcome: Result<(), RDKafkaErrorCode>,
}

/// What librdkafka calls: always on the thread that polls, so the locks are never waited for.
#[derive(Debug)]
pub(super) struct Reports {
    sink: String,
    clock: Clock,
    taken: Mutex<Vec<Report>>,
    complaint: Mutex<Option<(String, Timestamp)>>,
}

/// A producer and what it reports.
pub(super) struct Link {
    pub(super) producer: BaseProducer<Reports>,
}

// A record is named to librdkafka by one pointer-sized number: lane above, offset below.
const OFFSET_BITS: u32 = 48;
const _: () = assert!(usize::BITS == 64, "a lane and an offset must fit a pointer");

fn name_of(lane: usize, offset: u64) -> usize {
    assert!(
        offset >> OFFSET_BITS == 0 && lane < 1 << (usize::BITS - OFFSET_BITS),
        "lane {lane}, offset {offset}"
    );
    (lane << OFFSET_BITS) | usize::try_from(offset).expect("a pointer has 64 bits")
}

fn lane_and_offset(name: usize) -> (usize, u64) {
    (name >> OFFSET_BITS, name as u64 & ((1 << OFFSET_BITS) - 1))
}

impl Link {
    /// Makes a producer; `is_single`: one record a batch. Connects later, by itself.
    pub(super) fn open(sink: &KafkaSink, is_single: bool) -> Result<Self, SinkError> {
        let mut config = client_config(sink)?;
        if is_single {
            config.set("batch.num.messages", "1");
        }
        let reports = Reports {
            sink: sink.name.clone(),
            clock: Clock::new(),
            taken: Mutex::default(),
            complaint: Mutex::default(),
        };
        let producer = config.create_with_context(reports).map_err(|error| SinkError::Refused {
            table: format!("sinks.kafka.{}", sink.name),
            reason: format!("the Kafka client refuses it: {error}"),
        })?;
        Ok(Self { producer })
    }

    /// How many partitions these topics have.
    pub(super) fn partitions<'a>(
        &self,
        topics: impl Iterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, usize>, String> {
        let mut partitions = BTreeMap::new();
        for topic in topics {
            let metadata = self.producer.client().fetch_metadata(Some(topic), METADATA_TIMEOUT);
            let metadata = metadata.map_err(|error| format!("the brokers cannot be asked: {error}"))?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let count =
                found.filter(|found| found.error().is_none()).map_or(0, |found| found.partitions().len());
            if count == 0 {
                return Err(format!(
                    "the brokers have no topic {topic}: create it there, or name another one"
                ));
            }
            partitions.insert(topic.to_owned(), count);
        }
        Ok(partitions)
    }

    /// Hands a record over.
    pub(super) fn send(
        &self,
        outgoing: &Outgoing,
        topic: &str,
        partition: Option<u32>,
    ) -> Result<(), RDKafkaErrorCode> {
        let record = &outgoing.record;
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for header in &record.headers {
            headers = headers.insert(Header { key: &header.name, value: header.value.as_deref() });
        }
        let name = name_of(outgoing.lane, outgoing.offset);
        let mut message: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(topic, name).headers(headers).timestamp(record.timestamp_ms);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.partition = partition.and_then(|partition| i32::try_from(partition).ok());
        match self.producer.send(message) {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(code), _)) => Err(code),
            Err(_) => Err(RDKafkaErrorCode::InvalidArgument),
        }
    }

    /// Gives up what is under way; reports of what has arrived meanwhile come with the next poll.
    pub(super) fn abandon(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        // A timeout here only means that some records are sent again although they arrived.
        let _ = self.producer.flush(ABANDON_TIMEOUT);
    }
}

fn client_config(sink: &KafkaSink) -> Result<ClientConfig, SinkError> {
    let mut config = ClientConfig::new();
    // What may be changed by `properties`, …
    config.set("client.id", format!("pulsegate-{}", sink.name));
    config.set("compression.type", "zstd");
    config.set("reconnect.backoff.max.ms", "1000");
    for (property, value) in &sink.properties.0 {
        config.set(property, value);
    }
    for (property, path) in &sink.property_files {
        let value = std::fs::read_to_string(path).map_err(|error| SinkError::Unreadable {
            key: format!("sinks.kafka.{}.property-files.\"{property}\"", sink.name),
            value: path.display().to_string(),
            reason: error.to_string(),
        })?;
        config.set(property, value.trim_end_matches(['\r', '\n']));
    }
    // … and what may not: see `REFUSED_PROPERTIES`.
    config.set("bootstrap.servers", &sink.bootstrap_servers);
    config.set("enable.idempotence", "true");
    config.set("enable.gapless.guarantee", "true");
    config.set("acks", "all");
    config.set("message.timeout.ms", "0");
    config.set("partitioner", "murmur2_random");
    config.set("linger.ms", sink.linger.as_millis().to_string());
    config.set("queue.buffering.max.messages", sink.in_flight_max.to_string());
    Ok(config)
}

impl Reports {
    /// Takes the reports so far.
    pub(super) fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *self.taken.lock())
    }

    /// Logs what is wrong with the target, the same thing only now and then.
    pub(super) fn complain(&self, reason: &dyn Display) {
        let (reason, now) = (reason.to_string(), self.clock.now());
        let mut complaint = self.complaint.lock();
        let is_new = complaint
            .as_ref()
            .is_none_or(|(last, at)| *last != reason || now.since(*at) >= COMPLAINT_INTERVAL);
        if is_new {
            tracing::warn!(sink = self.sink, reason, "the Kafka target is not well; events wait in the log");
            *complaint = Some((reason, now));
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes through `error` as well; librdkafka logs each failed connection.
        tracing::debug!(sink = self.sink, ?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().map_or_else(String::new, |code| code.to_string());
        // The reason of a lost connection names ports and times and is never the same twice.
        tracing::debug!(sink = self.sink, reason, "librdkafka");
        self.complain(&code);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, name: usize) {
        let (lane, offset) = lane_and_offset(name);
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        self.taken.lock().push(Report { lane, offset, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_records_read_back() {
        for (lane, offset) in [(0, 0), (3, 1 << 40), (65_535, (1 << 48) - 1)] {
            assert_eq!(lane_and_offset(name_of(lane, offset)), (lane, offset));
        }
    }
}
