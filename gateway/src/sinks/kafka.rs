//! The Kafka sink: a thread that hands records to librdkafka and moves the cursor by its delivery reports.
//!
//! ```text
//!   feed ─▶ waiting ─▶ producer (idempotent, acks=all, without end) ─▶ brokers
//!             ▲                │ delivery reports
//!             └── rewind ◀─────┴─▶ window ─▶ cursor
//! ```
//!
//! **Once and in order.** The producer is idempotent, so within its life the brokers drop what arrives twice and refuse
//! what arrives out of order. A record goes to the partition that it has here when the target topic has as many
//! partitions (both use Kafka's murmur2 of the key), and else to the one that librdkafka's murmur2 gives; either way the
//! events of a node stay in one partition.
//!
//! **A producer can die**: librdkafka calls it fatal when it no longer knows what the brokers have. Then nothing more is
//! sent by it; a new one begins at the acknowledged part. What was under way may arrive twice: consumers drop it by id.
//! `enable.gapless.guarantee` makes every failed record fatal, so that no later record overtakes it.
//!
//! **Records that brokers refuse for good** (too large, invalid) are dead letters. Brokers refuse whole batches, so after
//! such a refusal records are sent one a batch until the culprit is found.

mod producer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;

use super::dead_letters::DeadLetters;
use super::feed::{Feed, Outgoing, SinkShared};
use super::{SinkError, bury, dead_letters};
use crate::config::limits::sinks::DEAD_LETTER_BYTES_MAX_DEFAULT;
use crate::config::sinks::KafkaSink;
use crate::node_states::is_moved;
use producer::{Link, Refusal};

/// Waits for delivery reports grow from the one to the other while nothing happens.
const REPORT_WAIT_MIN: Duration = Duration::from_millis(1);
const REPORT_WAIT_MAX: Duration = Duration::from_millis(50);

/// Longest sleep when there is nothing to do: the cursor is saved in this rhythm.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Waits before a producer is made anew grow from the one to the other while nothing is delivered.
const REPLACE_WAIT_MIN: Duration = Duration::from_millis(200);
const REPLACE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Starts the thread of a sink. The brokers need not be there.
pub(super) fn start(
    config: &KafkaSink,
    shared: &Arc<SinkShared>,
    lanes: &[usize],
) -> Result<Option<JoinHandle<()>>, SinkError> {
    let link = Link::open(config, false)?;
    let run = Run {
        config: config.clone(),
        feed: Feed::new(Arc::clone(shared), lanes),
        letters: dead_letters(&shared.log_directory, &config.name, DEAD_LETTER_BYTES_MAX_DEFAULT),
        link,
        partitions: None,
        waiting: VecDeque::new(),
        condemned: BTreeSet::new(),
        is_single: false,
        replace_wait: REPLACE_WAIT_MIN,
    };
    let thread = std::thread::Builder::new().name(format!("sink-{}", config.name));
    let thread = thread.spawn(move || run.run());
    thread.map(Some).map_err(|source| SinkError::Thread { sink: config.name.clone(), source })
}

/// What the thread works with.
struct Run {
    config: KafkaSink,
    feed: Feed,
    letters: DeadLetters,
    link: Link,
    /// How many partitions each target topic has; `None` until the brokers have said so.
    partitions: Option<BTreeMap<String, usize>>,
    /// Read and not yet handed to the producer.
    waiting: VecDeque<Outgoing>,
    /// Records, by lane and offset, that the brokers refuse.
    condemned: BTreeSet<(usize, u64)>,
    /// One record a batch: a refusal names its record.
    is_single: bool,
    replace_wait: Duration,
}

impl Run {
    fn run(mut self) {
        let mut rings = 0;
        let mut report_wait = REPORT_WAIT_MIN;
        loop {
            let sent = if self.partitions.is_some() { self.send() } else { Ok(self.ask_for_partitions()) };
            let reported = self.take_reports(Duration::ZERO);
            self.feed.settle();
            self.tell_cpu();
            let (sent, reported) = match (sent, reported) {
                (Ok(sent), Ok(reported)) => (sent, reported),
                (Err(refusal), _) | (_, Err(refusal)) => {
                    self.replace(&refusal);
                    (0, 0)
                }
            };
            if self.feed.is_at_end() {
                break;
            }
            if sent + reported > 0 {
                report_wait = REPORT_WAIT_MIN;
            } else if self.feed.under_way() > 0 {
                self.link.producer.poll(report_wait);
                report_wait = (report_wait * 2).min(REPORT_WAIT_MAX);
            } else {
                self.leave_single();
                rings = self.feed.shared().committed.wait(rings, IDLE_WAIT).rings;
            }
        }
        self.feed.settle_for_good();
    }

    fn tell_cpu(&self) {
        let shared = self.feed.shared();
        let cpu_us = u64::try_from(shared.clock.thread_cpu_time().as_micros()).unwrap_or(u64::MAX);
        shared.progress.cpu_us.store(cpu_us, std::sync::atomic::Ordering::Relaxed);
    }

    /// Asks the brokers how many partitions the target topics have. Returns 0: nothing was sent.
    fn ask_for_partitions(&mut self) -> usize {
        match self.link.partitions(self.config.topics.iter().map(|(_, theirs)| theirs.as_str())) {
            Ok(partitions) => self.partitions = Some(partitions),
            Err(reason) => {
                self.link.producer.context().complain(&reason);
                self.feed.shared().committed.is_stopping_within(REPLACE_WAIT_MIN);
            }
        }
        0
    }

    /// Hands records to the producer until it is full or there are no more. Returns how many.
    fn send(&mut self) -> Result<usize, Refusal> {
        if self.waiting.is_empty() {
            self.waiting.extend(self.feed.next());
        }
        let mut sent = 0;
        while self.feed.under_way() < self.config.in_flight_max {
            let Some(outgoing) = self.waiting.front() else { break };
            if self.condemned.remove(&(outgoing.lane, outgoing.offset)) {
                self.bury_first("the brokers refuse it as too large or invalid");
                continue;
            }
            let lane = &self.feed.shared().committed.lanes()[outgoing.lane];
            let topics = self.config.topics.iter();
            let theirs = topics.clone().find(|(ours, _)| **ours == *lane.topic);
            let (_, theirs) = theirs.expect("the feed has the lanes of these topics only");
            let ours = self.feed.shared().committed.lanes().iter();
            let our_partitions = ours.filter(|other| other.topic == lane.topic).count();
            let partitions = self.partitions.as_ref().expect("asked for before");
            let partition = (partitions.get(theirs) == Some(&our_partitions)).then_some(lane.partition);
            if partition.is_none() && is_moved(&outgoing.record) {
                // Their partitions are not ours: the key has not moved there.
                let outgoing = self.waiting.pop_front().expect("it is the first");
                self.feed.sent(&outgoing);
                self.feed.finished(outgoing.lane, outgoing.offset);
                self.feed.shared().progress.count(|progress| &progress.filtered, 1);
                continue;
            }
            match self.link.send(outgoing, theirs, partition) {
                Ok(()) => {
                    let outgoing = self.waiting.pop_front().expect("it is the first");
                    self.feed.sent(&outgoing);
                    sent += 1;
                }
                Err(RDKafkaErrorCode::QueueFull) => break,
                Err(code) if is_about_the_record(code) => {
                    self.bury_first(&format!("librdkafka refuses it: {code}"))
                }
                Err(code) => return Err(Refusal { code, record: None }),
            }
        }
        Ok(sent)
    }

    fn bury_first(&mut self, answer: &str) {
        let outgoing = self.waiting.pop_front().expect("somebody looked at it");
        bury(self.feed.shared(), &self.letters, &outgoing, answer);
        self.feed.sent(&outgoing);
        self.feed.finished(outgoing.lane, outgoing.offset);
    }

    /// Takes delivery reports that are there, or come within `wait`. Returns how many.
    fn take_reports(&mut self, wait: Duration) -> Result<usize, Refusal> {
        let mut taken = 0;
        let mut refusal = None;
        loop {
            self.link.producer.poll(wait);
            let reports = self.link.producer.context().take();
            if reports.is_empty() {
                break;
            }
            taken += reports.len();
            let mut delivered = 0;
            for report in reports {
                match report.outcome {
                    Ok(()) => delivered += u64::from(self.feed.finished(report.lane, report.offset)),
                    // Of several failures the first one about a record says why; purged ones only follow from it.
                    Err(code) => {
                        let record = is_about_the_record(code).then_some((report.lane, report.offset));
                        let is_better = |old: &Refusal| old.record.is_none() && record.is_some();
                        if refusal.as_ref().is_none_or(is_better) {
                            refusal = Some(Refusal { code, record });
                        }
                    }
                }
            }
            if delivered > 0 {
                self.replace_wait = REPLACE_WAIT_MIN;
                self.feed.shared().progress.count(|progress| &progress.delivered, delivered);
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        match self.link.producer.client().fatal_error() {
            Some((code, _)) => Err(Refusal { code, record: None }),
            None => Ok(taken),
        }
    }

    /// Gives the producer up and goes on with a new one, from the acknowledged part.
    fn replace(&mut self, refusal: &Refusal) {
        // What has arrived already need not be sent again.
        self.link.abandon();
        let _ = self.take_reports(Duration::ZERO);
        if let Some(record) = refusal.record {
            if self.is_single {
                self.condemned.insert(record);
            }
            self.is_single = true;
        }
        let again = self.feed.rewind() as u64;
        self.waiting.clear();
        let shared = Arc::clone(self.feed.shared());
        shared.progress.count(|progress| &progress.producers_replaced, 1);
        shared.progress.count(|progress| &progress.retries, again);
        let detail = self.link.producer.client().fatal_error().map(|(_, detail)| detail).unwrap_or_default();
        tracing::warn!(
            sink = self.config.name,
            reason = %refusal.code,
            detail,
            records_sent_again = again,
            "the Kafka producer had to be replaced"
        );
        loop {
            shared.committed.is_stopping_within(self.replace_wait);
            self.replace_wait = (self.replace_wait * 2).min(REPLACE_WAIT_MAX);
            match Link::open(&self.config, self.is_single) {
                Ok(link) => {
                    self.link = link;
                    self.partitions = None;
                    return;
                }
                // The settings were accepted at the start, so this passes, unless the file of a secret is gone.
                Err(error) => {
                    tracing::error!(sink = self.config.name, %error, "no new Kafka producer; trying again")
                }
            }
            if self.feed.is_at_end() {
                return;
            }
        }
    }

    /// With nothing under way and the culprit found, goes back to full batches.
    fn leave_single(&mut self) {
        let is_over = self.is_single && self.condemned.is_empty() && self.waiting.is_empty();
        if is_over && let Ok(link) = Link::open(&self.config, false) {
            self.is_single = false;
            self.link = link;
            self.partitions = None;
        }
    }
}

/// Whether the record is at fault and no other try will help.
const fn is_about_the_record(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
    )
}
