//! A broker for unit tests: librdkafka's own, in this process.

use std::net::SocketAddr;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use socket2::{Domain, Socket, Type};

use crate::limits::KAFKA_WAIT_MAX;

/// One broker with one topic.
pub(crate) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    topic: String,
    partitions: i32,
}

impl Broker {
    pub(crate) fn start(topic: &str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, partitions, 1).unwrap();
        Self { cluster, topic: topic.to_owned(), partitions }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.bootstrap_servers().parse().unwrap()
    }

    /// Appends the values in turn to the partitions, and waits until all are there.
    pub(crate) fn produce(&self, values: impl IntoIterator<Item = Vec<u8>>) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers()).set("linger.ms", "0");
        let producer: BaseProducer = config.create().unwrap();
        for (index, value) in (0..).zip(values) {
            let record =
                BaseRecord::<(), _>::to(&self.topic).partition(index % self.partitions).payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(KAFKA_WAIT_MAX).unwrap();
    }

    /// Takes the broker off the network. While the answer lives nobody else is given the broker's port: librdkafka ends
    /// the process if it cannot have it back.
    pub(crate) fn disappear(&self) -> Socket {
        self.cluster.broker_down(1).unwrap();
        let keeper = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // As the broker's own socket does: then both may have the port, and only one listens.
        keeper.set_reuse_address(true).unwrap();
        keeper.bind(&self.address().into()).unwrap();
        keeper
    }

    /// Puts it back.
    pub(crate) fn come_back(&self, _keeper: Socket) {
        self.cluster.broker_up(1).unwrap();
    }
}
