//! Fetches: batches from the files at once, or when enough is committed, or when the client's patience is over.
//!
//! ```text
//!   look at the view ─▶ an error, or bytes_min there, or time over? ──yes─▶ memory ─▶ read in the pool ─▶ response
//!        ▲                                        │no
//!        └────────────── next commit ─────────────┘
//! ```
//!
//! How many bytes there are is estimated from the view, without touching a file. The bytes that are read are taken from
//! a budget that all responses share, until they are sent; when it runs low each fetch gets less, so slow readers take
//! ever smaller shares, but never less than the largest batch: a fetch must be able to serve its first one, and waits
//! until it may. What a share turns out not to need is given back before the response is sent.

use std::io::ErrorKind;
use std::time::Duration;

use super::api::error_code;
use super::api::fetch::{Fetched, Partition, Request};
use super::counters::KafkaCounters;
use super::limits::{FETCH_BYTES_MAX, FETCH_BYTES_MIN, FETCH_WAIT_MAX, PARKED_FETCHES_MAX};
use super::memory::Share;
use super::server::{Failure, KafkaServer};
use crate::view::{PlanFault, ReadFault, ReadPlan};

/// One partition of a fetch, looked up.
enum Looked {
    Refused(Fetched),
    /// Nothing is committed there yet.
    Empty(Fetched),
    Planned(Fetched, ReadPlan, usize),
}

/// The answers, and the share of memory that they take until they are sent.
pub(super) struct FetchAnswer {
    pub(super) fetched: Vec<Fetched>,
    pub(super) memory: Option<Share>,
}

impl KafkaServer {
    /// Answers all partitions of a request, in its order.
    pub(super) async fn fetch(&self, request: &Request) -> FetchAnswer {
        let wait_ms = u64::try_from(request.wait_ms).unwrap_or(0);
        let wait = Duration::from_millis(wait_ms).min(FETCH_WAIT_MAX);
        if self.parked_fetches.get() < PARKED_FETCHES_MAX {
            self.parked_fetches.set(self.parked_fetches.get() + 1);
            let _parked = Parked(self);
            // When the time is over, what is there is enough.
            let _ = tokio::time::timeout(wait, self.wait_for_records(request)).await;
        }
        let bytes_max = usize::try_from(request.bytes_max).unwrap_or(0).min(FETCH_BYTES_MAX);
        let looked = self.look(request);
        let there: u64 = looked.iter().map(Looked::bytes).sum();
        let bytes_max = bytes_max.min(usize::try_from(there).unwrap_or(usize::MAX));
        if there == 0 {
            return FetchAnswer {
                fetched: looked.into_iter().map(Looked::without_records).collect(),
                memory: None,
            };
        }
        let mut memory = self.share_of_memory(bytes_max).await;
        let fetched = self.read(looked, bytes_max.min(memory.bytes())).await;
        let bytes: usize = fetched.iter().map(|fetched| fetched.records.len()).sum();
        memory.shrink_to(bytes);
        FetchAnswer { fetched, memory: Some(memory) }
    }

    /// Waits until there is enough, or something to refuse.
    async fn wait_for_records(&self, request: &Request) {
        let bytes_min = u64::try_from(request.bytes_min).unwrap_or(0);
        loop {
            let next_commit = self.topics.next_commit();
            let looked = self.look(request);
            let has_refusal = looked.iter().any(|partition| matches!(partition, Looked::Refused(_)));
            if has_refusal || looked.iter().map(Looked::bytes).sum::<u64>() >= bytes_min {
                return;
            }
            next_commit.await;
        }
    }

    fn look(&self, request: &Request) -> Vec<Looked> {
        let topics = request.topics.iter();
        let named =
            topics.flat_map(|topic| topic.partitions.iter().map(|partition| (&*topic.name, partition)));
        named.map(|(name, partition)| self.look_at(name, partition)).collect()
    }

    fn look_at(&self, name: &str, partition: &Partition) -> Looked {
        let refused = |error| Looked::Refused(Fetched::refused(error));
        let Some(view) = self.topics.find(name) else {
            return refused(error_code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let Ok(index) = u32::try_from(partition.index) else {
            return refused(error_code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if let Some(error) = epoch_fault(partition.leader_epoch) {
            return refused(error);
        }
        let Some(range) = view.range(index) else {
            return refused(error_code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let mut fetched = Fetched {
            error: error_code::NONE,
            committed_offset: range.end.cast_signed(),
            start_offset: range.start.cast_signed(),
            records: Vec::new(),
        };
        let plan = match u64::try_from(partition.offset) {
            Ok(offset) => view.plan(index, offset),
            Err(_) => Err(PlanFault::OutOfRange),
        };
        let bytes_max = usize::try_from(partition.bytes_max).unwrap_or(0);
        match plan {
            Ok(Some(plan)) => Looked::Planned(fetched, plan, bytes_max),
            Ok(None) => Looked::Empty(fetched),
            Err(_) => {
                fetched.error = error_code::OFFSET_OUT_OF_RANGE;
                Looked::Refused(fetched)
            }
        }
    }

    /// Waits for memory: as much as is wanted or a quarter of what is left, and a batch of any size at least.
    async fn share_of_memory(&self, wanted: usize) -> Share {
        let quarter = self.fetch_memory.left_bytes() / 4;
        self.fetch_memory.take(wanted.min(quarter).max(FETCH_BYTES_MIN)).await
    }

    /// Reads in the blocking pool, all partitions in one go.
    async fn read(&self, looked: Vec<Looked>, bytes_max: usize) -> Vec<Fetched> {
        let read = self.read_files(move || read_all(looked, bytes_max)).await;
        // The pool ends with the process: then nobody reads this any more.
        let (fetched, failures) = read.unwrap_or_default();
        let bytes: usize = fetched.iter().map(|fetched| fetched.records.len()).sum();
        KafkaCounters::add(&self.counters.fetch_bytes, bytes as u64);
        for failure in failures {
            KafkaCounters::add(&self.counters.read_failures, 1);
            (self.on_failure)(&Failure::Read(failure));
        }
        fetched
    }
}

/// Why an epoch that a client has heard of cannot be: there has only ever been one.
pub(super) const fn epoch_fault(leader_epoch: i32) -> Option<i16> {
    match leader_epoch {
        -1 | 0 => None,
        1.. => Some(error_code::UNKNOWN_LEADER_EPOCH),
        _ => Some(error_code::FENCED_LEADER_EPOCH),
    }
}

/// Counts a fetch as parked as long as it is.
struct Parked<'a>(&'a KafkaServer);

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.parked_fetches.set(self.0.parked_fetches.get() - 1);
    }
}

impl Looked {
    fn bytes(&self) -> u64 {
        match self {
            Self::Planned(_, plan, _) => plan.bytes_ahead(),
            _ => 0,
        }
    }

    fn without_records(self) -> Fetched {
        match self {
            Self::Refused(fetched) | Self::Empty(fetched) | Self::Planned(fetched, ..) => fetched,
        }
    }
}

fn read_all(looked: Vec<Looked>, bytes_max: usize) -> (Vec<Fetched>, Vec<ReadFault>) {
    let mut left = bytes_max;
    let mut takes_first = true;
    let mut failures = Vec::new();
    let fetched = looked.into_iter().map(|looked| {
        let Looked::Planned(mut fetched, plan, of_partition) = looked else {
            return looked.without_records();
        };
        if left == 0 && !takes_first {
            return fetched;
        }
        match plan.run(left.min(of_partition), takes_first) {
            Ok(records) => {
                takes_first &= records.is_empty();
                left = left.saturating_sub(records.len());
                fetched.records = records;
            }
            // The client asks again, and finds it by the new index.
            Err(ReadFault::Rewritten) => {}
            Err(failure) => {
                let is_removed =
                    matches!(&failure, ReadFault::Io { source, .. } if source.kind() == ErrorKind::NotFound);
                fetched.error = if is_removed {
                    error_code::OFFSET_OUT_OF_RANGE
                } else {
                    error_code::KAFKA_STORAGE_ERROR
                };
                if !is_removed {
                    failures.push(failure);
                }
            }
        }
        fetched
    });
    (fetched.collect(), failures)
}
