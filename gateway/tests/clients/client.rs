//! The clients: how to find each one, how to start it, and how to understand what it prints.
//!
//! They are looked for in `target/clients` (or the folder that `PULSEGATE_CLIENTS` names), as `.ci/fetch-clients` fills
//! it: `python/` is a virtual environment, `node/` a package folder, `kafka/lib/` the jars of Apache Kafka. kcat and java
//! are looked for on the path.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pulsegate::gateway::EVENTS_TOPIC;

use crate::harness::Gateway;
use crate::log::{PARTITIONS, Record};
use crate::member::Member;

/// A client, by the name under which it can be required.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client {
    /// librdkafka of the distribution.
    Kcat,
    /// A new librdkafka.
    ConfluentKafka,
    /// A codec of its own, in Python.
    KafkaPython,
    /// Another one, on asyncio.
    Aiokafka,
    /// A codec of its own, in JavaScript.
    Kafkajs,
    /// The console consumer of Apache Kafka.
    Java,
}

/// How a client gets its partitions.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// All of them, from their beginning.
    Assign,
    /// As a member of this group, from what is committed or else the beginning.
    Group(&'a str),
}

/// Shortest that Kafka's defaults allow; all clients are told this one.
pub const SESSION_TIMEOUT_MS: u32 = 6_000;

/// A client that can be started.
pub struct Installed {
    client: Client,
    folder: PathBuf,
    /// In librdkafka's words, `NAME=VALUE`.
    settings: Vec<String>,
}

/// The folder of the clients.
pub fn folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
    std::env::var_os("PULSEGATE_CLIENTS").map_or_else(default, PathBuf::from)
}

/// Says that something is skipped, past the capture of the test harness; fails if it was required.
pub fn skip(name: &str, reason: &str) {
    let required = std::env::var("PULSEGATE_CLIENTS_REQUIRED").unwrap_or_default();
    assert!(
        !required.split_whitespace().any(|required| required == name),
        "{name} is required, but {reason}"
    );
    let mut past_the_capture = std::io::stderr();
    writeln!(past_the_capture, "SKIPPED {name}: {reason}; .ci/fetch-clients installs it").unwrap();
}

/// A program of this machine, with its own libraries: cargo lets its children find the librdkafka that was built here
/// before the one that is installed.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Apache Kafka's programs.
pub fn java(class: &str) -> Command {
    let mut command = program("java");
    // A small program that ends soon needs neither the best code nor threads to collect garbage.
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp"]);
    command.arg(folder().join("kafka/lib/*")).arg(format!("org.apache.kafka.tools.{class}"));
    command
}

/// Why Apache Kafka's programs cannot be run.
pub fn why_no_java() -> Option<&'static str> {
    if !folder().join("kafka/lib").is_dir() {
        return Some("the jars of Apache Kafka are not there");
    }
    (!runs(program("java").arg("-version"))).then_some("there is no java")
}

fn runs(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Client {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kcat => "kcat",
            Self::ConfluentKafka => "confluent-kafka",
            Self::KafkaPython => "kafka-python",
            Self::Aiokafka => "aiokafka",
            Self::Kafkajs => "kafkajs",
            Self::Java => "java",
        }
    }

    /// The client if it is installed; says so if it is not.
    pub fn find(self) -> Option<Installed> {
        let installed = Installed { client: self, folder: folder(), settings: Vec::new() };
        let import = |module: &str| runs(installed.python().args(["-c", &format!("import {module}")]));
        let missing = match self {
            Self::Kcat => (!runs(program("kcat").arg("-V"))).then_some("there is no kcat"),
            Self::ConfluentKafka => (!import("confluent_kafka")).then_some("Python does not find it"),
            Self::KafkaPython => (!import("kafka")).then_some("Python does not find it"),
            Self::Aiokafka => (!import("aiokafka")).then_some("Python does not find it"),
            Self::Kafkajs => {
                let script = ["-e", "require('kafkajs')"];
                (!runs(installed.node().args(script))).then_some("Node does not find it")
            }
            Self::Java => why_no_java(),
        };
        match missing {
            None => Some(installed),
            Some(reason) => {
                skip(self.name(), reason);
                None
            }
        }
    }

    /// Understands a line of this client.
    pub fn record(self, line: &str) -> Record {
        let parse = || {
            let separator = if self == Self::Java { '\t' } else { ' ' };
            let mut words = line.splitn(4, separator);
            let mut word = |prefix| words.next()?.strip_prefix(prefix);
            let prefixes = if self == Self::Java { ["Partition:", "Offset:"] } else { ["", ""] };
            Some(Record {
                partition: word(prefixes[0])?.parse().ok()?,
                offset: word(prefixes[1])?.parse().ok()?,
                key: word("")?.to_owned(),
                value: word("")?.to_owned(),
            })
        };
        parse().unwrap_or_else(|| panic!("{} printed {line:?}", self.name()))
    }
}

impl Installed {
    /// Gives it settings of librdkafka, `NAME=VALUE`: only clients that are built on it understand them.
    pub fn with_settings(self, settings: &[String]) -> Self {
        assert!(matches!(self.client, Client::Kcat | Client::ConfluentKafka), "{:?}", self.client);
        Self { settings: settings.to_vec(), ..self }
    }

    /// Starts the client: one process, or one a partition where it cannot be told to read several. `count` records end
    /// it; 0 for never.
    pub fn start(&self, gateway: &Gateway, mode: Mode<'_>, count: usize) -> Vec<Member> {
        let server = gateway.endpoints().kafka.to_string();
        let commands = match (self.client, mode) {
            (Client::Kcat, _) => vec![kcat(&server, mode, count, &self.settings)],
            (Client::Java, Mode::Assign) => {
                (0..PARTITIONS).map(|partition| console_consumer(&server, Err(partition), count)).collect()
            }
            (Client::Java, Mode::Group(group)) => vec![console_consumer(&server, Ok(group), count)],
            (Client::Kafkajs, _) => {
                let mut command = self.node();
                command.arg(script("consume.mjs")).args(arguments(&server, mode, count));
                vec![command]
            }
            _ => {
                let mut command = self.python();
                command
                    .arg(script("consume.py"))
                    .arg(self.client.name())
                    .args(arguments(&server, mode, count))
                    .args(&self.settings);
                vec![command]
            }
        };
        commands.into_iter().map(|command| Member::start(self.client, command)).collect()
    }

    pub fn python(&self) -> Command {
        program(self.folder.join("python/bin/python"))
    }

    fn node(&self) -> Command {
        let mut command = program("node");
        command.env("NODE_PATH", self.folder.join("node/node_modules"));
        command
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// What both scripts are told.
fn arguments(server: &str, mode: Mode<'_>, count: usize) -> [OsString; 5] {
    let group = match mode {
        Mode::Assign => "-",
        Mode::Group(group) => group,
    };
    let (count, partitions) = (count.to_string(), PARTITIONS.to_string());
    [server, EVENTS_TOPIC, group, &count, &partitions].map(OsString::from)
}

fn kcat(server: &str, mode: Mode<'_>, count: usize, settings: &[String]) -> Command {
    let mut command = program("kcat");
    command.args(["-b", server, "-q", "-u", "-f", "%p %o %k %s\n"]);
    for setting in settings {
        command.args(["-X", setting]);
    }
    if count > 0 {
        command.args(["-c", &count.to_string()]);
    }
    match mode {
        Mode::Assign => command.args(["-C", "-o", "beginning", "-t", EVENTS_TOPIC]),
        Mode::Group(group) => {
            command.args(["-X", "auto.offset.reset=earliest", "-X"]);
            command.arg(format!("session.timeout.ms={SESSION_TIMEOUT_MS}"));
            command.args(["-G", group, EVENTS_TOPIC])
        }
    };
    command
}

/// A member of a group, or the reader of one partition.
fn console_consumer(server: &str, source: Result<&str, u32>, count: usize) -> Command {
    let mut command = java("consumer.ConsoleConsumer");
    command.args(["--bootstrap-server", server, "--topic", EVENTS_TOPIC]);
    for property in ["print.partition=true", "print.offset=true", "print.key=true"] {
        command.args(["--formatter-property", property]);
    }
    if count > 0 {
        command.args(["--max-messages", &count.to_string()]);
    }
    match source {
        Ok(group) => {
            command.args(["--group", group, "--from-beginning", "--command-property"]);
            command.arg(format!("session.timeout.ms={SESSION_TIMEOUT_MS}"));
            command.args(["--command-property", "heartbeat.interval.ms=1000"])
        }
        Err(partition) => command.args(["--partition", &partition.to_string(), "--offset", "earliest"]),
    };
    command
}
