//! What a sink has done, for metrics and the status page: numbers that the sink's threads write and others read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::committed::Committed;
use crate::io::Clock;

/// Numbers of one sink. Relaxed everywhere: each is a number by itself, and two of one scrape may be a moment apart.
#[derive(Debug)]
pub struct SinkProgress {
    /// Name of the sink.
    pub name: String,
    /// `kafka` or `webhook`.
    pub kind: &'static str,
    /// Events that the target has acknowledged.
    pub delivered: AtomicU64,
    /// Events that the sink was told not to send.
    pub filtered: AtomicU64,
    /// Requests that were tried again (webhook) or records that were handed over again (Kafka).
    pub retries: AtomicU64,
    /// Events that the target refused for good and that stand in the dead-letter file.
    pub dead_letters_written: AtomicU64,
    /// Events that the target refused for good and for which the dead-letter file had no room.
    pub dead_letters_unwritten: AtomicU64,
    /// Producers given up and made anew (Kafka).
    pub producers_replaced: AtomicU64,
    /// Events that retention removed before they were sent.
    pub lost_to_retention: AtomicU64,
    /// Processor time of the sink's threads, in microseconds; of a Kafka sink without librdkafka's own.
    pub cpu_us: AtomicU64,
    lanes: Vec<LaneProgress>,
    committed: Arc<Committed>,
}

/// Where the sink stands in one lane; `None` of [`SinkProgress::lanes`]'s topics that it does not read.
#[derive(Debug, Default)]
struct LaneProgress {
    is_read: bool,
    acknowledged_to: AtomicU64,
    /// Time of the oldest record under way; 0: none.
    oldest_unix_ms: AtomicU64,
}

/// One line of the status page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SinkStatus {
    /// Name of the sink.
    pub name: String,
    /// `kafka` or `webhook`.
    pub kind: &'static str,
    /// Events on disk that have not arrived.
    pub lag_events: u64,
    /// Age of the oldest of these.
    pub lag_ms: u64,
    /// Events that arrived.
    pub delivered: u64,
    /// Tries that were repeated.
    pub retries: u64,
    /// Events that the target refused for good.
    pub dead_letters: u64,
    /// Events that retention removed before they were sent.
    pub lost_to_retention: u64,
}

impl SinkProgress {
    /// A sink that reads these topics and has done nothing.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, topics: &[String], committed: &Arc<Committed>) -> Self {
        let lanes = committed.lanes().iter();
        let is_read = |topic: &str| topics.iter().any(|read| read == topic);
        Self {
            name: name.to_owned(),
            kind,
            delivered: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            dead_letters_written: AtomicU64::new(0),
            dead_letters_unwritten: AtomicU64::new(0),
            producers_replaced: AtomicU64::new(0),
            lost_to_retention: AtomicU64::new(0),
            cpu_us: AtomicU64::new(0),
            lanes: lanes
                .map(|lane| LaneProgress { is_read: is_read(&lane.topic), ..LaneProgress::default() })
                .collect(),
            committed: Arc::clone(committed),
        }
    }

    /// Tells where the sink stands in a lane, and the time of the oldest record under way there.
    pub fn place(&self, lane: usize, acknowledged_to: u64, oldest_ms: Option<i64>) {
        let progress = &self.lanes[lane];
        progress.acknowledged_to.store(acknowledged_to, Ordering::Relaxed);
        let oldest = oldest_ms.map_or(0, |oldest_ms| u64::try_from(oldest_ms).unwrap_or(0));
        progress.oldest_unix_ms.store(oldest, Ordering::Relaxed);
    }

    /// Adds to a number.
    pub fn count(&self, number: impl FnOnce(&Self) -> &AtomicU64, by: u64) {
        number(self).fetch_add(by, Ordering::Relaxed);
    }

    /// Events on disk that have not arrived.
    #[must_use]
    pub fn lag_events(&self) -> u64 {
        let lanes = self.lanes.iter().zip(self.committed.lanes()).filter(|(progress, _)| progress.is_read);
        lanes
            .map(|(progress, lane)| {
                lane.end().saturating_sub(progress.acknowledged_to.load(Ordering::Relaxed))
            })
            .sum()
    }

    /// Age of the oldest event that was read and has not arrived, in milliseconds.
    #[must_use]
    pub fn lag_ms(&self, unix_ms: u64) -> u64 {
        let oldest = self.lanes.iter().map(|progress| progress.oldest_unix_ms.load(Ordering::Relaxed));
        let oldest = oldest.filter(|oldest| *oldest != 0).min();
        oldest.map_or(0, |oldest| unix_ms.saturating_sub(oldest))
    }

    /// The line of the status page.
    #[must_use]
    pub fn status(&self) -> SinkStatus {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        SinkStatus {
            name: self.name.clone(),
            kind: self.kind,
            lag_events: self.lag_events(),
            lag_ms: self.lag_ms(Clock::new().unix_us() / 1_000),
            delivered: read(&self.delivered),
            retries: read(&self.retries),
            dead_letters: read(&self.dead_letters_written) + read(&self.dead_letters_unwritten),
            lost_to_retention: read(&self.lost_to_retention),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_only_the_topics_that_are_read() {
        let committed = Arc::new(Committed::new(&[("events", 2), ("nodes", 1)]));
        let progress = SinkProgress::new("audit", "kafka", &["events".to_owned()], &committed);
        committed.set("events", 0, 0..10);
        committed.set("events", 1, 0..5);
        committed.set("nodes", 0, 0..1_000);
        progress.place(0, 7, Some(40_000));
        progress.place(1, 5, None);
        assert_eq!((progress.lag_events(), progress.lag_ms(41_500)), (3, 1_500));
    }
}
