//! Sinks: events that also go elsewhere, to an existing Kafka cluster or to an HTTP endpoint.
//!
//! ```text
//!   control thread             one or more threads a sink
//!   publisher ─▶ event log ─▶  feed (reads the segment files) ─▶ kafka: librdkafka ─▶ brokers
//!        │ each commit            ▲            │                ─▶ webhook: HTTP    ─▶ endpoint
//!        └─▶ committed ───────────┘            └─▶ window ─▶ cursor file
//! ```
//!
//! The log is the queue: a sink holds a bounded number of records in memory, and what its target cannot take now is read
//! later. So a target that is slow or away costs latency and nothing else; neither detection, nor the log, nor another
//! sink waits for it. Delivery is at least once, in order for each node; an event keeps its id however often it is sent.
//! A Kafka sink sends each event exactly once a partition for as long as one producer lives.
//!
//! What does not hold forever is the log: what retention removes before a sink has sent it is lost to that sink, and this
//! is counted, logged and announced (`losses.rs`).

pub mod committed;
pub mod cursor;
mod dead_letters;
mod feed;
#[cfg(feature = "kafka-client")]
mod kafka;
pub mod losses;
pub mod progress;
mod webhook;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::config::sinks::{Begin, Sinks as SinksConfig};
use crate::data_dir::{self, DataDirError};
use crate::io::Clock;
use committed::Committed;
use cursor::{Cursor, CursorError};
use dead_letters::{DeadLetters, Written};
use feed::{Outgoing, SinkShared};
use losses::Losses;
use progress::SinkProgress;

/// Why a sink does not start.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Its cursor cannot be used.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// A file of the data directory.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// librdkafka, or the HTTP client, refuses the settings.
    #[error("config table `{table}`: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file or variable that a setting names.
    #[error("config key `{key}` = {value}: cannot be read: {reason}")]
    Unreadable {
        /// The key.
        key: String,
        /// The path, or the name of the variable.
        value: String,
        /// Why.
        reason: String,
    },
    /// No thread.
    #[error("starting the thread of sink {sink}: {source}")]
    Thread {
        /// The sink.
        sink: String,
        /// Why.
        source: std::io::Error,
    },
}

/// What sinks need of the gateway that they belong to.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Data directory of the gateway.
    pub data_dir: PathBuf,
    /// How far the log is committed. Must be up to date when the sinks are started.
    pub committed: Arc<Committed>,
    /// Where losses are announced.
    pub losses: Arc<Losses>,
    /// The clock.
    pub clock: Clock,
}

/// The running sinks.
#[derive(Debug)]
pub struct Sinks {
    committed: Arc<Committed>,
    progress: Arc<[Arc<SinkProgress>]>,
    threads: Vec<JoinHandle<()>>,
}

impl Sinks {
    /// Starts all sinks. Their targets need not be there.
    ///
    /// # Errors
    /// If a cursor, a file or a setting is refused; no thread is left then.
    pub fn start(config: &SinksConfig, surroundings: &Surroundings) -> Result<Self, SinkError> {
        let mut sinks = Self {
            committed: Arc::clone(&surroundings.committed),
            progress: Arc::default(),
            threads: Vec::new(),
        };
        match sinks.start_all(config, surroundings) {
            Ok(progress) => {
                sinks.progress = progress.into();
                Ok(sinks)
            }
            Err(error) => {
                sinks.stop();
                Err(error)
            }
        }
    }

    fn start_all(
        &mut self,
        config: &SinksConfig,
        surroundings: &Surroundings,
    ) -> Result<Vec<Arc<SinkProgress>>, SinkError> {
        let mut progress = Vec::new();
        if config.kafka.is_empty() && config.webhook.is_empty() {
            return Ok(progress);
        }
        let identity = data_dir::log_identity(&surroundings.data_dir)?;
        data_dir::create(&data_dir::sinks_dir(&surroundings.data_dir))?;
        for sink in &config.kafka {
            let topics: Vec<String> = sink.topics.iter().map(|(ours, _)| ours.clone()).collect();
            let opening = Opening { name: &sink.name, kind: "kafka", topics: &topics, from: sink.from };
            let (shared, lanes) = opening.open(surroundings, &identity, sink.stop_wait)?;
            progress.push(Arc::clone(&shared.progress));
            self.threads.extend(start_kafka(sink, &shared, &lanes)?);
        }
        for sink in &config.webhook {
            let topics = [crate::topics::EVENTS_TOPIC.to_owned()];
            let opening = Opening { name: &sink.name, kind: "webhook", topics: &topics, from: sink.from };
            let (shared, lanes) = opening.open(surroundings, &identity, sink.stop_wait)?;
            progress.push(Arc::clone(&shared.progress));
            self.threads.extend(webhook::start(sink, &shared, &lanes)?);
        }
        Ok(progress)
    }

    /// What the sinks have done so far.
    #[must_use]
    pub fn progress(&self) -> Arc<[Arc<SinkProgress>]> {
        Arc::clone(&self.progress)
    }

    /// Lets each sink deliver what is there for as long as it may, saves the cursors, and ends the threads. Blocks.
    pub fn stop(self) {
        self.committed.stop();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!(
                    "the thread of a sink panicked: this is a bug, please report it with the lines above"
                );
            }
        }
    }
}

#[cfg(feature = "kafka-client")]
use kafka::start as start_kafka;

#[cfg(not(feature = "kafka-client"))]
fn start_kafka(
    _sink: &crate::config::sinks::KafkaSink,
    _shared: &Arc<SinkShared>,
    _lanes: &[usize],
) -> Result<Option<JoinHandle<()>>, SinkError> {
    unreachable!("a configuration with a Kafka sink is refused by a build without the client")
}

/// A sink that is about to start.
struct Opening<'a> {
    name: &'a str,
    kind: &'static str,
    topics: &'a [String],
    from: Begin,
}

impl Opening<'_> {
    fn open(
        &self,
        surroundings: &Surroundings,
        identity: &str,
        stop_wait: std::time::Duration,
    ) -> Result<(Arc<SinkShared>, Vec<usize>), SinkError> {
        let committed = &surroundings.committed;
        let clock = surroundings.clock;
        let directory = data_dir::sinks_dir(&surroundings.data_dir);
        let mut cursor = Cursor::open(&directory, self.name, identity, clock.now())?;
        let mut lanes = Vec::new();
        for topic in self.topics {
            let before = lanes.len();
            let of_topic = committed.lanes().iter().enumerate().filter(|(_, lane)| *lane.topic == **topic);
            lanes.extend(of_topic.map(|(index, _)| index));
            if lanes.len() == before {
                let table = format!("sinks.{}.{}", self.kind, self.name);
                return Err(SinkError::Refused {
                    table,
                    reason: format!("this gateway has no topic {topic}"),
                });
            }
        }
        self.place(&mut cursor, committed, &lanes);
        cursor.save()?;
        let progress = SinkProgress::new(self.name, self.kind, self.topics, committed);
        let shared = SinkShared {
            log_directory: data_dir::stream_dir(&surroundings.data_dir),
            committed: Arc::clone(committed),
            cursor: Mutex::new(cursor),
            progress: Arc::new(progress),
            losses: Arc::clone(&surroundings.losses),
            clock,
            stop_wait,
        };
        Ok((Arc::new(shared), lanes))
    }

    /// Gives the cursor a place in each lane.
    fn place(&self, cursor: &mut Cursor, committed: &Committed, lanes: &[usize]) {
        for index in lanes {
            let lane = &committed.lanes()[*index];
            let (start, end) = (lane.start(), lane.end());
            let offset = match cursor.offset(lane) {
                Some(offset) if offset > end => {
                    tracing::warn!(
                        sink = self.name,
                        topic = &*lane.topic,
                        partition = lane.partition,
                        cursor = offset,
                        end,
                        "the log ends before the cursor: its last records were not synced and are gone; the sink goes \
                         on at the end"
                    );
                    end
                }
                Some(offset) => offset,
                // A partition that was added to a topic that is read: it is read from its first record on.
                None if cursor.knows(&lane.topic) => start,
                None => match self.from {
                    Begin::Beginning => start,
                    Begin::End => end,
                },
            };
            cursor.place(lane, offset);
        }
        cursor.keep_places();
    }
}

/// Writes down an event that the target refuses for good, and counts it.
fn bury(shared: &SinkShared, letters: &DeadLetters, outgoing: &Outgoing, answer: &str) {
    let lane = &shared.committed.lanes()[outgoing.lane];
    let (sink, progress) = (shared.progress.name.as_str(), &shared.progress);
    let written = letters.write(shared.clock.unix_us(), lane, outgoing, answer);
    match &written {
        Ok(Written::Yes) => progress.count(|progress| &progress.dead_letters_written, 1),
        Ok(Written::Full) | Err(_) => progress.count(|progress| &progress.dead_letters_unwritten, 1),
    }
    let file = letters.path().display();
    let (partition, offset) = (lane.partition, outgoing.offset);
    match written {
        Ok(Written::Yes) => {
            tracing::warn!(sink, partition, offset, answer, %file, "the target refuses an event; written to the dead letters");
        }
        Ok(Written::Full) => {
            tracing::error!(sink, partition, offset, answer, %file, "the target refuses an event, and the dead-letter file is full");
        }
        Err(error) => {
            tracing::error!(sink, partition, offset, answer, %file, %error, "the target refuses an event, and it cannot be written down");
        }
    }
}

fn dead_letters(data_dir_of_log: &Path, sink: &str, bytes_max: u64) -> DeadLetters {
    let data_dir = data_dir_of_log.parent().expect("the log lies in the data directory");
    DeadLetters::new(data_dir::sinks_dir(data_dir).join(format!("{sink}.dead.jsonl")), bytes_max)
}
