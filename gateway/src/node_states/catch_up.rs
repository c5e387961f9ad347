//! What a start makes up for in the topic of states: what the last run had no time to write, and what damage took.
//!
//! Whether a state is missing is told by places, not by finding the event behind the last state: the end of the events
//! may be lost where the states are not. Two questions are asked of a state:
//!
//! - Is it newer than the last record of its partition? Only such states can be missing, and only those of the last
//!   run: each start makes up for the run before.
//! - Is it newer than what its key has? Where damage took records out of the middle this is the only question. It is
//!   asked of the others, too, for the last record of a partition need not be its newest.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use pulsegate_codec::NodeId;
use pulsegate_codec::event::Event;
use pulsegate_stream::{EventLog, FileError, LogError, LogRecord, Record};

use super::{read, state_record};
use crate::place::{Place, place_of_record};
use crate::publisher::EVENTS_PER_COMMIT_MAX;
use crate::topics::{EVENTS_TOPIC, NODES_TOPIC};

/// Events of a partition that are looked at for missing states: what one commit can leave behind, and as much again.
const CATCH_UP_EVENTS_MAX: u64 = 2 * EVENTS_PER_COMMIT_MAX as u64;

/// A state that may be missing.
struct Candidate {
    place: Place,
    state: Record,
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
    let (damaged, whole): (Vec<u32>, Vec<u32>) = (0..events.partition_count().min(nodes.partition_count()))
        .partition(|&partition| is_damaged(partition));
    let mut candidates = of_last_run(directory, events, nodes, &whole)?;
    if !damaged.is_empty() {
        candidates.extend(latest_states(directory, events, is_damaged)?);
    }
    let known = known_places(directory, nodes, &candidates)?;
    let is_missing = |Candidate { place, state }: &Candidate| {
        state.key.as_ref().is_some_and(|key| known.get(key).is_none_or(|known| place > known))
    };
    let missing: Vec<Record> =
        candidates.into_iter().filter(is_missing).map(|candidate| candidate.state).collect();
    for part in missing.chunks(EVENTS_PER_COMMIT_MAX) {
        nodes.append(part).await?;
    }
    nodes.sync().await?;
    Ok(missing.len())
}

/// States of the last run that are newer than the last of their partition.
fn of_last_run(
    directory: &Path,
    events: &EventLog,
    nodes: &EventLog,
    partitions: &[u32],
) -> Result<Vec<Candidate>, FileError> {
    let mut candidates = Vec::new();
    let mut last_epoch = 0;
    for &partition in partitions {
        let last = last_place(directory, nodes, partition)?;
        let (start, end) = (events.start_offset(partition), events.committed_offset(partition));
        let from = end.saturating_sub(CATCH_UP_EVENTS_MAX).max(start);
        read(directory, EVENTS_TOPIC, partition, from..end, |LogRecord { record, .. }| {
            let Some(place) = place_of_record(&record) else { return };
            last_epoch = last_epoch.max(place.0);
            if Some(place) > last {
                let state = event_of(&record).and_then(|event| state_record(&event, &record));
                candidates.extend(state.map(|state| Candidate { place, state }));
            }
        })?;
    }
    candidates.retain(|candidate| candidate.place.0 == last_epoch);
    Ok(candidates)
}

/// What this version can read. What it cannot tells no state that it could pass on.
fn event_of(record: &Record) -> Option<Event> {
    let content_type = record.header("content-type").map(|header| &**header);
    Event::decode(content_type, record.value.as_deref().unwrap_or_default()).ok()
}

/// The latest state of each node that the events tell of, if its record was in a damaged partition or is to be there. All
/// events are looked at, not only those of these partitions: a node may have had another key, or its key another
/// partition, and a state that was superseded there must not come back.
fn latest_states(
    directory: &Path,
    events: &EventLog,
    is_damaged: impl Fn(u32) -> bool,
) -> Result<Vec<Candidate>, FileError> {
    let mut latest: HashMap<NodeId, (Place, Option<Record>)> = HashMap::new();
    for partition in 0..events.partition_count() {
        let offsets = events.start_offset(partition)..events.committed_offset(partition);
        read(directory, EVENTS_TOPIC, partition, offsets, |LogRecord { record, .. }| {
            let (Some(place), Some(event)) = (place_of_record(&record), event_of(&record)) else { return };
            let (Some(node_id), Some(state)) = (event.node_id, state_record(&event, &record)) else { return };
            if latest.get(&node_id).is_none_or(|&(known, _)| place > known) {
                let is_wanted = is_damaged(partition) || is_damaged(events.partition_of(&record));
                latest.insert(node_id, (place, is_wanted.then_some(state)));
            }
        })?;
    }
    let mut states: Vec<Candidate> =
        latest.into_values().filter_map(|(place, state)| Some(Candidate { place, state: state? })).collect();
    states.sort_unstable_by_key(|candidate| candidate.place);
    Ok(states)
}

/// The newest that the topic has of each of these keys.
fn known_places(
    directory: &Path,
    nodes: &EventLog,
    candidates: &[Candidate],
) -> Result<HashMap<Bytes, Place>, FileError> {
    let keys: HashSet<&Bytes> =
        candidates.iter().filter_map(|candidate| candidate.state.key.as_ref()).collect();
    let partitions: BTreeSet<u32> =
        candidates.iter().map(|candidate| nodes.partition_of(&candidate.state)).collect();
    let mut known: HashMap<Bytes, Place> = HashMap::new();
    for partition in partitions {
        let offsets = nodes.start_offset(partition)..nodes.committed_offset(partition);
        read(directory, NODES_TOPIC, partition, offsets, |LogRecord { record, .. }| {
            let (Some(key), Some(place)) = (&record.key, place_of_record(&record)) else { return };
            if let Some(key) = keys.get(key) {
                let newest = known.entry(Bytes::clone(key)).or_insert(place);
                *newest = place.max(*newest);
            }
        })?;
    }
    Ok(known)
}

/// The place of the last record of a partition.
fn last_place(directory: &Path, nodes: &EventLog, partition: u32) -> Result<Option<Place>, FileError> {
    let end = nodes.committed_offset(partition);
    let mut last = None;
    let from = end.saturating_sub(1).max(nodes.start_offset(partition));
    read(directory, NODES_TOPIC, partition, from..end, |found| last = place_of_record(&found.record))?;
    Ok(last)
}

#[cfg(test)]
mod tests;
