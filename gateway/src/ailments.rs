//! When the gateway says that it is unwell: pauses and drops of all shards, merged into few events.
//!
//! Shards count how long they did not run and what the kernel dropped. Who publishes looks at the counts: what is new
//! waits for [`SETTLE`], so that a pause of the whole process, which every shard sees, is one event, and is then told. While it
//! goes on, each event waits twice as long as the one before: an hour of overload is a dozen events, and
//! every datagram is in one of them.
//!
//! Pure. It moves no deadline; the engines have done that by themselves.

use pulsegate_engine::{Duration, Timestamp};

use crate::counters::{Cell, CounterPage};

/// From the first sign to the event.
pub const SETTLE: Duration = Duration::from_secs(1);

/// Shortest time between two events of a kind.
pub const GAP_MIN: Duration = Duration::from_secs(10);

/// Longest time between two events of a kind while it goes on.
pub const GAP_MAX: Duration = Duration::from_secs(640);

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ailment {
    /// Some shard did not run for so many microseconds.
    Paused(u64),
    /// The kernel dropped so many datagrams.
    Overloaded(u64),
}

/// What was told, and when.
#[derive(Debug, Default)]
pub struct Ailments {
    pauses: Teller,
    drops: Teller,
}

impl Ailments {
    /// What is to be told now; with `is_last`, also what would have waited.
    pub fn look<'a>(
        &mut self,
        pages: &(impl Iterator<Item = &'a CounterPage> + Clone),
        now: Timestamp,
        is_last: bool,
    ) -> Vec<Ailment> {
        let read = |cell| pages.clone().map(move |page| page.read(cell));
        // The same pause, seen by several shards, is no longer for that.
        let longest = |new: &[u64]| new.iter().copied().max().unwrap_or(0);
        let paused = self.pauses.look(read(Cell::PausedMicroseconds), longest, now, is_last);
        let dropped = self.drops.look(read(Cell::KernelDrops), |new| new.iter().sum(), now, is_last);
        [paused.map(Ailment::Paused), dropped.map(Ailment::Overloaded)].into_iter().flatten().collect()
    }

    /// When to look again; `None` when nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.pauses.due, self.drops.due].into_iter().flatten().min()
    }
}

/// One kind.
#[derive(Debug, Default)]
struct Teller {
    /// By shard: the count that was told.
    told: Vec<u64>,
    /// When, and how long the next event waits from then.
    last: Option<(Timestamp, Duration)>,
    /// When what is new is told.
    due: Option<Timestamp>,
}

impl Teller {
    fn look(
        &mut self,
        counts: impl Iterator<Item = u64>,
        amount: impl Fn(&[u64]) -> u64,
        now: Timestamp,
        is_last: bool,
    ) -> Option<u64> {
        let counts: Vec<_> = counts.collect();
        self.told.resize(counts.len(), 0);
        let new: Vec<_> =
            counts.iter().zip(&self.told).map(|(count, told)| count.saturating_sub(*told)).collect();
        let amount = amount(&new);
        if amount == 0 {
            return None;
        }
        let earliest = self.last.map_or(now, |(at, gap)| at + gap);
        let due = *self.due.get_or_insert(earliest.max(now + SETTLE));
        if due > now && !is_last {
            return None;
        }
        let gap = match self.last {
            Some((at, gap)) if now.since(at) < gap * 2 => (gap * 2).min(GAP_MAX),
            _ => GAP_MIN,
        };
        (self.told, self.last, self.due) = (counts, Some((now, gap)), None);
        Some(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Tally;

    /// Pages that show these pauses and drops.
    fn pages(counts: &[(u64, u64)]) -> Vec<CounterPage> {
        let page = |&(paused_us, dropped): &(u64, u64)| {
            let (mut tally, page) = (Tally::default(), CounterPage::default());
            tally.set(Cell::PausedMicroseconds, paused_us);
            tally.set(Cell::KernelDrops, dropped);
            page.store(&tally);
            page
        };
        counts.iter().map(page).collect()
    }

    fn look(ailments: &mut Ailments, counts: &[(u64, u64)], now_ms: u64, is_last: bool) -> Vec<Ailment> {
        let pages = pages(counts);
        ailments.look(&pages.iter(), Timestamp::from_milliseconds(now_ms), is_last)
    }

    /// Shows: a pause of the whole process, which shards notice one after the other, is one event with the longest.
    #[test]
    fn a_pause_of_all_shards_is_one_event() {
        let mut ailments = Ailments::default();
        assert_eq!(look(&mut ailments, &[(0, 0), (0, 0)], 0, false), []);
        assert_eq!(ailments.next_deadline(), None);
        assert_eq!(look(&mut ailments, &[(900_000, 0), (0, 0)], 5_000, false), []);
        assert_eq!(ailments.next_deadline(), Some(Timestamp::from_milliseconds(6_000)));
        assert_eq!(look(&mut ailments, &[(900_000, 0), (950_000, 0)], 5_100, false), []);
        let told = look(&mut ailments, &[(900_000, 0), (950_000, 0)], 6_000, false);
        assert_eq!(told, [Ailment::Paused(950_000)]);
        assert_eq!(look(&mut ailments, &[(900_000, 0), (950_000, 0)], 60_000, false), []);
    }

    /// Shows: an hour of overload is a dozen events, and they tell of every datagram.
    #[test]
    fn a_long_overload_is_a_few_events_and_nothing_is_left_out() {
        let (mut ailments, mut told) = (Ailments::default(), Vec::new());
        for now_ms in (0..3_600_000_u64).step_by(100) {
            told.extend(look(&mut ailments, &[(0, now_ms), (0, 2 * now_ms)], now_ms, false));
        }
        told.extend(look(&mut ailments, &[(0, 3_600_000), (0, 7_200_000)], 3_600_000, true));
        let dropped = |ailment: &Ailment| match ailment {
            Ailment::Overloaded(dropped) => *dropped,
            Ailment::Paused(_) => unreachable!("nothing paused"),
        };
        assert_eq!(told.iter().map(dropped).sum::<u64>(), 10_800_000);
        assert!((8..=14).contains(&told.len()), "{} events", told.len());
    }

    /// Shows: what comes after a quiet time is told at once, and not after the gap that a long trouble had.
    #[test]
    fn a_new_trouble_is_told_soon() {
        let mut ailments = Ailments::default();
        let mut dropped = 0;
        for now_ms in (0..600_000_u64).step_by(1_000) {
            dropped += 1;
            look(&mut ailments, &[(0, dropped)], now_ms, false);
        }
        look(&mut ailments, &[(0, dropped)], 3_000_000, false);
        assert_eq!(look(&mut ailments, &[(0, dropped + 7)], 9_000_000, false), []);
        assert_eq!(look(&mut ailments, &[(0, dropped + 7)], 9_001_000, false), [Ailment::Overloaded(7)]);
        assert_eq!(look(&mut ailments, &[(0, dropped + 8)], 9_002_000, false), []);
        assert_eq!(look(&mut ailments, &[(0, dropped + 8)], 9_011_000, false), [Ailment::Overloaded(1)]);
    }
}
