//! Full buffers, full tables, and more work than fits into one call.

use super::*;
use crate::detector::Profile;
use crate::limits::WHEEL_ENTRIES_PER_CALL_MAX;

/// A fixture whose verdict buffer holds one, and is full.
fn full() -> Fixture {
    let mut fixture = Fixture::with(config(16), 1);
    fixture.beat_of(NodeId(2), FIRST, 1);
    fixture.beat_of(NodeId(2), FIRST, 2);
    assert_eq!(fixture.verdicts.room(), 0);
    fixture
}

/// Shows: a full buffer loses no join.
#[test]
fn a_join_that_finds_no_room_happens_at_the_next_heartbeat() {
    let mut fixture = full();
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    assert_eq!(fixture.state(), Some(NodeState::New));
    assert_eq!(fixture.engine.counters().verdicts_postponed, 1);
    fixture.taken();
    fixture.beat(FIRST, 3);
    assert_eq!(fixture.said(), [("joined", 0)]);
}

/// Shows: a full buffer loses no recovery.
#[test]
fn a_failed_node_that_beats_without_room_recovers_at_its_next_heartbeat() {
    let mut fixture = Fixture::with(config(16), 1).with_alive_node();
    fixture.tick_at(3_000);
    fixture.taken();
    fixture.tick_at(5_000);
    assert_eq!((fixture.state(), fixture.verdicts.room()), (Some(NodeState::Failed), 0));
    fixture.beat(FIRST, 3);
    fixture.beat(FIRST, 4);
    let node = fixture.engine.node(NodeId(1)).unwrap();
    assert_eq!((node.state, node.last_sequence), (NodeState::Failed, Sequence(3)));
    assert_eq!(node.last_seen, Timestamp::from_milliseconds(5_000));
    fixture.taken();
    fixture.now_ms = 5_001;
    fixture.beat(FIRST, 5);
    assert_eq!(fixture.said(), [("recovered", 5_001)]);
    fixture.run_until(8_010);
    assert_eq!(fixture.said(), [("suspected", 8_010)]);
}

/// Shows: a full buffer makes no restart a recovery.
#[test]
fn a_restart_that_finds_no_room_is_still_a_restart_at_the_next_heartbeat() {
    let mut fixture = full();
    fixture.taken();
    fixture.beat_of(NodeId(3), FIRST, 1);
    fixture.beat_of(NodeId(3), FIRST, 2);
    fixture.beat_of(NodeId(2), SECOND, 1);
    assert_eq!(fixture.engine.node(NodeId(2)).unwrap().incarnation, FIRST);
    fixture.taken();
    fixture.beat_of(NodeId(2), SECOND, 2);
    assert_eq!(fixture.said(), [("restarted", 0)]);
}

/// Shows: a goodbye, which is not repeated, waits for room.
#[test]
fn a_goodbye_that_finds_no_room_is_told_at_the_next_tick() {
    let mut fixture = full();
    fixture.taken();
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    fixture.leave(FIRST, 2);
    assert_eq!(fixture.state(), Some(NodeState::Alive));
    assert_eq!(fixture.engine.next_deadline(), Some(fixture.now()), "work is left");
    fixture.tick_at(100);
    assert_eq!(fixture.state(), Some(NodeState::Alive), "still no room");
    fixture.taken();
    fixture.tick_at(200);
    assert_eq!(fixture.said(), [("left", 200)]);
    assert_eq!(fixture.engine.counters().departures_accepted, 1);
}

/// Shows: a goodbye that was overtaken while it waited is old news.
#[test]
fn a_goodbye_that_waits_is_dropped_when_the_node_is_heard_again() {
    let mut fixture = full();
    fixture.taken();
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    fixture.leave(FIRST, 2);
    fixture.beat(FIRST, 3);
    fixture.taken();
    fixture.tick_at(200);
    assert_eq!((fixture.state(), fixture.said()), (Some(NodeState::Alive), vec![]));
    assert_eq!(fixture.engine.counters().departures_ignored, 1);
}

/// Shows: what waits is bounded, and what is refused is counted.
#[test]
fn goodbyes_beyond_what_can_wait_are_refused_and_counted() {
    let mut fixture = full();
    fixture.beat(FIRST, 1);
    let over = 3;
    for _ in 0..DEPARTURES_POSTPONED_MAX + over {
        let departure = Departure {
            node_id: NodeId(1),
            incarnation: FIRST,
            sequence: Sequence(1),
            reason: DepartureReason::Shutdown,
            expected_return_ms: 0,
        };
        fixture.engine.on_departure(departure, fixture.now(), &mut fixture.verdicts);
    }
    assert_eq!(fixture.engine.counters().departures_refused, over as u64);
}

/// Shows: what is due stays due until there is room.
#[test]
fn expiry_stops_at_a_full_buffer_and_goes_on_later_in_order() {
    let mut fixture = Fixture::with(config(16), 1).with_alive_node();
    fixture.tick_at(70_000);
    assert_eq!(fixture.engine.counters().verdicts_postponed, 1);
    assert_eq!(fixture.said(), [("suspected", 70_000)]);
    assert!(fixture.engine.next_deadline().unwrap() <= fixture.now());
    fixture.tick_at(70_000);
    assert_eq!(fixture.said(), [("failed", 70_000)]);
    fixture.tick_at(70_005);
    assert_eq!(fixture.said(), [("forgotten", 70_005)]);
    assert_eq!(fixture.engine.next_deadline(), None);
}

/// Shows: more nodes than there is room for harm none of those that are known.
#[test]
fn a_full_registry_refuses_unknown_nodes_only() {
    let mut fixture = Fixture::with(config(1), 8).with_alive_node();
    fixture.beat_of(NodeId(2), FIRST, 1);
    fixture.beat(FIRST, 3);
    assert_eq!(fixture.engine.counters().heartbeats_refused_registry_full, 1);
    assert_eq!(fixture.engine.counters().heartbeats_accepted, 3);
    fixture.run_until(70_000);
    fixture.beat_of(NodeId(2), FIRST, 2);
    assert_eq!(fixture.engine.node(NodeId(2)).unwrap().state, NodeState::New, "room was made");
}

/// Shows: a mass expiry is worked off in bounded calls, so live heartbeats are not delayed.
#[test]
fn each_call_looks_at_no_more_entries_than_its_budget() {
    // Method: three budgets of nodes fail together; count what each call does and how many calls it takes.
    let nodes = 3 * u32::try_from(WHEEL_ENTRIES_PER_CALL_MAX).unwrap();
    let mut fixture = Fixture::with(config(nodes), 2 * nodes as usize);
    for sequence in 1..=2 {
        let beat = |id| Heartbeat {
            node_id: NodeId(id),
            incarnation: FIRST,
            sequence: Sequence(sequence),
            ..Heartbeat::default()
        };
        let batch: Vec<_> = (0..u64::from(nodes)).map(beat).collect();
        fixture.engine.on_heartbeats(&batch, Timestamp::ZERO, &mut fixture.verdicts);
    }
    fixture.taken();
    fixture.now_ms = 3_000;
    let mut calls = 0;
    while fixture.engine.next_deadline().is_some_and(|next| next <= fixture.now()) {
        let before = *fixture.engine.counters();
        fixture.engine.on_tick(fixture.now(), &mut fixture.verdicts);
        let after = fixture.engine.counters();
        let looked_at = (after.wheel_entries_fired - before.wheel_entries_fired)
            + (after.wheel_entries_cascaded - before.wheel_entries_cascaded);
        assert!(looked_at <= WHEEL_ENTRIES_PER_CALL_MAX as u64);
        calls += 1;
    }
    fixture.engine.check_invariants();
    assert_eq!(fixture.engine.node_counts().suspect, nodes);
    assert_eq!(calls, 3);
}

/// Shows: a node that changes its mind all the time fills nothing.
#[test]
fn entries_of_one_node_do_not_multiply() {
    // Method: the node is armed for 3000, moved to 1500, and from there armed for 3000 again: both entries come up in
    // one piece. One of them must go.
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    fixture.beat_of(node_id, FIRST, 2);
    fixture.describe("n", 500);
    fixture.now_ms = 1_500;
    fixture.beat_of(node_id, FIRST, 3);
    fixture.tick_at(1_500);
    fixture.now_ms = 2_900;
    fixture.beat_of(node_id, FIRST, 4);
    fixture.tick_at(3_000);
    let counters = *fixture.engine.counters();
    assert_eq!((counters.wheel_entries_fired, counters.wheel_entries_stale), (3, 1));
    for sequence in 5..105 {
        fixture.run_until(u64::from(sequence) * 1_000);
        fixture.beat_of(node_id, FIRST, sequence);
    }
    let counters = fixture.engine.counters();
    assert_eq!(counters.wheel_entries_stale, 1);
    assert!(counters.wheel_entries_fired < 200, "{counters:?}");
}

/// Shows: an entry whose node wants something else is dropped.
#[test]
fn a_stale_entry_that_waits_far_away_is_dropped_when_its_queue_is_sorted() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    fixture.beat_of(node_id, FIRST, 2);
    fixture.describe("n", 20_000);
    fixture.run_until(3_000);
    // Armed for 60 s now, in the far ring. From here on it is looked at every three seconds, and by no other entry.
    fixture.describe("n", 1_000);
    for sequence in 3..103 {
        fixture.beat_of(node_id, FIRST, sequence);
        fixture.run_until(u64::from(sequence) * 1_000);
    }
    let counters = fixture.engine.counters();
    assert_eq!((counters.wheel_entries_cascaded, counters.wheel_entries_stale), (0, 1));
}

/// Shows: stale entries can fill the wheel and lose nobody.
#[test]
fn a_wheel_that_stale_entries_have_filled_is_made_anew_and_nothing_is_lost() {
    // Method: sixteen nodes ask for ever shorter intervals while no time passes, so that each is armed ten thousand
    // times: more entries than there is memory for.
    let mut fixture = Fixture::with(config(16), 64);
    let names: Vec<String> = (0..16).map(|number| format!("node-{number}")).collect();
    let beat_all = |fixture: &mut Fixture, sequence| {
        names.iter().for_each(|name| fixture.beat_of(NodeId::from_name(name), FIRST, sequence));
    };
    beat_all(&mut fixture, 1);
    beat_all(&mut fixture, 2);
    // At first for long, and looked at once, so that they are armed for two minutes.
    names.iter().for_each(|name| fixture.describe(name, 40_000));
    fixture.run_until(3_000);
    beat_all(&mut fixture, 3);
    fixture.taken();
    let memory_bytes = fixture.engine.memory_bytes();
    for name in &names {
        for interval_ms in (100..40_000).rev().step_by(4) {
            let descriptor = NodeDescriptor { name, interval_ms, ..NodeDescriptor::default() };
            fixture.engine.on_descriptor(&descriptor, fixture.now());
        }
    }
    assert!(fixture.engine.counters().wheel_rebuilds > 0);
    assert_eq!(fixture.engine.memory_bytes(), memory_bytes);
    fixture.engine.check_invariants();
    fixture.run_until(50_000);
    let said = fixture.said();
    assert_eq!(said.iter().filter(|said| said.0 == "suspected").count(), 16);
    assert_eq!(said.iter().filter(|said| said.0 == "failed").count(), 16);
    assert!(said.iter().all(|said| said.1 < 4_000), "{said:?}");
}

/// Shows: what a node costs in memory.
#[test]
fn a_million_nodes_take_51_bytes_each_and_25_for_what_is_cold() {
    let engine = Engine::new(&config(1_000_000), Timestamp::ZERO);
    let (hot, cold) = engine.memory_bytes();
    // Hot: 33.5 bytes a slot (record, tag, an eighth of an overflow count), five slots for four nodes, and twice
    // 4.5 bytes of wheel, of which half is touched. Cold: a count, a pointer, a profile and
    // a round trip a slot.
    assert!(hot <= 51_100_000, "{hot}");
    assert!(cold <= 25_100_000, "{cold}");
}

/// Shows: what statistics cost, and that nobody pays who has none.
#[test]
fn what_is_learnt_takes_20_bytes_more_and_only_where_something_is() {
    let profiles = Profiles::only(Profile::phi("mine"));
    let engine = Engine::new(&EngineConfig { profiles, ..config(1_000_000) }, Timestamp::ZERO);
    let (hot, cold) = engine.memory_bytes();
    assert!(hot <= 71_100_000, "{hot}");
    assert!(hot + cold <= 97_000_000, "{hot} + {cold}");
    // Nobody learns here until a node asks for it.
    let mut engine = Engine::new(&config(1_000), Timestamp::ZERO);
    let before = engine.memory_bytes().0;
    let mut verdicts = Verdicts::with_capacity(10);
    let heartbeat = Heartbeat { node_id: NodeId::from_name("n"), ..Heartbeat::default() };
    engine.on_heartbeats(&[heartbeat], Timestamp::ZERO, &mut verdicts);
    let mut descriptor = NodeDescriptor { name: "n", ..NodeDescriptor::default() };
    engine.on_descriptor(&descriptor, Timestamp::ZERO);
    assert_eq!(engine.memory_bytes().0, before);
    descriptor.profile = "wan";
    engine.on_descriptor(&descriptor, Timestamp::ZERO);
    assert!(engine.memory_bytes().0 > before + 16_000);
}
