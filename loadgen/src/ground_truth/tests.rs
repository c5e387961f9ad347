//! Which silences, runs and goodbyes become facts, compared with a naive recomputation from all signs.

use proptest::prelude::*;

use super::*;

const NODE: NodeIndex = NodeIndex(0);

fn timeouts() -> Timeouts {
    Timeouts::new(Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(1))
}

fn at_ms(milliseconds: u64) -> Span {
    Span::at(Moment::from_milliseconds(milliseconds))
}

fn beat(incarnation: u32, sequence: u32) -> Sign {
    Sign {
        node: NODE,
        incarnation: Incarnation(incarnation),
        sequence: Sequence(sequence),
        departs: false,
        degraded: false,
    }
}

/// The kinds of facts, with the times of the signs around them, in milliseconds.
fn facts(signs: &[(Sign, u64)], judged_until_ms: u64) -> Vec<(FactKind, u64, u64)> {
    let mut truth = GroundTruth::new(1, timeouts());
    for (sign, sent_ms) in signs {
        truth.note(sign, at_ms(*sent_ms));
    }
    let milliseconds = |span: Span| span.before.as_microseconds() / 1_000;
    let facts = truth.close(Moment::from_milliseconds(judged_until_ms));
    facts.iter().map(|fact| (fact.kind, milliseconds(fact.from), milliseconds(fact.at))).collect()
}

#[test]
fn a_steady_node_joins_and_no_more() {
    let signs: Vec<_> = (1..=10).map(|count| (beat(1, count), u64::from(count) * 1_000)).collect();
    assert_eq!(facts(&signs, 11_000), [(FactKind::Joined, 1_000, 2_000)]);
}

#[test]
fn a_node_heard_once_or_never_gives_no_fact() {
    assert_eq!(facts(&[(beat(1, 1), 0)], 60_000), []);
    assert_eq!(facts(&[], 60_000), []);
}

#[test]
fn a_gap_counts_from_a_tolerance_below_the_suspect_timeout() {
    let joined = (FactKind::Joined, 0, 1_000);
    let after_gap = |gap_ms: u64| {
        facts(&[(beat(1, 1), 0), (beat(1, 2), 1_000), (beat(1, 3), 1_000 + gap_ms)], 1_001 + gap_ms)
    };
    assert_eq!(after_gap(2_750), [joined]);
    assert_eq!(after_gap(2_751), [joined, (FactKind::HeardAgain, 1_000, 3_751)]);
}

#[test]
fn a_killed_node_is_silent_to_the_end() {
    let signs = [(beat(1, 1), 0), (beat(1, 2), 1_000)];
    assert_eq!(facts(&signs, 9_000)[1], (FactKind::SilentToTheEnd, 1_000, 9_000));
    assert_eq!(facts(&signs, 3_500).len(), 1, "it may still be well");
}

#[test]
fn duplicates_and_late_arrivals_are_no_news() {
    let mut signs = vec![(beat(1, 1), 0), (beat(1, 3), 1_000)];
    signs.extend([(beat(1, 2), 2_000), (beat(1, 3), 3_000), (beat(1, 1), 4_000)]);
    signs.push((beat(1, 4), 5_000));
    assert_eq!(facts(&signs, 5_001)[1..], [(FactKind::HeardAgain, 1_000, 5_000)]);
}

#[test]
fn a_restart_is_a_fact_and_the_old_run_is_heard_no_more() {
    let mut signs = vec![(beat(1, 1), 0), (beat(1, 2), 1_000), (beat(2, 1), 2_000)];
    signs.extend([(beat(1, 3), 4_500), (beat(2, 2), 5_500)]);
    let expected = [(FactKind::Restarted, 1_000, 2_000), (FactKind::HeardAgain, 2_000, 5_500)];
    assert_eq!(facts(&signs, 6_000)[1..], expected);
}

#[test]
fn after_a_goodbye_silence_is_in_order() {
    let goodbye = Sign { departs: true, ..beat(1, 2) };
    let signs =
        [(beat(1, 1), 0), (beat(1, 2), 1_000), (goodbye, 1_500), (goodbye, 1_600), (beat(1, 2), 1_700)];
    assert_eq!(facts(&signs, 60_000)[1..], [(FactKind::Left, 1_000, 1_500)]);
}

#[test]
fn a_generator_that_stalled_in_the_call_leaves_the_gap_uncertain() {
    let mut truth = GroundTruth::new(1, timeouts());
    truth.note(&beat(1, 1), at_ms(0));
    let stalled = Span { before: Moment::from_milliseconds(1_000), after: Moment::from_milliseconds(9_000) };
    truth.note(&beat(1, 2), stalled);
    truth.note(&beat(1, 3), at_ms(9_500));
    let facts = truth.close(Moment::from_milliseconds(9_600));
    assert_eq!((facts[1].kind, facts[1].from), (FactKind::HeardAgain, stalled));
}

/// The rules, written down without thrift: keep every sign that is news, then look at each pair of
/// neighbours.
fn naive(signs: &[(Sign, u64)], judged_until_ms: u64) -> Vec<(FactKind, u64, u64)> {
    let mut news: Vec<(Sign, u64)> = Vec::new();
    for &(sign, sent_ms) in signs {
        let newest = news.iter().map(|(known, _)| (known.incarnation, known.sequence)).max();
        if newest.is_none_or(|newest| (sign.incarnation, sign.sequence) > newest) {
            news.push((sign, sent_ms));
        }
    }
    let limit_ms = 3_000 - 250;
    let mut facts = Vec::new();
    let mut is_member = false;
    for pair in news.windows(2) {
        let ((earlier, from), (later, at)) = (pair[0], pair[1]);
        let restarts = later.incarnation > earlier.incarnation;
        let kind = match (is_member, restarts) {
            (false, true) => continue,
            (false, false) if at - from > 5_000 + 250 => continue,
            (false, false) => FactKind::Joined,
            (true, true) => FactKind::Restarted,
            (true, false) if at - from > limit_ms => FactKind::HeardAgain,
            (true, false) => continue,
        };
        is_member = true;
        facts.push((kind, from, at));
    }
    if let Some((_, last)) = news.last()
        && is_member
        && judged_until_ms - last > limit_ms
    {
        facts.push((FactKind::SilentToTheEnd, *last, judged_until_ms));
    }
    facts
}

proptest! {
    /// Any signs in any order of sequence and incarnation, with gaps around the timeouts.
    #[test]
    fn facts_are_those_of_a_naive_recomputation(
        steps in prop::collection::vec((0_u64..7_000, 1_u32..4, 1_u32..12), 0..40), rest_ms in 0_u64..7_000
    ) {
        let mut now_ms = 0;
        let signs: Vec<_> = steps.iter().map(|&(gap_ms, incarnation, sequence)| {
            now_ms += gap_ms;
            (beat(incarnation, sequence), now_ms)
        }).collect();
        let end_ms = now_ms + rest_ms;
        prop_assert_eq!(facts(&signs, end_ms), naive(&signs, end_ms));
    }
}
