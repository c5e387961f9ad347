//! What arrived at a target, compared with what lies in the log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use pulsegate::data_dir;
use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_stream::{LogReader, Record};
use rdkafka::Message;
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::topic_partition_list::Offset;

/// An event somewhere: what names it and what it says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Seen {
    pub partition: u32,
    pub id: String,
    pub key: String,
    pub value: String,
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
}

fn of_record(partition: u32, record: &Record) -> Seen {
    Seen {
        partition,
        id: text(record.header("ce_id").map(|id| &id[..])),
        key: text(record.key.as_deref()),
        value: text(record.value.as_deref()),
    }
}

/// Everything in the log of a gateway, each partition in its order.
pub fn in_the_log(data_dir: &Path) -> Vec<Seen> {
    let mut reader = LogReader::new(&data_dir::stream_dir(data_dir), EVENTS_TOPIC);
    let mut seen = Vec::new();
    loop {
        let poll = reader.poll().unwrap();
        seen.extend(poll.records.iter().map(|found| of_record(found.partition, &found.record)));
        if !poll.has_more {
            return seen;
        }
    }
}

/// Everything in a topic of a cluster, each partition in its order.
pub fn in_the_cluster(servers: &str, topic: &str, partitions: u32) -> Vec<Seen> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "judge")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let timeout = Duration::from_secs(20);
    let mut assignment = TopicPartitionList::new();
    let mut wanted = 0;
    for partition in 0..i32::try_from(partitions).unwrap() {
        let (low, high) = consumer.fetch_watermarks(topic, partition, timeout).unwrap();
        wanted += usize::try_from(high - low).unwrap();
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut seen = Vec::with_capacity(wanted);
    while seen.len() < wanted {
        let message = consumer.poll(timeout).expect("the target holds more than it gives").unwrap();
        let headers = message.headers().unwrap();
        let id = headers.iter().find(|header| header.key == "ce_id").and_then(|header| header.value);
        seen.push(Seen {
            partition: u32::try_from(message.partition()).unwrap(),
            id: text(id),
            key: text(message.key()),
            value: text(message.payload()),
        });
    }
    seen
}

fn by_partition(seen: &[Seen]) -> BTreeMap<u32, Vec<&Seen>> {
    let mut partitions: BTreeMap<u32, Vec<&Seen>> = BTreeMap::new();
    for event in seen {
        partitions.entry(event.partition).or_default().push(event);
    }
    partitions
}

/// Goal: each partition holds exactly what it holds in the log, in the same order.
pub fn assert_exactly_once(log: &[Seen], target: &[Seen]) {
    let (log, target) = (by_partition(log), by_partition(target));
    for (partition, expected) in &log {
        let found = target.get(partition).map_or(&[][..], |found| found);
        if let Some(place) =
            (0..expected.len().max(found.len())).find(|place| expected.get(*place) != found.get(*place))
        {
            panic!(
                "partition {partition}, record {place}: the log has {:?}, the target {:?} ({} and {} records)",
                expected.get(place),
                found.get(place),
                expected.len(),
                found.len()
            );
        }
    }
    assert_eq!(log.len(), target.len(), "partitions with records");
}

/// Goal: every event of the log is there at least once with the id and the content that it has in the log, nothing else
/// is there, and the first copies of a node's events are in their order. Returns how many copies there are beyond that.
pub fn assert_at_least_once(log: &[Seen], target: &[Seen]) -> usize {
    let expected: HashMap<&str, &Seen> = log.iter().map(|event| (event.id.as_str(), event)).collect();
    assert_eq!(expected.len(), log.len(), "ids of the log are unique");
    let mut first_copies = HashSet::new();
    let mut of_node: HashMap<&str, Vec<&str>> = HashMap::new();
    for event in target {
        let original = expected.get(event.id.as_str()).copied();
        let is_same =
            original.is_some_and(|original| (&original.key, &original.value) == (&event.key, &event.value));
        assert!(is_same, "the target has {event:?}, the log {original:?}");
        if first_copies.insert(event.id.as_str()) {
            of_node.entry(&event.key).or_default().push(&event.id);
        }
    }
    let missing: Vec<&&str> = expected.keys().filter(|id| !first_copies.contains(**id)).take(5).collect();
    assert!(
        missing.is_empty(),
        "{} of {} arrived; missing are {missing:?}, …",
        first_copies.len(),
        log.len()
    );
    let mut in_log: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in log {
        in_log.entry(&event.key).or_default().push(&event.id);
    }
    for (node, ids) in in_log {
        assert_eq!(of_node[node], ids, "the order of {node}'s events");
    }
    target.len() - log.len()
}
