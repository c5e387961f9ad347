//! Which events tell a state, and what a start makes up for.

use pulsegate_codec::event::EventId;
use pulsegate_stream::{LogConfig, Storage};

use super::*;

fn event(event_type: EventType, node: &str, sequence: u64) -> Event {
    let id = EventId { gateway: "gw".to_owned(), epoch: 1, gateway_sequence: sequence };
    let mut event = Event::new(event_type, id, 1_000_000 + sequence);
    node.clone_into(&mut event.node);
    event.state = Some("alive".into()).filter(|_| event.event_type != EventType::Forgotten);
    event
}

fn record(event: &Event) -> Record {
    Record::from(event.to_record(ValueFormat::Json))
}

async fn open(directory: &Path, topic: &str) -> EventLog {
    EventLog::open(directory, LogConfig::new(topic, 2), Storage::Tokio).await.unwrap().0
}

/// Keys and whether there is a value, by partition and offset.
fn nodes(directory: &Path) -> Vec<(String, bool)> {
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
        states.gather(&event, &record(&event));
        let state = Event::from_json(states.records.pop().unwrap().value.as_deref().unwrap()).unwrap();
        assert_eq!(state, Event { flap_count: expected, ..event });
    }
}

/// Goal: whatever part of the last states a crash has lost, a start writes just that part. Method: all events are in
/// the log; for each length the states of the first so many; after the catching up there is each state once.
#[test]
fn missing_states_are_made_up_for_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    let mut told: Vec<Event> =
        names.iter().zip(2..).map(|(name, sequence)| event(EventType::Joined, name, sequence)).collect();
    told.push(event(EventType::Forgotten, "c", 7));
    told.push(event(EventType::GatewayStopped, "", 8));
    let records: Vec<Record> = told.iter().map(record).collect();
    for written in 0..=6 {
        let directory = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let mut events = open(directory.path(), EVENTS_TOPIC).await;
            events.append(&records).await.unwrap();
            let mut states = NodeStates::new(open(directory.path(), NODES_TOPIC).await, ValueFormat::Json);
            told[..written].iter().zip(&records).for_each(|(event, record)| states.gather(event, record));
            states.commit().await.unwrap();
            // A partition without any state is read from the start.
            let missing = catch_up(directory.path(), &events, &mut states.log, |_| false).await.unwrap();
            assert_eq!(missing, 6 - written, "{written} written before");
            assert_eq!(catch_up(directory.path(), &events, &mut states.log, |_| false).await.unwrap(), 0);
        });
        let mut found = nodes(directory.path());
        found.sort();
        let expected = [("a", true), ("b", true), ("c", false), ("c", true), ("d", true), ("e", true)];
        assert_eq!(found, expected.map(|(name, has_value)| (name.to_owned(), has_value)));
    }
}
