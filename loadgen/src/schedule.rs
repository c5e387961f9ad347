//! Who beats when: open loop, one due time a batch.
//!
//! Batch `b` is due at `start + phase(b) + k * interval + jitter(b, k)` for k = 0, 1, 2 …, whatever happened
//! to its earlier beats. A generator that stalls finds every missed beat still due, with the time at which it
//! was meant to be sent, and so neither hides its own stalls nor sends less than it promised (coordinated
//! omission: Tene, "How NOT to measure latency").
//!
//! Batches of one group share a phase, so that frames of one lane leave together and can form a train. With
//! `herd` all phases are zero. Pure: it is told the time. A heap of one entry a batch; nothing a node.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::fleet::BatchIndex;
use crate::moment::{Duration, Moment, microseconds};
use crate::random::Random;

/// How a schedule is laid out.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleOptions {
    /// When the first beat may be due.
    pub start: Moment,
    /// Time between two beats of one batch. Not zero.
    pub interval: Duration,
    /// Each beat is late by a random time below this. Not above the interval, so that beats stay in order.
    pub jitter: Duration,
    /// Thundering herd: all batches are due at once.
    pub herd: bool,
    /// Seeds phases and jitter.
    pub seed: u64,
}

/// One beat of one batch that should be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Which batch.
    pub batch: BatchIndex,
    /// Counts the beats of the batch, from 0.
    pub beat: u64,
    /// When it was meant to be sent, however late it is now.
    pub intended: Moment,
}

/// The beats to come of every batch.
#[derive(Clone, Debug)]
pub struct Schedule {
    options: ScheduleOptions,
    random: Random,
    /// Each batch's phase after `start`, in microseconds.
    phases_us: Vec<u64>,
    /// Soonest first: intended time, batch, beat.
    upcoming: BinaryHeap<Reverse<(Moment, BatchIndex, u64)>>,
}

impl Schedule {
    /// A schedule with one batch for each entry of `groups`; batches with equal entries share a phase.
    ///
    /// # Panics
    /// If the interval is zero or shorter than the jitter.
    #[must_use]
    pub fn new(options: ScheduleOptions, groups: impl IntoIterator<Item = u32>) -> Self {
        assert!(options.interval >= Duration::from_micros(1), "beats are some time apart");
        assert!(options.jitter <= options.interval, "jitter beyond the interval would reorder beats");
        let interval_us = microseconds(options.interval);
        let phases_us = groups
            .into_iter()
            .map(|group| {
                // A stream of its own for each group: equal groups draw equal phases.
                let seed = options.seed ^ (u64::from(group) << 32);
                if options.herd { 0 } else { Random::for_purpose(seed, "phase").below(interval_us) }
            })
            .collect();
        let random = Random::for_purpose(options.seed, "schedule jitter");
        let mut schedule = Self { options, random, phases_us, upcoming: BinaryHeap::new() };
        schedule.upcoming.reserve(schedule.phases_us.len());
        for batch in 0..u32::try_from(schedule.phases_us.len()).expect("batches are counted in 32 bits") {
            schedule.arm(BatchIndex(batch), 0);
        }
        schedule
    }

    /// When the next beat is due; `None` if there is no batch.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.upcoming.peek().map(|&Reverse((intended, _, _))| intended)
    }

    /// Takes the beat that has been due for longest at `now`, and arms the batch's next one.
    pub fn pop_due(&mut self, now: Moment) -> Option<Due> {
        let &Reverse((intended, batch, beat)) = self.upcoming.peek()?;
        if intended > now {
            return None;
        }
        self.upcoming.pop();
        self.arm(batch, beat + 1);
        Some(Due { batch, beat, intended })
    }

    fn arm(&mut self, batch: BatchIndex, beat: u64) {
        let interval_us = microseconds(self.options.interval);
        let jitter_us = self.random.below(microseconds(self.options.jitter));
        let offset_us = self.phases_us[batch.0 as usize]
            .saturating_add(interval_us.saturating_mul(beat))
            .saturating_add(jitter_us);
        self.upcoming.push(Reverse((self.options.start + Duration::from_micros(offset_us), batch, beat)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(seed: u64) -> ScheduleOptions {
        ScheduleOptions {
            start: Moment::from_milliseconds(100),
            interval: Duration::from_secs(1),
            jitter: Duration::ZERO,
            herd: false,
            seed,
        }
    }

    fn drain(schedule: &mut Schedule, now: Moment) -> Vec<Due> {
        std::iter::from_fn(|| schedule.pop_due(now)).collect()
    }

    proptest! {
        /// Whenever the generator gets to run, the same beats are due with the same intended times: stalls
        /// change nothing. Compared: one look at the end, and looks at random moments.
        #[test]
        fn stalls_neither_lose_nor_move_a_beat(
            seed: u64, batches in 1_u32..50, jitter_ms in 0_u64..500,
            mut looks in prop::collection::vec(0_u64..10_000, 0..20)
        ) {
            let options = ScheduleOptions { jitter: Duration::from_millis(jitter_ms), ..options(seed) };
            let end = Moment::from_milliseconds(10_000);
            let intended = |looks: &[u64]| {
                let mut schedule = Schedule::new(ScheduleOptions { jitter: Duration::ZERO, ..options }, 0..batches);
                let mut dues = Vec::new();
                for &look in looks {
                    dues.append(&mut drain(&mut schedule, Moment::from_milliseconds(look)));
                }
                dues.append(&mut drain(&mut schedule, end));
                dues
            };
            looks.sort_unstable();
            prop_assert_eq!(intended(&looks), intended(&[]));

            // With jitter, too, each batch beats once an interval and in order.
            let mut schedule = Schedule::new(options, 0..batches);
            let dues = drain(&mut schedule, end);
            prop_assert!(dues.is_sorted_by_key(|due| due.intended));
            for batch in (0..batches).map(BatchIndex) {
                let beats: Vec<_> = dues.iter().filter(|due| due.batch == batch).map(|due| due.beat).collect();
                prop_assert!(beats.iter().copied().eq(0..beats.len() as u64));
                prop_assert!((9..=10).contains(&beats.len()), "{} beats in 9.9 s", beats.len());
            }
        }
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut schedule = Schedule::new(options(1), [0]);
        let due_at = schedule.next_due().unwrap();
        assert!(due_at >= Moment::from_milliseconds(100));
        assert_eq!(schedule.pop_due(due_at.saturating_sub(Duration::from_micros(1))), None);
        let due = schedule.pop_due(due_at).unwrap();
        assert_eq!(due, Due { batch: BatchIndex(0), beat: 0, intended: due_at });
        assert_eq!(schedule.next_due(), Some(due_at + Duration::from_secs(1)));
    }

    #[test]
    fn a_group_shares_a_phase_and_groups_are_spread() {
        let groups = (0..1_000_u32).map(|batch| batch / 2);
        let mut schedule = Schedule::new(options(3), groups);
        let mut dues = drain(&mut schedule, Moment::from_milliseconds(1_099));
        dues.sort_unstable_by_key(|due| due.batch);
        assert!(dues.chunks(2).all(|pair| pair[0].intended == pair[1].intended));
        let first_half = dues.iter().filter(|due| due.intended < Moment::from_milliseconds(600)).count();
        assert!((400..600).contains(&first_half), "{first_half} of 1000 in the first half of the interval");
    }

    #[test]
    fn a_herd_is_due_all_at_once() {
        let mut schedule = Schedule::new(ScheduleOptions { herd: true, ..options(4) }, 0..100);
        assert_eq!(drain(&mut schedule, Moment::from_milliseconds(100)).len(), 100);
        assert_eq!(schedule.next_due(), Some(Moment::from_milliseconds(1_100)));
    }
}
