//! The Kafka sink against a real Apache Kafka broker that goes away for half a minute and whose acknowledgements are lost.

use std::time::Duration;

use pulsegate::gateway::EVENTS_TOPIC;

use crate::broker::{Broker, jars};
use crate::fleet::{Fleet, QUIET};
use crate::harness::{Gateway, eventually, pause};
use crate::judge;
use crate::proxy::Proxy;

const PARTITIONS: u32 = 4;
/// Each joins and restarts three times: 100,000 events.
const NODES: usize = 25_000;
const OUTAGE: Duration = Duration::from_secs(30);
/// Every so many acknowledgements one is lost.
const LOSE_EVERY: u64 = 9;

fn settings(port: u16) -> String {
    format!(
        "{QUIET}[sinks.kafka.audit]\nbootstrap-servers = \"127.0.0.1:{port}\"\nlinger-ms = 1\n\
         properties = {{ \"batch.num.messages\" = 500 }}\n"
    )
}

/// Waits until the sink has delivered this many, in this run of the gateway.
fn delivered(gateway: &Gateway, events: u64) {
    eventually("so many events are delivered", || {
        (gateway.metric("pulsegate_sink_delivered_total") >= events).then_some(())
    });
}

fn up_to_date(gateway: &Gateway, events_in_log: u64) {
    // A long outage ends with a long back-off, so twice.
    for _ in 0..3 {
        let is_there = (0..2_000).any(|_| {
            pause(Duration::from_millis(10));
            gateway.metric("pulsegate_events_published_total") >= events_in_log
                && gateway.metric("pulsegate_sink_lag_events") == 0
        });
        if is_there {
            return;
        }
    }
    panic!("the sink does not catch up: {}", gateway.status());
}

/// Goal: with the broker stopped for 30 s in the middle of 100,000 events, and acknowledgements lost all along, each
/// partition of the target holds exactly what it holds in the log, in order. Then the gateway is killed in the middle of
/// more: all of it arrives at least once, with the same ids, and the copies are counted.
#[test]
fn outage_and_lost_acknowledgements_and_a_killed_gateway() {
    let Some(jars) = jars() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::new(jars, &directory.path().join("broker"));
    let proxy = Proxy::start(broker.address(), LOSE_EVERY);
    broker.start(proxy.port);
    broker.create_topic(EVENTS_TOPIC, PARTITIONS);
    let data_dir = directory.path().join("gateway");
    std::fs::create_dir(&data_dir).unwrap();
    let gateway = Gateway::start(&data_dir, &settings(proxy.port));
    let mut fleet = Fleet::new(&gateway);

    fleet.beat(0..NODES, 1);
    delivered(&gateway, 5_000);
    fleet.beat(0..NODES, 2);
    delivered(&gateway, 30_000);
    broker.stop();
    fleet.beat(0..NODES, 3);
    pause(OUTAGE);
    assert!(gateway.metric("pulsegate_sink_lag_events") > 0, "nothing waited: the test shows nothing");
    broker.start(proxy.port);
    fleet.beat(0..NODES, 4);
    up_to_date(&gateway, 4 * NODES as u64 + 1);

    let servers = broker.address().to_string();
    let target = || judge::in_the_cluster(&servers, EVENTS_TOPIC, PARTITIONS);
    judge::assert_exactly_once(&judge::in_the_log(&data_dir), &target());
    assert!(proxy.lost() >= 5, "only {} acknowledgements were lost: the test shows nothing", proxy.lost());
    let replaced = gateway.metric("pulsegate_sink_producers_replaced_total");
    println!(
        "{} events exactly once a partition, in order; {} acknowledgements lost, {replaced} producers replaced",
        4 * NODES + 1,
        proxy.lost()
    );
    assert_eq!(replaced, 0, "one producer lived through all of it");

    fleet.beat(0..NODES, 5);
    let before = gateway.metric("pulsegate_sink_delivered_total");
    delivered(&gateway, before + 2_000);
    gateway.kill();
    let gateway = Gateway::start(&data_dir, &settings(proxy.port));
    let log = judge::in_the_log(&data_dir);
    up_to_date(&gateway, 1);
    // The event of the second start may have been written after the log was read.
    assert!(gateway.stop().success());
    let log = if log.len() < judge::in_the_log(&data_dir).len() { judge::in_the_log(&data_dir) } else { log };
    let copies = judge::assert_at_least_once(&log, &target());
    println!("{} events at least once across a kill, with the ids of the log; {copies} copies", log.len());
}

/// Goal: what an event costs on its way through the sink, in processor time of the whole process, the threads of
/// librdkafka included: the same log, opened by a gateway with the sink and by one without.
#[test]
fn processor_time_of_an_event() {
    let Some(jars) = jars() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::new(jars, &directory.path().join("broker"));
    broker.start(broker.address().port());
    broker.create_topic(EVENTS_TOPIC, PARTITIONS);
    let data_dir = directory.path().join("gateway");
    std::fs::create_dir(&data_dir).unwrap();
    let gateway = Gateway::start(&data_dir, QUIET);
    let mut fleet = Fleet::new(&gateway);
    for incarnation in 1..=4 {
        fleet.beat(0..NODES, incarnation);
        let so_many = u64::from(incarnation) * NODES as u64 + 1;
        eventually("all events are on disk", || {
            (gateway.metric("pulsegate_events_published_total") >= so_many).then_some(())
        });
    }
    let all = 4 * NODES as u64 + 1;
    assert!(gateway.stop().success());

    let plain = Gateway::start(&data_dir, QUIET);
    let without_us = plain.number("cpu_us");
    assert!(plain.stop().success());
    let with_sink = format!("{QUIET}[sinks.kafka.audit]\nbootstrap-servers = \"{}\"\n", broker.address());
    let gateway = Gateway::start(&data_dir, &with_sink);
    delivered(&gateway, all);
    let with_us = gateway.number("cpu_us");
    let own_us = gateway.metric("pulsegate_sink_cpu_us_total");
    let each_ns = (with_us - without_us) * 1_000 / all;
    println!(
        "sink: {each_ns} ns of processor time an event ({all} events; its own thread {} ns, the rest librdkafka)",
        own_us * 1_000 / all
    );
    assert!(each_ns < 200_000, "an event costs {each_ns} ns");
}
