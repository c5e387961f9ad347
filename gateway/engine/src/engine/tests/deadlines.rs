//! Silence and its deadlines.

use super::*;
use crate::verdict::Terms;

/// Shows: the life of a node that dies: suspected, failed, and after the retention forgotten, with an event each.
#[test]
fn a_silent_node_is_suspected_then_fails_then_is_forgotten_each_at_its_deadline() {
    let mut fixture = Fixture::new();
    fixture.now_ms = 3;
    fixture = fixture.with_alive_node_at_3();
    fixture.run_until(100_000);
    // 3 + 3000, + 5000, + 60000, each at the next tick.
    assert_eq!(fixture.said(), [("suspected", 3_010), ("failed", 5_010), ("forgotten", 60_010)]);
    assert_eq!(fixture.state(), None);
    assert_eq!(fixture.engine.next_deadline(), None);
    assert_eq!(fixture.engine.node_counts().known(), 0);
}

impl Fixture {
    fn with_alive_node_at_3(mut self) -> Self {
        self.beat(FIRST, 1);
        self.beat(FIRST, 2);
        assert_eq!(self.said(), [("joined", 3)]);
        self
    }
}

/// Shows: never early, not by a nanosecond, and not late when the deadline lies on a tick.
#[test]
fn a_deadline_on_the_tick_fires_at_that_tick_and_not_before() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.tick_at(2_999);
    assert_eq!(fixture.said(), []);
    fixture.tick_at(3_000);
    assert_eq!(fixture.said(), [("suspected", 3_000)]);
    fixture.tick_at(4_999);
    assert_eq!(fixture.said(), []);
    fixture.tick_at(5_000);
    assert_eq!(fixture.said(), [("failed", 5_000)]);
}

/// Shows: heartbeats cost the wheel nothing.
#[test]
fn a_node_that_beats_is_never_suspected_and_the_wheel_is_touched_once_a_timeout() {
    let mut fixture = Fixture::new().with_alive_node();
    for second in 1..=300 {
        fixture.run_until(second * 1_000);
        fixture.beat(FIRST, 2 + u32::try_from(second).unwrap());
    }
    assert_eq!(fixture.said(), []);
    // Armed for 3 s after the last heartbeat each time it is looked at: every 2 to 3 s.
    let fired = fixture.engine.counters().wheel_entries_fired;
    assert!((100..=151).contains(&fired), "{fired}");
    assert_eq!(fixture.engine.counters().heartbeats_accepted, 302);
}

/// Shows: a consumer sees suspected before failed before forgotten, however late the tick is.
#[test]
fn after_a_long_gap_a_node_goes_through_all_its_states_in_order_at_once() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.tick_at(4 * 7 * 24 * 3_600_000);
    let taken = fixture.taken();
    let kinds: Vec<_> = taken.iter().map(|verdict| (verdict.kind, verdict.previous)).collect();
    let expected = [
        (VerdictKind::Suspected, NodeState::Alive),
        (VerdictKind::Failed, NodeState::Suspect),
        (VerdictKind::Forgotten, NodeState::Failed),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(taken.iter().map(|verdict| verdict.event_sequence).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(fixture.engine.counters().wheel_entries_fired, 1, "however long the gap, one look a node");
}

/// Shows: drain before expiry: a heartbeat that was waiting counts, although its deadline has passed.
#[test]
fn a_heartbeat_before_the_late_tick_saves_the_node() {
    // Method: the deadline is long past when the heartbeat comes, but nobody has ticked.
    let mut fixture = Fixture::new().with_alive_node();
    fixture.now_ms = 9_000;
    fixture.beat(FIRST, 3);
    fixture.tick_at(9_000);
    assert_eq!(fixture.said(), []);
    assert_eq!(fixture.state(), Some(NodeState::Alive));
}

/// Shows: one heartbeat makes no node that anybody is told of.
#[test]
fn a_new_node_that_is_not_heard_again_vanishes_without_a_word() {
    let mut fixture = Fixture::new();
    fixture.beat(FIRST, 1);
    fixture.tick_at(4_999);
    assert_eq!(fixture.state(), Some(NodeState::New));
    fixture.tick_at(5_000);
    assert_eq!(fixture.state(), None);
    assert_eq!(fixture.said(), []);
    assert_eq!(fixture.engine.counters().new_nodes_never_confirmed, 1);
}

/// Shows: a node that declares a shorter interval is held to it from then on.
#[test]
fn a_shorter_interval_takes_effect_before_the_old_deadline() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    fixture.beat_of(node_id, FIRST, 2);
    fixture.describe("n", 600_000);
    fixture.run_until(60_000);
    assert_eq!(fixture.said(), [("joined", 0)]);
    fixture.beat_of(node_id, FIRST, 3);
    fixture.describe("n", 200);
    fixture.run_until(62_000);
    assert_eq!(fixture.said(), [("suspected", 60_600), ("failed", 61_000)]);
}

/// Shows: the same if by that interval it is overdue already.
#[test]
fn a_shorter_interval_that_is_already_over_takes_effect_at_once() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    fixture.beat_of(node_id, FIRST, 2);
    fixture.tick_at(2_000);
    fixture.describe("n", 100);
    assert_eq!(fixture.engine.next_deadline(), Some(fixture.now()), "work is due now");
    fixture.tick_at(2_000);
    assert_eq!(fixture.said(), [("joined", 0), ("suspected", 2_000), ("failed", 2_000)]);
}

/// Shows: no node asks for an interval that the operator does not allow.
#[test]
fn an_interval_outside_the_range_is_clamped_and_counted() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    for (asked, held, clamped) in [(1, 100, 1), (600_001, 600_000, 2), (0, 1_000, 2), (5_000, 5_000, 2)] {
        fixture.describe("n", asked);
        assert_eq!(fixture.engine.node(node_id).unwrap().interval_ms, held);
        assert_eq!(fixture.engine.counters().intervals_clamped, clamped);
    }
}

/// Shows: verdicts carry what the node told of itself when they were reached.
#[test]
fn a_descriptor_is_stored_when_it_changes_and_travels_with_verdicts() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.describe("n", 0);
    assert_eq!(fixture.engine.counters().descriptors_refused, 1);
    fixture.beat_of(node_id, FIRST, 1);
    fixture.describe("n", 0);
    fixture.describe("n", 0);
    assert_eq!(fixture.engine.counters().descriptors_stored, 1);
    fixture.describe("n", 2_000);
    assert_eq!(fixture.engine.counters().descriptors_stored, 2);
    fixture.beat_of(node_id, FIRST, 2);
    let facts = fixture.taken().remove(0).facts.unwrap();
    assert_eq!((&*facts.name, &*facts.zone, facts.interval_ms), ("n", "z", 2_000));
}

/// Shows: a change of anything that a node tells of itself is a change, and saying it again is none.
#[test]
fn every_part_of_a_descriptor_counts() {
    let mut fixture = Fixture::new();
    fixture.beat_of(NodeId::from_name("n"), FIRST, 1);
    let plain = NodeDescriptor {
        name: "n",
        zone: "z",
        labels: vec![("rack", "1"), ("tier", "a")],
        services: vec!["db", "web"],
        ..NodeDescriptor::default()
    };
    let changed = [
        NodeDescriptor { zone: "y", ..plain.clone() },
        NodeDescriptor { labels: vec![("rack", "2"), ("tier", "a")], ..plain.clone() },
        NodeDescriptor { labels: vec![("room", "1"), ("tier", "a")], ..plain.clone() },
        NodeDescriptor { labels: vec![("rack", "1")], ..plain.clone() },
        NodeDescriptor { services: vec!["db", "api"], ..plain.clone() },
        NodeDescriptor { services: vec!["db"], ..plain.clone() },
        NodeDescriptor { interval_ms: 2_000, ..plain.clone() },
        NodeDescriptor { profile: "wan", ..plain.clone() },
        NodeDescriptor { probe: "tcp://h:1", ..plain.clone() },
    ];
    let mut stored = 0;
    for descriptor in changed.iter().flat_map(|changed| [&plain, changed]) {
        for _ in 0..2 {
            fixture.engine.on_descriptor(descriptor, fixture.now());
        }
        stored += 1;
        assert_eq!(fixture.engine.counters().descriptors_stored, stored, "{descriptor:?}");
    }
}

/// Shows: last seen, deadline, missed intervals, timeouts and what was learnt go with each verdict.
#[test]
fn evidence_says_what_led_to_the_verdict() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.tick_at(7_205);
    let taken = fixture.taken();
    let expected = Evidence {
        second_opinion: None,
        last_seen: Timestamp::ZERO,
        deadline: Some(Timestamp::from_milliseconds(3_000)),
        interval_ms: 1_000,
        last_sequence: Sequence(2),
        intervals_missed: 7,
        terms: Terms {
            suspect_timeout: Duration::from_secs(3),
            failed_timeout: Duration::from_secs(5),
            ..Terms::default()
        },
    };
    assert_eq!(taken[0].evidence, expected);
    assert_eq!(taken[1].evidence.deadline, Some(Timestamp::from_milliseconds(5_000)));
    assert_eq!(taken[0].incarnation, FIRST);
}

#[test]
fn ticks_beyond_32_bits_are_as_good_as_any() {
    // Goal: nothing happens when the tick counter crosses 2^32, after 497 days of 10 ms.
    let start_ms = (1_u64 << 32) * 10 - 4_000;
    let mut fixture = Fixture::new();
    fixture.engine = Engine::new(&config(16), Timestamp::from_milliseconds(start_ms));
    fixture.now_ms = start_ms;
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    fixture.run_until(start_ms + 100_000);
    let expected = [("joined", 0), ("suspected", 3_000), ("failed", 5_000), ("forgotten", 60_000)];
    assert_eq!(fixture.said(), expected.map(|(kind, after)| (kind, start_ms + after)));
}

/// Shows: silence is judged only as far as the socket was drained.
#[test]
fn silence_is_judged_up_to_the_horizon_even_if_later_heartbeats_are_known() {
    // Method: node 1 has been silent since 0; another node's heartbeat has told the engine a later time already.
    let mut fixture = Fixture::new().with_alive_node();
    fixture.now_ms = 4_000;
    fixture.beat_of(NodeId(2), FIRST, 1);
    let later = fixture.now();
    fixture.now_ms = 2_999;
    fixture.engine.on_tick(fixture.now(), &mut fixture.verdicts);
    assert_eq!(fixture.said(), []);
    fixture.now_ms = 3_000;
    fixture.engine.on_tick(fixture.now(), &mut fixture.verdicts);
    let suspected = fixture.taken().remove(0);
    assert_eq!((suspected.kind, suspected.decided_at), (VerdictKind::Suspected, later));
    assert_eq!(suspected.evidence.intervals_missed, 4);
}

/// Shows: no wheel entry lingers longer than two minutes.
#[test]
fn a_node_that_waits_for_long_is_looked_at_every_two_minutes() {
    // Goal: a wheel entry that became stale goes away within that time.
    let mut fixture = Fixture::new();
    fixture.engine =
        Engine::new(&EngineConfig { forget_after: Duration::from_hours(1), ..config(16) }, Timestamp::ZERO);
    fixture = fixture.with_alive_node();
    fixture.leave(FIRST, 2);
    fixture.said();
    fixture.run_until(2 * 3_600_000);
    assert_eq!(fixture.said(), [("forgotten", 3_600_000)]);
    assert_eq!(fixture.engine.counters().wheel_entries_rearmed, 30);
}

/// Shows: the clock that the caller reads must not go back; steps of the wall clock never come here.
#[test]
#[should_panic(expected = "time does not go back")]
fn a_heartbeat_from_before_the_latest_one_is_refused() {
    let mut fixture = Fixture::new();
    fixture.now_ms = 10;
    fixture.beat(FIRST, 1);
    fixture.now_ms = 9;
    fixture.beat(FIRST, 2);
}

/// Shows: what was judged stays judged.
#[test]
#[should_panic(expected = "horizons do not go back")]
fn a_horizon_from_before_the_latest_one_is_refused() {
    let mut fixture = Fixture::new();
    fixture.tick_at(10);
    fixture.tick_at(9);
}
