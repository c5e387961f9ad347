//! Where the events come from: the gateway's Kafka port, read by a client library that is not ours.
//!
//! This is the only file that knows. It follows the events from the moment of `open` on: the ends of all partitions are
//! asked for then, so whatever is written later is read, each event once and in the order of its partition.

use std::net::SocketAddr;

use pulsegate_codec::event::{Event, EventError};
use rdkafka::message::{BorrowedMessage, Message};

use crate::limits::{EVENTS_WAIT_MAX, POLL_RECORDS_MAX};
use crate::moment::Duration;
use crate::topic_reader::{ReadError, TopicReader, content_type_of};

/// The topic to which every event is appended.
const TOPIC: &str = "pulsegate.events";

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventSourceError {
    /// The topic cannot be read.
    #[error("cannot read events: {0}")]
    Topic(#[from] ReadError),
    /// A record of the topic is no event.
    #[error("record {offset} of partition {partition}: {source}")]
    Record {
        /// Partition of the record.
        partition: i32,
        /// Offset of the record.
        offset: i64,
        /// What is wrong with it.
        source: EventError,
    },
}

/// Follows the events from one point on.
pub struct EventSource {
    reader: TopicReader,
}

impl EventSource {
    /// Follows the events that are written from now on.
    ///
    /// # Errors
    /// [`EventSourceError::Topic`].
    pub fn open_at_end(kafka: SocketAddr) -> Result<Self, EventSourceError> {
        let mut reader = TopicReader::connect(&kafka.to_string(), TOPIC, &gather())?;
        let end = reader.end_offsets()?;
        reader.start(end)?;
        Ok(Self { reader })
    }

    /// Hands over the events that have arrived. Returns whether more may have.
    ///
    /// # Errors
    /// [`EventSourceError`].
    pub fn poll(&mut self, mut on_event: impl FnMut(&Event)) -> Result<bool, EventSourceError> {
        for _ in 0..POLL_RECORDS_MAX {
            match self.reader.next(Duration::ZERO)? {
                Some(message) => on_event(&event(&message)?),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Hands over every event that consumers can see now.
    ///
    /// # Errors
    /// [`EventSourceError`].
    pub fn read_to_end(&mut self, mut on_event: impl FnMut(&Event)) -> Result<(), EventSourceError> {
        let end = self.reader.end_offsets()?;
        let mut waited = Duration::ZERO;
        while !self.reader.has_reached(&end) {
            match self.reader.next(END_WAIT)? {
                Some(message) => {
                    waited = Duration::ZERO;
                    on_event(&event(&message)?);
                }
                None if waited < EVENTS_WAIT_MAX => waited += END_WAIT,
                None => return Err(self.reader.unreachable().into()),
            }
        }
        Ok(())
    }
}

/// A judge has time. It asks for many events in one answer, a few times a second, so as not to burden whom it judges.
fn gather() -> [(String, String); 2] {
    [("fetch.min.bytes", "65536"), ("fetch.wait.max.ms", "200")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// How long to wait for one record of those that are known to be there.
const END_WAIT: Duration = Duration::from_millis(100);

fn event(message: &BorrowedMessage<'_>) -> Result<Event, EventSourceError> {
    Event::decode(content_type_of(message), message.payload().unwrap_or_default()).map_err(|source| {
        EventSourceError::Record { partition: message.partition(), offset: message.offset(), source }
    })
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::event::{EventId, EventType};

    use super::*;
    use crate::topic_reader::testing::Broker;

    fn event(gateway_sequence: u64) -> Event {
        let id = EventId { gateway: "gw".to_owned(), epoch: 1, gateway_sequence };
        let mut event = Event::new(EventType::Failed, id, 1_764_000_000_000_000);
        event.node = format!("node-{gateway_sequence:06}");
        event
    }

    #[test]
    fn only_events_that_come_later_are_handed_over_and_each_once() {
        let broker = Broker::start(TOPIC, 3);
        let events: Vec<_> = (1..=5).map(event).collect();
        broker.produce(events[..2].iter().map(|event| serde_json::to_vec(event).unwrap()));
        let mut source = EventSource::open_at_end(broker.address()).unwrap();
        let mut seen = Vec::new();
        source.read_to_end(|event| seen.push(event.clone())).unwrap();
        assert_eq!(seen, []);
        broker.produce(events[2..].iter().map(|event| serde_json::to_vec(event).unwrap()));
        for _ in 0..2 {
            source.read_to_end(|event| seen.push(event.clone())).unwrap();
        }
        assert!(!source.poll(|event| seen.push(event.clone())).unwrap());
        seen.sort_by_key(|event| event.gateway_sequence); // They lie in several partitions.
        assert_eq!(seen, events[2..]);
    }

    #[test]
    fn a_record_that_is_no_event_is_told_with_its_place() {
        let broker = Broker::start(TOPIC, 1);
        broker.produce([serde_json::to_vec(&event(1)).unwrap()]);
        let mut source = EventSource::open_at_end(broker.address()).unwrap();
        broker.produce([b"{}".to_vec()]);
        let text = source.read_to_end(|_| {}).unwrap_err().to_string();
        assert!(text.starts_with("record 1 of partition 0"), "{text}");
    }
}
