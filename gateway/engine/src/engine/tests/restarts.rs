//! A gateway that restarts.

use std::sync::Arc;

use super::*;
use crate::detector::{Profile, ProfileIndex};
use crate::snapshot::NodeRecord;
use crate::verdict::NodeFacts;

/// Everything that an engine knows, in pieces of three slots, into a new one that starts at this moment.
fn restarted(old: &Fixture, now_ms: u64) -> Fixture {
    let mut new = Fixture::new();
    new.now_ms = now_ms;
    new.engine = Engine::new(&config(16), new.now());
    let (mut records, mut position) = (Vec::new(), Some(0));
    while let Some(from) = position {
        position = old.engine.snapshot_piece(from, 3, |record| records.push(record));
    }
    for record in records {
        assert!(new.engine.restore(&record, None, 0, Duration::from_millis(500)));
        assert!(!new.engine.restore(&record, None, 0, Duration::ZERO), "known already");
    }
    new.engine.check_invariants();
    new
}

/// Shows: known nodes get their remaining time, the downtime counts for nobody, and who died in it is still reported,
/// smeared.
#[test]
fn downtime_counts_for_nobody_and_who_died_in_it_is_reported() {
    // Method: node 1 beats on after a downtime of a minute, node 2 died in it; node 3 was heard once and told to nobody.
    let mut old = Fixture::new().with_alive_node();
    old.beat_of(NodeId(2), FIRST, 1);
    old.beat_of(NodeId(2), FIRST, 2);
    old.beat_of(NodeId(3), FIRST, 1);
    old.tick_at(2_900);
    let mut new = restarted(&old, 63_000);
    assert_eq!(new.engine.node_counts().known(), 2);
    for sequence in 70..80 {
        new.run_until(63_900 + u64::from(sequence - 70) * 1_000);
        new.beat(FIRST, sequence);
    }
    let taken = new.taken();
    assert!(taken.iter().all(|verdict| verdict.node_id == NodeId(2)), "{taken:?}");
    let told: Vec<_> = taken.iter().map(|verdict| (verdict.kind, verdict.event_sequence)).collect();
    assert_eq!(told, [(VerdictKind::Suspected, 2), (VerdictKind::Failed, 3)]);
    let failed_at = taken[1].decided_at;
    assert!(failed_at <= Timestamp::from_milliseconds(63_000 + 5_000 + 500), "{failed_at:?}");
}

/// Shows: a restart tells nothing anew of nodes that had failed or left.
#[test]
fn failed_and_left_nodes_are_still_so_after_a_restart() {
    let mut old = Fixture::new().with_alive_node();
    old.beat_of(NodeId(2), FIRST, 1);
    old.beat_of(NodeId(2), FIRST, 2);
    old.leave(FIRST, 2);
    old.run_until(6_000);
    let mut new = restarted(&old, 100_000);
    new.run_until(110_000);
    assert_eq!(new.said(), []);
    new.beat_of(NodeId(2), FIRST, 3);
    new.beat_of(NodeId(2), FIRST, 4);
    assert_eq!(new.said(), [("recovered", 110_000)]);
    new.beat(FIRST, 3);
    new.beat(FIRST, 4);
    assert_eq!(new.said(), [("joined", 110_000)]);
}

/// Goal: a restored node is judged as it asked to be from the first moment, carries its name in its verdicts, and has no more
/// silence counted than a third of its own suspect timeout. Method: its profile waits for 12 and 20 intervals, the default
/// for 3 and 5.
#[test]
fn a_restored_node_is_judged_by_its_own_profile() {
    let profiles = vec![Profile::fixed("default", 3.0, 5.0), Profile::fixed("patient", 12.0, 20.0)];
    let profiles = Profiles::new(profiles, ProfileIndex::default(), vec![]);
    let mut new = Fixture::new();
    new.now_ms = 60_000;
    new.engine = Engine::new(&EngineConfig { profiles, ..config(16) }, new.now());
    let facts = NodeFacts { name: "node-1".into(), profile: "patient".into(), ..NodeFacts::default() };
    let record = NodeRecord {
        node_id: NodeId(1),
        silence: Duration::from_secs(100),
        incarnation: FIRST,
        sequence: Sequence(7),
        interval_ms: 1_000,
        event_sequence: 1,
        state: NodeState::Alive,
        is_degraded: false,
        is_stalled: false,
        profile: 0,
    };
    assert!(new.engine.restore(&record, Some(&Arc::new(facts)), 0, Duration::ZERO));
    new.run_until(90_000);
    let taken = new.taken();
    let told: Vec<_> = taken.iter().map(|verdict| (verdict.kind, verdict.decided_at)).collect();
    let at = Timestamp::from_milliseconds;
    assert_eq!(told, [(VerdictKind::Suspected, at(68_000)), (VerdictKind::Failed, at(76_000))]);
    assert!(taken.iter().all(|verdict| *verdict.facts.as_ref().unwrap().name == *"node-1"));
}

/// Shows: a node that had left and was heard once since is a node that has left, for that is what the world was told.
#[test]
fn a_return_that_was_not_confirmed_is_forgotten_by_a_restart() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.leave(FIRST, 2);
    fixture.beat(SECOND, 7);
    assert_eq!(fixture.state(), Some(NodeState::New));
    let mut record = None;
    fixture.engine.snapshot_piece(0, usize::MAX, |known| record = Some(known));
    // It left before the heartbeat, and `Joined` will name that heartbeat.
    assert_eq!(record.map(|record| (record.incarnation, record.sequence)), Some((SECOND, Sequence(6))));
    let fixture = restarted(&fixture, 1_000);
    assert_eq!(fixture.state(), Some(NodeState::Left));
}

/// Shows: an interval that is not allowed any more is not restored.
#[test]
fn a_restored_interval_is_one_that_is_allowed() {
    let old = Fixture::new().with_alive_node();
    let mut record = None;
    old.engine.snapshot_piece(0, usize::MAX, |known| record = Some(known));
    let record = NodeRecord { interval_ms: 3, ..record.unwrap() };
    let mut new = Fixture::new();
    assert!(new.engine.restore(&record, None, 0, Duration::ZERO));
    assert_eq!(new.engine.node(NodeId(1)).unwrap().interval_ms, 100);
}

/// Shows: what was learnt of the node that had a place before is not held for true of the one that is restored to it.
#[test]
fn a_restored_node_takes_over_nothing_from_who_had_its_place() {
    let profiles = Profiles::only(Profile::phi("mine"));
    let mut fixture = Fixture::with(EngineConfig { profiles, ..config(16) }, 64).with_alive_node();
    let mut record = None;
    for sequence in 3..30 {
        fixture.run_until(fixture.now_ms + 1_000);
        let heartbeat = Heartbeat {
            node_id: NodeId(1),
            incarnation: FIRST,
            sequence: Sequence(sequence),
            progress: 7,
            pending: u32::from(sequence > 25),
            ..Heartbeat::default()
        };
        fixture.engine.on_heartbeats(&[heartbeat], fixture.now(), &mut fixture.verdicts);
    }
    fixture.engine.snapshot_piece(0, usize::MAX, |known| record = Some(known));
    fixture.run_until(200_000);
    assert_eq!(fixture.said().last(), Some(&("forgotten", 87_000)));
    // The same id has the same place.
    assert!(fixture.engine.restore(&record.unwrap(), None, 0, Duration::ZERO));
    let heartbeat = Heartbeat {
        node_id: NodeId(1),
        incarnation: FIRST,
        sequence: Sequence(30),
        progress: 7,
        pending: 1,
        ..Heartbeat::default()
    };
    fixture.engine.on_heartbeats(&[heartbeat], fixture.now(), &mut fixture.verdicts);
    assert_eq!(fixture.said(), [], "not stalled since long ago");
    fixture.run_until(250_000);
    assert_eq!(fixture.taken()[0].evidence.terms.mean_us, None);
}

/// Goal: nodes that were silent when the gateway ended are found one after the other, none earlier than its remaining time and
/// none later than its timeout. Method: 200 nodes that had been silent for long, and a smear as long as the silence that counts.
#[test]
fn those_who_died_are_spread_by_the_smear() {
    let mut new = Fixture::with(config(256), 1_024);
    new.now_ms = 60_000;
    new.engine = Engine::new(&config(256), new.now());
    for number in 0..200_u64 {
        let record = NodeRecord {
            node_id: NodeId(number * 5),
            silence: Duration::from_secs(4),
            incarnation: FIRST,
            sequence: Sequence(1),
            interval_ms: 1_000,
            event_sequence: 2,
            state: NodeState::Suspect,
            is_degraded: false,
            is_stalled: false,
            profile: 0,
        };
        assert!(new.engine.restore(&record, None, 0, Duration::from_secs(1)));
    }
    new.run_until(70_000);
    let mut failed_ms: Vec<u64> = new.said().into_iter().map(|(_, at)| at).collect();
    assert_eq!(failed_ms.len(), 200);
    assert!(failed_ms.iter().all(|at| (64_000..=65_010).contains(at)), "{failed_ms:?}");
    failed_ms.dedup();
    assert!(failed_ms.len() > 80, "in {} ticks only", failed_ms.len());
}
