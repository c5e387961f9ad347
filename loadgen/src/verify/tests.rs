//! Goal: each kind of wrong report is found, and a right one is not blamed. Method: a small fleet whose signs
//! are noted as the generator would, a perfect report of it, and one change at a time.

mod outages;

use pulsegate_codec::{Incarnation, Sequence};

use super::*;
use crate::ground_truth::{GroundTruth, Sign, Span};
use crate::limits::PROBLEMS_MAX;

const STEADY: u32 = 0;
const KILLED: u32 = 1;
const PAUSED: u32 = 2;
const RESTARTED: u32 = 3;
const LEFT: u32 = 4;
const SHORTLY_PAUSED: u32 = 5;
const BORDERLINE: u32 = 6;
const NODES: u32 = 7;

const END: Moment = Moment::from_milliseconds(21_000);

fn timeouts() -> Timeouts {
    Timeouts::new(Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(1))
}

fn beats(truth: &mut GroundTruth, node: u32, incarnation: u32, seconds: impl IntoIterator<Item = u64>) {
    for second in seconds {
        let sequence = Sequence(u32::try_from(second).unwrap() + 1);
        let sign = Sign {
            node: NodeIndex(node),
            incarnation: Incarnation(incarnation),
            sequence,
            departs: false,
            degraded: false,
        };
        truth.note(&sign, Span::at(Moment::from_milliseconds(second * 1_000)));
    }
}

/// 20 s at one beat a second. All join at 1 s.
fn facts() -> Vec<Fact> {
    let mut truth = GroundTruth::new(NODES, timeouts());
    beats(&mut truth, STEADY, 1, 0..=20);
    beats(&mut truth, KILLED, 1, 0..=7);
    beats(&mut truth, PAUSED, 1, (0..=6).chain(14..=20));
    beats(&mut truth, RESTARTED, 1, 0..=8);
    beats(&mut truth, RESTARTED, 2, 10..=20);
    beats(&mut truth, LEFT, 1, 0..=9);
    let goodbye = Sign {
        node: NodeIndex(LEFT),
        incarnation: Incarnation(1),
        sequence: Sequence(10),
        departs: true,
        degraded: false,
    };
    truth.note(&goodbye, Span::at(Moment::from_milliseconds(9_500)));
    beats(&mut truth, SHORTLY_PAUSED, 1, (0..=5).chain(9..=20));
    beats(&mut truth, BORDERLINE, 1, (0..=5).chain(8..=20));
    truth.close(END)
}

/// An event, decided at this millisecond.
fn event(node: u32, kind: EventKind, event_sequence: u32, decided_ms: u64) -> ObservedEvent {
    ObservedEvent {
        decided_at: Moment::from_milliseconds(decided_ms),
        node: NodeIndex(node),
        incarnation: if kind == EventKind::Restarted { 2 } else { 1 },
        event_sequence,
        lateness_us: 3_000,
        kind,
    }
}

/// What a gateway without fault and with a tick of 10 ms says, node by node.
fn perfect() -> Vec<ObservedEvent> {
    use EventKind::{Failed, Joined, Left, Recovered, Restarted, Suspected};
    let mut events: Vec<_> = (0..NODES).map(|node| event(node, Joined, 1, 1_001)).collect();
    events.extend([event(KILLED, Suspected, 2, 10_005), event(KILLED, Failed, 3, 12_008)]);
    events.extend([event(PAUSED, Suspected, 2, 9_004), event(PAUSED, Failed, 3, 11_010)]);
    events.push(event(PAUSED, Recovered, 4, 14_001));
    events.push(event(RESTARTED, Restarted, 2, 10_001));
    events.push(event(LEFT, Left, 2, 9_501));
    events.push(event(SHORTLY_PAUSED, Suspected, 2, 8_002));
    events.push(event(SHORTLY_PAUSED, Recovered, 3, 9_001));
    events
}

fn judge_events(events: Vec<ObservedEvent>) -> Judgement {
    judge(&facts(), events, &timeouts(), END, &[])
}

/// The perfect report without the events that `is_dropped` names, event sequences closed up again.
fn without(is_dropped: impl Fn(&ObservedEvent) -> bool) -> Vec<ObservedEvent> {
    let mut events = perfect();
    events.retain(|event| !is_dropped(event));
    let mut counts = [0; NODES as usize];
    for event in &mut events {
        counts[event.node.slot()] += 1;
        event.event_sequence = counts[event.node.slot()];
    }
    events
}

#[test]
fn a_perfect_report_is_clean() {
    let judgement = judge_events(perfect());
    assert_eq!(judgement.problems, []);
    assert!(judgement.is_clean());
    let counts = |kind| (judgement.tally(kind).injected, judgement.tally(kind).reported);
    assert_eq!(counts(EventKind::Joined), (7, 7));
    assert_eq!(counts(EventKind::Suspected), (3, 3));
    assert_eq!(counts(EventKind::Failed), (2, 2));
    assert_eq!(counts(EventKind::Recovered), (2, 2));
    assert_eq!(counts(EventKind::Restarted), (1, 1));
    assert_eq!(counts(EventKind::Left), (1, 1));
    assert_eq!(judgement.lateness_us.len(), 2);
    assert_eq!((judgement.lateness_us.min(), judgement.lateness_us.max() / 10), (8_000, 1_000));
    assert_eq!(judgement.gateway_lateness_us.max() / 10, 300);
}

#[test]
fn each_event_that_is_left_out_is_missed_alone() {
    for dropped in perfect() {
        let judgement =
            judge_events(without(|event| (event.node, event.kind) == (dropped.node, dropped.kind)));
        let missed: Vec<_> = EventKind::ALL.map(|kind| judgement.tally(kind).missed).to_vec();
        assert!(!judgement.is_clean());
        assert_eq!(missed.iter().sum::<u64>(), 1, "{dropped:?}: {missed:?}");
        assert_eq!(judgement.tally(dropped.kind).missed, 1);
        assert_eq!(judgement.problems[0].node, dropped.node.name());
    }
}

#[test]
fn an_empty_report_misses_everything() {
    let judgement = judge_events(Vec::new());
    assert_eq!(judgement.tally(EventKind::Failed).missed, 2);
    assert_eq!(judgement.tally(EventKind::Recovered).missed, 2);
    assert_eq!(judgement.tally(EventKind::Joined).missed, 7);
}

/// Adds one event that did not happen.
fn with(extra: ObservedEvent) -> Judgement {
    let mut events = perfect();
    let position = events.iter().rposition(|event| event.node == extra.node).map_or(0, |last| last + 1);
    events.insert(position, extra);
    judge_events(events)
}

#[test]
fn each_event_that_did_not_happen_is_false_alone() {
    use EventKind::{Failed, Joined, Left, Recovered, Restarted, Suspected};
    let invented = [
        event(STEADY, Failed, 2, 6_000),
        event(STEADY, Suspected, 2, 6_000),
        event(STEADY, Recovered, 2, 6_000),
        event(STEADY, Restarted, 2, 6_000),
        event(STEADY, Left, 2, 6_000),
        event(STEADY, EventKind::Forgotten, 2, 6_000),
        event(SHORTLY_PAUSED, Failed, 4, 10_500),
        event(PAUSED, Failed, 5, 20_000),
        event(KILLED, Recovered, 4, 15_000),
        event(RESTARTED, Suspected, 3, 11_000),
        event(LEFT, Failed, 3, 14_500),
        event(LEFT, Joined, 3, 15_000),
        event(BORDERLINE, Recovered, 2, 8_001),
    ];
    for extra in invented {
        let judgement = with(extra);
        let false_reports: Vec<_> = EventKind::ALL.map(|kind| judgement.tally(kind).invented).to_vec();
        assert_eq!(false_reports.iter().sum::<u64>(), 1, "{extra:?}: {:?}", judgement.problems);
        assert_eq!(judgement.tally(extra.kind).invented, 1);
        assert!(!judgement.is_clean());
    }
}

#[test]
fn a_gap_at_the_timeout_may_be_reported_but_then_needs_its_recovery() {
    let mut events = perfect();
    events.push(event(BORDERLINE, EventKind::Suspected, 2, 8_000));
    assert_eq!(judge_events(events.clone()).tally(EventKind::Recovered).missed, 1);
    events.push(event(BORDERLINE, EventKind::Recovered, 3, 8_001));
    let judgement = judge_events(events);
    assert_eq!(judgement.problems, []);
    assert_eq!(judgement.tally(EventKind::Suspected).tolerated, 1);
}

#[test]
fn a_verdict_before_its_deadline_is_early() {
    for (kind, decided_ms, early) in [
        (EventKind::Failed, 11_998, 1),
        (EventKind::Failed, 11_999, 0),
        (EventKind::Failed, 7_001, 1),
        (EventKind::Suspected, 9_998, 1),
        (EventKind::Suspected, 10_000, 0),
    ] {
        let mut events = perfect();
        let position = events.iter().position(|event| event.node.0 == KILLED && event.kind == kind).unwrap();
        events[position].decided_at = Moment::from_milliseconds(decided_ms);
        let judgement = judge_events(events);
        assert_eq!(judgement.early_verdicts, early, "{kind:?} at {decided_ms} ms");
        assert_eq!(judgement.is_clean(), early == 0);
    }
}

#[test]
fn a_duplicate_is_found_and_is_not_a_second_failure() {
    let judgement = with(event(KILLED, EventKind::Failed, 3, 12_008));
    assert_eq!((judgement.duplicates, judgement.order_violations), (1, 0));
    assert_eq!(judgement.tally(EventKind::Failed).reported, 2);
    assert!(!judgement.is_clean());
}

#[test]
fn a_gap_in_the_order_of_a_node_and_a_swap_are_found() {
    let mut gap = perfect();
    gap.iter_mut().find(|event| event.kind == EventKind::Left).unwrap().event_sequence = 3;
    assert_eq!(judge_events(gap).order_violations, 1);
    let mut swapped = perfect();
    let failed = swapped.iter().position(|event| event.kind == EventKind::Failed).unwrap();
    swapped.swap(failed - 1, failed);
    assert!(judge_events(swapped).order_violations > 0);
}

#[test]
fn an_event_of_another_run_does_not_count() {
    let mut events = perfect();
    events.iter_mut().find(|event| event.kind == EventKind::Restarted).unwrap().incarnation = 1;
    let judgement = judge_events(events);
    let tally = judgement.tally(EventKind::Restarted);
    assert_eq!((tally.missed, tally.invented), (1, 1));
}

#[test]
fn what_is_decided_after_the_end_is_not_judged() {
    let judgement = with(event(STEADY, EventKind::Suspected, 2, 23_000));
    assert!(judgement.is_clean());
}

#[test]
fn nodes_known_from_an_earlier_run_may_be_mourned_first_and_restart_instead_of_joining() {
    let mut truth = GroundTruth::new(1, timeouts());
    beats(&mut truth, 0, 2, 5..=20);
    let facts = truth.close(END);
    let events = [EventKind::Suspected, EventKind::Failed, EventKind::Restarted].into_iter().zip(1..);
    let events: Vec<_> =
        events.map(|(kind, count)| event(0, kind, count, 1_001 + 2_000 * u64::from(count - 1))).collect();
    let judgement = judge(&facts, events.clone(), &timeouts(), END, &[]);
    assert_eq!(judgement.problems, []);
    assert_eq!(judgement.tally(EventKind::Joined).reported, 1);
    let early_join = vec![event(0, EventKind::Joined, 1, 1_001)];
    assert_eq!(judge(&facts, early_join, &timeouts(), END, &[]).tally(EventKind::Joined).invented, 1);
}

#[test]
fn a_node_that_failed_may_be_forgotten() {
    assert!(with(event(KILLED, EventKind::Forgotten, 4, 20_000)).is_clean());
    assert!(with(event(LEFT, EventKind::Forgotten, 3, 20_000)).is_clean());
}

#[test]
fn a_long_silence_before_a_restart_is_reported_as_such() {
    let mut truth = GroundTruth::new(1, timeouts());
    beats(&mut truth, 0, 1, 0..=2);
    beats(&mut truth, 0, 2, 10..=20);
    let kinds = [EventKind::Joined, EventKind::Suspected, EventKind::Failed, EventKind::Restarted];
    let decided_ms = [1_001, 5_002, 7_003, 10_001];
    let events: Vec<_> = kinds
        .into_iter()
        .zip(decided_ms)
        .zip(1..)
        .map(|((kind, at), count)| event(0, kind, count, at))
        .collect();
    let judgement = judge(&truth.close(END), events, &timeouts(), END, &[]);
    assert_eq!(judgement.problems, []);
    assert_eq!(judgement.tally(EventKind::Failed).reported, 1);
}

#[test]
fn problems_are_told_in_words_and_not_without_end() {
    let judgement = judge_events(Vec::new());
    let text = judgement.problems.last().unwrap().to_string();
    assert!(text.starts_with("node-00000") && text.contains("should have been reported"), "{text}");
    let many: Vec<_> = (0..100).map(|count| event(STEADY, EventKind::Left, count + 2, 6_000)).collect();
    let judgement = judge_events(many);
    assert_eq!(judgement.problems.len(), PROBLEMS_MAX);
    assert_eq!(judgement.tally(EventKind::Left).invented, 100);
}

/// Goal: a silence that need not be reported does not take the event of a later one that must be. Method: a gap of
/// exactly the suspect timeout, of which nothing is said, and a longer one two seconds after it.
#[test]
fn borderline_silence_does_not_take_the_event_of_the_next_one() {
    let mut truth = GroundTruth::new(1, timeouts());
    beats(&mut truth, 0, 1, (0..=5).chain(8..=10).chain(14..=20));
    let events = vec![
        event(0, EventKind::Joined, 1, 1_001),
        event(0, EventKind::Suspected, 2, 13_002),
        event(0, EventKind::Recovered, 3, 14_001),
    ];
    let judgement = judge(&truth.close(END), events, &timeouts(), END, &[]);
    assert_eq!(judgement.problems, []);
}

/// Goal: of a gateway that learns, what lies between its shortest and its longest timeout may be reported or not; what lies
/// outside is judged as ever. Method: nodes that are silent for 7 s against timeouts of 3 to 8 s and 5 to 10 s.
#[test]
fn learnt_timeouts_leave_room_between_their_bounds_only() {
    use EventKind::{Failed, Joined, Recovered, Suspected};
    let learnt = Timeouts {
        suspect_longest: Duration::from_secs(8),
        failed_longest: Duration::from_secs(10),
        ..timeouts()
    };
    let judged = |silent_until: u64, events: Vec<ObservedEvent>| {
        let mut truth = GroundTruth::new(1, learnt);
        beats(&mut truth, 0, 1, (0..=6).chain(silent_until..=20));
        judge(&truth.close(END), events, &learnt, END, &[])
    };
    let joined = event(0, Joined, 1, 1_001);
    let failed = |at| event(0, Failed, 3, at);
    let down = |at| vec![joined, event(0, Suspected, 2, 9_500), failed(at), event(0, Recovered, 4, 15_001)];
    assert!(judged(13, vec![joined]).is_clean());
    let taken_back = judged(13, down(12_500));
    assert!(taken_back.is_clean(), "{:?}", taken_back.problems);
    assert_eq!(taken_back.failures_taken_back, 1);
    assert_eq!(judged(13, down(10_500)).early_verdicts, 1, "before 6 s + 5 s");
    assert_eq!(judged(10, down(13_500)).tally(Failed).invented, 1, "silent for 4 s only");
    assert_eq!(judged(18, vec![joined]).tally(Failed).missed, 1, "silent for 12 s");
}
