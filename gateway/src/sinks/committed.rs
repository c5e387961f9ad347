//! How far the log is committed, told by the control thread to the threads of the sinks.
//!
//! ```text
//!   control thread: LogView ─ each commit ─▶ start and end of each lane ─▶ ring the bell
//!   sink threads:                            read them ◀─ woken, or a while later
//! ```
//!
//! A lane is one partition of one topic. Sinks read the segment files themselves, so all that crosses threads are two
//! numbers a lane; a sink that is slow or dead costs the control thread nothing. Only records before the end may leave
//! the house: what is not committed may yet be taken back.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use pulsegate_stream::LogView;

/// One partition of one topic.
#[derive(Debug)]
pub struct Lane {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    start: AtomicU64,
    end: AtomicU64,
}

/// What is committed, of all topics.
#[derive(Debug)]
pub struct Committed {
    lanes: Vec<Lane>,
    bell: Mutex<Bell>,
    rung: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bell {
    rings: u64,
    is_stopping: bool,
}

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rung {
    /// Rings so far; give it to the next wait.
    pub rings: u64,
    /// The gateway stops: deliver what is there, soon.
    pub is_stopping: bool,
}

impl Lane {
    /// Offset of the oldest record that is kept.
    #[must_use]
    pub fn start(&self) -> u64 {
        // Acquire: pairs with the release in `Committed::set`.
        self.start.load(Ordering::Acquire)
    }

    /// The offset after the last committed record.
    #[must_use]
    pub fn end(&self) -> u64 {
        // Acquire: pairs with the release in `Committed::set`, which follows the writes to the segment file.
        self.end.load(Ordering::Acquire)
    }
}

impl Committed {
    /// Lanes for these topics with so many partitions each; nothing is committed yet.
    #[must_use]
    pub fn new(topics: &[(&str, u32)]) -> Self {
        let mut lanes = Vec::new();
        for (topic, partitions) in topics {
            let topic: Arc<str> = (*topic).into();
            lanes.extend((0..*partitions).map(|partition| Lane {
                topic: Arc::clone(&topic),
                partition,
                start: AtomicU64::new(0),
                end: AtomicU64::new(0),
            }));
        }
        Self { lanes, bell: Mutex::default(), rung: Condvar::new() }
    }

    /// All lanes; a lane is known by its place here.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Tells what is kept and committed of a partition. One writer.
    pub fn set(&self, topic: &str, partition: u32, range: std::ops::Range<u64>) {
        let is_meant = |lane: &&Lane| *lane.topic == *topic && lane.partition == partition;
        if let Some(lane) = self.lanes.iter().find(is_meant) {
            // Release: pairs with the acquire of `Lane::start` and `Lane::end`.
            lane.start.store(range.start, Ordering::Release);
            lane.end.store(range.end, Ordering::Release);
        }
    }

    /// Copies what a view says.
    pub fn copy(&self, view: &LogView) {
        for partition in 0..view.partition_count() {
            if let Some(range) = view.range(partition) {
                self.set(view.topic(), partition, range);
            }
        }
    }

    /// Wakes every sink that waits.
    pub fn ring(&self) {
        self.bell.lock().rings += 1;
        self.rung.notify_all();
    }

    /// Tells every sink to end.
    pub fn stop(&self) {
        self.bell.lock().is_stopping = true;
        self.ring();
    }

    /// Waits for a ring after `rings`, or for the stop, `timeout` at most.
    pub fn wait(&self, rings: u64, timeout: Duration) -> Rung {
        let mut bell = self.bell.lock();
        if bell.rings == rings && !bell.is_stopping {
            self.rung.wait_for(&mut bell, timeout);
        }
        Rung { rings: bell.rings, is_stopping: bell.is_stopping }
    }

    /// Waits for the stop, `timeout` at most; true when it came. Rings do not end this wait.
    pub fn is_stopping_within(&self, timeout: Duration) -> bool {
        let mut bell = self.bell.lock();
        self.rung.wait_while_for(&mut bell, |bell| !bell.is_stopping, timeout);
        bell.is_stopping
    }
}

/// Keeps `committed` up to date with a topic, until the task is dropped.
pub async fn follow(view: Rc<LogView>, committed: Arc<Committed>) {
    loop {
        // Taken before the look, so that a commit in between is not missed.
        let next = view.next_commit();
        committed.copy(&view);
        committed.ring();
        next.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_set_by_topic_and_partition() {
        let committed = Committed::new(&[("events", 2), ("nodes", 1)]);
        committed.set("events", 1, 3..9);
        committed.set("nodes", 7, 1..2);
        let ranges: Vec<_> = committed.lanes().iter().map(|lane| (lane.start(), lane.end())).collect();
        assert_eq!(ranges, [(0, 0), (3, 9), (0, 0)]);
    }

    #[test]
    fn ring_before_the_wait_ends_it_and_a_stop_ends_all() {
        let committed = Committed::new(&[]);
        let first = committed.wait(0, Duration::ZERO);
        committed.ring();
        let second = committed.wait(first.rings, Duration::from_secs(60));
        assert_eq!((second.rings, second.is_stopping), (1, false));
        assert!(!committed.is_stopping_within(Duration::ZERO));
        committed.stop();
        assert!(committed.wait(1_000, Duration::from_secs(60)).is_stopping);
        assert!(committed.is_stopping_within(Duration::from_secs(60)));
    }
}
