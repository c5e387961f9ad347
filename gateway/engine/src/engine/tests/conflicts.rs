//! Two sources of one node.

use pulsegate_codec::SenderId;

use super::*;
use crate::limits::RIVALS_MAX;
use crate::senders::Senders;

impl Fixture {
    fn beat_by(&mut self, sender: u64, node_id: NodeId, incarnation: Incarnation, sequence: u32) {
        let heartbeat =
            Heartbeat { node_id, incarnation, sequence: Sequence(sequence), ..Heartbeat::default() };
        let mut senders = Senders::default();
        senders.extend_to(1, SenderId(sender));
        self.engine.on_heartbeats_of(&[heartbeat], &senders, self.now(), &mut self.verdicts);
        self.engine.check_invariants();
    }

    /// Both beat once a second, half a second apart, for so long.
    fn both_beat(&mut self, seconds: u32, ours: Incarnation, theirs: Incarnation, lag: u32) {
        for second in 0..seconds {
            self.run_until(self.now_ms + 500);
            self.beat_by(1, NodeId(1), ours, 1_000 + second);
            self.run_until(self.now_ms + 500);
            self.beat_by(2, NodeId(1), theirs, 1_000 + second - lag);
        }
    }
}

fn words(fixture: &mut Fixture) -> Vec<&'static str> {
    fixture.said().into_iter().map(|(word, _)| word).collect()
}

/// Shows: two runs of one node that beat at once are one conflict, with both senders, and nothing else: the node does not go
/// back and forth between them.
#[test]
fn two_runs_at_once_are_one_conflict_and_no_flap() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.both_beat(60, SECOND, FIRST, 0);
    let taken = fixture.taken();
    let kinds: Vec<_> = taken.iter().map(|verdict| verdict.kind).collect();
    let senders = [Some(SenderId(1)), Some(SenderId(2))];
    assert_eq!(kinds, [VerdictKind::Restarted, VerdictKind::Conflict { senders }]);
    assert_eq!((taken[1].incarnation, taken[1].decided_at.as_nanoseconds() / 1_000_000), (SECOND, 11_000));
    assert_eq!(fixture.engine.counters().conflicts, 1);
}

/// Shows: two counts of one run are a conflict if one is too far behind for any network; a lag that a network can have
/// is none, however long it lasts.
#[test]
fn a_count_far_behind_is_a_conflict_and_a_lag_is_none() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.both_beat(60, FIRST, FIRST, 29);
    assert_eq!(words(&mut fixture), [""; 0]);
    let mut fixture = Fixture::new().with_alive_node();
    fixture.both_beat(60, FIRST, FIRST, 40);
    assert_eq!(words(&mut fixture), ["conflict"]);
}

/// Shows: a conflict that lasts is told once an hour; one that ends is not told again.
#[test]
fn a_lasting_conflict_is_told_once_an_hour() {
    let mut fixture = Fixture::new().with_alive_node();
    fixture.both_beat(2 * 3_600 + 60, SECOND, FIRST, 0);
    assert_eq!(words(&mut fixture), ["restarted", "conflict", "conflict", "conflict"]);
}

/// Shows: what comes late of the run before, an echo of one heartbeat, and somebody who speaks in a dead node's name are no
/// conflict: the first ends, the second does not advance, the third is alone.
#[test]
fn late_arrivals_echoes_and_lone_voices_are_no_conflict() {
    let mut late = Fixture::new().with_alive_node();
    late.both_beat(9, SECOND, FIRST, 0);
    assert_eq!(words(&mut late), ["restarted"]);

    let mut echo = Fixture::new().with_alive_node();
    for second in 0..60 {
        echo.run_until(echo.now_ms + 500);
        echo.beat_by(1, NodeId(1), SECOND, 1 + second);
        echo.run_until(echo.now_ms + 500);
        echo.beat_by(2, NodeId(1), FIRST, 2);
    }
    assert_eq!(words(&mut echo), ["restarted"]);

    let mut alone = Fixture::new().with_alive_node();
    alone.beat(SECOND, 1);
    for second in 0..50 {
        alone.run_until(alone.now_ms + 1_000);
        alone.beat_by(2, NodeId(1), FIRST, 3 + second);
    }
    assert_eq!(words(&mut alone), ["restarted", "suspected", "failed"]);
}

/// Shows: the table of the watched is bounded, what finds no room is counted, and those who are over make room.
#[test]
fn the_watched_are_bounded() {
    let max = u32::try_from(RIVALS_MAX).unwrap();
    let mut fixture = Fixture::with(config(max + 1), 3 * RIVALS_MAX);
    let beat_all = |fixture: &mut Fixture, incarnation, sequence| {
        let beat = |id: u32| Heartbeat {
            node_id: NodeId(id.into()),
            incarnation,
            sequence: Sequence(sequence),
            ..Heartbeat::default()
        };
        let all: Vec<_> = (0..=max).map(beat).collect();
        fixture.engine.on_heartbeats(&all, fixture.now(), &mut fixture.verdicts);
    };
    for sequence in 1..3 {
        beat_all(&mut fixture, SECOND, sequence);
    }
    beat_all(&mut fixture, FIRST, 1);
    assert_eq!(fixture.engine.counters().rivals_not_watched, 1);
    fixture.taken();
    fixture.now_ms = 200_000;
    beat_all(&mut fixture, FIRST, 2);
    assert_eq!(fixture.engine.counters().rivals_not_watched, 2);
    fixture.now_ms = 400_000;
    fixture.beat_of(NodeId(u64::from(max)), FIRST, 3);
    assert_eq!(fixture.engine.counters().rivals_not_watched, 2);
}
