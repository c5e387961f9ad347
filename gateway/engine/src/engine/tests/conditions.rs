//! What nodes say of their own condition.

use pulsegate_codec::NodeStatus;

use super::*;

impl Fixture {
    /// A heartbeat of node 1 with a status.
    fn beat_with(&mut self, incarnation: Incarnation, sequence: u32, status: NodeStatus) {
        let sequence = Sequence(sequence);
        let node_id = NodeId(1);
        let heartbeat = Heartbeat { node_id, incarnation, sequence, status, ..Heartbeat::default() };
        self.engine.on_heartbeats(&[heartbeat], self.now(), &mut self.verdicts);
        self.engine.check_invariants();
    }
}

/// Shows: a change of status is told once, and only of a node that counts.
#[test]
fn a_node_that_says_it_is_degraded_is_told_once_until_it_is_well() {
    let mut fixture = Fixture::new();
    for (sequence, status) in (1..).zip(
        [1, 1, 1, 0, 0, 1].map(|degraded| if degraded == 1 { NodeStatus::Degraded } else { NodeStatus::Ok }),
    ) {
        fixture.beat_with(FIRST, sequence, status);
    }
    let expected = [("joined", 0), ("degraded", 0), ("healthy", 0), ("degraded", 0)];
    assert_eq!(fixture.said(), expected);
    assert!(fixture.engine.node(NodeId(1)).unwrap().is_degraded);
}

/// Shows: a restart and a return begin healthy without a word, and that a late heartbeat says nothing.
#[test]
fn a_restart_or_a_return_begins_healthy() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.beat_with(FIRST, 3, NodeStatus::Degraded);
    fixture.beat_with(FIRST, 2, NodeStatus::Ok);
    fixture.beat_with(SECOND, 1, NodeStatus::Ok);
    fixture.beat_with(SECOND, 2, NodeStatus::Degraded);
    fixture.leave(SECOND, 2);
    (3..6).for_each(|sequence| fixture.beat_with(SECOND, sequence, NodeStatus::Ok));
    let said: Vec<_> = fixture.said().into_iter().map(|(word, _)| word).collect();
    assert_eq!(said, ["degraded", "restarted", "degraded", "left", "joined"]);
}

/// Shows: a full buffer only puts off what a status has to tell.
#[test]
fn a_status_that_finds_no_room_is_told_with_the_next_heartbeat() {
    let mut fixture = Fixture::with(config(16), 1);
    fixture.beat_with(FIRST, 1, NodeStatus::Degraded);
    fixture.beat_with(FIRST, 2, NodeStatus::Degraded);
    assert_eq!(fixture.engine.counters().verdicts_postponed, 1);
    assert_eq!(fixture.said(), [("joined", 0)]);
    fixture.beat_with(FIRST, 3, NodeStatus::Degraded);
    assert_eq!(fixture.said(), [("degraded", 0)]);
}

/// Shows: the world's knowledge survives a restart of the gateway: it is not told twice.
#[test]
fn a_degraded_node_is_still_known_as_such_after_a_restart_of_the_gateway() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.beat_with(FIRST, 3, NodeStatus::Degraded);
    let mut records = Vec::new();
    assert_eq!(fixture.engine.snapshot_piece(0, usize::MAX, |record| records.push(record)), None);
    let mut fixture = Fixture::new();
    assert!(fixture.engine.restore(&records[0], None, 0, Duration::ZERO));
    fixture.beat_with(FIRST, 4, NodeStatus::Degraded);
    assert_eq!(fixture.said(), []);
    fixture.beat_with(FIRST, 5, NodeStatus::Ok);
    assert_eq!(fixture.said(), [("healthy", 0)]);
}

impl Fixture {
    /// Beats of node 1 once a second, with this progress and this much pending.
    fn work(&mut self, seconds: u64, progress: u64, pending: u32) {
        for _ in 0..seconds {
            self.run_until(self.now_ms + 1_000);
            self.work_now(progress, pending);
        }
    }

    /// One beat of node 1 at this moment.
    fn work_now(&mut self, progress: u64, pending: u32) {
        let sequence = self.engine.node(NodeId(1)).unwrap().last_sequence;
        let heartbeat = Heartbeat {
            node_id: NodeId(1),
            incarnation: FIRST,
            sequence: Sequence(sequence.0 + 1),
            progress,
            pending,
            ..Heartbeat::default()
        };
        self.engine.on_heartbeats(&[heartbeat], self.now(), &mut self.verdicts);
    }
}

/// Shows: a worker that is stuck while its heartbeats go on is stalled in its time, once, and moves on once.
#[test]
fn a_zombie_is_stalled_and_moves_on_again() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.work(1, 7, 3);
    fixture.work(9, 7, 3);
    assert_eq!(fixture.said(), []);
    fixture.work(5, 7, 3);
    assert_eq!(fixture.said(), [("stalled", 11_000)]);
    assert!(fixture.engine.node(NodeId(1)).unwrap().is_stalled);
    fixture.work(3, 8, 3);
    assert_eq!(fixture.said(), [("progressing", 16_000)]);
    fixture.work(11, 8, 1);
    assert_eq!(fixture.said(), [("stalled", 26_000)]);
    fixture.work(1, 8, 0);
    assert_eq!(fixture.said(), [("progressing", 30_000)]);
}

/// Shows: a full buffer only puts off what there is to tell of a node's progress, and that is counted.
#[test]
fn a_stall_that_finds_no_room_is_told_with_the_next_heartbeat() {
    let mut fixture = Fixture::with(config(16), 1);
    fixture.beat(FIRST, 1);
    fixture.beat(FIRST, 2);
    assert_eq!(fixture.said(), [("joined", 0)]);
    fixture.work(10, 7, 3);
    (1..=2).for_each(|sequence| fixture.beat_of(NodeId(2), FIRST, sequence));
    // Without a tick: with a full buffer it would find no room either.
    fixture.now_ms += 1_000;
    fixture.work_now(7, 3);
    assert_eq!(fixture.engine.counters().verdicts_postponed, 1);
    assert_eq!(fixture.said(), [("joined", 10_000)]);
    fixture.work(1, 7, 3);
    assert_eq!(fixture.said(), [("stalled", 12_000)]);
}

/// Shows: a node with nothing to do is never stalled, nor one that declares no progress.
#[test]
fn an_idle_node_is_never_stalled() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.work(100, 0, 3);
    fixture.work(100, 7, 0);
    fixture.work(9, 7, 3);
    fixture.work(1, 7, 0);
    fixture.work(9, 7, 3);
    assert_eq!(fixture.said(), []);
}

/// Shows: a restart begins anew, and a time in which the gateway did not listen or the node did not beat does not count.
#[test]
fn a_restart_a_pause_and_a_silence_begin_anew() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.work(9, 7, 3);
    fixture.engine.on_pause(Duration::from_secs(1), fixture.now());
    fixture.work(9, 7, 3);
    fixture.run_until(fixture.now_ms + 3_000);
    fixture.work(9, 7, 3);
    let words: Vec<_> = fixture.said().into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["suspected", "recovered"]);
    fixture.work(5, 7, 3);
    assert_eq!(fixture.said().len(), 1, "stalled");
    fixture.beat(SECOND, 1);
    assert!(!fixture.engine.node(NodeId(1)).unwrap().is_stalled);
    assert_eq!(fixture.said().len(), 1, "restarted says it");
}

/// Shows: a fleet of which nobody declares progress takes no memory for it, whatever happens to it.
#[test]
fn who_declares_no_progress_pays_nothing_for_it() {
    let mut fixture = Fixture::new().with_alive_node();
    let before = fixture.engine.memory_bytes();
    fixture.run_until(fixture.now_ms + 3_000);
    fixture.beat(FIRST, 3);
    fixture.beat(FIRST, 4);
    let words: Vec<_> = fixture.said().into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["suspected", "recovered"]);
    assert_eq!(fixture.engine.memory_bytes(), before);
    fixture.work(1, 7, 3);
    assert!(fixture.engine.memory_bytes().0 > before.0);
}
