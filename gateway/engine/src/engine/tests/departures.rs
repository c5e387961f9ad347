//! Goodbyes and returns.

use super::*;

/// Shows: who said goodbye never fails, and is forgotten after the retention.
#[test]
fn a_goodbye_is_told_and_silence_after_it_means_nothing_until_the_node_is_forgotten() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.now_ms = 500;
    fixture.leave(FIRST, 2);
    let left = fixture.taken().remove(0);
    let kind = VerdictKind::Left { reason: DepartureReason::Shutdown, expected_return_ms: 9_000 };
    assert_eq!((left.kind, left.previous, left.event_sequence), (kind, NodeState::Alive, 2));
    fixture.run_until(100_000);
    assert_eq!(fixture.said(), [("forgotten", 60_500)]);
}

/// Shows: what was on its way when the node left brings it not back.
#[test]
fn a_late_heartbeat_or_a_second_goodbye_changes_nothing() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave(FIRST, 5);
    fixture.said();
    fixture.beat(FIRST, 4);
    fixture.beat(FIRST, 5);
    fixture.leave(FIRST, 5);
    assert_eq!((fixture.state(), fixture.said()), (Some(NodeState::Left), vec![]));
    assert_eq!(fixture.engine.counters().heartbeats_stale, 2);
    assert_eq!(fixture.engine.counters().departures_accepted, 1);
    assert_eq!(fixture.engine.counters().departures_ignored, 1);
}

/// Shows: a goodbye without a sequence keeps the greatest that was heard.
#[test]
fn an_uncounted_goodbye_does_not_make_late_heartbeats_new() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave(FIRST, 0);
    fixture.beat(FIRST, 2);
    assert_eq!(fixture.state(), Some(NodeState::Left));
}

/// Shows: coming back from a goodbye is joining anew.
#[test]
fn a_node_that_left_joins_again_with_its_second_heartbeat() {
    for (incarnation, sequence) in [(FIRST, 3), (SECOND, 1)] {
        let mut fixture = Fixture::new().with_alive_node();
        fixture.leave(FIRST, 2);
        fixture.said();
        fixture.beat(incarnation, sequence);
        assert_eq!((fixture.state(), fixture.said()), (Some(NodeState::New), vec![]));
        fixture.beat(incarnation, sequence + 1);
        let joined = fixture.taken().remove(0);
        assert_eq!((joined.kind, joined.previous), (VerdictKind::Joined, NodeState::New));
        assert_eq!(joined.event_sequence, 3, "the count of verdicts goes on");
        fixture.run_until(3_000);
        assert_eq!(fixture.said(), [("suspected", 3_000)]);
    }
}

/// Shows: one heartbeat after a goodbye tells nothing, and nothing has to be taken back.
#[test]
fn a_return_that_is_not_confirmed_leaves_the_node_left() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave(FIRST, 2);
    fixture.said();
    fixture.tick_at(1_000);
    fixture.beat(FIRST, 3);
    fixture.tick_at(6_000);
    assert_eq!((fixture.state(), fixture.said()), (Some(NodeState::Left), vec![]));
    assert_eq!(fixture.engine.counters().new_nodes_never_confirmed, 1);
    fixture.run_until(100_000);
    let taken = fixture.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].kind, taken[0].previous), (VerdictKind::Forgotten, NodeState::Left));
    assert_eq!(taken[0].decided_at, Timestamp::from_milliseconds(61_000));
}

/// Shows: an old goodbye does not remove a node that beats.
#[test]
fn a_goodbye_that_a_newer_heartbeat_has_overtaken_is_ignored() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave(FIRST, 1);
    assert_eq!(fixture.state(), Some(NodeState::Alive));
    assert_eq!(fixture.engine.counters().departures_ignored, 1);
}

/// Shows: a goodbye is believed of a new, alive, suspect and failed node.
#[test]
fn goodbyes_of_every_state_are_told_and_those_of_unknown_nodes_are_not() {
    let mut fixture = Fixture::new();
    fixture.leave(FIRST, 1);
    assert_eq!(fixture.engine.counters().departures_ignored, 1);
    fixture.beat(FIRST, 1);
    fixture.leave(FIRST, 1);
    assert_eq!(fixture.taken()[0].previous, NodeState::New);
    for (silence_ms, previous) in [(3_000, NodeState::Suspect), (5_000, NodeState::Failed)] {
        let mut fixture = Fixture::new().with_alive_node();
        fixture.run_until(silence_ms);
        fixture.taken();
        fixture.leave(FIRST, 2);
        assert_eq!(fixture.taken()[0].previous, previous);
        fixture.run_until(50_000);
        assert_eq!(fixture.said(), []);
    }
}

/// Shows: a goodbye may be the first that is heard of a run.
#[test]
fn a_goodbye_of_a_run_never_heard_is_of_that_run() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave(SECOND, 1);
    assert_eq!(fixture.taken()[0].incarnation, SECOND);
    fixture.beat(FIRST, 9);
    fixture.beat(SECOND, 1);
    assert_eq!(fixture.state(), Some(NodeState::Left));
    fixture.beat(SECOND, 2);
    assert_eq!(fixture.state(), Some(NodeState::New));
}
