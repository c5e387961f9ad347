//! What the threads that receive must know of each other's trouble, because a node's heartbeats may come by way of a
//! thread that does not own it.
//!
//! A frame that mixes lanes, a train of datagrams steered by its first, and a TCP connection reach one thread and concern
//! nodes of others (`handoff.rs`). If the thread in the middle loses datagrams, or does not run, the owner hears
//! nothing and has no trouble of its own. So each thread has a face that all others can see:
//!
//! ```text
//!   feeds[owner]   heartbeats of that shard's nodes have come this way
//!   losses         something on its way *to* this shard was lost, so many times
//!   due_by         when it means to run again at the latest
//! ```
//!
//! A shard looks before it judges: losses that are new, or a thread that feeds it and is overdue, count as drops
//! (`listening.rs` of the engine): silences are counted anew, up to twice the timeout. So a thread that hangs for ever
//! keeps no dead node alive.
//!
//! All of it is `Relaxed`: each number means something by itself, guards no other memory, and a look that comes a
//! moment too early is made again before the next deadline passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pulsegate_engine::{Duration, Timestamp};

/// How much later than it meant to run a thread counts as one that does not run.
pub const OVERDUE_MIN: Duration = Duration::from_millis(100);

/// It sleeps until somebody wakes it.
const NEVER_DUE: u64 = u64::MAX;

/// What one thread shows.
#[derive(Debug)]
struct Face {
    feeds: Box<[AtomicBool]>,
    losses: AtomicU64,
    due_by_nanoseconds: AtomicU64,
}

/// One thread's view of all others, and its own face.
#[derive(Debug)]
pub struct Peers {
    faces: Arc<[Face]>,
    own: usize,
    losses_seen: u64,
}

impl Peers {
    /// Those of so many threads, the shards first, in their order.
    #[must_use]
    pub fn of(threads: usize) -> Vec<Self> {
        let face = |_| Face {
            feeds: (0..threads).map(|_| AtomicBool::new(false)).collect(),
            losses: AtomicU64::new(0),
            due_by_nanoseconds: AtomicU64::new(NEVER_DUE),
        };
        let faces: Arc<[Face]> = (0..threads).map(face).collect();
        (0..threads).map(|own| Self { faces: Arc::clone(&faces), own, losses_seen: 0 }).collect()
    }

    /// Something was passed on to the shard that owns it, or lost because there was no room.
    pub fn note_handoff(&self, owner: usize, is_lost: bool) {
        let feeds = &self.faces[self.own].feeds[owner];
        if !feeds.load(Ordering::Relaxed) {
            feeds.store(true, Ordering::Relaxed);
        }
        if is_lost {
            self.faces[owner].losses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Datagrams were lost here, perhaps with heartbeats of those shards whose heartbeats have come this way.
    pub fn note_drops(&self) {
        let own = &self.faces[self.own];
        for (face, _) in self.faces.iter().zip(&own.feeds).filter(|(_, feeds)| feeds.load(Ordering::Relaxed))
        {
            face.losses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// This thread works or sleeps, and looks up again by then; `None`: when it is woken.
    pub fn note_due(&self, by: Option<Timestamp>) {
        let nanoseconds = by.map_or(NEVER_DUE, Timestamp::as_nanoseconds);
        self.faces[self.own].due_by_nanoseconds.store(nanoseconds, Ordering::Relaxed);
    }

    /// Whether heartbeats of this shard's nodes may have been lost on their way, since the last look, or may be waiting
    /// where nobody runs.
    pub fn is_any_in_trouble(&mut self, now: Timestamp) -> bool {
        let losses = self.faces[self.own].losses.load(Ordering::Relaxed);
        let have_lost = losses != self.losses_seen;
        self.losses_seen = losses;
        have_lost || self.faces.iter().any(|face| face.is_overdue(now) && face.is_feeding(self.own))
    }
}

impl Drop for Peers {
    /// A thread that has ended keeps nobody waiting.
    fn drop(&mut self) {
        self.note_due(None);
    }
}

impl Face {
    fn is_feeding(&self, owner: usize) -> bool {
        self.feeds[owner].load(Ordering::Relaxed)
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        match self.due_by_nanoseconds.load(Ordering::Relaxed) {
            NEVER_DUE => false,
            due_by => now >= Timestamp::from_nanoseconds(due_by) + OVERDUE_MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at_ms(millis: u64) -> Timestamp {
        Timestamp::from_milliseconds(millis)
    }

    fn two_shards_and_tcp() -> [Peers; 3] {
        Peers::of(3).try_into().unwrap()
    }

    /// Shows: drops concern those whose heartbeats came that way, once, and nobody else.
    #[test]
    fn drops_reach_the_shards_that_are_fed() {
        let [relay, mut fed, mut other] = two_shards_and_tcp();
        relay.note_drops();
        assert!(!fed.is_any_in_trouble(at_ms(0)), "nothing of its nodes came that way");
        relay.note_handoff(1, false);
        assert!(!fed.is_any_in_trouble(at_ms(0)), "and nothing was lost since");
        relay.note_drops();
        assert!(fed.is_any_in_trouble(at_ms(0)) && !fed.is_any_in_trouble(at_ms(0)));
        assert!(!other.is_any_in_trouble(at_ms(0)));
    }

    /// Shows: what a full mailbox lost is known to its owner.
    #[test]
    fn a_full_mailbox_is_the_owners_trouble() {
        let [relay, mut fed, mut other] = two_shards_and_tcp();
        relay.note_handoff(1, true);
        assert!(fed.is_any_in_trouble(at_ms(0)) && !fed.is_any_in_trouble(at_ms(0)));
        assert!(!other.is_any_in_trouble(at_ms(0)));
    }

    /// Shows: a thread that does not run when it meant to is trouble for whom it feeds, as long as that lasts; one that
    /// sleeps as it said, or has ended, is none.
    #[test]
    fn a_thread_that_does_not_run_is_trouble_for_those_it_feeds() {
        let [relay, mut fed, mut other] = two_shards_and_tcp();
        relay.note_handoff(1, false);
        relay.note_due(Some(at_ms(1_000)));
        let mut troubled = |ms| (fed.is_any_in_trouble(at_ms(ms)), other.is_any_in_trouble(at_ms(ms)));
        assert_eq!(
            [500, 1_099, 1_100, 9_000].map(&mut troubled).map(|(fed, _)| fed),
            [false, false, true, true]
        );
        assert!(!troubled(9_000).1, "nothing of its nodes comes that way");
        relay.note_due(None);
        assert!(!troubled(60_000).0);
        relay.note_due(Some(at_ms(1_000)));
        drop(relay);
        assert!(!troubled(60_000).0);
    }
}
