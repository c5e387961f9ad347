//! Where the events come from: the gateway's event log on this machine.
//!
//! This is the only file that knows. A client of the Kafka protocol takes its place without a change elsewhere: it, too,
//! hands over the values of new records in the order of each partition.

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
