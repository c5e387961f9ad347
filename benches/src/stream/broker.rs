//! A real Apache Kafka broker with the same records, to have something to compare with.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_loadgen::topic_reader::TopicReader;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::wait_for;

/// A broker that runs; it ends with this.
pub struct Broker {
    child: Child,
    /// Where clients reach it.
    pub address: String,
}

type BrokerError = Box<dyn std::error::Error>;

/// Records that the producer may put into one batch: as many as the gateway commits at once.
const BATCH_RECORDS: &str = "4096";

impl Broker {
    /// Starts a broker with the jars of `.ci/fetch-kafka` below `jars`, and its data in `directory`.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn start(jars: &Path, directory: &Path) -> Result<Self, BrokerError> {
        if !jars.join("lib").is_dir() {
            return Err(format!("{} holds no jars; .ci/fetch-kafka fetches them", jars.display()).into());
        }
        let port = free_ports()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/kafka-broker");
        let mut command = Command::new(script);
        command.args([jars.to_path_buf(), directory.join("kafka"), PathBuf::from(port.to_string())]);
        pulsegate::io::child::end_with_parent(&mut command);
        let log = File::create(directory.join("broker.log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let broker = Self { child, address: format!("127.0.0.1:{port}") };
        let admin: AdminClient<DefaultClientContext> = broker.config().create()?;
        wait_for("the broker answers", || {
            admin
                .inner()
                .fetch_metadata(None, Duration::from_secs(1))
                .ok()
                .filter(|found| !found.brokers().is_empty())
        });
        Ok(broker)
    }

    /// Copies every record that the gateway at `kafka` has, partition by partition. Returns how many.
    ///
    /// # Errors
    /// If they cannot be read or written.
    pub fn copy_from(&self, kafka: &str) -> Result<u64, BrokerError> {
        let mut reader = TopicReader::connect(kafka, EVENTS_TOPIC, &[])?;
        let (first, end) = (reader.first_offsets()?, reader.end_offsets()?);
        self.create_topic(i32::try_from(end.len())?)?;
        reader.start(first)?;
        let mut config = self.config();
        config.set("linger.ms", "50").set("batch.num.messages", BATCH_RECORDS).set("acks", "all");
        let producer: BaseProducer = config.create()?;
        let mut count = 0;
        while !reader.has_reached(&end) {
            let Some(message) = reader.next(Duration::from_secs(1))? else { continue };
            let mut record = BaseRecord::<[u8], [u8]>::to(EVENTS_TOPIC).partition(message.partition());
            record =
                record.key(message.key().unwrap_or_default()).payload(message.payload().unwrap_or_default());
            if let Some(headers) = message.headers() {
                record = record.headers(headers.detach());
            }
            send(&producer, record)?;
            count += 1;
        }
        producer.flush(Duration::from_secs(60))?;
        Ok(count)
    }

    /// Its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    fn create_topic(&self, partitions: i32) -> Result<(), BrokerError> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let topic = NewTopic::new(EVENTS_TOPIC, partitions, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let results = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
        for result in results {
            result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
        }
        Ok(())
    }
}

/// Waits while the producer's queue is full.
fn send<Key: ToBytes + ?Sized, Value: ToBytes + ?Sized>(
    producer: &BaseProducer,
    mut record: BaseRecord<'_, Key, Value>,
) -> Result<(), KafkaError> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                producer.poll(Duration::from_millis(10));
                record = refused;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// A port of loopback that is free, and so is the next.
fn free_ports() -> std::io::Result<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
