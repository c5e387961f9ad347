//! The Kafka sink against librdkafka's mock cluster, which refuses, forgets and goes away as it is told. It does not drop
//! what arrives twice, so what is lost on the way back is for the real broker.

use std::net::SocketAddr;
use std::path::Path;

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_codec::event::EventType;
use pulsegate_stream::partition_of_key;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use socket2::{Domain, Socket, Type};

use crate::fleet::{Fleet, QUIET};
use crate::harness::{Gateway, eventually};
use crate::judge::{self, Seen};

const PARTITIONS: u32 = 4;

struct Target {
    cluster: MockCluster<'static, DefaultProducerContext>,
    partitions: u32,
}

impl Target {
    fn new(partitions: u32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(EVENTS_TOPIC, i32::try_from(partitions).unwrap(), 1).unwrap();
        Self { cluster, partitions }
    }

    fn settings(&self) -> String {
        let servers = self.cluster.bootstrap_servers();
        format!("{QUIET}[sinks.kafka.audit]\nbootstrap-servers = \"{servers}\"\n")
    }

    /// Takes the broker off the network. While the answer lives nobody else is given the broker's port: librdkafka ends
    /// the process if it cannot have it back.
    fn take_down(&self) -> Socket {
        self.cluster.broker_down(1).unwrap();
        let address: SocketAddr = self.cluster.bootstrap_servers().parse().unwrap();
        let keeper = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // As the broker's own socket does: then both may have the port, and only one listens.
        keeper.set_reuse_address(true).unwrap();
        keeper.bind(&address.into()).unwrap();
        keeper
    }

    /// Puts it back.
    fn bring_up(&self, _keeper: Socket) {
        self.cluster.broker_up(1).unwrap();
    }

    fn refuse_next(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::Produce, errors);
    }

    fn records(&self) -> Vec<Seen> {
        judge::in_the_cluster(&self.cluster.bootstrap_servers(), EVENTS_TOPIC, self.partitions)
    }
}

/// Waits until this many events, and all that are in the log, have arrived.
fn up_to_date(gateway: &Gateway, events: u64) {
    eventually("the sink has caught up", || {
        let is_there = gateway.metric("pulsegate_events_published_total") >= events
            && gateway.metric("pulsegate_sink_lag_events") == 0;
        is_there.then_some(())
    });
}

fn log_of(directory: &Path) -> Vec<Seen> {
    judge::in_the_log(directory)
}

/// Goal: an outage, and errors that pass, cost time and nothing else.
#[test]
fn outage_and_passing_errors_cost_time_only() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(PARTITIONS);
    let gateway = Gateway::start(directory.path(), &target.settings());
    let mut fleet = Fleet::new(&gateway);
    fleet.beat(0..2_000, 1);
    up_to_date(&gateway, 2_001);
    let keeper = target.take_down();
    fleet.beat(0..2_000, 2);
    eventually("events wait", || (gateway.metric("pulsegate_sink_lag_events") == 2_000).then_some(()));
    target.bring_up(keeper);
    up_to_date(&gateway, 4_001);
    target.refuse_next(&[
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ]);
    fleet.beat(0..2_000, 3);
    up_to_date(&gateway, 6_001);
    judge::assert_exactly_once(&log_of(directory.path()), &target.records());
    assert_eq!(gateway.metric("pulsegate_sink_producers_replaced_total"), 0);
    assert!(gateway.stop().success());
}

/// Goal: a producer that the brokers refuse for good is replaced, and the new one goes on where the acknowledged part
/// ends; a refusal by size is looked into record by record, and costs nothing if none is really too large.
#[test]
fn dead_producer_is_replaced_and_nothing_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(PARTITIONS);
    let gateway = Gateway::start(directory.path(), &target.settings());
    let mut fleet = Fleet::new(&gateway);
    fleet.beat(0..500, 1);
    up_to_date(&gateway, 501);
    for (incarnation, error) in [
        (2, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
        (3, RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER),
        (4, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE),
    ] {
        target.refuse_next(&[error]);
        fleet.beat(0..500, incarnation);
        up_to_date(&gateway, u64::from(incarnation) * 500 + 1);
    }
    assert!(gateway.metric("pulsegate_sink_producers_replaced_total") >= 2, "{}", gateway.get("/metrics"));
    assert_eq!(gateway.metric("pulsegate_sink_dead_letters_total"), 0);
    assert!(gateway.stop().success());
    judge::assert_at_least_once(&log_of(directory.path()), &target.records());
}

/// Goal: where the target has another number of partitions, a node's events still share one, the one of Kafka's hash.
#[test]
fn other_partition_count_keeps_nodes_together() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(3);
    let gateway = Gateway::start(directory.path(), &target.settings());
    let mut fleet = Fleet::new(&gateway);
    for incarnation in 1..=3 {
        fleet.beat(0..300, incarnation);
    }
    up_to_date(&gateway, 901);
    assert!(gateway.stop().success());
    let records = target.records();
    for record in &records {
        assert_eq!(record.partition, partition_of_key(Some(record.key.as_bytes()), 3), "{record:?}");
    }
    judge::assert_at_least_once(&log_of(directory.path()), &records);
}

/// Goal: across kills of the gateway every event arrives, with the id that it has in the log; copies are counted.
#[test]
fn killed_gateway_sends_what_was_under_way_again() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(PARTITIONS);
    for round in 0..4 {
        let gateway = Gateway::start(directory.path(), &target.settings());
        let mut fleet = Fleet::new(&gateway);
        // Nodes that no gateway knows.
        fleet.beat(round * 2_000..(round + 1) * 2_000, 1);
        eventually("some events are delivered", || {
            (gateway.metric("pulsegate_sink_delivered_total") > 1_500).then_some(())
        });
        gateway.kill();
    }
    let gateway = Gateway::start(directory.path(), &target.settings());
    up_to_date(&gateway, 1);
    assert!(gateway.stop().success());
    let log = log_of(directory.path());
    let copies = judge::assert_at_least_once(&log, &target.records());
    println!("{} events across four kills, {copies} copies", log.len());
}

/// Goal: what retention removes before a sink has sent it is counted and announced while the target is still away, and
/// once it is back the rest arrives.
#[test]
fn what_retention_removed_is_counted_and_announced() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(1);
    let keeper = target.take_down();
    let settings = format!(
        "{}[stream]\npartitions = 1\nsegment-bytes = 1_048_576\nretention-bytes = 1_048_576\n",
        target.settings()
    );
    let gateway = Gateway::start(directory.path(), &settings);
    let mut fleet = Fleet::new(&gateway);
    fleet.beat(0..12_000, 1);
    let is_loss = |event: &pulsegate_codec::event::Event| event.event_type == EventType::GatewaySinkLost;
    eventually("the loss is announced", || gateway.events().iter().any(is_loss).then_some(()));
    target.bring_up(keeper);
    up_to_date(&gateway, 12_001);
    let lost = gateway.metric("pulsegate_sink_lost_to_retention_total");
    let announced = gateway.events().into_iter().filter(is_loss);
    let announced = announced.map(|event| {
        assert_eq!(event.sink, "audit");
        event.dropped.unwrap()
    });
    // Of what the log still has: it may have lost announcements, too.
    let announced: u64 = announced.sum();
    assert!(announced > 0 && announced <= lost, "{announced} of {lost}");
    let published = gateway.metric("pulsegate_events_published_total");
    assert_eq!(target.records().len() as u64 + lost, published, "each event has arrived or is counted");
    assert!(gateway.stop().success());
}
