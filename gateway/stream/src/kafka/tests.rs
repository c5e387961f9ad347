//! The port over a real socket: what is committed is fetched, by offset, by waiting, and as a member of a group; what
//! is no request ends the connection and nothing else.

mod client;
mod damage;
mod groups;
mod memory;
mod oracle;
mod secured;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;

use super::group::GroupConfig;
use super::offsets::OffsetStore;
use super::*;
use crate::testing::{TOPIC, config, open, records};
use crate::{EventLog, LogConfig, OnDamage, Storage, Topics};
use client::Client;

const OTHER: &str = "pulsegate.other";

struct Port {
    log: EventLog,
    /// A second topic, [`OTHER`].
    other: EventLog,
    address: std::net::SocketAddr,
    counters: Arc<KafkaCounters>,
    /// Bytes of records that responses may still take.
    fetch_memory: Rc<super::memory::Memory>,
    frame_memory: Rc<super::memory::Memory>,
    response_memory: Rc<super::memory::Memory>,
    now: Rc<Cell<Duration>>,
    directory: tempfile::TempDir,
}

/// Serves a fresh log on a free port while the test runs.
fn with_port<F: Future<Output = ()>>(log: LogConfig, test: impl FnOnce(Port) -> F) {
    with_secured_port(log, Security::default(), test);
}

fn with_secured_port<F: Future<Output = ()>>(
    log: LogConfig,
    security: Security,
    test: impl FnOnce(Port) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path(), &log, &Storage::Tokio).await;
        let other_config = LogConfig::new(OTHER, 2);
        let other = open(&directory.path().join("other"), &other_config, &Storage::Tokio).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (now, counters) = (Rc::new(Cell::new(Duration::ZERO)), Arc::default());
        let clock = Rc::clone(&now);
        let config = KafkaConfig {
            advertised: Advertised {
                host: "127.0.0.1".to_owned(),
                port: address.port(),
                node_id: 0,
                cluster_id: "test".to_owned(),
            },
            groups: GroupConfig { initial_delay: Duration::ZERO, ..GroupConfig::new(1) },
            clock: Rc::new(move || clock.get()),
            counters: Arc::clone(&counters),
            security,
            unix_ms: Rc::new(|| 1_795_500_000_000),
            on_failure: Rc::new(|failure| println!("{failure}")),
        };
        let offsets = OffsetStore::open(&directory.path().join("groups"), Storage::Tokio, OnDamage::Refuse)
            .await
            .unwrap();
        let server = KafkaServer::new(config, Topics::new(vec![log.view(), other.view()]), offsets);
        let fetch_memory = Rc::clone(&server.fetch_memory);
        let frame_memory = Rc::clone(&server.frame_memory);
        let response_memory = Rc::clone(&server.response_memory);
        let serving = tokio::task::spawn_local(server.serve(listener));
        let port = Port {
            log,
            other,
            address,
            counters,
            fetch_memory,
            frame_memory,
            response_memory,
            now,
            directory,
        };
        tokio::time::timeout(Duration::from_secs(20), test(port))
            .await
            .expect("the test has come to its end");
        serving.abort();
    });
}

#[test]
fn every_record_is_fetched_once_and_in_order_in_every_version() {
    with_port(LogConfig { segment_bytes: 4_000, ..config() }, async |mut port| {
        for number in 0..60 {
            port.log.append(&records(number * 2..number * 2 + 2)).await.unwrap();
        }
        for version in 4..=12 {
            let mut client = Client::connect(port.address).await;
            let mut found = Vec::new();
            while found.len() < 120 {
                let fetched = client.fetch(version, TOPIC, 0, found.len() as u64, 0, 1_000).await;
                assert_eq!((fetched.error, fetched.committed_offset), (0, 120));
                assert!(!fetched.offsets.is_empty());
                found.extend(fetched.offsets);
            }
            assert!(found.iter().copied().eq(0..120), "version {version}: {found:?}");
        }
    });
}

#[test]
fn fetch_waits_for_the_next_commit() {
    with_port(config(), async |mut port| {
        let mut client = Client::connect(port.address).await;
        let waiting =
            tokio::task::spawn_local(async move { client.fetch(11, TOPIC, 0, 0, 10_000, 1_000).await });
        // The server has read the request when nothing else is left to do.
        while port.counters.connections.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        port.log.append(&records(0..3)).await.unwrap();
        assert_eq!(waiting.await.unwrap().offsets, [0, 1, 2]);
    });
}

#[test]
fn fetch_waits_for_the_topic_that_it_asks_for() {
    with_port(config(), async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let mut client = Client::connect(port.address).await;
        let waiting =
            tokio::task::spawn_local(async move { client.fetch(11, OTHER, 0, 0, 10_000, 1_000).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        // A commit to another topic wakes it, and it finds nothing.
        port.log.append(&records(3..6)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        while port.other.committed_offset(0) == 0 {
            port.other.append(&records(0..7)).await.unwrap();
        }
        let fetched = waiting.await.unwrap();
        let committed = port.other.committed_offset(0);
        assert_eq!((fetched.error, fetched.committed_offset), (0, committed.cast_signed()));
        assert!(fetched.offsets.into_iter().eq(0..committed));
    });
}

/// Goal: responses stay within the budget, however large the batch that a small fetch must be given whole: it waits until
/// there is room for any batch, and what it took is given back.
#[test]
fn large_batch_is_served_whole_and_counted_against_the_budget() {
    with_port(config(), async |mut port| {
        let value = Some(bytes::Bytes::from(vec![b'x'; 200 * 1024]));
        let large: Vec<_> = records(0..4)
            .into_iter()
            .map(|record| crate::Record { value: value.clone(), ..record })
            .collect();
        port.log.append(&large).await.unwrap();
        let mut client = Client::connect(port.address).await;
        for bytes_max in [1, 1_000, 10_000_000] {
            let taken = limits::FETCH_MEMORY_BYTES_MAX - limits::FETCH_BYTES_MIN;
            let room_for_one = port.fetch_memory.take(taken).await;
            let a_byte_too_much = port.fetch_memory.take(1).await;
            let mut fetching = Box::pin(client.fetch(11, TOPIC, 0, 0, 0, bytes_max));
            assert!(tokio::time::timeout(Duration::from_millis(50), &mut fetching).await.is_err());
            drop(a_byte_too_much);
            assert_eq!(fetching.await.offsets, [0, 1, 2, 3]);
            drop(room_for_one);
            while port.fetch_memory.left_bytes() < limits::FETCH_MEMORY_BYTES_MAX {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn patience_of_a_fetch_ends() {
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        let fetched = client.fetch(11, TOPIC, 0, 0, 10, 1_000).await;
        assert_eq!((fetched.error, fetched.committed_offset, fetched.offsets.len()), (0, 0, 0));
    });
}

#[test]
fn offsets_and_partitions_that_are_not_there_are_refused_at_once() {
    with_port(config(), async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let mut client = Client::connect(port.address).await;
        for (topic, partition, offset, error) in [
            (TOPIC, 0, 4, 1),
            (TOPIC, 0, u64::MAX, 1),
            (TOPIC, 9, 0, 3),
            (TOPIC, -1, 0, 3),
            ("other", 0, 0, 3),
        ] {
            let fetched = client.fetch(11, topic, partition, offset, 60_000, 1_000).await;
            assert_eq!(fetched.error, error, "{topic} {partition} {offset}");
        }
    });
}

#[test]
fn hostile_frames_end_their_connection_alone() {
    with_port(config(), async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let mut other = Client::connect(port.address).await;
        for frame in [
            &[0xff, 0xff, 0xff, 0xff][..],
            &[0, 0, 0, 2, 0, 1],
            &[0, 0, 0, 10, 0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
            &[0, 0, 0, 14, 0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
        ] {
            let mut hostile = Client::connect(port.address).await;
            assert!(hostile.raw(frame).await.is_none(), "{frame:?}");
        }
        assert_eq!(port.counters.connections_malformed.load(Ordering::Relaxed), 4);
        assert_eq!(other.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
    });
}

/// Goal: librdkafka's request for all topics is answered although it carries bytes that do not belong there. Taken from
/// the wire: `kcat -L` with librdkafka 2.12.1.
#[test]
fn all_topics_as_librdkafka_asks_for_them() {
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        let header = b"\x00\x00\x00\x1a\x00\x03\x00\x09\x00\x00\x00\x03\x00\x07rdkafka\x00";
        let body = b"\x00\x00\x00\x00\x01\x00\x00\x00";
        let answer = client.raw(&[&header[..], body].concat()).await.expect("an answer");
        assert!(answer.windows(TOPIC.len()).any(|part| part == TOPIC.as_bytes()), "{answer:?}");
    });
}

#[test]
fn unknown_version_of_api_versions_is_answered_in_version_zero() {
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        let frame = [0, 0, 0, 10, 0, 18, 0, 77, 0, 0, 0, 5, 0xff, 0xff];
        let response = client.raw(&frame).await.unwrap();
        assert_eq!(response[..10], [0, 0, 0, 5, 0, 35, 0, 0, 0, 16]);
        assert_eq!(response.len(), 10 + 16 * 6);
    });
}

#[test]
fn member_of_a_group_commits_and_finds_its_offset_again() {
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        let (generation, member) = client.join("g").await;
        assert_eq!(client.commit("g", generation, &member, TOPIC, 0, 42).await, 0);
        assert_eq!(client.committed("g", TOPIC, 0).await, 42);
        assert_eq!(client.committed("g", TOPIC, 1).await, -1);
        // Another topic has offsets of its own, and other partitions.
        assert_eq!(client.commit("g", generation, &member, OTHER, 1, 7).await, 0);
        assert_eq!(client.committed("g", OTHER, 1).await, 7);
        assert_eq!(client.committed("g", TOPIC, 1).await, -1);
        assert_eq!(client.commit("g", generation + 1, &member, TOPIC, 0, 43).await, 22);
        // Its session ends: nobody of that name is left.
        port.now.set(Duration::from_secs(60));
        assert_eq!(client.commit("g", generation, &member, "other", 0, 43).await, 3);
    });
}
