//! The latest state of each node, as a topic of its own: for each event that changes a state, the same event again under
//! the same key; for a node that is forgotten, a record without a value. A node that is told of before it has told its name
//! has its id as its key until then, and a record without a value there from then on.
//!
//! ```text
//!   events of a turn ──commit──▶ pulsegate.events-3   joined suspected failed …     what happened
//!                      then
//!   states of a turn ──commit──▶ pulsegate.nodes-3    failed                        what is
//! ```
//!
//! An event is on disk before the state that it tells of. A gateway that ends in between leaves states behind, so they
//! are made up for at the next start ([`catch_up()`]).

mod catch_up;
mod placement;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pulsegate_codec::event::{Event, EventId, EventType, ValueFormat};
use pulsegate_stream::{EventLog, FileError, LogError, LogReader, LogRecord, Maintained, Record};

pub use catch_up::catch_up;
pub use placement::{MOVED_TO, Misplaced, is_moved, put_in_place};

/// The writer of the topic.
#[derive(Debug)]
pub struct NodeStates {
    log: EventLog,
    format: ValueFormat,
    /// Nodes that were told to be flapping and not yet to be steady, with their count of flaps: at most as many as damping
    /// holds. A start forgets them, as damping does.
    flapping: HashMap<String, u32>,
    /// States of the turn; reused.
    records: Vec<Record>,
}

impl NodeStates {
    /// A writer with nothing to write.
    #[must_use]
    pub fn new(log: EventLog, format: ValueFormat) -> Self {
        Self { log, format, flapping: HashMap::new(), records: Vec::new() }
    }

    /// Keeps the state that this event tells of, if it does; `record` is the event as a record. While a node flaps, each
    /// of its states says so. `is_named_now`: events of the node before this one were told under its id; what they left
    /// there goes.
    pub fn gather(&mut self, event: &Event, record: &Record, is_named_now: bool) {
        match event.event_type {
            EventType::Flapping => {
                self.flapping.insert(event.node.clone(), event.flap_count.unwrap_or_default());
            }
            EventType::Steady | EventType::Forgotten => {
                self.flapping.remove(&event.node);
            }
            _ => {}
        }
        let flaps = self.flapping.get(&event.node).copied().filter(|_| event.flap_count.is_none());
        if let Some(flaps) = flaps {
            let event = Event { flap_count: Some(flaps), ..event.clone() };
            let record = Record::from(event.to_record(self.format));
            self.records.extend(state_record(&event, &record));
        } else {
            self.records.extend(state_record(event, record));
        }
        // A node that is forgotten may have been told under its id by a gateway that left the record there.
        if is_named_now || event.event_type == EventType::Forgotten {
            self.records.extend(tombstone_of_id(event, self.format));
        }
    }

    /// Writes what was gathered. What is refused is kept for the next try.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn commit(&mut self) -> Result<(), LogError> {
        if self.records.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.log.append(&self.records).await {
            if let LogError::Append(failure) = &error {
                failure.retain_refused(&mut self.records);
            }
            return Err(error);
        }
        self.records.clear();
        Ok(())
    }

    /// As [`EventLog::confirm_told`].
    ///
    /// # Errors
    /// As there.
    pub async fn confirm_told(&self) -> Result<(), FileError> {
        self.log.confirm_told().await
    }

    /// As [`EventLog::maintain`].
    pub async fn maintain(&mut self, now_ms: i64) -> Vec<Maintained> {
        self.log.maintain(now_ms).await
    }

    /// Commits what was appended under a policy that syncs by the clock.
    ///
    /// # Errors
    /// As [`EventLog::sync`].
    pub async fn sync(&mut self) -> Result<(), LogError> {
        self.log.sync().await
    }
}

/// The state record of an event; `None` if no node's state is told.
fn state_record(event: &Event, record: &Record) -> Option<Record> {
    if event.event_type == EventType::Forgotten {
        return Some(Record { value: None, ..record.clone() });
    }
    let is_of_node = event.event_type.entity_and_change().0 == "node";
    (is_of_node && event.state.is_some()).then(|| record.clone())
}

/// The record that ends the key which a node has before it tells its name: its id. `None` if the event itself is under
/// that key. Its `ce_type` is that of the event: unless this is `forgotten`, the node is known still, by its name.
pub(crate) fn tombstone_of_id(event: &Event, format: ValueFormat) -> Option<Record> {
    let node = event.node_id?.to_string();
    if node == event.node {
        return None;
    }
    let Event { epoch, gateway_sequence, ref gateway, .. } = *event;
    let id = EventId { gateway: gateway.clone(), epoch, gateway_sequence };
    let event = Event { node, ..Event::new(event.event_type.clone(), id, event.decided_at_unix_us) };
    Some(Record { value: None, ..Record::from(event.to_record(format)) })
}

/// Shows the records of a part of a partition to `take`.
fn read(
    directory: &Path,
    topic: &str,
    partition: u32,
    offsets: std::ops::Range<u64>,
    mut take: impl FnMut(LogRecord),
) -> Result<(), FileError> {
    let mut reader = LogReader::starting_at(directory, topic, &BTreeMap::from([(partition, offsets.start)]));
    loop {
        let poll = reader.poll_to(|_| offsets.end)?;
        poll.records.into_iter().for_each(&mut take);
        if !poll.has_more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
