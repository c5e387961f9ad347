//! Which events tell a state.

use pulsegate_codec::NodeId;
use pulsegate_codec::event::EventId;
use pulsegate_stream::{LogConfig, Storage};

use super::*;
use crate::topics::NODES_TOPIC;

pub(super) fn event(event_type: EventType, node: &str, sequence: u64) -> Event {
    let id = EventId { gateway: "gw".to_owned(), epoch: 1, gateway_sequence: sequence };
    let mut event = Event::new(event_type, id, 1_000_000 + sequence);
    node.clone_into(&mut event.node);
    event.node_id = Some(NodeId::from_name(node)).filter(|_| !node.is_empty());
    event.state = Some("alive".into()).filter(|_| event.event_type != EventType::Forgotten);
    event
}

pub(super) fn record(event: &Event) -> Record {
    Record::from(event.to_record(ValueFormat::Json))
}

pub(super) async fn open(directory: &Path, topic: &str) -> EventLog {
    EventLog::open(directory, LogConfig::new(topic, 2), Storage::Tokio).await.unwrap().0
}

/// Keys and whether there is a value, by partition and offset.
pub(super) fn nodes(directory: &Path) -> Vec<(String, bool)> {
    let mut reader = LogReader::new(directory, NODES_TOPIC);
    let records = reader.poll().unwrap().records.into_iter().map(|record| record.record);
    records
        .map(|record| (String::from_utf8(record.key.unwrap().to_vec()).unwrap(), record.value.is_some()))
        .collect()
}

#[test]
fn states_are_told_once_a_node_event_and_forgotten_nodes_by_a_record_without_a_value() {
    let joined = event(EventType::Joined, "a", 1);
    assert_eq!(state_record(&joined, &record(&joined)), Some(record(&joined)));
    let forgotten = event(EventType::Forgotten, "a", 2);
    let tombstone = state_record(&forgotten, &record(&forgotten)).unwrap();
    assert_eq!((tombstone.value, tombstone.key), (None, Some("a".into())));
    let started = event(EventType::GatewayStarted, "", 3);
    assert_eq!(state_record(&started, &record(&started)), None);
}

/// Goal: what happens to a flapping node beside its flaps does not hide that it flaps; when it is steady, no state says so.
#[test]
fn states_of_a_flapping_node_say_that_it_flaps() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut states =
        NodeStates::new(runtime.block_on(open(directory.path(), NODES_TOPIC)), ValueFormat::Json);
    let told = [
        (EventType::Degraded, None, None),
        (EventType::Flapping, Some(4), Some(4)),
        (EventType::Degraded, None, Some(4)),
        (EventType::Steady, Some(9), Some(9)),
        (EventType::Healthy, None, None),
    ];
    for ((event_type, flap_count, expected), sequence) in told.into_iter().zip(1..) {
        let event = Event { flap_count, ..event(event_type, "a", sequence) };
        states.gather(&event, &record(&event), false);
        let state = Event::from_json(states.records.pop().unwrap().value.as_deref().unwrap()).unwrap();
        assert_eq!(state, Event { flap_count: expected, ..event });
    }
}

/// Goal: once a node is known by its name, nothing stays under its id; who reads the topic is told so by a record of its
/// own, which names the event. Also when a node is forgotten, in case there is something still.
#[test]
fn what_was_told_under_an_id_ends_with_the_name() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = runtime.block_on(open(directory.path(), NODES_TOPIC));
    let mut states = NodeStates::new(log, ValueFormat::Json);
    let id = NodeId::from_name("a").to_string();
    let by_id = Event { node: id.clone(), ..event(EventType::Joined, "a", 1) };
    states.gather(&by_id, &record(&by_id), false);
    for (event_type, sequence) in
        [(EventType::Suspected, 2), (EventType::Failed, 3), (EventType::Forgotten, 4)]
    {
        let event = event(event_type, "a", sequence);
        states.gather(&event, &record(&event), sequence == 2);
    }
    let by_id_again = Event { node: id.clone(), ..event(EventType::Forgotten, "a", 5) };
    states.gather(&by_id_again, &record(&by_id_again), false);
    let written: Vec<_> =
        states.records.iter().map(|record| (record.key.clone().unwrap(), record.value.is_some())).collect();
    let (name, id) = ("a".into(), bytes::Bytes::from(id));
    let expected =
        [(&id, true), (&name, true), (&id, false), (&name, true), (&name, false), (&id, false), (&id, false)];
    assert_eq!(written, expected.map(|(key, has_value)| (key.clone(), has_value)));
    let ended = &states.records[2];
    let header = |name| std::str::from_utf8(ended.header(name).unwrap()).unwrap();
    assert_eq!((header("ce_id"), header("ce_type")), ("gw/1/2", "io.pulsegate.node.suspected.v1"));
    assert_eq!(header("ce_subject").as_bytes(), &id[..]);
}
