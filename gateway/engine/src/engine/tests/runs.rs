//! Sequences and incarnations.

use super::*;

/// Shows: a new node counts after two heartbeats; copies do not count.
#[test]
fn a_node_joins_with_its_second_newer_heartbeat() {
    let mut fixture = Fixture::new();
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 1);
    assert_eq!(fixture.state(), Some(NodeState::New), "a duplicate confirms nothing");
    assert_eq!(fixture.said(), []);
    fixture.beat(FIRST, 2);
    let joined = fixture.taken().remove(0);
    assert_eq!((joined.kind, joined.previous), (VerdictKind::Joined, NodeState::New));
    assert_eq!((joined.event_sequence, joined.evidence.last_sequence), (1, Sequence(1)));
}

/// Shows: a node that does not count its heartbeats is believed each time.
#[test]
fn uncounted_heartbeats_are_always_newer() {
    let mut fixture = Fixture::new();
    fixture.beat(FIRST, 0);
    fixture.beat(FIRST, 0);
    assert_eq!(fixture.state(), Some(NodeState::Alive));
    assert_eq!(fixture.engine.counters().heartbeats_stale, 0);
}

/// Shows: nor does it help a late one.
#[test]
fn an_uncounted_heartbeat_does_not_make_old_counted_ones_new() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.beat(FIRST, 0);
    fixture.beat(FIRST, 2);
    assert_eq!(fixture.engine.counters().heartbeats_stale, 1);
}

/// Shows: copies and late arrivals are no sign of life.
#[test]
fn an_echo_does_not_keep_a_dead_node_alive() {
    let mut fixture = Fixture::new().with_alive_node();
    for now_ms in [1_000, 2_000, 2_990] {
        fixture.tick_at(now_ms);
        fixture.beat(FIRST, 2);
        fixture.beat(FIRST, 1);
    }
    fixture.tick_at(3_000);
    assert_eq!(fixture.said(), [("suspected", 3_000)]);
    fixture.beat(FIRST, 2);
    assert_eq!(fixture.state(), Some(NodeState::Suspect));
    assert_eq!(fixture.engine.counters().heartbeats_stale, 7);
}

/// Shows: the first heartbeat moves nothing but the last-seen time, and that the second recovers.
#[test]
fn a_suspect_or_failed_node_that_is_heard_twice_recovers_and_is_watched_anew() {
    for (silence_ms, previous) in [(3_500, NodeState::Suspect), (6_000, NodeState::Failed)] {
        let mut fixture = Fixture::new().with_alive_node();
        fixture.run_until(silence_ms);
        fixture.taken();
        fixture.beat(FIRST, 3);
        assert_eq!((fixture.said(), fixture.state()), (Vec::new(), Some(previous)));
        fixture.beat(FIRST, 3);
        assert_eq!(fixture.said(), [], "a duplicate is not a second heartbeat");
        fixture.beat(FIRST, 4);
        let recovered = fixture.taken().remove(0);
        assert_eq!((recovered.kind, recovered.previous), (VerdictKind::Recovered, previous));
        assert_eq!(recovered.evidence.last_seen, Timestamp::from_milliseconds(silence_ms));
        fixture.run_until(silence_ms + 5_000);
        let expected = [("suspected", silence_ms + 3_000), ("failed", silence_ms + 5_000)];
        assert_eq!(fixture.said(), expected);
    }
}

/// Shows: a suspect node is not failed while its second heartbeat is awaited, and is if that does not come.
#[test]
fn a_suspect_node_has_its_failed_timeout_for_the_second_heartbeat() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.run_until(4_900);
    fixture.beat(FIRST, 3);
    fixture.run_until(9_800);
    assert_eq!(fixture.said(), [("suspected", 3_000)]);
    let mut other = Fixture::new().with_alive_node();
    other.run_until(4_900);
    other.beat(FIRST, 3);
    other.run_until(20_000);
    assert_eq!(other.said(), [("suspected", 3_000), ("failed", 9_900)]);
    fixture.beat(FIRST, 4);
    assert_eq!(fixture.said(), [("recovered", 9_800)]);
}

/// Shows: heartbeats further apart than the failed timeout bring no failed node back, one by one.
#[test]
fn a_failed_node_that_is_heard_now_and_then_stays_failed_and_is_forgotten_in_the_end() {
    let mut fixture = Fixture::new().with_alive_node();
    for sequence in 3..6 {
        fixture.run_until(u64::from(sequence) * 6_000);
        fixture.beat(FIRST, sequence);
        assert!(fixture.engine.node(NodeId(1)).unwrap().is_returning);
    }
    fixture.run_until(100_000);
    let expected = [("suspected", 3_000), ("failed", 5_000), ("forgotten", 90_000)];
    assert_eq!(fixture.said(), expected);
}

/// Shows: one heartbeat of a new incarnation brings a node back, and is told as a restart.
#[test]
fn a_greater_incarnation_is_a_restart_from_any_told_state() {
    let states = [(1_000, NodeState::Alive), (3_500, NodeState::Suspect), (6_000, NodeState::Failed)];
    for (silence_ms, previous) in states {
        let mut fixture = Fixture::new().with_alive_node();
        fixture.run_until(silence_ms);
        fixture.taken();
        fixture.beat(SECOND, 1);
        let restarted = fixture.taken().remove(0);
        assert_eq!((restarted.kind, restarted.previous), (VerdictKind::Restarted, previous));
        assert_eq!((restarted.incarnation, restarted.evidence.last_sequence), (SECOND, Sequence(2)));
        fixture.beat(SECOND, 1);
        assert_eq!(fixture.engine.counters().heartbeats_stale, 1, "the new run counts from its own first");
        fixture.run_until(silence_ms + 3_000);
        assert_eq!(fixture.said(), [("suspected", silence_ms + 3_000)]);
    }
}

/// Shows: what is left of an earlier run proves nothing.
#[test]
fn an_older_incarnation_changes_nothing() {
    let mut fixture = Fixture::new();
    fixture.beat(SECOND, 1);
    fixture.beat(FIRST, 9);
    assert_eq!(fixture.state(), Some(NodeState::New));
    fixture.beat(SECOND, 2);
    fixture.said();
    fixture.tick_at(2_999);
    fixture.beat(FIRST, 10);
    fixture.leave(FIRST, 11);
    fixture.tick_at(3_000);
    assert_eq!(fixture.said(), [("suspected", 3_000)]);
    assert_eq!(fixture.engine.counters().heartbeats_of_older_incarnation, 2);
    assert_eq!(fixture.engine.counters().departures_ignored, 1);
}

/// Shows: two heartbeats of two runs are no second heartbeat.
#[test]
fn a_new_node_that_restarts_counts_from_its_new_run() {
    let mut fixture = Fixture::new();
    fixture.beat(FIRST, 5);
    fixture.beat(SECOND, 1);
    assert_eq!((fixture.state(), fixture.said()), (Some(NodeState::New), vec![]));
    fixture.beat(SECOND, 2);
    assert_eq!(fixture.said(), [("joined", 0)]);
}

/// Shows: two heartbeats in one frame are two heartbeats.
#[test]
fn a_batch_may_hold_the_same_unknown_node_twice() {
    let mut fixture = Fixture::new();
    let beat = |sequence| Heartbeat {
        node_id: NodeId(1),
        incarnation: FIRST,
        sequence: Sequence(sequence),
        ..Heartbeat::default()
    };
    let batch: Vec<_> = (1..=100).map(beat).collect();
    fixture.engine.on_heartbeats(&batch, Timestamp::ZERO, &mut fixture.verdicts);
    assert_eq!(fixture.said(), [("joined", 0)]);
    assert_eq!(fixture.engine.counters().heartbeats_accepted, 100);
}
