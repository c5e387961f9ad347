//! Runs during which the gateway was away: from 8 s to 14 s, with timeouts of 3 s and 5 s.

use super::*;
use EventKind::{Failed, Joined, Recovered, Restarted, Suspected};

const AWAY: Outage =
    Outage { from: Moment::from_milliseconds(8_000), until: Moment::from_milliseconds(14_000) };

/// What is made of these events (kind, milliseconds) about one node, which joins at 1 s.
fn judged(truth: GroundTruth, events: &[(EventKind, u64)]) -> Judgement {
    let joined = event(0, Joined, 1, 1_001);
    let others = (2..).zip(events).map(|(count, &(kind, at))| event(0, kind, count, at));
    judge(&truth.close(END), [joined].into_iter().chain(others).collect(), &timeouts(), END, &[AWAY])
}

fn beating(seconds: impl IntoIterator<Item = u64>) -> GroundTruth {
    let mut truth = GroundTruth::new(1, timeouts());
    beats(&mut truth, 0, 1, seconds);
    truth
}

/// Goal: who died before or during an outage must be reported, measured from the gateway's start, and not too early.
#[test]
fn the_dead_of_an_outage_are_reported_from_its_end_on() {
    for last in [7, 10, 13] {
        let truth = || beating(0..=last);
        let in_time = judged(truth(), &[(Suspected, 16_500), (Failed, 18_500)]);
        assert_eq!(in_time.problems, [], "{last}");
        assert!(max_ms(&in_time.lateness_us) < 1_250.0, "{last}: {}", max_ms(&in_time.lateness_us));
        assert_eq!(judged(truth(), &[]).tally(Failed).missed, 1, "{last}");
        let early = judged(truth(), &[(Suspected, 16_500), (Failed, 17_700)]);
        assert_eq!(early.early_verdicts, 1, "{last}");
    }
}

/// Goal: a deadline that passed before the outage is as any other.
#[test]
fn what_was_due_before_an_outage_is_judged_as_ever() {
    assert!(judged(beating(0..=2), &[(Suspected, 5_005), (Failed, 7_005)]).is_clean());
    assert_eq!(judged(beating(0..=2), &[(Suspected, 5_005), (Failed, 6_990)]).early_verdicts, 1);
}

/// Goal: nobody need tell of a silence that lay in the outage, and nobody may say that those failed who beat on through it.
#[test]
fn silence_of_an_outage_is_nobodys() {
    assert!(judged(beating(0..=20), &[]).is_clean());
    assert!(judged(beating((0..=8).chain(13..=20)), &[]).is_clean());
    let blamed = judged(beating(0..=20), &[(Suspected, 16_500), (Failed, 18_500), (Recovered, 19_001)]);
    assert_eq!((blamed.tally(Failed).invented, blamed.tally(Suspected).invented), (1, 1));
    let again = judged(beating(0..=20), &[(Joined, 15_001)]);
    assert_eq!(again.tally(Joined).invented, 1, "nobody joins twice");
}

/// Goal: a restart in an outage is told when the node is heard; a goodbye in one was lost, and its node may fail.
#[test]
fn what_was_said_in_an_outage_is_heard_late_or_never() {
    let mut truth = beating(0..=9);
    beats(&mut truth, 0, 2, 11..=20);
    let mut restarted = event(0, Restarted, 2, 14_500);
    restarted.incarnation = 2;
    let events = vec![event(0, Joined, 1, 1_001), restarted];
    assert_eq!(judge(&truth.close(END), events, &timeouts(), END, &[AWAY]).problems, []);
    let left = || {
        let mut truth = beating(0..=9);
        let (node, incarnation, sequence) = (NodeIndex(0), Incarnation(1), Sequence(10));
        let goodbye = Sign { node, incarnation, sequence, departs: true, degraded: false };
        truth.note(&goodbye, Span::at(Moment::from_milliseconds(10_000)));
        truth
    };
    assert!(judged(left(), &[(Suspected, 16_500), (Failed, 18_500)]).is_clean());
    assert!(judged(left(), &[]).is_clean());
    // Degraded from 10 s on, and well again with the first sign after the outage, or later.
    for (well_again, must_tell) in [(14, false), (16, true)] {
        let mut truth = beating(0..=9);
        for second in 10..=20_u32 {
            let (node, incarnation, sequence) = (NodeIndex(0), Incarnation(1), Sequence(second + 1));
            let degraded = second < well_again;
            let sign = Sign { node, incarnation, sequence, departs: false, degraded };
            truth.note(&sign, Span::at(Moment::from_milliseconds(u64::from(second) * 1_000)));
        }
        let missed = judged(truth, &[]).tally(EventKind::Healthy).missed;
        assert_eq!(missed, u64::from(must_tell), "well again at {well_again} s");
    }
}
