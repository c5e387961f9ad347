//! What both kinds of sinks have in common: records come from the log, in order, from the cursor on; what has arrived
//! moves the cursor.
//!
//! ```text
//!   segment files ─▶ LogReader, up to what is committed ─▶ next() ─▶ the sink's own work
//!   cursor file   ◀─ settle(): as far as each window has no hole ◀─ finished()
//! ```
//!
//! Each thread of a sink has a feed of its own with some of the lanes. What retention removed before it was read is
//! counted, logged and announced as an event, never passed over in silence. A log that cannot be read stops the feed for
//! a while and is tried again; it never skips what it cannot read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use pulsegate_engine::{Duration, Timestamp};
use pulsegate_stream::{LogReader, Record};

use super::committed::Committed;
use super::cursor::Cursor;
use super::losses::Losses;
use super::progress::SinkProgress;
use super::window::Window;
use crate::io::Clock;

/// Wait after the log could not be read.
const READ_RETRY_WAIT: Duration = Duration::from_secs(1);

/// What all threads of one sink share.
#[derive(Debug)]
pub(super) struct SinkShared {
    /// Directory of the event log.
    pub(super) log_directory: PathBuf,
    /// How far the log is committed; also tells the stop.
    pub(super) committed: Arc<Committed>,
    /// Where the sink stands.
    pub(super) cursor: Mutex<Cursor>,
    /// What it has done.
    pub(super) progress: Arc<SinkProgress>,
    /// Where losses are announced.
    pub(super) losses: Arc<Losses>,
    /// For waits and dates.
    pub(super) clock: Clock,
    /// How long the sink may go on delivering when the gateway stops.
    pub(super) stop_wait: Duration,
}

/// A record on its way from the log to the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Outgoing {
    /// Place in [`Committed::lanes`].
    pub(super) lane: usize,
    /// Offset in the partition.
    pub(super) offset: u64,
    /// The record.
    pub(super) record: Record,
}

/// The records of some lanes, for one thread.
#[derive(Debug)]
pub(super) struct Feed {
    shared: Arc<SinkShared>,
    windows: BTreeMap<usize, Window>,
    /// What the cursor was last told, by lane.
    settled: BTreeMap<usize, u64>,
    /// The first offset that was not read yet, by lane.
    unread: BTreeMap<usize, u64>,
    readers: Vec<TopicReader>,
    retry_at: Option<Timestamp>,
    /// When delivering ends, once the gateway stops.
    stop_at: Option<Timestamp>,
    read_failures: u64,
    save_failures: u64,
}

#[derive(Debug)]
struct TopicReader {
    reader: LogReader,
    /// The lane of each partition.
    lanes: BTreeMap<u32, usize>,
}

impl Feed {
    /// A feed of these lanes, from where the cursor stands.
    ///
    /// # Panics
    /// If the cursor was not placed in each of them.
    #[must_use]
    pub(super) fn new(shared: Arc<SinkShared>, lanes: &[usize]) -> Self {
        let windows: BTreeMap<usize, Window> = {
            let cursor = shared.cursor.lock();
            let offset =
                |lane: usize| cursor.offset(&shared.committed.lanes()[lane]).expect("placed at the start");
            lanes.iter().map(|lane| (*lane, Window::new(offset(*lane)))).collect()
        };
        let settled: BTreeMap<usize, u64> =
            windows.iter().map(|(lane, window)| (*lane, window.acknowledged_to())).collect();
        let mut feed = Self {
            shared,
            windows,
            unread: settled.clone(),
            settled,
            readers: Vec::new(),
            retry_at: None,
            stop_at: None,
            read_failures: 0,
            save_failures: 0,
        };
        feed.rewind();
        for (lane, window) in &feed.windows {
            feed.shared.progress.place(*lane, window.acknowledged_to(), None);
        }
        feed
    }

    /// What all threads of the sink share.
    #[must_use]
    pub(super) fn shared(&self) -> &Arc<SinkShared> {
        &self.shared
    }

    /// Forgets what is under way and reads again from the acknowledged part on. Returns how many records were under way.
    pub(super) fn rewind(&mut self) -> usize {
        let mut under_way = 0;
        for (lane, window) in &mut self.windows {
            under_way += window.len();
            *window = Window::new(window.acknowledged_to());
            self.unread.insert(*lane, window.acknowledged_to());
        }
        self.open_readers();
        under_way
    }

    /// Reads each lane from its first unread offset on.
    fn open_readers(&mut self) {
        let mut offsets: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
        let mut lanes: BTreeMap<&str, BTreeMap<u32, usize>> = BTreeMap::new();
        for (index, unread) in &self.unread {
            let lane = &self.shared.committed.lanes()[*index];
            offsets.entry(&*lane.topic).or_default().insert(lane.partition, *unread);
            lanes.entry(&*lane.topic).or_default().insert(lane.partition, *index);
        }
        let readers = offsets.iter().zip(lanes.into_values()).map(|((topic, offsets), lanes)| {
            let reader = LogReader::starting_at(&self.shared.log_directory, topic, offsets);
            TopicReader { reader, lanes }
        });
        self.readers = readers.collect();
    }

    /// Counts what retention removed unread. Also while the target is away: nobody should learn of it only afterwards.
    fn notice_losses(&mut self) {
        let mut events = 0;
        for (lane, unread) in &mut self.unread {
            let start = self.shared.committed.lanes()[*lane].start();
            events += start.saturating_sub(*unread);
            *unread = start.max(*unread);
        }
        if events > 0 {
            // A reader may hold a removed file open: what was announced as lost is not sent all the same.
            self.open_readers();
            self.lose(events);
        }
    }

    /// The next records, those of a lane in their order, a bounded number; empty if there are none for now.
    pub(super) fn next(&mut self) -> Vec<Outgoing> {
        self.notice_losses();
        let now = self.shared.clock.now();
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return Vec::new();
        }
        let mut outgoing = Vec::new();
        let mut skipped_records = 0;
        for topic in &mut self.readers {
            let committed = self.shared.committed.lanes();
            match topic.reader.poll_to(|partition| committed[topic.lanes[&partition]].end()) {
                Ok(poll) => {
                    self.read_failures = 0;
                    skipped_records += poll.skipped_records;
                    outgoing.extend(poll.records.into_iter().map(|found| Outgoing {
                        lane: topic.lanes[&found.partition],
                        offset: found.offset,
                        record: found.record,
                    }));
                }
                Err(error) => {
                    if self.read_failures.is_multiple_of(60) {
                        let sink = self.shared.progress.name.as_str();
                        tracing::error!(sink, %error, "the event log cannot be read; the sink stands still and tries again");
                    }
                    self.read_failures += 1;
                    self.retry_at = Some(now + READ_RETRY_WAIT);
                }
            }
        }
        for found in &outgoing {
            self.unread.insert(found.lane, found.offset + 1);
        }
        if skipped_records > 0 {
            // Removed since `notice_losses`.
            self.lose(skipped_records);
        }
        outgoing
    }

    fn lose(&self, events: u64) {
        let sink = self.shared.progress.name.as_str();
        self.shared.progress.count(|progress| &progress.lost_to_retention, events);
        tracing::error!(
            sink,
            events,
            "retention removed events before the sink could send them: they are lost to its target; raise \
             `stream.retention-bytes` or mend the target sooner"
        );
        self.shared.losses.add(sink, events);
    }

    /// A record is on its way.
    pub(super) fn sent(&mut self, outgoing: &Outgoing) {
        let window = self.windows.get_mut(&outgoing.lane).expect("a lane of this feed");
        window.send(outgoing.offset, outgoing.record.timestamp_ms);
    }

    /// A record has arrived, or is not to be sent. Returns whether it was under way.
    pub(super) fn finished(&mut self, lane: usize, offset: u64) -> bool {
        self.windows.get_mut(&lane).is_some_and(|window| window.finish(offset))
    }

    /// Records under way.
    #[must_use]
    #[cfg(feature = "kafka-client")]
    pub(super) fn under_way(&self) -> usize {
        self.windows.values().map(Window::len).sum()
    }

    /// Tells the cursor and the metrics how far all has arrived.
    pub(super) fn settle(&mut self) {
        self.notice_losses();
        let now = self.shared.clock.now();
        let mut failure = None;
        let mut cursor = self.shared.cursor.lock();
        for (index, window) in &self.windows {
            let settled = self.settled.get_mut(index).expect("the same keys");
            let acknowledged_to = window.acknowledged_to();
            self.shared.progress.place(*index, acknowledged_to, window.oldest_timestamp_ms());
            if acknowledged_to != *settled {
                let lane = &self.shared.committed.lanes()[*index];
                let events = acknowledged_to.saturating_sub(*settled);
                *settled = acknowledged_to;
                failure = cursor.advance(lane, acknowledged_to, events, now).err().or(failure);
            }
        }
        failure = cursor.save_if_due(now).err().or(failure);
        drop(cursor);
        if let Some(error) = failure {
            self.tell_save_failure(&error);
        }
    }

    /// The same, and forces the cursor to disk.
    pub(super) fn settle_for_good(&mut self) {
        self.settle();
        let saved = self.shared.cursor.lock().save();
        if let Err(error) = saved {
            self.tell_save_failure(&error);
        }
    }

    fn tell_save_failure(&mut self, error: &crate::data_dir::DataDirError) {
        if self.save_failures.is_multiple_of(60) {
            let sink = self.shared.progress.name.as_str();
            tracing::error!(sink, %error, "the cursor cannot be saved; after a crash more events would be sent twice");
        }
        self.save_failures += 1;
    }

    /// Whether all that is committed has arrived.
    fn is_up_to_date(&self) -> bool {
        let lanes = self.shared.committed.lanes();
        self.windows.iter().all(|(lane, window)| window.acknowledged_to() >= lanes[*lane].end())
    }

    /// Whether its thread should end: the gateway stops, and all has arrived or the time for it is over.
    pub(super) fn is_at_end(&mut self) -> bool {
        if !self.shared.committed.is_stopping_within(Duration::ZERO) {
            return false;
        }
        let now = self.shared.clock.now();
        let stop_at = *self.stop_at.get_or_insert(now + self.shared.stop_wait);
        self.is_up_to_date() || now >= stop_at
    }

    /// When delivering ends; `None` until the gateway was seen to stop.
    pub(super) const fn stop_at(&self) -> Option<Timestamp> {
        self.stop_at
    }
}
