//! What anybody has seen of the topic, and what it was promised. Whoever sees something else finds a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};

use pulsegate_codec::event::Event;
use rdkafka::Message;
use rdkafka::message::Headers;

/// Shared by all readers.
pub struct Ledger(Mutex<Inner>);

struct Inner {
    /// What each offset holds, as a hash of key, value, headers and timestamp; by partition.
    records: Vec<Vec<Option<u64>>>,
    /// The greatest high watermarks that were told.
    ends: Vec<i64>,
    /// Where the assigned reader and the member of the group are.
    assigned: Vec<i64>,
    member: Vec<i64>,
    /// Commits of the group that were answered.
    acknowledged: Vec<i64>,
    /// How many events the gateway has called written, by epoch.
    written: BTreeMap<u64, u64>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    /// Records that were handed to readers, and how often that was not the first time.
    seen: u64,
    seen_again: u64,
    commits: u64,
    assignments: u64,
}

impl Ledger {
    pub fn new(partitions: usize) -> Self {
        let zeros = vec![0; partitions];
        Self(Mutex::new(Inner {
            records: vec![Vec::new(); partitions],
            ends: zeros.clone(),
            assigned: zeros.clone(),
            member: zeros.clone(),
            acknowledged: zeros,
            written: BTreeMap::new(),
            counts: Counts::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// A record that must stand where its partition goes on, and be what was seen there before.
    pub fn see(&self, message: &impl Message, next: &mut [i64]) {
        let place = &mut next[usize::try_from(message.partition()).unwrap()];
        assert_eq!(message.offset(), *place, "partition {}: a gap or a repetition", message.partition());
        *place += 1;
        self.see_anywhere(message);
    }

    /// A record that must be what was seen there before.
    pub fn see_anywhere(&self, message: &impl Message) {
        let digest = digest(message);
        let (partition, offset) = (message.partition(), message.offset());
        let inner = &mut *self.lock();
        let index = usize::try_from(partition).unwrap();
        let records = &mut inner.records[index];
        let place = usize::try_from(offset).unwrap();
        if records.len() <= place {
            records.resize(place + 1, None);
        }
        inner.counts.seen += 1;
        match records[place].replace(digest) {
            None => {}
            Some(before) if before == digest => inner.counts.seen_again += 1,
            Some(_) => panic!("partition {partition} offset {offset} holds another record than before"),
        }
        inner.ends[index] = inner.ends[index].max(offset + 1);
    }

    /// High watermarks, which never fall: `before` is [`Self::ends`] from before they were asked for.
    pub fn see_high_watermarks(&self, before: &[i64], high: &[i64]) {
        let inner = &mut *self.lock();
        for (partition, (before, high)) in before.iter().zip(high).enumerate() {
            assert!(high >= before, "partition {partition}: the high watermark fell from {before} to {high}");
            inner.ends[partition] = inner.ends[partition].max(*high);
        }
    }

    /// The end of all that was seen or told.
    pub fn ends(&self) -> Vec<i64> {
        self.lock().ends.clone()
    }

    pub fn assigned_is_at(&self, next: &[i64]) {
        self.lock().assigned.copy_from_slice(next);
    }

    pub fn assigned_has_read(&self, ends: &[i64]) -> bool {
        self.lock().assigned.iter().zip(ends).all(|(at, end)| at >= end)
    }

    pub fn member_is_at(&self) -> Vec<i64> {
        self.lock().member.clone()
    }

    /// The member of the group has read this: not before what it has committed, not after what it has read.
    pub fn see_as_member(&self, message: &impl Message) {
        let (partition, offset) = (message.partition(), message.offset());
        let inner = &mut *self.lock();
        let index = usize::try_from(partition).unwrap();
        let (committed, next) = (inner.acknowledged[index], inner.member[index]);
        assert!(
            (committed..=next).contains(&offset),
            "partition {partition}: the group has committed {committed}, has read up to {next}, and goes on at {offset}"
        );
        inner.counts.assignments += u64::from(offset != next);
        inner.member[index] = next.max(offset + 1);
    }

    /// The gateway has answered a commit.
    pub fn acknowledge_commit(&self, partition: i32, offset: i64) {
        let inner = &mut *self.lock();
        inner.counts.commits += 1;
        inner.acknowledged[usize::try_from(partition).unwrap()] = offset;
    }

    pub fn acknowledged_commits(&self) -> Vec<i64> {
        self.lock().acknowledged.clone()
    }

    /// The gateway says that so many events of this epoch are on disk.
    pub fn see_written(&self, epoch: u64, events: u64) {
        let mut inner = self.lock();
        let written = inner.written.entry(epoch).or_default();
        *written = events.max(*written);
    }

    /// Each epoch has the events that were called written; they are numbered from 1 without a gap, and each number is
    /// there once.
    pub fn check_written<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let mut numbers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for event in events {
            let is_new = numbers.entry(event.epoch).or_default().insert(event.gateway_sequence);
            assert!(is_new, "epoch {} has event {} twice", event.epoch, event.gateway_sequence);
        }
        for (epoch, written) in &self.lock().written {
            let found = numbers.get(epoch).map_or(0, |numbers| {
                numbers.iter().zip(1_u64..).take_while(|(number, place)| **number == *place).count() as u64
            });
            assert!(
                found >= *written,
                "epoch {epoch}: {written} events were written, the first {found} are there"
            );
        }
    }

    pub fn summary(&self) -> String {
        let inner = self.lock();
        let Counts { seen, seen_again, commits, assignments } = inner.counts;
        let written: u64 = inner.written.values().sum();
        format!(
            "{written} of them called written before a kill; {seen} records read, {seen_again} of them again; {commits} \
             commits answered, the group went back to one {assignments} times"
        )
    }

    /// A test that saw nothing shows nothing.
    pub fn check_saw_much(&self, points: u64) {
        let inner = self.lock();
        assert!(inner.counts.commits >= 10 * points, "only {} commits were answered", inner.counts.commits);
        assert!(inner.written.len() as u64 >= points / 2, "the watcher saw {} lives", inner.written.len());
        assert!(inner.counts.seen_again > 100 * points);
    }
}

fn digest(message: &impl Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.key(), message.payload(), message.timestamp().to_millis()).hash(&mut hasher);
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        (header.key, header.value).hash(&mut hasher);
    }
    hasher.finish()
}
