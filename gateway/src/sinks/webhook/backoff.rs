//! How long to wait before the next try: twice as long each time, half of it by chance.

use std::time::Duration;

/// The waits of one series of tries.
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
    state: u64,
}

impl Backoff {
    /// Waits between these two; `seed` makes different workers wait differently.
    pub(super) const fn new(shortest: Duration, longest: Duration, seed: u64) -> Self {
        Self { shortest, longest, next: shortest, state: seed }
    }

    /// A new series begins.
    pub(super) const fn reset(&mut self) {
        self.next = self.shortest;
    }

    /// The next wait.
    pub(super) fn next_wait(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        let half_us = u64::try_from(full.as_micros() / 2).unwrap_or(u64::MAX);
        full / 2 + Duration::from_micros(self.random() % (half_us + 1))
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    const fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
