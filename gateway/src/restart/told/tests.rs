//! What of many events of a node counts, in whatever order they are read.

use pulsegate_codec::event::{EventId, ValueFormat};
use pulsegate_stream::Record;

use super::*;

const NAME: &str = "node-1";

fn event(event_type: EventType, place: Place, state: &str) -> Event {
    let id = EventId { gateway: "gw/1".to_owned(), epoch: place.0, gateway_sequence: place.1 };
    let mut event = Event::new(event_type, id, place.0 * 1_000 + place.1);
    event.node = NAME.to_owned();
    event.node_id = Some(NodeId::from_name(NAME));
    event.state = Some(state.to_owned().into()).filter(|_| !state.is_empty());
    event.event_sequence = Some(u32::try_from(place.1).unwrap());
    event.incarnation = Some(7);
    event.last_sequence = Some(20);
    event
}

fn tombstone(event: &Event) -> Record {
    Record { value: None, ..Record::from(event.to_record(ValueFormat::Json)) }
}

fn only(told: ToldNodes) -> Option<Told> {
    let nodes: Vec<_> = told.into_nodes().collect();
    assert!(nodes.len() <= 1, "one node: {nodes:?}");
    nodes.into_iter().next().map(|(_, told)| told)
}

/// Goal: the latest event says where a node stands, in whichever order two partitions are read; an epoch outranks a number.
#[test]
fn the_latest_event_counts_in_any_order() {
    let events = [
        event(EventType::Joined, (1, 9), "alive"),
        event(EventType::Suspected, (2, 3), "suspect"),
        event(EventType::Failed, (2, 4), "failed"),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut told = ToldNodes::default();
        order.iter().for_each(|&index| told.note(events[index].clone(), false));
        assert_eq!(told.latest_unix_us, 2_004);
        let told = only(told).unwrap();
        assert_eq!((told.state, told.event_sequence), (NodeState::Failed, 4), "{order:?}");
        assert_eq!((told.incarnation, told.last_sequence), (Incarnation(7), Sequence(20)));
    }
}

/// Goal: a forgotten node is unknown, whether its end or what came before it is read first, and known again when it joined
/// after that; a record under its id, from before it told its name, does not bring it back.
#[test]
fn a_forgotten_node_is_unknown_until_it_joins_again() {
    let joined = event(EventType::Joined, (1, 2), "alive");
    let by_id = Event { node: NodeId::from_name(NAME).to_string(), ..joined.clone() };
    let end = tombstone(&event(EventType::Forgotten, (1, 8), ""));
    for before in [&joined, &by_id] {
        let before = Record::from(before.to_record(ValueFormat::Protobuf));
        for records in [[&before, &end], [&end, &before]] {
            let mut told = ToldNodes::default();
            records.iter().for_each(|record| told.note_record(record, false));
            assert!(only(told).is_none());
        }
    }
    let mut told = ToldNodes::default();
    told.note(event(EventType::Joined, (2, 1), "alive"), false);
    told.note_record(&end, false);
    assert!(only(told).is_some());
    let mut told = ToldNodes::default();
    told.note_record(&tombstone(&Event { event_type: EventType::Forgotten, ..by_id.clone() }), false);
    told.note(Event { gateway_sequence: 1, ..by_id }, false);
    assert!(only(told).is_none(), "its key was its id");
}

/// All orders in which these can be read: each is read from a partition of its own.
fn orders(records: &[Record]) -> Vec<Vec<&Record>> {
    let [first, rest @ ..] = records else { return vec![vec![]] };
    orders(rest)
        .into_iter()
        .flat_map(|order| (0..=order.len()).map(move |at| [&order[..at], &[first], &order[at..]].concat()))
        .collect()
}

/// Goal: that a node is not told of under its id any more does not make it forgotten, in whatever order the keys are read;
/// what lies under the id, older, does not bring it back.
#[test]
fn a_node_that_has_told_its_name_goes_on_under_it() {
    let joined = event(EventType::Joined, (1, 2), "alive");
    let by_id = Event { node: NodeId::from_name(NAME).to_string(), ..joined };
    let suspected = event(EventType::Suspected, (1, 5), "suspect");
    let end_of_id = tombstone(&Event { node: by_id.node.clone(), ..suspected.clone() });
    let [by_id, suspected] = [by_id, suspected].map(|event| Record::from(event.to_record(ValueFormat::Json)));
    for order in orders(&[by_id.clone(), suspected.clone(), end_of_id.clone()]) {
        let mut told = ToldNodes::default();
        order.iter().for_each(|record| told.note_record(record, false));
        assert_eq!(told.stale_ids().count(), 0, "{order:?}");
        let told = only(told).unwrap();
        assert_eq!((told.state, told.facts.is_some()), (NodeState::Suspect, true), "{order:?}");
    }
    for order in orders(&[by_id, end_of_id]) {
        let mut told = ToldNodes::default();
        order.iter().for_each(|record| told.note_record(record, false));
        assert!(only(told).is_none(), "its name was forgotten and compacted away: {order:?}");
    }
}

/// Goal: a state under an id that nothing ends is found, whether the node lives under its name or was forgotten under it.
#[test]
fn a_state_that_was_left_under_an_id_is_found() {
    let joined = event(EventType::Joined, (1, 2), "alive");
    let by_id = Event { node: NodeId::from_name(NAME).to_string(), ..joined };
    let by_id = Record::from(by_id.to_record(ValueFormat::Json));
    let failed = event(EventType::Failed, (1, 5), "failed");
    let failed = Record::from(failed.to_record(ValueFormat::Json));
    let forgotten = tombstone(&event(EventType::Forgotten, (2, 3), ""));
    for (later, expected) in
        [(failed, (EventType::Failed, (1, 5))), (forgotten, (EventType::Forgotten, (2, 3)))]
    {
        for order in orders(&[by_id.clone(), later]) {
            let mut told = ToldNodes::default();
            order.iter().for_each(|record| told.note_record(record, false));
            let (event_type, place) = expected.clone();
            assert_eq!(told.stale_ids().collect::<Vec<_>>(), [(NodeId::from_name(NAME), event_type, place)]);
        }
    }
    let mut told = ToldNodes::default();
    told.note_record(&by_id, false);
    assert_eq!(told.stale_ids().count(), 0, "it has not told its name");
}

/// Goal: what a node said of its condition is known although later events say nothing of it, if the events after the snapshot
/// tell; if they do not, nothing is claimed.
#[test]
fn conditions_are_told_by_the_events_after_the_snapshot() {
    let recovered = event(EventType::Recovered, (1, 9), "alive");
    let mut told = ToldNodes::default();
    told.note(recovered.clone(), false);
    let told_by_states = only(told).unwrap();
    assert_eq!((told_by_states.is_degraded, told_by_states.is_after_snapshot), (None, false));
    let mut told = ToldNodes::default();
    told.note(recovered.clone(), false);
    for (number, event_type) in [(6, EventType::Degraded), (7, EventType::Stalled), (8, EventType::Suspected)]
    {
        told.note(event(event_type, (1, number), "alive"), true);
    }
    told.note(recovered, true);
    let told = only(told).unwrap();
    assert_eq!((told.is_degraded, told.is_stalled, told.state), (Some(true), Some(true), NodeState::Alive));
    assert!(told.is_after_snapshot);
}

/// Goal: the sequence in an event is taken for that of the run that it names, unless it belongs to the run before.
#[test]
fn a_restart_tells_no_sequence_of_its_run() {
    for (event_type, sequence) in
        [(EventType::Restarted, 0), (EventType::Flapping, 0), (EventType::Recovered, 20)]
    {
        let mut told = ToldNodes::default();
        told.note(event(event_type, (1, 1), "alive"), false);
        assert_eq!(only(told).unwrap().last_sequence, Sequence(sequence));
    }
}

#[test]
fn what_is_no_event_of_a_node_is_counted_or_ignored() {
    let mut told = ToldNodes::default();
    told.note_record(&Record { value: Some("{".into()), ..Record::default() }, false);
    told.note_record(&Record { key: Some("a".into()), ..Record::default() }, false);
    assert_eq!(told.unreadable, 2);
    told.note(event(EventType::GatewayStopped, (1, 5), ""), false);
    told.note(event(EventType::Other("moved".into()), (1, 6), "elsewhere"), false);
    assert_eq!((told.latest_unix_us, told.unreadable), (1_006, 2));
    assert!(only(told).is_none());
}
