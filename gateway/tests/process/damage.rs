//! Damaged files under the real program: refused, or set aside; and what a Kafka client then reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Gateway, Relay, eventually, pause, program, serve};
use pulsegate::data_dir::stream_dir;
use pulsegate::gateway::{EVENTS_TOPIC, NODES_TOPIC};
use pulsegate_codec::event::Event;
use pulsegate_loadgen::topic_reader::TopicReader;
use pulsegate_stream::BatchHeader;
use rdkafka::Message;

const SETTINGS: &str = "[stream]\npartitions = 1\non-damage = \"refuse\"\n\
     [detector]\ninterval-ms = 10_000\n[guard]\nenabled = false\n[damping]\nenabled = false\n\
     [registry]\nnodes-max = 1_000\n";
const NODES: [&str; 5] = ["node-0", "node-1", "node-2", "node-3", "node-4"];
/// A node that joins and does not restart: only one record tells its state.
const QUIET: &str = "quiet";
const RESTARTS: u32 = 40;

fn quarantine() -> String {
    SETTINGS.replace("refuse", "quarantine")
}

/// The one segment of the one partition.
fn segment(data_dir: &Path, topic: &str) -> PathBuf {
    stream_dir(data_dir).join(format!("{topic}-0")).join("00000000000000000000.log")
}

/// Key and value of each record from `start` on, as a Kafka client reads them, to the end that there is now.
fn read(gateway: &Gateway, topic: &str, start: i64) -> BTreeMap<i64, (Vec<u8>, Vec<u8>)> {
    let mut reader = TopicReader::connect(&gateway.endpoints().kafka.to_string(), topic, &[]).unwrap();
    let ends = reader.end_offsets().unwrap();
    let start = start.max(reader.first_offsets().unwrap()[0]);
    reader.start(vec![start]).unwrap();
    let mut records = BTreeMap::new();
    while !reader.has_reached(&ends) {
        let (offset, record) = eventually("the next record", || {
            let message = reader.next(Duration::from_millis(100)).unwrap()?;
            Some((
                message.offset(),
                (message.key()?.to_vec(), message.payload().unwrap_or_default().to_vec()),
            ))
        });
        assert!(records.insert(offset, record).is_none());
    }
    records
}

fn event(record: &(Vec<u8>, Vec<u8>)) -> Event {
    Event::from_json(&record.1).unwrap()
}

/// Nodes join and restart, each time in a commit of its own.
fn fill(data_dir: &Path) -> Gateway {
    let gateway = Gateway::start(data_dir, SETTINGS);
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&[QUIET]);
    relay.beat(&[QUIET]);
    restart_nodes(&gateway, &mut relay, 2);
    gateway
}

/// All nodes join and restart; beside theirs there are so many events.
fn restart_nodes(gateway: &Gateway, relay: &mut Relay, others: u64) {
    relay.introduce(&NODES);
    for incarnation in 1..=RESTARTS {
        relay.set_incarnation(incarnation);
        relay.beat(&NODES);
        pause(Duration::from_millis(5));
    }
    eventually("all is written", || {
        (gateway.number("events_published") == u64::from(5 * RESTARTS) + others).then_some(())
    });
}

fn flip_a_bit_in_the_middle(path: &Path) -> Vec<u8> {
    let mut content = std::fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x10;
    std::fs::write(path, &content).unwrap();
    content
}

/// Goal: the gateway does not start with a damaged log and says how it would; told to, it sets the damage aside, tells
/// which offsets are gone, serves all others with what they held before, and tells it once.
#[test]
fn damaged_events_are_refused_or_set_aside_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = fill(directory.path());
    let before = read(&gateway, EVENTS_TOPIC, 0);
    gateway.kill();
    let damaged = flip_a_bit_in_the_middle(&segment(directory.path(), EVENTS_TOPIC));

    let refused = serve(directory.path(), &format!("{SETTINGS}[listen]\nheartbeats = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nkafka = \"127.0.0.1:0\"\n")).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{text}");
    assert!(
        text.contains("is damaged at byte") && text.contains("stream.on-damage = \"quarantine\""),
        "{text}"
    );

    let gateway = Gateway::start(directory.path(), &quarantine());
    let after = read(&gateway, EVENTS_TOPIC, 0);
    let gone: BTreeSet<i64> = before.keys().filter(|offset| !after.contains_key(offset)).copied().collect();
    assert!((1..=10).contains(&gone.len()), "one batch is gone: {gone:?}");
    assert!(before.iter().all(|(offset, record)| after.get(offset).is_none_or(|found| found == record)));
    let told: Vec<Event> =
        after.values().map(event).filter(|event| event.event_type.word() == "gateway_log_damaged").collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    let range =
        i64::try_from(told.first_offset.unwrap()).unwrap()..i64::try_from(told.next_offset.unwrap()).unwrap();
    assert!(range.clone().eq(gone), "{told:?}");
    assert_eq!(
        (&told.topic[..], told.partition, told.bytes.is_some_and(|bytes| bytes > 0)),
        (EVENTS_TOPIC, Some(0), true)
    );
    assert_eq!(gateway.metric("pulsegate_stream_damaged_parts_total"), 1);
    let from_within = read(&gateway, EVENTS_TOPIC, range.start);
    assert_eq!(from_within.first_key_value().unwrap().0, &range.end, "a client in the gap goes on after it");
    let copy = stream_dir(directory.path()).join("quarantine/pulsegate.events-0/00000000000000000000.log");
    assert_eq!(std::fs::read(copy).unwrap(), damaged, "a person can look at what was found");

    gateway.kill();
    let gateway = Gateway::start(directory.path(), SETTINGS);
    let again = read(&gateway, EVENTS_TOPIC, 0);
    assert!(after.iter().all(|(offset, record)| again[offset] == *record));
    let tells = |record: &&(Vec<u8>, Vec<u8>)| event(record).event_type.word() == "gateway_log_damaged";
    assert_eq!(again.values().filter(tells).count(), 1, "it is told once");
    assert!(gateway.stop().success());
}

/// Goal: what damage took from the states of nodes is written again from the events. Method: it takes the one record of
/// a node that has been quiet since.
#[test]
fn damaged_states_are_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = fill(directory.path());
    let latest = |gateway: &Gateway| -> BTreeMap<Vec<u8>, Vec<u8>> {
        read(gateway, NODES_TOPIC, 0).into_values().collect()
    };
    let before = latest(&gateway);
    gateway.kill();
    let path = segment(directory.path(), NODES_TOPIC);
    let mut content = std::fs::read(&path).unwrap();
    let key = content.windows(QUIET.len()).position(|bytes| bytes == QUIET.as_bytes()).unwrap();
    content[key] ^= 1;
    std::fs::write(&path, &content).unwrap();
    let gateway = Gateway::start(directory.path(), &quarantine());
    assert_eq!(gateway.metric("pulsegate_stream_damaged_parts_total"), 1);
    assert_eq!(latest(&gateway), before);
    assert!(gateway.stop().success());
}

/// Flips a bit in the last batch but one, so that nothing confirms the offset of the last.
fn damage_the_end(path: &Path) {
    let mut content = std::fs::read(path).unwrap();
    let mut begins = vec![0];
    while let Some(rest) = content.get(begins[begins.len() - 1]..).filter(|rest| !rest.is_empty()) {
        begins.push(begins[begins.len() - 1] + BatchHeader::parse(rest).unwrap().batch_bytes);
    }
    let last_but_one = begins[begins.len() - 3];
    content[last_but_one + 100] ^= 0x10;
    std::fs::write(path, &content).unwrap();
}

/// Goal: where the end of a partition was set aside, `events` prints all that is left and says where nothing is.
#[test]
fn events_are_printed_although_the_end_of_a_partition_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let two = |settings: &str| settings.replace("partitions = 1", "partitions = 2");
    let gateway = Gateway::start(directory.path(), &two(SETTINGS));
    restart_nodes(&gateway, &mut Relay::new("relay", &gateway), 1);
    let name = gateway.events().pop().unwrap().gateway;
    gateway.kill();
    // One in which the start writes nothing.
    let partition = 1 - pulsegate_stream::partition_of_key(Some(name.as_bytes()), 2);
    let path = stream_dir(directory.path()).join(format!("{EVENTS_TOPIC}-{partition}"));
    damage_the_end(&path.join("00000000000000000000.log"));

    let gateway = Gateway::start(directory.path(), &two(&quarantine()));
    let output = program().args(["events", "--json", "--data-dir"]).arg(directory.path()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains(&format!("partition {partition}: nothing from offset")), "{stderr}");
    assert_eq!(stdout.lines().count(), gateway.events().len());
    assert_eq!(stdout.lines().filter(|line| line.contains("gateway_log_damaged")).count(), 1);
    assert!(gateway.stop().success());
}
