//! The latest state of each node, as a topic of its own: for each event that changes a state, the same event again under
//! the same key; for a node that is forgotten, a record without a value.
//!
//! ```text
//!   events of a turn ──commit──▶ pulsegate.events-3   joined suspected failed …     what happened
//!                      then
//!   states of a turn ──commit──▶ pulsegate.nodes-3    failed                        what is
//! ```
//!
//! An event is on disk before the state that it tells of. A gateway that ends in between leaves states behind, so they
//! are made up for at the next start ([`catch_up`]): both topics have the same partitions and keys, so the events after
//! the one that made a partition's last state record are those whose states are missing.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bytes::Bytes;
use pulsegate_codec::event::{Event, EventType, ValueFormat};
use pulsegate_stream::{EventLog, FileError, LogError, LogReader, Maintained, Record};

use crate::publisher::EVENTS_PER_COMMIT_MAX;
use crate::topics::{EVENTS_TOPIC, NODES_TOPIC};

/// Events of a partition that are looked at for missing states: what one commit can leave behind, and as much again.
const CATCH_UP_EVENTS_MAX: u64 = 2 * EVENTS_PER_COMMIT_MAX as u64;

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
    /// of its states says so.
    pub fn gather(&mut self, event: &Event, record: &Record) {
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

/// Writes the states that the last run of the gateway had no time for; all that the events still tell, in partitions
/// that have lost some to damage. Returns how many those were. Blocks on the disk; nothing else runs yet.
///
/// # Errors
/// When a log cannot be read or written.
pub async fn catch_up(
    directory: &Path,
    events: &EventLog,
    nodes: &mut EventLog,
    is_damaged: impl Fn(u32) -> bool,
) -> Result<usize, LogError> {
    let mut missing = Vec::new();
    for partition in 0..events.partition_count().min(nodes.partition_count()) {
        let (start, end) = (events.start_offset(partition), events.committed_offset(partition));
        if is_damaged(partition) {
            missing.extend(all_states(directory, partition, start..end)?);
            continue;
        }
        let last = last_id(directory, nodes, partition)?;
        let from = end.saturating_sub(CATCH_UP_EVENTS_MAX).max(start);
        let mut of_partition = Vec::new();
        read(directory, EVENTS_TOPIC, partition, from..end, |record| {
            if last.is_some() && record.header("ce_id") == last.as_ref() {
                // Everything up to here was written.
                of_partition.clear();
                return;
            }
            of_partition.extend(state_of(&record));
        })?;
        missing.extend(of_partition);
    }
    for part in missing.chunks(EVENTS_PER_COMMIT_MAX) {
        nodes.append(part).await?;
    }
    nodes.sync().await?;
    Ok(missing.len())
}

/// The state that an event in the log tells, if it does.
fn state_of(record: &Record) -> Option<Record> {
    let value = record.value.as_deref().unwrap_or_default();
    let content_type = record.header("content-type").map(|header| &**header);
    // What this version cannot read tells no state that it could pass on.
    let event = Event::decode(content_type, value).ok()?;
    state_record(&event, record)
}

/// The latest state of each node that the events of a partition tell of, in the order of the events: those that are
/// there already are then there twice, which is harmless.
fn all_states(
    directory: &Path,
    partition: u32,
    offsets: std::ops::Range<u64>,
) -> Result<Vec<Record>, FileError> {
    let mut latest: HashMap<Bytes, (u64, Record)> = HashMap::new();
    let mut number = 0;
    read(directory, EVENTS_TOPIC, partition, offsets, |record| {
        number += 1;
        if let Some(state) = state_of(&record)
            && let Some(key) = &state.key
        {
            latest.insert(key.clone(), (number, state));
        }
    })?;
    let mut states: Vec<(u64, Record)> = latest.into_values().collect();
    states.sort_unstable_by_key(|(number, _)| *number);
    Ok(states.into_iter().map(|(_, state)| state).collect())
}

/// The id of the event behind the last record of a partition.
fn last_id(directory: &Path, nodes: &EventLog, partition: u32) -> Result<Option<Bytes>, FileError> {
    let end = nodes.committed_offset(partition);
    let mut last = None;
    let from = end.saturating_sub(1).max(nodes.start_offset(partition));
    read(directory, NODES_TOPIC, partition, from..end, |record| last = record.header("ce_id").cloned())?;
    Ok(last)
}

fn read(
    directory: &Path,
    topic: &str,
    partition: u32,
    offsets: std::ops::Range<u64>,
    mut take: impl FnMut(Record),
) -> Result<(), FileError> {
    let mut reader = LogReader::starting_at(directory, topic, &BTreeMap::from([(partition, offsets.start)]));
    loop {
        let poll = reader.poll_to(|_| offsets.end)?;
        poll.records.into_iter().for_each(|record| take(record.record));
        if !poll.has_more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
