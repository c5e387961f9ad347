//! Where the events come from: the gateway's event log on this machine.
//!
//! This is the only file that knows. A client of the Kafka protocol takes its place without a change
//! elsewhere: it, too, hands over the values of new records in the order of each partition.

use std::path::{Path, PathBuf};

use pulsegate_codec::event::{Event, EventError};
use pulsegate_stream::{FileError, LogReader};

/// The topic to which every event is appended.
const TOPIC: &str = "pulsegate.events";

/// The event log, below the gateway's data directory.
const STREAM_DIRECTORY: &str = "stream";

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventSourceError {
    /// No log there.
    #[error("{} is not there: --data-dir must name the data directory of the running gateway", .directory.display())]
    Missing {
        /// Where the log was expected.
        directory: PathBuf,
    },
    /// The log cannot be read.
    #[error("cannot read the event log: {0}")]
    Log(#[from] FileError),
    /// A record of the topic is no event.
    #[error("record {offset} of partition {partition}: {source}")]
    Record {
        /// Partition of the record.
        partition: u32,
        /// Offset of the record.
        offset: u64,
        /// What is wrong with it.
        source: EventError,
    },
    /// Retention removed records before they were read.
    #[error(
        "{records} events were removed by retention before they were read: raise the gateway's retention"
    )]
    Skipped {
        /// How many.
        records: u64,
    },
}

/// Follows the events from one point on.
#[derive(Debug)]
pub struct EventSource {
    reader: LogReader,
}

impl EventSource {
    /// Follows the events that are written from now on.
    ///
    /// # Errors
    /// [`EventSourceError::Missing`], [`EventSourceError::Log`].
    pub fn open_at_end(data_dir: &Path) -> Result<Self, EventSourceError> {
        let directory = data_dir.join(STREAM_DIRECTORY);
        if !directory.is_dir() {
            return Err(EventSourceError::Missing { directory });
        }
        let mut reader = LogReader::new(&directory, TOPIC);
        reader.skip_to_end()?;
        Ok(Self { reader })
    }

    /// Hands over the events that are there, in bounded memory. Returns whether more are there already.
    ///
    /// # Errors
    /// [`EventSourceError`].
    pub fn poll(&mut self, mut on_event: impl FnMut(&Event)) -> Result<bool, EventSourceError> {
        let poll = self.reader.poll()?;
        if poll.skipped_records > 0 {
            return Err(EventSourceError::Skipped { records: poll.skipped_records });
        }
        for record in &poll.records {
            let value = record.record.value.as_deref().unwrap_or_default();
            let event = Event::from_json(value).map_err(|source| EventSourceError::Record {
                partition: record.partition,
                offset: record.offset,
                source,
            })?;
            on_event(&event);
        }
        Ok(poll.has_more)
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::event::{EventId, EventType};
    use pulsegate_stream::encode_batch;

    use super::*;

    /// Writes one segment of a partition, one batch for each group of events.
    fn write_segment(data_dir: &Path, groups: &[&[Event]]) {
        let directory = data_dir.join("stream/pulsegate.events-0");
        std::fs::create_dir_all(&directory).unwrap();
        let (mut bytes, mut offset) = (Vec::new(), 0);
        for events in groups {
            let records: Vec<_> = events.iter().map(|event| event.to_record().into()).collect();
            encode_batch(&mut bytes, offset, &records);
            offset += events.len() as u64;
        }
        std::fs::write(directory.join("00000000000000000000.log"), bytes).unwrap();
    }

    fn event(gateway_sequence: u64) -> Event {
        let id = EventId { gateway: "gw".to_owned(), epoch: 1, gateway_sequence };
        let mut event = Event::new(EventType::Failed, id, 1_764_000_000_000_000);
        event.node = "node-000001".to_owned();
        event
    }

    #[test]
    fn only_events_that_come_later_are_handed_over_and_each_once() {
        let data_dir = tempfile::tempdir().unwrap();
        let events: Vec<_> = (1..=5).map(event).collect();
        write_segment(data_dir.path(), &[&events[..2]]);
        let mut source = EventSource::open_at_end(data_dir.path()).unwrap();
        let mut seen = Vec::new();
        assert!(!source.poll(|event| seen.push(event.clone())).unwrap());
        assert_eq!(seen, []);
        write_segment(data_dir.path(), &[&events[..2], &events[2..]]);
        for _ in 0..2 {
            source.poll(|event| seen.push(event.clone())).unwrap();
        }
        assert_eq!(seen, events[2..]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_in_words() {
        let data_dir = tempfile::tempdir().unwrap();
        let text = EventSource::open_at_end(data_dir.path()).unwrap_err().to_string();
        assert!(text.contains("stream is not there") && text.contains("--data-dir"), "{text}");
    }

    #[test]
    fn a_record_that_is_no_event_is_told_with_its_place() {
        let data_dir = tempfile::tempdir().unwrap();
        write_segment(data_dir.path(), &[&[event(1)]]);
        let mut source = EventSource::open_at_end(data_dir.path()).unwrap();
        let mut bytes = Vec::new();
        encode_batch(&mut bytes, 0, &[event(1).to_record().into()]);
        encode_batch(&mut bytes, 1, &[pulsegate_stream::Record::default()]);
        std::fs::write(data_dir.path().join("stream/pulsegate.events-0/00000000000000000000.log"), bytes)
            .unwrap();
        let text = source.poll(|_| {}).unwrap_err().to_string();
        assert!(text.starts_with("record 1 of partition 0"), "{text}");
    }
}
