//! A real Apache Kafka broker for a test: started by `.ci/kafka-broker`, stopped and started again as the test likes.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::harness::eventually;

/// Where the jars are; `None`, and says so, if the broker cannot be run here.
pub fn jars() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
    let folder = std::env::var_os("PULSEGATE_CLIENTS").map_or_else(default, PathBuf::from).join("kafka");
    let java = Command::new("java").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let reason = if !folder.join("lib").is_dir() {
        "the jars of Apache Kafka are not there"
    } else if !java.is_ok_and(|status| status.success()) {
        "there is no java"
    } else {
        return Some(folder.canonicalize().unwrap());
    };
    let required = std::env::var("PULSEGATE_CLIENTS_REQUIRED").unwrap_or_default();
    assert!(!required.split_whitespace().any(|name| name == "java"), "the broker is required, but {reason}");
    let mut past_the_capture = std::io::stderr();
    writeln!(past_the_capture, "SKIPPED Apache Kafka broker: {reason}; .ci/fetch-clients installs it")
        .unwrap();
    None
}

/// A broker and its data.
pub struct Broker {
    jars: PathBuf,
    data: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// A broker that does not run yet. It needs two ports, next to each other.
    pub fn new(jars: PathBuf, data: &Path) -> Self {
        let port = eventually("two free ports", || {
            let first = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let second = first.checked_add(1)?;
            TcpListener::bind(("127.0.0.1", second)).ok().map(|_| first)
        });
        Self { jars, data: data.to_owned(), port, process: None }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Starts it; clients are sent to this port. Returns when it answers.
    pub fn start(&mut self, advertised_port: u16) {
        std::fs::create_dir_all(&self.data).unwrap();
        let log = || File::options().create(true).append(true).open(self.data.join("broker.log")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/kafka-broker");
        let mut command = Command::new(script);
        command.arg(&self.jars).arg(&self.data).arg(self.port.to_string()).arg(advertised_port.to_string());
        command.stdin(Stdio::null()).stdout(log()).stderr(log());
        pulsegate::io::child::end_with_parent(&mut command);
        self.process = Some(command.spawn().unwrap());
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", self.address().to_string()).create().unwrap();
        eventually("the broker answers", || client.fetch_metadata(None, Duration::from_millis(500)).ok());
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        pulsegate::io::child::ask_to_stop(&process).unwrap();
        eventually("the broker has stopped", || process.try_wait().unwrap());
    }

    /// Creates a topic.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        let servers = self.address().to_string();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let topic = NewTopic::new(topic, i32::try_from(partitions).unwrap(), TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = (process.kill(), process.wait());
        }
    }
}
