//! Letting out at a limited rate, so that what was held does not hit consumers like the failure that it was held for.
//!
//! First in, first out. The rate is the configured one, or whatever it takes to be done within `release_max`: a
//! thousand a second would take a quarter of an hour for a million. While anything waits the rate never falls,
//! so whoever waits behind `n` others is out `n / rate` later at the latest.

use std::collections::BTreeMap;

use super::config::GuardConfig;
use super::guard::Failure;
use super::member::Ticket;
use crate::time::{Duration, Timestamp};
use crate::verdict::Verdict;

/// Something that waits for its turn.
#[derive(Debug)]
pub(super) enum Release {
    /// A failure that a guard let go of.
    Failure(Failure),
    /// Where a node stands after a suppression.
    CatchUp(usize, Verdict),
}

/// The queue.
#[derive(Debug)]
pub(super) struct Releases {
    per_second: u32,
    within: Duration,
    waiting: BTreeMap<Ticket, Release>,
    /// Of what waits, what is no verdict of its own.
    pub(super) catching_up: usize,
    next: Ticket,
    /// Out since `began_at` at `rate`.
    rate: u64,
    began_at: Timestamp,
    out: u64,
}

impl Releases {
    pub(super) const fn new(config: &GuardConfig) -> Self {
        Self {
            per_second: config.release_per_second,
            within: config.release_max,
            waiting: BTreeMap::new(),
            catching_up: 0,
            next: Ticket(0),
            rate: 0,
            began_at: Timestamp::ZERO,
            out: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts one at the end. The caller calls [`Self::set_rate`] after the last.
    pub(super) fn push(&mut self, release: Release) -> Ticket {
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        self.catching_up += usize::from(matches!(release, Release::CatchUp(..)));
        self.waiting.insert(ticket, release);
        ticket
    }

    /// Sees that what waits now is out in time.
    pub(super) fn set_rate(&mut self, now: Timestamp) {
        if self.waiting.is_empty() {
            // A rate that began here would have let out a lot by the time that something comes.
            return;
        }
        let needed = (self.waiting.len() as u128 * 1_000_000_000).div_ceil(self.within.as_nanos());
        let rate = u64::try_from(needed).unwrap_or(u64::MAX).max(self.per_second.into());
        if rate > self.rate {
            (self.rate, self.began_at, self.out) = (rate, now, 0);
        }
    }

    /// Takes one out of the middle.
    pub(super) fn take(&mut self, ticket: Ticket) -> Release {
        let release = self.waiting.remove(&ticket).expect("a node that waits here has its release here");
        self.catching_up -= usize::from(matches!(release, Release::CatchUp(..)));
        self.rest_if_empty();
        release
    }

    /// The first, if its turn has come.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Release> {
        let turn = self.next_turn().filter(|turn| *turn <= now)?;
        debug_assert!(turn >= self.began_at);
        self.out += 1;
        self.pop()
    }

    /// The first, whether its turn has come or not.
    pub(super) fn pop(&mut self) -> Option<Release> {
        let ticket = *self.waiting.first_key_value()?.0;
        Some(self.take(ticket))
    }

    /// When the first may go.
    pub(super) fn next_turn(&self) -> Option<Timestamp> {
        self.waiting.first_key_value()?;
        let nanoseconds = u128::from(self.out) * 1_000_000_000 / u128::from(self.rate.max(1));
        Some(self.began_at + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
    }

    fn rest_if_empty(&mut self) {
        if self.waiting.is_empty() {
            // What comes next begins a rate of its own.
            self.rate = 0;
        }
    }
}
