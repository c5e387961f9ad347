//! The judge: compares what the gateway reported with what truly happened.
//!
//! Each [`Fact`] becomes expectations: a kind of event, whether it must or may be reported, from when on it
//! can be true, and until when it belongs to this fact. Each expectation takes the first event of its kind in
//! its time. Then:
//!
//! ```text
//!  expectation that must, without an event    missed
//!  event without an expectation               false: it reports what did not happen
//!  event before its deadline                  early
//!  events of a node against their order       order violation; the same event twice: duplicate
//! ```
//!
//! A gap within the tolerance of a timeout may be reported or not; so may one between the shortest and the longest timeout
//! of a gateway that learns them. A recovery must follow exactly those
//! suspicions and failures that were reported (or should have been), at the second sign in a row: between two silences
//! with one sign between them none need be told, nor the second suspicion. Pure: two sorted lists in, one
//! [`Judgement`] out.

mod expectation;
mod judgement;
mod outage;
#[cfg(test)]
mod tests;

use crate::fleet::NodeIndex;
use crate::ground_truth::{Fact, Timeouts};
use crate::moment::{Duration, Moment, microseconds};

pub use expectation::{EventKind, Expectation};
pub use judgement::{Judgement, Problem, Tally, max_ms, quantile_ms};
pub use outage::Outage;

use expectation::Certainty;

/// An event about a node of the fleet, as the judge needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObservedEvent {
    /// When the gateway decided.
    pub decided_at: Moment,
    /// Which node.
    pub node: NodeIndex,
    /// Which run of it; 0 if the event does not tell.
    pub incarnation: u32,
    /// The gateway's count of events on this node; 0 if the event does not tell.
    pub event_sequence: u32,
    /// The gateway's own lateness, in microseconds; `u32::MAX` if the event does not tell.
    pub lateness_us: u32,
    /// What was reported.
    pub kind: EventKind,
}

const _: () = assert!(size_of::<ObservedEvent>() <= 32);

/// How far the wall clocks of two processes on one machine, each converted from the same monotonic clock, may
/// differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_millis(1);

/// Judges a run.
///
/// `facts` as [`crate::ground_truth::GroundTruth::close`] returns them; `events` in the order of the log.
/// Events decided after `judged_until` are set aside. `outages` in the order in which they came.
#[must_use]
pub fn judge(
    facts: &[Fact],
    events: Vec<ObservedEvent>,
    timeouts: &Timeouts,
    judged_until: Moment,
    outages: &[Outage],
) -> Judgement {
    let mut judgement = Judgement::new();
    let mut events = events;
    events.retain(|event| event.decided_at <= judged_until);
    events.sort_by_key(|event| event.node); // Stable: one node's events stay in the order of the log.
    let mut facts_left = facts;
    let mut events_left = events.as_slice();
    let mut scratch = Scratch::default();
    loop {
        let next_nodes =
            [facts_left.first().map(|fact| fact.node), events_left.first().map(|event| event.node)];
        let Some(node) = next_nodes.into_iter().flatten().min() else { break };
        let node_facts = split_prefix(&mut facts_left, |fact| fact.node == node);
        let node_events = split_prefix(&mut events_left, |event| event.node == node);
        check_order(node_events, &mut judgement);
        judge_node(node_facts, node_events, (timeouts, outages), &mut scratch, &mut judgement);
    }
    judgement
}

#[derive(Default)]
struct Scratch {
    expectations: Vec<Expectation>,
    taken: Vec<bool>,
}

/// Takes the items for which `belongs` holds off the front of `left`.
fn split_prefix<'a, Item>(left: &mut &'a [Item], belongs: impl Fn(&Item) -> bool) -> &'a [Item] {
    let count = left.iter().take_while(|item| belongs(item)).count();
    let (prefix, rest) = left.split_at(count);
    *left = rest;
    prefix
}

/// The gateway counts the events of a node: no number may be missing, come twice or come late.
fn check_order(events: &[ObservedEvent], judgement: &mut Judgement) {
    for pair in events.windows(2) {
        let (earlier, later) = (&pair[0], &pair[1]);
        if later.event_sequence == earlier.event_sequence {
            judgement.duplicates += 1;
            judgement.remember(later, "is a duplicate of the event before it");
        } else if later.event_sequence != earlier.event_sequence.wrapping_add(1) {
            judgement.order_violations += 1;
            judgement.remember(later, "does not follow the node's event before it");
        }
    }
}

fn judge_node(
    facts: &[Fact],
    events: &[ObservedEvent],
    (timeouts, outages): (&Timeouts, &[Outage]),
    scratch: &mut Scratch,
    judgement: &mut Judgement,
) {
    scratch.taken.clear();
    scratch.taken.resize(events.len(), false);
    let mut told = Told::default();
    for (index, fact) in facts.iter().enumerate() {
        scratch.expectations.clear();
        Expectation::of_fact(fact, timeouts, outages, &mut scratch.expectations);
        if !fact.kind.is_status() {
            let before = facts[..index].iter().rfind(|before| !before.kind.is_status());
            if before.is_none_or(|before| before.at != fact.from) {
                told = Told::default();
            }
            let after = facts[index + 1..].iter().find(|after| !after.kind.is_status());
            told.may_stay_down = fact.is_last_sign || after.is_some_and(|after| after.from == fact.at);
        }
        judge_fact(&scratch.expectations, events, scratch.taken.as_mut_slice(), &mut told, judgement);
    }
    for (event, _) in events.iter().zip(&scratch.taken).filter(|&(_, &taken)| !taken) {
        if !is_about_an_earlier_fleet(event, facts) && !is_excused(event, facts) {
            judgement.count_false(event);
        }
    }
}

/// What was told of the silences of a node that has not been heard twice in a row since, so that it did not recover between
/// them.
#[derive(Clone, Copy, Default)]
struct Told {
    suspected: bool,
    failed: bool,
    /// The sign that ends the silence is followed by another silence, by another run, or by nothing before the end.
    may_stay_down: bool,
}

/// Meets the expectations of one fact: first its silence, then how it ended.
fn judge_fact(
    expectations: &[Expectation],
    events: &[ObservedEvent],
    taken: &mut [bool],
    told: &mut Told,
    judgement: &mut Judgement,
) {
    let silence_must_end = expectations
        .iter()
        .any(|expected| expected.kind == EventKind::Suspected && expected.certainty == Certainty::Must);
    let was_heard_again = expectations.iter().any(|expected| expected.kind == EventKind::Recovered);
    let before = *told;
    let find = |expected: &Expectation, taken: &[bool]| {
        (0..events.len()).find(|&index| !taken[index] && expected.is_met_by(&events[index]))
    };
    for expected in expectations {
        let found = find(expected, taken);
        let certainty = match expected.kind {
            EventKind::Suspected if before.suspected => Certainty::May,
            EventKind::Failed if before.failed => Certainty::May,
            EventKind::Recovered if told.may_stay_down => Certainty::May,
            EventKind::Recovered if told.suspected || silence_must_end => Certainty::Must,
            EventKind::Recovered => continue,
            _ => expected.certainty,
        };
        if let Some(index) = found {
            taken[index] = true;
            told.note(expected.kind);
            if expected.kind == EventKind::Failed && was_heard_again {
                judgement.failures_taken_back += 1;
            }
            judgement.count_reported(&events[index], expected, certainty == Certainty::Must);
        } else if certainty == Certainty::Must {
            judgement.count_missed(expected);
        }
    }
}

impl Told {
    fn note(&mut self, kind: EventKind) {
        match kind {
            EventKind::Suspected => self.suspected = true,
            EventKind::Failed => (self.suspected, self.failed) = (true, true),
            EventKind::Recovered => (self.suspected, self.failed) = (false, false),
            _ => {}
        }
    }
}

/// A node of this name may have been known from an earlier run, and its end may be noticed before it is heard
/// anew.
fn is_about_an_earlier_fleet(event: &ObservedEvent, facts: &[Fact]) -> bool {
    let of_the_end = matches!(event.kind, EventKind::Suspected | EventKind::Failed | EventKind::Forgotten);
    let first_sign = facts.first().map(|fact| fact.from.before);
    of_the_end && first_sign.is_none_or(|first_sign| event.decided_at < first_sign)
}

/// A gateway may forget a node that is gone.
fn is_excused(event: &ObservedEvent, facts: &[Fact]) -> bool {
    use crate::ground_truth::FactKind;
    event.kind == EventKind::Forgotten
        && facts.last().is_some_and(|fact| match fact.kind {
            FactKind::Left => event.decided_at >= fact.at.before,
            FactKind::SilentToTheEnd => event.decided_at >= fact.from.before + Duration::from_secs(1),
            FactKind::Joined
            | FactKind::HeardAgain
            | FactKind::Restarted
            | FactKind::Degraded
            | FactKind::Healthy => false,
        })
}

/// How late a moment is, in microseconds; 0 if it is not.
fn lateness_us(decided_at: Moment, deadline: Moment) -> u64 {
    microseconds(decided_at.since(deadline))
}
