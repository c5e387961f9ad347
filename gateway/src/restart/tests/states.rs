//! What a start does about states of nodes that lie where they do not belong.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_codec::event::ValueFormat;
use pulsegate_stream::{LogConfig, LogReader, Storage};

use super::*;
use crate::topics::{EVENTS_TOPIC, NODES_TOPIC};

/// A data directory with these states and no events.
struct World {
    directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
    }

    fn append(&self, partitions: u32, records: &[Record]) {
        let stream = data_dir::stream_dir(self.directory.path());
        self.runtime.block_on(async {
            let config = LogConfig::new(NODES_TOPIC, partitions);
            let (mut log, _) = EventLog::open(&stream, config, Storage::Tokio).await.unwrap();
            log.append(records).await.unwrap();
        });
    }

    /// What a start knows then, by name or id.
    fn start(&self, partitions: u32) -> BTreeMap<String, NodeState> {
        let mut config = Config::from_toml("name = \"gw\"").unwrap();
        self.directory.path().clone_into(&mut config.data_dir);
        let stream = data_dir::stream_dir(self.directory.path());
        let recovered = self.runtime.block_on(async {
            let open = |topic| EventLog::open(&stream, LogConfig::new(topic, partitions), Storage::Tokio);
            let (events, mut nodes) =
                (open(EVENTS_TOPIC).await.unwrap().0, open(NODES_TOPIC).await.unwrap().0);
            recover(&config, &events.view(), &mut nodes, 7_000_000).await.unwrap()
        });
        let nodes = recovered.shards.into_iter().flatten();
        let name = |node: &RestoredNode| match &node.facts {
            Some(facts) => facts.name.to_string(),
            None => node.record.node_id.to_string(),
        };
        nodes.map(|node| (name(&node), node.record.state)).collect()
    }

    /// All records, by partition and offset: key, id and whether there is a value.
    fn records(&self) -> Vec<(u32, String, String, bool)> {
        let mut reader = LogReader::new(&data_dir::stream_dir(self.directory.path()), NODES_TOPIC);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let records = reader.poll().unwrap().records.into_iter().map(|found| {
            let record = found.record;
            let key = text(record.key.as_ref().unwrap());
            (found.partition, key, text(record.header("ce_id").unwrap()), record.value.is_some())
        });
        records.collect()
    }
}

fn state(event_type: EventType, name: &str, state: &str, number: u64) -> Event {
    let mut event = event(event_type, state, 7);
    name.clone_into(&mut event.node);
    event.node_id = Some(NodeId::from_name(name));
    event.gateway_sequence = number;
    event
}

fn record_of(event: &Event) -> Record {
    Record::from(event.to_record(ValueFormat::Json))
}

/// Goal: what a node has left under its id is ended by the next start, whoever has left it there, once, with the event
/// that made it void; the node goes on under its name.
#[test]
fn a_state_under_an_id_is_ended_by_the_next_start() {
    let world = World::new();
    let id = NodeId::from_name("late").to_string();
    let by_id = Event { node: id.clone(), ..state(EventType::Joined, "late", "alive", 2) };
    let failed = state(EventType::Failed, "late", "failed", 9);
    let unnamed = NodeId::from_name("unnamed").to_string();
    let of_unnamed = Event { node: unnamed.clone(), ..state(EventType::Joined, "unnamed", "alive", 3) };
    world.append(2, &[record_of(&by_id), record_of(&failed), record_of(&of_unnamed)]);
    for _ in 0..2 {
        let expected = [("late".to_owned(), NodeState::Failed), (unnamed.clone(), NodeState::Alive)];
        assert_eq!(world.start(2), expected.into());
        let ends: Vec<_> = world.records().into_iter().filter(|record| !record.3).collect();
        let [(_, key, place, _)] = &ends[..] else { panic!("{ends:?}") };
        assert_eq!((key, place.as_str()), (&id, "gw/1/9"));
    }
}

/// Goal: however often there are more partitions, and whether or not an earlier version let states lie where they were: who
/// is known and where each stands is what was told last, nothing is left behind in an old partition, and each state lies
/// in its own once. Method: forty nodes through six numbers of partitions, with news of some in between; at two of them no
/// start puts anything in order.
#[test]
fn states_follow_their_keys_into_more_partitions() {
    let world = World::new();
    let mut model: BTreeMap<String, (NodeState, u64)> = BTreeMap::new();
    let mut number = 0;
    for (round, partitions) in [1, 2, 3, 4, 6, 9].into_iter().enumerate() {
        for node in (0..40).filter(|node| round == 0 || node % 7 == round) {
            number += 1;
            let name = format!("node-{node}");
            let (event_type, told) = match node % 3 {
                _ if round == 0 => (EventType::Joined, NodeState::Alive),
                0 => (EventType::Failed, NodeState::Failed),
                1 => (EventType::Recovered, NodeState::Alive),
                _ => (EventType::Forgotten, NodeState::New),
            };
            let mut record = record_of(&state(event_type, &name, told.label(), number));
            if told == NodeState::New {
                record.value = None;
                model.remove(&name);
            } else {
                model.insert(name, (told, number));
            }
            world.append(partitions, &[record]);
        }
        if [2, 6].contains(&partitions) {
            continue;
        }
        let expected: BTreeMap<_, _> =
            model.iter().map(|(name, (state, _))| (name.clone(), *state)).collect();
        assert_eq!(world.start(partitions), expected, "{partitions} partitions");
        let records = world.records();
        assert_eq!(world.start(partitions), expected, "{partitions} partitions, again");
        assert_eq!(world.records(), records, "there is nothing more to do");
        let lasts: BTreeMap<_, _> = records
            .iter()
            .map(|(partition, key, id, is_state)| ((*partition, key.as_str()), (id.as_str(), *is_state)))
            .collect();
        let states: BTreeSet<_> = lasts.into_iter().filter(|(_, (_, is_state))| *is_state).collect();
        let ids: Vec<_> = model.values().map(|(_, number)| format!("gw/1/{number}")).collect();
        let expected = model.keys().zip(&ids).map(|(name, id)| {
            let partition = pulsegate_stream::partition_of_key(Some(name.as_bytes()), partitions);
            ((partition, name.as_str()), (id.as_str(), true))
        });
        assert_eq!(states, expected.collect(), "what a consumer has at the end of all partitions");
    }
}

/// Goal: a start that was killed between the two steps is made good by the next, and the state is not written twice; an
/// old state under an id is not moved and left there, if its node has told its name since.
#[test]
fn a_move_that_was_interrupted_is_finished() {
    let world = World::new();
    let alive = record_of(&state(EventType::Joined, "a", "alive", 2));
    let id = NodeId::from_name("late").to_string();
    let by_id = Event { node: id.clone(), ..state(EventType::Joined, "late", "alive", 3) };
    let failed = record_of(&state(EventType::Failed, "late", "failed", 9));
    world.append(1, &[alive.clone(), record_of(&by_id), failed]);
    let partitions = 7;
    let is_elsewhere = |key: &str| pulsegate_stream::partition_of_key(Some(key.as_bytes()), partitions) != 0;
    assert!(is_elsewhere("a") && is_elsewhere(&id));
    world.append(partitions, &[alive]);
    let expected = [("a".to_owned(), NodeState::Alive), ("late".to_owned(), NodeState::Failed)];
    assert_eq!(world.start(partitions), expected.into());
    let of = |key: &str| -> Vec<(u32, bool)> {
        let records = world.records().into_iter().filter(|record| record.1 == key);
        records.map(|(partition, .., is_state)| (u32::from(partition != 0), is_state)).collect()
    };
    assert_eq!(of("a"), [(0, true), (0, false), (1, true)]);
    assert!(of(&id).ends_with(&[(1, true), (1, false)]), "{:?}", of(&id));
    assert_eq!(of(&id)[..2], [(0, true), (0, false)]);
}
