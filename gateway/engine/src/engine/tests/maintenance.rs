//! Planned absences and operators.

use super::*;
use crate::engine::Ordered;
use crate::limits::MAINTENANCE_ORDERS_WAITING_MAX;

impl Fixture {
    fn leave_for_maintenance(&mut self) {
        let departure = Departure {
            node_id: NodeId(1),
            incarnation: FIRST,
            sequence: Sequence(2),
            reason: DepartureReason::Maintenance,
            expected_return_ms: 9_000,
        };
        self.engine.on_departure(departure, self.now(), &mut self.verdicts);
        self.engine.check_invariants();
    }

    fn maintain(&mut self, until_ms: u64) {
        let until = Timestamp::from_milliseconds(until_ms);
        let ordered = self.engine.set_maintenance(NodeId(1), until, self.now(), &mut self.verdicts);
        assert_eq!(ordered, Ordered::InForce);
        self.engine.check_invariants();
    }
}

/// Shows: while an operator says so, silence has no verdict; afterwards the node has its timeouts, and is judged again.
#[test]
fn a_node_in_maintenance_is_not_judged_until_it_is_over() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.maintain(60_000);
    fixture.run_until(100_000);
    let expected = [
        ("maintenance_started", 0),
        ("maintenance_ended", 60_000),
        ("suspected", 63_000),
        ("failed", 65_000),
    ];
    assert_eq!(fixture.said(), expected);
}

/// Shows: an operator outranks heartbeats: a failed node does not come back before the operator lets it.
#[test]
fn heartbeats_bring_no_node_back_that_an_operator_holds() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.run_until(10_000);
    fixture.maintain(60_000);
    fixture.taken();
    for sequence in 3..20 {
        fixture.run_until(10_000 + u64::from(sequence) * 1_000);
        fixture.beat(FIRST, sequence);
    }
    assert_eq!((fixture.said(), fixture.state()), (Vec::new(), Some(NodeState::Failed)));
    assert!(fixture.engine.clear_maintenance(NodeId(1), fixture.now(), &mut fixture.verdicts));
    fixture.engine.check_invariants();
    fixture.beat(FIRST, 20);
    fixture.beat(FIRST, 21);
    let words: Vec<_> = fixture.said().into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["maintenance_ended", "recovered"]);
}

/// Shows: a goodbye with an expected return is a planned absence: it ends when the node is back, and the node does not flap.
#[test]
fn a_planned_absence_ends_with_the_return() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave_for_maintenance();
    fixture.run_until(8_000);
    fixture.beat(SECOND, 1);
    fixture.beat(SECOND, 2);
    let expected = [("left", 0), ("maintenance_started", 0), ("joined", 8_000), ("maintenance_ended", 8_000)];
    assert_eq!(fixture.said(), expected);
}

/// Shows: a planned absence whose end finds no room ends a moment later, not when its time does, so the node is judged.
#[test]
fn a_return_that_finds_room_for_one_verdict_ends_the_absence_all_the_same() {
    let mut fixture = Fixture::with(config(16), 2).with_alive_node();
    fixture.leave_for_maintenance();
    assert_eq!(fixture.said(), [("left", 0), ("maintenance_started", 0)]);
    fixture.run_until(1_000);
    let other = NodeId(2);
    fixture.beat_of(other, FIRST, 1);
    fixture.beat_of(other, FIRST, 2);
    fixture.beat(SECOND, 1);
    fixture.beat(SECOND, 2);
    assert_eq!(fixture.said(), [("joined", 1_000), ("joined", 1_000)]);
    fixture.run_until(1_010);
    assert_eq!(fixture.said(), [("maintenance_ended", 1_000)]);
}

/// Shows: an absence that lasts longer than was said ends after a grace of the failed timeout, and is forgotten like any other.
#[test]
fn a_planned_absence_that_lasts_too_long_is_told() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave_for_maintenance();
    fixture.run_until(200_000);
    let expected =
        [("left", 0), ("maintenance_started", 0), ("maintenance_ended", 14_000), ("forgotten", 60_000)];
    assert_eq!(fixture.said(), expected);
}

/// Shows: an order for a node that nobody has heard of waits for it, and holds from its joining on.
#[test]
fn an_order_waits_for_its_node() {
    let mut fixture = Fixture::new();
    let until = Timestamp::from_milliseconds(60_000);
    let ordered = fixture.engine.set_maintenance(NodeId(1), until, fixture.now(), &mut fixture.verdicts);
    assert_eq!(ordered, Ordered::Waiting);
    fixture.now_ms = 1_000;
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    fixture.run_until(62_000);
    let expected = [("joined", 1_000), ("maintenance_started", 1_000), ("maintenance_ended", 60_000)];
    assert_eq!(fixture.said(), expected);
}

/// Shows: an order that finds no room for its verdict is carried out when there is some, and so is its end.
#[test]
fn an_order_waits_for_room() {
    let mut fixture = Fixture::with(config(16), 1);
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    let until = Timestamp::from_milliseconds(60_000);
    let ordered = fixture.engine.set_maintenance(NodeId(1), until, fixture.now(), &mut fixture.verdicts);
    assert_eq!(ordered, Ordered::Waiting);
    fixture.taken();
    fixture.run_until(10);
    assert_eq!(fixture.said(), [("maintenance_started", 0)]);
    fixture.run_until(10_000);
    fixture.leave(FIRST, 3);
    assert!(fixture.engine.clear_maintenance(NodeId(1), fixture.now(), &mut fixture.verdicts));
    assert_eq!(fixture.said(), [("left", 10_000)]);
    fixture.run_until(10_010);
    assert_eq!(fixture.said(), [("maintenance_ended", 10_000)]);
    assert!(!fixture.engine.clear_maintenance(NodeId(1), fixture.now(), &mut fixture.verdicts));
}

/// Shows: orders for nodes that never come are bounded, and those that are over make room.
#[test]
fn orders_that_wait_are_bounded() {
    let mut fixture = Fixture::new();
    let mut order = |id: u64, until_ms, now_ms| {
        let (until, now) = (Timestamp::from_milliseconds(until_ms), Timestamp::from_milliseconds(now_ms));
        fixture.engine.set_maintenance(NodeId(id), until, now, &mut fixture.verdicts)
    };
    let max = MAINTENANCE_ORDERS_WAITING_MAX as u64;
    assert!((0..max).all(|id| order(id, 1_000, 0) == Ordered::Waiting));
    assert_eq!((order(max, 9_000, 0), order(0, 2_000, 0)), (Ordered::Refused, Ordered::Waiting));
    assert_eq!(order(max, 9_000, 1_000), Ordered::Waiting);
}
