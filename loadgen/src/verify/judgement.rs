//! What the judge found: counts by kind, lateness, and the first problems in words.

use std::fmt;

use hdrhistogram::Histogram;

use crate::limits::PROBLEMS_MAX;
use crate::moment::Moment;

use super::{CLOCK_TOLERANCE, EventKind, Expectation, ObservedEvent, lateness_us};

/// How events of one kind compare with the truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Truly happened, beyond doubt.
    pub injected: u64,
    /// Of those, reported.
    pub reported: u64,
    /// Of those, not reported.
    pub missed: u64,
    /// Reported where the truth is within the tolerance of a timeout.
    pub tolerated: u64,
    /// Reported, but did not happen.
    pub invented: u64,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The node's name.
    pub node: String,
    /// What was reported or should have been.
    pub kind: EventKind,
    /// When it was decided, or should have been at the earliest.
    pub at: Moment,
    /// What is wrong with it.
    pub text: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.since(Moment::ZERO).as_secs_f64();
        write!(formatter, "{}: \"{}\" at {seconds:.3} s {}", self.node, self.kind.word(), self.text)
    }
}

/// The result of judging a run.
#[derive(Clone, Debug)]
pub struct Judgement {
    tallies: [Tally; EventKind::ALL.len()],
    /// Suspicions and failures that were decided before the node's last sign plus the timeout.
    pub early_verdicts: u64,
    /// Events of a node that do not follow the one before.
    pub order_violations: u64,
    /// Events that repeat the one before.
    pub duplicates: u64,
    /// Failures reported of nodes that were heard again in the same run: they had paused, or too many of their heartbeats
    /// were lost.
    pub failures_taken_back: u64,
    /// Decision minus deadline of each true failure, where the deadline is the last sign's handing over plus
    /// the (shortest) failed timeout, in microseconds.
    pub lateness_us: Histogram<u64>,
    /// What the gateway itself says of the same.
    pub gateway_lateness_us: Histogram<u64>,
    /// The first problems, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
}

/// Longest lateness that a histogram can hold: an hour. What is later counts as this.
const LATENESS_US_MAX: u64 = 3_600_000_000;

// An event tells its own lateness in 32 bits.
const _: () = assert!(LATENESS_US_MAX < u32::MAX as u64);

impl Judgement {
    pub(super) fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LATENESS_US_MAX, 3).expect("bounds are in order");
        Self {
            tallies: [Tally::default(); EventKind::ALL.len()],
            early_verdicts: 0,
            order_violations: 0,
            duplicates: 0,
            failures_taken_back: 0,
            lateness_us: histogram(),
            gateway_lateness_us: histogram(),
            problems: Vec::new(),
        }
    }

    /// The counts of one kind of event.
    #[must_use]
    pub const fn tally(&self, kind: EventKind) -> &Tally {
        &self.tallies[kind as usize]
    }

    /// Whether everything that happened was reported, nothing else was, and nothing early, twice or out of
    /// order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let complete = self.tallies.iter().all(|tally| tally.missed == 0 && tally.invented == 0);
        complete && self.early_verdicts == 0 && self.order_violations == 0 && self.duplicates == 0
    }

    pub(super) fn count_reported(&mut self, event: &ObservedEvent, expected: &Expectation, must: bool) {
        let tally = &mut self.tallies[expected.kind as usize];
        if must {
            tally.injected += 1;
            tally.reported += 1;
        } else {
            tally.tolerated += 1;
        }
        if !matches!(expected.kind, EventKind::Suspected | EventKind::Failed) {
            return;
        }
        let deadline = expected.deadline_of(event);
        if event.decided_at + CLOCK_TOLERANCE < deadline {
            self.early_verdicts += 1;
            self.remember(event, "came before the node's last sign plus the timeout");
        }
        if expected.kind == EventKind::Failed {
            let lateness_us = lateness_us(event.decided_at, deadline);
            self.lateness_us.saturating_record(lateness_us);
            if event.lateness_us != u32::MAX {
                self.gateway_lateness_us.saturating_record(u64::from(event.lateness_us));
            }
        }
    }

    pub(super) fn count_missed(&mut self, expected: &Expectation) {
        let tally = &mut self.tallies[expected.kind as usize];
        tally.injected += 1;
        tally.missed += 1;
        let text = "or a little later should have been reported and was not";
        self.push(Problem { node: expected.node.name(), kind: expected.kind, at: expected.deadline, text });
    }

    pub(super) fn count_false(&mut self, event: &ObservedEvent) {
        self.tallies[event.kind as usize].invented += 1;
        self.remember(event, "was reported and did not happen");
    }

    pub(super) fn remember(&mut self, event: &ObservedEvent, text: &'static str) {
        self.push(Problem { node: event.node.name(), kind: event.kind, at: event.decided_at, text });
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Milliseconds at a quantile, as a person reads them.
#[must_use]
pub fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    milliseconds(histogram.value_at_quantile(quantile))
}

/// The longest, in milliseconds.
#[must_use]
pub fn max_ms(histogram: &Histogram<u64>) -> f64 {
    milliseconds(histogram.max())
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}
