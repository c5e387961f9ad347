//! Clients that live through all kills. None of them is told when the gateway dies: librdkafka finds it again.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_loadgen::topic_reader::TopicReader;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::Value;

use super::ledger::Ledger;
use super::{PARTITIONS, Ports, Random};
use crate::harness::pause;

const GROUP: &str = "watchers";
const WAIT: Duration = Duration::from_millis(50);

/// Settings of librdkafka with which it soon finds a gateway that is back.
pub fn settings() -> Vec<(String, String)> {
    let quick =
        [("reconnect.backoff.ms", "5"), ("reconnect.backoff.max.ms", "20"), ("socket.timeout.ms", "5000")];
    quick.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn goes_on(is_over: &AtomicBool) -> bool {
    // Relaxed: a hint, and the thread is joined.
    !is_over.load(Ordering::Relaxed)
}

/// Reads all partitions from the first record on: each offset once and in order.
pub fn read_assigned(ports: Ports, ledger: &Ledger, is_over: &AtomicBool) {
    let mut reader = TopicReader::connect(&ports.kafka.to_string(), EVENTS_TOPIC, &settings()).unwrap();
    let mut next = vec![0; PARTITIONS];
    reader.start(next.clone()).unwrap();
    while goes_on(is_over) {
        if let Some(message) = reader.next(WAIT).unwrap() {
            ledger.see(&message, &mut next);
            ledger.assigned_is_at(&next);
        }
    }
}

/// Reads as the only member of a group, commits after a random number of records, and is put back to what it has
/// committed whenever the gateway has forgotten it.
pub fn read_as_member(ports: Ports, seed: u64, ledger: &Ledger, is_over: &AtomicBool) {
    let mut random = Random(seed ^ 0x5555);
    let consumer = consumer(ports);
    consumer.subscribe(&[EVENTS_TOPIC]).unwrap();
    while goes_on(is_over) {
        // Errors are about the connection, or about a group that the gateway does not know any more.
        let Some(Ok(message)) = consumer.poll(WAIT) else { continue };
        ledger.see_anywhere(&message);
        ledger.see_as_member(&message);
        if random.below(4) != 0 {
            continue;
        }
        let (partition, offset) = (message.partition(), message.offset() + 1);
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(EVENTS_TOPIC, partition, Offset::Offset(offset)).unwrap();
        if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
            ledger.acknowledge_commit(partition, offset);
        }
    }
}

fn consumer(ports: Ports) -> BaseConsumer {
    let mut config = ClientConfig::new();
    for (name, value) in settings() {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", ports.kafka.to_string())
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "50")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap()
}

/// What the group has committed, as a client is told that has just come. 0 where nothing is.
pub fn committed_offsets(ports: Ports) -> Vec<i64> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(EVENTS_TOPIC, 0, i32::try_from(PARTITIONS).unwrap() - 1);
    let committed = consumer(ports).committed_offsets(asked, Duration::from_secs(10)).unwrap();
    let mut elements = committed.elements_for_topic(EVENTS_TOPIC);
    elements.sort_by_key(|element| element.partition());
    elements
        .iter()
        .map(|element| element.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(0))
        .collect()
}

/// Asks for the ends of the partitions, and how many events are called written.
pub fn watch(ports: Ports, ledger: &Ledger, is_over: &AtomicBool) {
    let reader = TopicReader::connect(&ports.kafka.to_string(), EVENTS_TOPIC, &settings()).unwrap();
    while goes_on(is_over) {
        if let Some((epoch, events)) = status(ports.admin).ok().as_deref().and_then(written) {
            ledger.see_written(epoch, events);
        }
        let before = ledger.ends();
        if let Ok(high) = reader.end_offsets() {
            ledger.see_high_watermarks(&before, &high);
        }
        pause(Duration::from_millis(3));
    }
}

fn status(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    write!(stream, "GET /v1/status HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The epoch and how many events of it are on disk; `None` for half an answer.
fn written(answer: &str) -> Option<(u64, u64)> {
    let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    Some((status["epoch"].as_u64()?, status["events_published"].as_u64()?))
}
