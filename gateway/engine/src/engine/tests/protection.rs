//! The gateway's own trouble, and the second opinion.

use super::*;
use crate::detector::Profile;
use crate::limits::PROBE_ANSWERS_KEPT_MAX;

/// Shows: after a stop of 10 s with live senders nobody fails but those who died, each with the time that it had left.
#[test]
fn after_a_pause_exactly_the_true_deaths_are_reported_each_with_the_time_it_had_left() {
    // Method: node 1 beats on, and its heartbeats of the pause lie in the socket; node 2 died a second before the pause.
    let mut fixture = Fixture::new().with_alive_node();
    fixture.beat_of(NodeId(2), FIRST, 1);
    fixture.beat_of(NodeId(2), FIRST, 2);
    fixture.now_ms = 1_000;
    fixture.beat(FIRST, 3);
    fixture.taken();
    fixture.now_ms = 11_000;
    fixture.engine.on_pause(Duration::from_secs(10), fixture.now());
    (4..14).for_each(|sequence| fixture.beat(FIRST, sequence));
    fixture.tick_at(11_000);
    assert_eq!(fixture.said(), [], "nobody is judged for the pause");
    for sequence in 14..30 {
        fixture.run_until(u64::from(sequence) * 1_000 - 2_000);
        fixture.beat(FIRST, sequence);
    }
    let taken = fixture.taken();
    assert!(taken.iter().all(|verdict| verdict.node_id == NodeId(2)), "{taken:?}");
    let told: Vec<_> = taken.iter().map(|verdict| (verdict.kind, verdict.decided_at)).collect();
    let at = Timestamp::from_milliseconds;
    assert_eq!(told, [(VerdictKind::Suspected, at(13_000)), (VerdictKind::Failed, at(15_000))]);
}

/// Shows: suspend is harmless, although the monotonic clock slept too.
#[test]
fn a_machine_that_slept_gives_everybody_a_timeout_from_its_waking() {
    // Method: the monotonic clock stood still, so the pause is longer than what it says has passed.
    let mut fixture = Fixture::new().with_alive_node();
    fixture.tick_at(2_900);
    fixture.engine.on_pause(Duration::from_hours(8), fixture.now());
    fixture.run_until(8_000);
    assert_eq!(fixture.said(), [("suspected", 5_900), ("failed", 7_900)]);
}

/// Shows: drops of the kernel widen deadlines up to twice, and the dead are found all the same.
#[test]
fn drops_widen_a_silence_but_kill_nobody_and_save_nobody_for_ever() {
    let mut fixture = Fixture::new().with_alive_node();
    for now_ms in (500..20_000).step_by(500) {
        fixture.run_until(now_ms);
        fixture.engine.on_drops(fixture.now());
    }
    assert_eq!(fixture.said(), [("suspected", 6_000), ("failed", 10_000)], "twice its timeouts");
}

/// Shows: a second opinion keeps a node suspect, never makes it alive, and costs no detection time without an answer.
#[test]
fn an_answer_keeps_a_node_suspect_for_as_long_as_answers_come() {
    let mut fixture = Fixture::new().with_alive_node();
    for now_ms in [4_900, 6_800, 8_700] {
        fixture.run_until(now_ms);
        fixture.engine.on_probe_answer(NodeId(1), fixture.now());
        fixture.engine.check_invariants();
        assert_eq!(fixture.state(), Some(NodeState::Suspect), "an answer is no heartbeat");
    }
    fixture.run_until(20_000);
    assert_eq!(fixture.said(), [("suspected", 3_000), ("failed", 10_700)]);
    assert_eq!(fixture.engine.counters().probe_answers_accepted, 3);
}

/// Shows: an answer means nothing once the suspicion that it was about is over.
#[test]
fn an_answer_counts_for_one_suspicion_only() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.engine.on_probe_answer(NodeId(1), fixture.now());
    fixture.run_until(4_900);
    fixture.engine.on_probe_answer(NodeId(1), fixture.now());
    fixture.beat(FIRST, 3);
    fixture.beat(FIRST, 4);
    fixture.run_until(9_900);
    let expected = [("suspected", 3_000), ("recovered", 4_900), ("suspected", 7_900), ("failed", 9_900)];
    assert_eq!(fixture.said(), expected);
    assert_eq!(fixture.engine.counters().probe_answers_ignored, 1);
}

/// Shows: an answer never takes back time that an earlier one has given, although the node was asked for a shorter interval
/// meanwhile.
#[test]
fn a_later_answer_shortens_nothing() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    fixture.describe("n", 10_000);
    fixture.beat_of(node_id, FIRST, 2);
    fixture.run_until(31_000);
    fixture.engine.on_probe_answer(node_id, fixture.now());
    fixture.describe("n", 1_000);
    fixture.engine.on_probe_answer(node_id, fixture.now());
    fixture.run_until(55_000);
    assert_eq!(fixture.said(), [("joined", 0), ("suspected", 30_000), ("failed", 51_000)]);
}

/// Shows: a profile that leaves no time between suspicion and failure gives an answer a tick, so that it is not worth nothing.
#[test]
fn an_answer_is_worth_a_tick_at_least() {
    let profile = Profile { suspicion_intervals: 0.0, cap_intervals: 3.0, ..Profile::phi("hasty") };
    // Room for one: the node is seen as suspect before it fails.
    let mut fixture = Fixture::with(EngineConfig { profiles: Profiles::only(profile), ..config(16) }, 1);
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    assert_eq!(fixture.said(), [("joined", 0)]);
    fixture.tick_at(3_000);
    assert_eq!(fixture.said(), [("suspected", 3_000)]);
    fixture.engine.on_probe_answer(NodeId(1), fixture.now());
    fixture.tick_at(3_000);
    assert_eq!(fixture.said(), []);
    fixture.tick_at(3_010);
    assert_eq!(fixture.said(), [("failed", 3_010)]);
}

/// Shows: answers are kept of a bounded number of nodes; those that are kept may be renewed, and no other is harmed.
#[test]
fn answers_are_kept_of_a_bounded_number_of_nodes() {
    let nodes = u32::try_from(PROBE_ANSWERS_KEPT_MAX).unwrap() + 4;
    let mut fixture = Fixture::with(config(nodes), 10_000);
    for sequence in [1, 2] {
        let beat = |id| Heartbeat {
            node_id: NodeId(id),
            incarnation: FIRST,
            sequence: Sequence(sequence),
            ..Heartbeat::default()
        };
        let heartbeats: Vec<_> = (0..nodes.into()).map(beat).collect();
        fixture.engine.on_heartbeats(&heartbeats, fixture.now(), &mut fixture.verdicts);
    }
    fixture.taken();
    fixture.run_until(4_000);
    for id in (0..nodes.into()).chain([0]) {
        fixture.engine.on_probe_answer(NodeId(id), fixture.now());
    }
    let counters = fixture.engine.counters();
    assert_eq!((counters.probe_answers_accepted, counters.probe_answers_ignored), (u64::from(nodes) - 3, 4));
}
