//! Keys that lie in another partition than theirs, because there are more partitions than there were.
//!
//! ```text
//!   before, 1 partition     nodes-0   a=1 b=1 a=2
//!   a start with 2          nodes-0   a=1 b=1 a=2  a=- (moved to 1)
//!                           nodes-1   a=2
//! ```
//!
//! Left alone, the old state would stay for ever: nothing supersedes it in its partition. It would contradict the new
//! one, and bring the node back after it was forgotten, once the new partition says nothing of it any more. So a start
//! moves it before it reads who is known: first the state, where the right partition has none that is newer, then a
//! tombstone behind the old one. A crash in between is made good by the next start, which finds the same.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use bytes::Bytes;
use pulsegate_stream::{
    EventLog, FileError, Header, LogError, LogReader, LogRecord, Record, partition_of_key,
};

use super::read;
use crate::place::{Place, place_of_record};
use crate::topics::NODES_TOPIC;

/// Header of a tombstone that ends a key in its partition alone: the number of the partition in which the key is now.
/// Consumers know it, so it never changes.
pub const MOVED_TO: &str = "pulsegate_moved_to";

/// Whether this tombstone says only that its key is in another partition.
#[must_use]
pub fn is_moved(record: &Record) -> bool {
    record.value.is_none() && record.headers.iter().any(|header| header.name == MOVED_TO)
}

/// The last record of a key in a partition.
#[derive(Clone, Copy, Debug)]
struct Last {
    place: Option<Place>,
    is_state: bool,
    partition: u32,
    offset: u64,
}

impl Last {
    fn of(found: &LogRecord) -> Self {
        let LogRecord { partition, offset, ref record } = *found;
        Self { place: place_of_record(record), is_state: record.value.is_some(), partition, offset }
    }

    /// The greater one is newer. A state is at least as new as a tombstone of its event: that one says that it was moved.
    const fn age(self) -> (Option<Place>, bool) {
        (self.place, self.is_state)
    }
}

/// What lies where it does not belong.
#[derive(Debug, Default)]
pub struct Misplaced {
    lasts: HashMap<(u32, Bytes), Last>,
}

impl Misplaced {
    /// Looks at a record of a topic with so many partitions; those of a partition in their order. Returns whether it is
    /// misplaced.
    pub fn note(&mut self, found: &LogRecord, partition_count: u32) -> bool {
        let Some(key) = found.record.key.as_ref() else { return false };
        let is_misplaced = partition_of_key(Some(key), partition_count) != found.partition;
        if is_misplaced {
            // A copy: the key shares its memory with all records that were read with it.
            let key = Bytes::copy_from_slice(key);
            self.lasts.insert((found.partition, key), Last::of(found));
        }
        is_misplaced
    }

    /// Whether a state is among it. Tombstones may lie where they do until compaction takes them.
    #[must_use]
    pub fn has_states(&self) -> bool {
        self.lasts.values().any(|last| last.is_state)
    }

    /// Where the newest of each key lies that has a state in a wrong partition.
    fn newest(&self) -> HashMap<Bytes, Last> {
        let states = self.lasts.iter().filter(|(_, last)| last.is_state);
        let mut newest: HashMap<Bytes, Last> = states.map(|((_, key), last)| (key.clone(), *last)).collect();
        self.lasts.iter().for_each(|((_, key), last)| {
            if let Some(newest) = newest.get_mut(key)
                && last.age() > newest.age()
            {
                *newest = *last;
            }
        });
        newest
    }
}

/// Puts all states into the partitions of their keys, and ends what is left of them elsewhere. `now_ms` is the time: from it
/// on the tombstones are kept as long as any. Returns how many keys were moved or ended. Blocks on the disk.
///
/// # Errors
/// When the log cannot be read or written; the next start goes on.
pub async fn put_in_place(
    directory: &Path,
    nodes: &mut EventLog,
    misplaced: &Misplaced,
    now_ms: i64,
) -> Result<usize, LogError> {
    let mut to_move = misplaced.newest();
    to_move.retain(|_, newest| newest.is_state);
    let in_place = lasts_in_place(directory, nodes, &to_move)?;
    to_move.retain(|key, newest| in_place.get(key).is_none_or(|last| last.age() < newest.age()));
    let old: HashMap<(u32, u64), &Bytes> = misplaced
        .lasts
        .iter()
        .filter(|(_, last)| last.is_state)
        .map(|((partition, key), last)| ((*partition, last.offset), key))
        .collect();
    // All at their new places first: a state must not be ended before.
    for ends in [false, true] {
        for partition in old.keys().map(|(partition, _)| *partition).collect::<BTreeSet<_>>() {
            let (start, end) = (nodes.start_offset(partition), nodes.committed_offset(partition));
            let mut reader = LogReader::starting_at(directory, NODES_TOPIC, &[(partition, start)].into());
            loop {
                let poll = reader.poll_to(|_| end)?;
                let found =
                    poll.records.into_iter().filter(|found| old.contains_key(&(partition, found.offset)));
                if ends {
                    let tombstones: Vec<Record> =
                        found.map(|found| moved(found.record, nodes.partition_count(), now_ms)).collect();
                    nodes.append_to(partition, &tombstones).await?;
                } else {
                    let is_newest = |found: &LogRecord| {
                        let newest = found.record.key.as_ref().and_then(|key| to_move.get(key));
                        newest.is_some_and(|last| (last.partition, last.offset) == (partition, found.offset))
                    };
                    let states: Vec<Record> = found.filter(is_newest).map(|found| found.record).collect();
                    nodes.append(&states).await?;
                }
                if !poll.has_more {
                    break;
                }
            }
        }
        nodes.sync().await?;
    }
    Ok(old.len())
}

/// The last records of these keys in the partitions where they belong.
fn lasts_in_place(
    directory: &Path,
    nodes: &EventLog,
    keys: &HashMap<Bytes, Last>,
) -> Result<HashMap<Bytes, Last>, FileError> {
    let mut lasts = HashMap::new();
    for partition in 0..nodes.partition_count() {
        let offsets = nodes.start_offset(partition)..nodes.committed_offset(partition);
        read(directory, NODES_TOPIC, partition, offsets, |found| {
            if let Some((key, _)) = found.record.key.as_ref().and_then(|key| keys.get_key_value(key))
                && nodes.partition_of(&found.record) == partition
            {
                lasts.insert(key.clone(), Last::of(&found));
            }
        })?;
    }
    Ok(lasts)
}

fn moved(record: Record, partition_count: u32, now_ms: i64) -> Record {
    let partition = partition_of_key(record.key.as_deref(), partition_count).to_string();
    let mut headers = record.headers;
    headers.push(Header { name: MOVED_TO.into(), value: Some(partition.into()) });
    Record { timestamp_ms: now_ms, value: None, headers, ..record }
}
