//! Whatever is missing is written, and nothing that is older than what is there.

use pulsegate_codec::event::{EventType, ValueFormat};

use super::super::NodeStates;
use super::super::tests::{event, nodes, open, record};
use super::*;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Goal: whatever part of the last states a crash has lost, a start writes just that part. Method: all events are in
/// the log; for each length the states of the first so many; after the catching up there is each state once.
#[test]
fn missing_states_are_made_up_for_once() {
    let names = ["a", "b", "c", "d", "e"];
    let mut told: Vec<Event> =
        names.iter().zip(2..).map(|(name, sequence)| event(EventType::Joined, name, sequence)).collect();
    told.push(event(EventType::Forgotten, "c", 7));
    told.push(event(EventType::GatewayStopped, "", 8));
    let records: Vec<Record> = told.iter().map(record).collect();
    for written in 0..=6 {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let mut events = open(directory.path(), EVENTS_TOPIC).await;
            events.append(&records).await.unwrap();
            let mut states = NodeStates::new(open(directory.path(), NODES_TOPIC).await, ValueFormat::Json);
            told[..written]
                .iter()
                .zip(&records)
                .for_each(|(event, record)| states.gather(event, record, false));
            states.commit().await.unwrap();
            // A partition without any state is read from the start.
            let missing = catch_up(directory.path(), &events, &mut states.log, |_| false).await.unwrap();
            assert_eq!(missing, 6 - written, "{written} written before");
            assert_eq!(catch_up(directory.path(), &events, &mut states.log, |_| false).await.unwrap(), 0);
        });
        let mut found = nodes(directory.path());
        // What ends a key that may have been there, is not made up for here.
        found.retain(|(key, _)| names.contains(&key.as_str()));
        found.sort();
        let expected = [("a", true), ("b", true), ("c", false), ("c", true), ("d", true), ("e", true)];
        assert_eq!(found, expected.map(|(name, has_value)| (name.to_owned(), has_value)));
    }
}

/// The latest place and whether there is a value, by key, as who reads the topic has it in the end.
fn latest(directory: &Path) -> HashMap<String, (Place, bool)> {
    let mut reader = pulsegate_stream::LogReader::new(directory, NODES_TOPIC);
    let records = reader.poll().unwrap().records.into_iter().map(|record| record.record);
    let key = |record: &Record| String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
    records
        .map(|record| (key(&record), (place_of_record(&record).unwrap(), record.value.is_some())))
        .collect()
}

/// Goal: states that are ahead of the events stay, with nothing older behind them: whether nothing is known to be damaged,
/// or everything. Method: the end of the events is lost, and not that of the states.
#[test]
fn nothing_older_is_written_behind_a_state_whose_event_is_lost() {
    let names = ["b", "c", "a"].into_iter().cycle();
    let told: Vec<Event> =
        (1..=9).zip(names).map(|(sequence, name)| event(EventType::Joined, name, sequence)).collect();
    let records: Vec<Record> = told.iter().map(record).collect();
    for (kept, is_damaged) in [(0, false), (4, false), (8, false), (0, true), (4, true), (9, true)] {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let mut events = open(directory.path(), EVENTS_TOPIC).await;
            events.append(&records[..kept]).await.unwrap();
            let mut log = open(directory.path(), NODES_TOPIC).await;
            log.append(&records).await.unwrap();
            let missing = catch_up(directory.path(), &events, &mut log, |_| is_damaged).await.unwrap();
            assert_eq!(missing, 0, "{kept} events are left");
        });
        let expected =
            [("c", 8), ("a", 9), ("b", 7)].map(|(key, number)| (key.to_owned(), ((1, number), true)));
        assert_eq!(latest(directory.path()), expected.into());
    }
}

/// Goal: where damage took states out of the middle, the latest of each node is there again, also that of one that is
/// quiet; who has been forgotten stays so, though a state under an earlier key of it is still among the events.
#[test]
fn what_damage_took_is_written_again_and_nothing_that_was_superseded() {
    let id = NodeId::from_name("named").to_string();
    let by_id = Event { node: id.clone(), ..event(EventType::Joined, "named", 3) };
    let told = [
        event(EventType::Joined, "quiet", 1),
        event(EventType::Joined, "busy", 2),
        by_id,
        event(EventType::Suspected, "busy", 4),
        event(EventType::Forgotten, "named", 5),
        event(EventType::Failed, "busy", 6),
    ];
    let records: Vec<Record> = told.iter().map(record).collect();
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let mut events = open(directory.path(), EVENTS_TOPIC).await;
        events.append(&records).await.unwrap();
        let mut log = open(directory.path(), NODES_TOPIC).await;
        log.append(&records[5..]).await.unwrap();
        catch_up(directory.path(), &events, &mut log, |_| true).await.unwrap();
        assert_eq!(catch_up(directory.path(), &events, &mut log, |_| true).await.unwrap(), 0);
    });
    let latest = latest(directory.path());
    assert_eq!((latest["quiet"], latest["busy"]), (((1, 1), true), ((1, 6), true)));
    assert_eq!(latest["named"], ((1, 5), false));
    assert!(latest.get(&id).is_none_or(|(_, has_value)| !has_value), "{latest:?}");
}

/// Goal: only the run before can have left states behind; older events are not told again, whatever the states end with.
#[test]
fn only_the_last_run_is_made_up_for() {
    let of_epoch = |epoch, event: Event| record(&Event { epoch, ..event });
    let old =
        [event(EventType::Joined, "a", 8), event(EventType::Joined, "c", 9)].map(|event| of_epoch(1, event));
    let new =
        [event(EventType::Joined, "b", 1), event(EventType::Failed, "c", 2)].map(|event| of_epoch(2, event));
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let mut events = open(directory.path(), EVENTS_TOPIC).await;
        events.append(&old).await.unwrap();
        events.append(&new).await.unwrap();
        let mut log = open(directory.path(), NODES_TOPIC).await;
        assert_eq!(catch_up(directory.path(), &events, &mut log, |_| false).await.unwrap(), 2);
    });
    let expected = [("b", (2, 1)), ("c", (2, 2))].map(|(key, place)| (key.to_owned(), (place, true)));
    assert_eq!(latest(directory.path()), expected.into());
}
