//! Reads one topic through a Kafka port, with librdkafka: all partitions, from chosen offsets on.
//!
//! ```text
//!  connect ─▶ partitions ─▶ offsets: first, end, at a time ─▶ start ─▶ next, next, … ─▶ has_reached(end)?
//! ```
//!
//! Partitions are assigned, not subscribed to: no group is joined and nothing is committed, so a reader leaves no
//! trace. What librdkafka fetches ahead is bounded. A broker that cannot be reached for a while is no error: the
//! library connects again by itself, and [`TopicReader::unreachable`] tells what it complained of last. Records that
//! were removed before they were read are an error, always.
//!
//! It knows nothing of events. Standard settings of librdkafka (TLS, SASL and what else it has) pass through.

use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::limits::{FETCHED_AHEAD_KIB_MAX, KAFKA_WAIT_MAX};
use crate::moment::Duration;

/// What to do about a setting that this build of librdkafka does not have.
fn hint_at(error: &KafkaError) -> &'static str {
    if error.to_string().contains("not available at build time") {
        "; the Cargo feature `kafka-tls` builds it in"
    } else {
        ""
    }
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// librdkafka refuses its settings.
    #[error("librdkafka refuses a setting: {0}{hint}", hint = hint_at(.0))]
    Setting(KafkaError),
    /// Nobody answers there, or not as a Kafka broker does.
    #[error(
        "no Kafka port answers at {address}: {reason}; is the gateway running, is this its Kafka port, and does it \
         ask for TLS or a login, which are settings of librdkafka?"
    )]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What librdkafka said.
        reason: String,
    },
    /// The broker does not have the topic.
    #[error("{address} has no topic {topic:?}: it is no gateway's Kafka port, or that of another version")]
    NoTopic {
        /// Who was asked.
        address: String,
        /// For what.
        topic: String,
    },
    /// Retention removed records before they were read.
    #[error(
        "partition {partition}: retention removed the records from offset {offset} on before they were read; raise \
         the gateway's `stream.retention-bytes`, or read faster"
    )]
    Removed {
        /// Of which partition.
        partition: i32,
        /// The first that is missing.
        offset: i64,
    },
    /// Anything else.
    #[error("cannot read from {address}: {reason}")]
    Failed {
        /// From whom.
        address: String,
        /// What librdkafka said.
        reason: String,
    },
}

/// Reads a topic.
pub struct TopicReader {
    consumer: BaseConsumer<Complaints>,
    address: String,
    topic: String,
    /// The offset to read next, by partition.
    next_offsets: Vec<i64>,
}

/// What librdkafka complained of last.
#[derive(Debug, Default)]
struct Complaints {
    last: Mutex<Option<String>>,
}

impl Complaints {
    fn set(&self, complaint: Option<String>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = complaint;
    }

    fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Complaints {
    /// Log lines say less than errors do, and would go past the person's eyes on standard error.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, reason: &str) {
        self.set(Some(reason.to_owned()));
    }
}

impl ConsumerContext for Complaints {}

impl TopicReader {
    /// Connects to `address` (`host:port`) and asks for the partitions of the topic. `settings` are those of
    /// librdkafka, and win over those that are made here.
    ///
    /// # Errors
    /// If a setting is unknown, nobody answers, or there is no such topic.
    pub fn connect(address: &str, topic: &str, settings: &[(String, String)]) -> Result<Self, ReadError> {
        let mut config = configuration(address);
        for (name, value) in settings {
            config.set(name, value);
        }
        let consumer: BaseConsumer<Complaints> =
            config.create_with_context(Complaints::default()).map_err(ReadError::Setting)?;
        let (address, topic) = (address.to_owned(), topic.to_owned());
        let mut reader = Self { consumer, address, topic, next_offsets: Vec::new() };
        let metadata = reader.consumer.fetch_metadata(Some(&reader.topic), KAFKA_WAIT_MAX);
        let metadata = metadata.map_err(|error| reader.failure(&error))?;
        let topics = metadata.topics().iter();
        let partitions: usize = topics
            .filter(|found| found.name() == reader.topic && found.error().is_none())
            .map(|found| found.partitions().len())
            .sum();
        if partitions == 0 {
            return Err(ReadError::NoTopic { address: reader.address, topic: reader.topic });
        }
        reader.next_offsets = vec![0; partitions];
        Ok(reader)
    }

    /// The first offset of each partition that is still there.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn first_offsets(&self) -> Result<Vec<i64>, ReadError> {
        self.offsets_for(FIRST)
    }

    /// The offset after the last record of each partition.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn end_offsets(&self) -> Result<Vec<i64>, ReadError> {
        self.offsets_for(END)
    }

    /// The offset of the first record of each partition that is at or after this time; the end if there is none.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn offsets_at(&self, unix_ms: i64) -> Result<Vec<i64>, ReadError> {
        let end_offsets = self.end_offsets()?;
        let offsets = self.offsets_for(Offset::Offset(unix_ms.max(0)))?;
        Ok(offsets
            .into_iter()
            .zip(end_offsets)
            .map(|(offset, end)| if offset < 0 { end } else { offset })
            .collect())
    }

    /// Begins to read each partition at its offset.
    ///
    /// # Errors
    /// If librdkafka refuses.
    ///
    /// # Panics
    /// If there are not as many offsets as partitions.
    pub fn start(&mut self, offsets: Vec<i64>) -> Result<(), ReadError> {
        assert_eq!(offsets.len(), self.next_offsets.len(), "one offset a partition");
        let places: Vec<_> = offsets.iter().copied().map(Offset::Offset).collect();
        let assignment = self.partition_list(&places)?;
        self.next_offsets = offsets;
        self.consumer.assign(&assignment).map_err(|error| self.failure(&error))
    }

    /// The next record; `None` if none comes within `wait`.
    ///
    /// # Errors
    /// If records were removed before they were read, or the broker refuses.
    pub fn next(&mut self, wait: Duration) -> Result<Option<BorrowedMessage<'_>>, ReadError> {
        match self.consumer.poll(wait) {
            None => Ok(None),
            Some(Ok(message)) => {
                self.consumer.context().set(None);
                let place = usize::try_from(message.partition())
                    .ok()
                    .and_then(|partition| self.next_offsets.get_mut(partition))
                    .expect("only partitions that were assigned are read");
                *place = message.offset() + 1;
                Ok(Some(message))
            }
            Some(Err(error)) if is_about_connection(&error) => Ok(None),
            Some(Err(error)) => Err(self.removal().unwrap_or_else(|| self.failure(&error))),
        }
    }

    /// Whether every partition was read up to these offsets.
    #[must_use]
    pub fn has_reached(&self, offsets: &[i64]) -> bool {
        self.next_offsets.iter().zip(offsets).all(|(next, end)| next >= end)
    }

    /// The offset to be read next of each partition.
    #[must_use]
    pub fn next_offsets(&self) -> &[i64] {
        &self.next_offsets
    }

    /// What librdkafka complained of since the last record.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        self.consumer.context().last()
    }

    /// The error to report when no record came for too long: what librdkafka complained of since the last one.
    #[must_use]
    pub fn unreachable(&self) -> ReadError {
        let reason = self.consumer.context().last().unwrap_or_else(|| "it does not answer".to_owned());
        ReadError::Unreachable { address: self.address.clone(), reason }
    }

    /// The first partition whose next record is no longer there, if that can be found out.
    fn removal(&self) -> Option<ReadError> {
        let first_offsets = self.first_offsets().ok()?;
        let mut partitions = (0..).zip(self.next_offsets.iter().zip(first_offsets));
        let (partition, (&offset, _)) = partitions.find(|&(_, (&next, first))| next < first)?;
        Some(ReadError::Removed { partition, offset })
    }

    /// One request for all partitions: it may have to wait behind a fetch that waits for records. Below zero where
    /// there is no such offset.
    fn offsets_for(&self, time: Offset) -> Result<Vec<i64>, ReadError> {
        let times = self.partition_list(&vec![time; self.next_offsets.len()])?;
        let found = self.consumer.offsets_for_times(times, KAFKA_WAIT_MAX);
        let found = found.map_err(|error| self.failure(&error))?;
        let elements = found.elements_for_topic(&self.topic);
        for element in &elements {
            element.error().map_err(|error| self.failure(&error))?;
        }
        Ok(elements.iter().map(|element| element.offset().to_raw().unwrap_or(-1)).collect())
    }

    fn partition_list(&self, offsets: &[Offset]) -> Result<TopicPartitionList, ReadError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, &offset) in (0..).zip(offsets) {
            let added = list.add_partition_offset(&self.topic, partition, offset);
            added.map_err(|error| self.failure(&error))?;
        }
        Ok(list)
    }

    /// An error of librdkafka in words. Its complaints, which say more, wait in its queue.
    fn failure(&self, error: &KafkaError) -> ReadError {
        let is_about_connection = is_about_connection(error);
        // No record can be lost here: only before `start` does this wait, and then none comes.
        if is_about_connection && self.consumer.context().last().is_none() {
            self.consumer.poll(COMPLAINT_WAIT);
        }
        if is_about_connection {
            return self.unreachable();
        }
        ReadError::Failed { address: self.address.clone(), reason: error.to_string() }
    }
}

/// Stand for times where the protocol asks for a time.
const FIRST: Offset = Offset::Beginning;
const END: Offset = Offset::End;

/// How long to wait for the reason of an error.
const COMPLAINT_WAIT: Duration = Duration::from_millis(100);

/// What librdkafka reports while it looks for the broker, which it goes on doing by itself.
fn is_about_connection(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve))
}

fn configuration(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("client.id", "pulsegate-reader")
        // librdkafka wants a name of a group although none is joined.
        .set("group.id", "pulsegate-reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A record that is not there any more is to be reported, not skipped.
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB_MAX.to_string())
        // Without these, a full queue or a quiet topic makes records wait for up to a second.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "100")
        .set("reconnect.backoff.max.ms", "1000");
    config
}

/// The header `content-type` of a record.
pub fn content_type_of<M: Message>(message: &M) -> Option<&[u8]> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == "content-type")?.value
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
