//! What the world was told of each node last, by the logs: the truth that a restart goes on from.
//!
//! ```text
//!   pulsegate.nodes    every partition, from the start: the latest event of each node, or that it was forgotten
//!   pulsegate.events   from where the snapshot was begun: which of a node's events the snapshot may not know of
//! ```
//!
//! Events are taken by their epoch and number, so it does not matter in which order the partitions are read, nor that most
//! of the second topic was in the first already. A node that described itself late has records under two keys, its id and
//! its name; here they are one node. What is left under its id then is void, and a start writes so ([`ToldNodes::stale_ids`]):
//! it would bring the node back after it was forgotten, once nothing under its name says so any more.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use pulsegate_codec::event::{Event, EventType};
use pulsegate_codec::{Incarnation, NodeId, Sequence};
use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{Duration, NodeState};
use pulsegate_stream::{FileError, LogReader, LogRecord, LogView, Record};

use crate::node_states::{Misplaced, is_moved};
use crate::place::{Place, place_of_event, place_of_record};

/// Events of a partition after the snapshot that are looked at, at most. Where there are more, the snapshot is so old that it
/// says little; the states of nodes come from the other topic all the same.
pub const REPLAYED_EVENTS_MAX: u64 = 262_144;

/// What was told of one node last.
#[derive(Clone, Debug)]
pub struct Told {
    place: Place,
    event_type: EventType,
    /// Where it stands.
    pub state: NodeState,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// The number of the event among those of the node.
    pub event_sequence: u32,
    /// The last heartbeat of that run that is known of; 0 if none is.
    pub last_sequence: Sequence,
    /// How long it had been silent then.
    pub silence: Duration,
    /// The interval that it was held to.
    pub interval_ms: u32,
    /// Its round trip, by its own report; 0 if it told none.
    pub round_trip_us: u32,
    /// What it told of itself; `None` if it never did.
    pub facts: Option<Arc<NodeFacts>>,
    /// Whether the world holds it for degraded; `None` if the events that were read do not say.
    pub is_degraded: Option<bool>,
    /// Whether the world holds it for stalled; likewise.
    pub is_stalled: Option<bool>,
    /// The event may be younger than the snapshot.
    pub is_after_snapshot: bool,
}

/// What was told of all nodes.
#[derive(Debug, Default)]
pub struct ToldNodes {
    nodes: HashMap<NodeId, Told>,
    forgotten: HashMap<NodeId, Place>,
    /// The latest record of each node under its id, and whether that is a state: not one without a value.
    ids: HashMap<NodeId, (Place, bool)>,
    /// States in other partitions than those of their keys. They are not taken: they are to be moved first.
    pub misplaced: Misplaced,
    /// When the latest of the events was decided.
    pub latest_unix_us: u64,
    /// Records that are no events of this version.
    pub unreadable: u64,
}

impl ToldNodes {
    /// Reads the states of all nodes. Blocks on the disk.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged; what was read before is kept.
    pub fn read_states(&mut self, directory: &Path, nodes: &LogView) -> Result<(), FileError> {
        let offsets = ranges(nodes, |_| 0);
        read(directory, nodes.topic(), &offsets, |found| {
            if !self.misplaced.note(found, nodes.partition_count()) {
                self.note_record(&found.record, false);
            }
        })
    }

    /// Reads the events from these offsets on, by partition. A partition of which none is known is not read. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// As [`Self::read_states`].
    pub fn replay(&mut self, directory: &Path, events: &LogView, from: &[u64]) -> Result<(), FileError> {
        let offset = |partition: u32| from.get(partition as usize).copied().unwrap_or(u64::MAX);
        let mut offsets = ranges(events, offset);
        for (start, end) in offsets.values_mut() {
            *start = (*start).max(end.saturating_sub(REPLAYED_EVENTS_MAX));
        }
        read(directory, events.topic(), &offsets, |found| self.note_record(&found.record, true))
    }

    /// The nodes.
    pub fn into_nodes(self) -> impl Iterator<Item = (NodeId, Told)> {
        self.nodes.into_iter()
    }

    /// Nodes that have a state under their id still, although a later event told of them by their name or that they were
    /// forgotten: with that event's type and place.
    pub fn stale_ids(&self) -> impl Iterator<Item = (NodeId, EventType, Place)> {
        let states = self.ids.iter().filter(|(_, (_, is_state))| *is_state);
        states.filter_map(|(&node_id, &(place, _))| {
            let known = self.nodes.get(&node_id).filter(|told| told.facts.is_some());
            let named = known.map(|told| (told.place, &told.event_type));
            let forgotten = self.forgotten.get(&node_id).map(|&place| (place, &EventType::Forgotten));
            let (later, event_type) = named.or(forgotten).filter(|&(later, _)| later > place)?;
            Some((node_id, event_type.clone(), later))
        })
    }

    fn note_record(&mut self, record: &Record, is_after_snapshot: bool) {
        let Some(value) = &record.value else {
            self.note_tombstone(record);
            return;
        };
        let content_type = record.header("content-type").map(|header| &**header);
        match Event::decode(content_type, value) {
            Ok(event) => self.note(event, is_after_snapshot),
            Err(_) => self.unreadable += 1,
        }
    }

    /// Takes an event, whatever it is about.
    pub fn note(&mut self, event: Event, is_after_snapshot: bool) {
        self.latest_unix_us = self.latest_unix_us.max(event.decided_at_unix_us);
        let place = place_of_event(&event);
        let Some(node_id) = event.node_id.filter(|_| event.event_type.entity_and_change().0 == "node") else {
            return;
        };
        if event.event_type == EventType::Forgotten {
            self.forget(node_id, place);
            return;
        }
        let Some(state) = event.state.as_deref().and_then(state_of_word) else { return };
        let is_named = event.node != node_id.to_string();
        if !is_named && !self.note_id(node_id, place, true) {
            return;
        }
        if self.forgotten.get(&node_id).is_some_and(|&forgotten| place < forgotten) {
            return;
        }
        let mut known = self.nodes.get_mut(&node_id);
        let before = known.as_ref().map_or((None, None), |known| (known.is_degraded, known.is_stalled));
        let (is_degraded, is_stalled) = condition_after(&event.event_type, before);
        if let Some(known) = &mut known
            && place < known.place
        {
            if is_after_snapshot {
                // Its state is known by a later event, which need not have told its condition.
                (known.is_degraded, known.is_stalled) = (is_degraded, is_stalled);
            }
            return;
        }
        let told = Told {
            place,
            event_type: event.event_type.clone(),
            state,
            incarnation: Incarnation(event.incarnation.unwrap_or(0)),
            event_sequence: event.event_sequence.unwrap_or(0).max(1),
            last_sequence: last_sequence(&event),
            silence: Duration::from_micros(event.silence_us.unwrap_or(0)),
            interval_ms: event.interval_ms.unwrap_or(0),
            round_trip_us: event.round_trip_time_us.unwrap_or(0),
            is_degraded,
            is_stalled,
            is_after_snapshot,
            facts: is_named.then(|| facts(event)),
        };
        match known {
            Some(known) => *known = told,
            None => drop(self.nodes.insert(node_id, told)),
        }
    }

    /// Notes a record under a node's id. Returns whether it counts: what was written there before a later record without a
    /// value does not, in whatever order the two are read.
    fn note_id(&mut self, node_id: NodeId, place: Place, is_state: bool) -> bool {
        let latest = self.ids.entry(node_id).or_insert((place, is_state));
        let is_superseded = !latest.1 && place < latest.0;
        if place > latest.0 || (place == latest.0 && !is_state) {
            *latest = (place, is_state);
        }
        !is_superseded
    }

    /// A key is the node's name, or its id if it never told one; what looks like an id may be either. A node was
    /// forgotten if the record says so; otherwise its key alone is void, since it goes by another one.
    fn note_tombstone(&mut self, record: &Record) {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let (Some(key), Some(place)) = (key, place_of_record(record)) else {
            self.unreadable += 1;
            return;
        };
        let by_id: Option<NodeId> = key.parse().ok().filter(|_| key.len() == 16);
        if is_moved(record) {
            // What stood under this key here before is void. If the key came back later, so does its state.
            for (node_id, is_name) in [(Some(NodeId::from_name(key)), true), (by_id, false)] {
                let Some(node_id) = node_id else { continue };
                let is_void = |told: &Told| told.facts.is_some() == is_name && told.place <= place;
                if self.nodes.get(&node_id).is_some_and(is_void) {
                    self.nodes.remove(&node_id);
                }
            }
            by_id.map(|node_id| self.ids.remove(&node_id));
            return;
        }
        if let Some(node_id) = by_id {
            self.note_id(node_id, place, false);
        }
        let event_type = record.header("ce_type").map(|header| &**header);
        if event_type == Some(EventType::Forgotten.cloud_events_type().as_bytes()) {
            self.forget(NodeId::from_name(key), place);
            by_id.into_iter().for_each(|node_id| self.forget(node_id, place));
        } else if let Some(node_id) = by_id
            && self.nodes.get(&node_id).is_some_and(|known| known.facts.is_none() && known.place < place)
        {
            self.nodes.remove(&node_id);
        }
    }

    fn forget(&mut self, node_id: NodeId, place: Place) {
        let latest = self.forgotten.entry(node_id).or_insert(place);
        *latest = place.max(*latest);
        if self.nodes.get(&node_id).is_some_and(|known| known.place <= place) {
            self.nodes.remove(&node_id);
        }
    }
}

fn state_of_word(word: &str) -> Option<NodeState> {
    let states = [NodeState::Alive, NodeState::Suspect, NodeState::Failed, NodeState::Left];
    states.into_iter().find(|state| state.label() == word)
}

/// Degraded and stalled after an event, by what they were before it.
fn condition_after(
    event_type: &EventType,
    (is_degraded, is_stalled): (Option<bool>, Option<bool>),
) -> (Option<bool>, Option<bool>) {
    match event_type {
        EventType::Joined | EventType::Restarted | EventType::Left => (Some(false), Some(false)),
        EventType::Degraded => (Some(true), is_stalled),
        EventType::Healthy => (Some(false), is_stalled),
        EventType::Stalled => (is_degraded, Some(true)),
        EventType::Progressing => (is_degraded, Some(false)),
        _ => (is_degraded, is_stalled),
    }
}

/// The last heartbeat of the run that the event names. A restart tells of the run before, and what is told beside the
/// verdicts may tell of one.
fn last_sequence(event: &Event) -> Sequence {
    let is_of_another_run = matches!(
        event.event_type,
        EventType::Restarted | EventType::Flapping | EventType::Steady | EventType::Other(_)
    );
    Sequence(event.last_sequence.filter(|_| !is_of_another_run).unwrap_or(0))
}

/// What the event tells of its node. What runs on it and what to ask are in no event: they come with its next descriptor.
fn facts(event: Event) -> Arc<NodeFacts> {
    Arc::new(NodeFacts {
        name: event.node.into(),
        zone: event.zone.into(),
        labels: event.labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        interval_ms: event.interval_ms.unwrap_or(0),
        profile: event.profile.into(),
        services: Box::default(),
        probe: Box::default(),
    })
}

/// First and last offset to read, by partition.
fn ranges(view: &LogView, from: impl Fn(u32) -> u64) -> BTreeMap<u32, (u64, u64)> {
    let range = |partition| {
        let range = view.range(partition)?;
        Some((partition, (from(partition).clamp(range.start, range.end), range.end)))
    };
    (0..view.partition_count()).filter_map(range).collect()
}

fn read(
    directory: &Path,
    topic: &str,
    offsets: &BTreeMap<u32, (u64, u64)>,
    mut take: impl FnMut(&LogRecord),
) -> Result<(), FileError> {
    let starts = offsets.iter().map(|(&partition, &(start, _))| (partition, start)).collect();
    let mut reader = LogReader::starting_at(directory, topic, &starts);
    loop {
        let poll = reader.poll_to(|partition| offsets[&partition].1)?;
        poll.records.iter().for_each(&mut take);
        if !poll.has_more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
