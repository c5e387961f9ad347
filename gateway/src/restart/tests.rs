//! What the logs and a snapshot make of a node together.

mod states;

use pulsegate_codec::Incarnation;
use pulsegate_codec::event::{Event, EventId, EventType};

use super::snapshot::Header;
use super::*;

const NAME: &str = "node-1";
const SHAPE: Shape = Shape { shards: 3, nodes_max: 10 };

fn event(event_type: EventType, state: &str, incarnation: u32) -> Event {
    let id = EventId { gateway: "gw".to_owned(), epoch: 1, gateway_sequence: 5 };
    let mut event = Event::new(event_type, id, 1_000);
    event.node = NAME.to_owned();
    event.zone = "zone-1".to_owned();
    event.labels = [("rack".to_owned(), "r1".to_owned())].into();
    event.node_id = Some(NodeId::from_name(NAME));
    event.state = Some(state.to_owned().into());
    event.incarnation = Some(incarnation);
    event.event_sequence = Some(4);
    event.last_sequence = Some(20);
    event.silence_us = Some(5_000_000);
    event.interval_ms = Some(1_000);
    event.profile = "default".to_owned();
    event
}

fn record(state: NodeState, incarnation: u32) -> NodeRecord {
    NodeRecord {
        node_id: NodeId::from_name(NAME),
        silence: Duration::from_millis(700),
        incarnation: Incarnation(incarnation),
        sequence: Sequence(30),
        interval_ms: 2_000,
        event_sequence: 9,
        state,
        is_degraded: true,
        is_stalled: false,
        profile: 1,
    }
}

fn snapshot(records: Vec<NodeRecord>) -> Snapshot {
    let header = Header {
        epoch: 1,
        taken_at_unix_us: 2_000,
        shards: 1,
        records: records.len() as u64,
        event_offsets: vec![],
        profiles: vec!["default".to_owned(), "wan".to_owned()],
    };
    Snapshot { header, records, damaged: 0, torn: 0 }
}

fn told(event: Event, is_after_snapshot: bool) -> ToldNodes {
    let mut told = ToldNodes::default();
    told.note(event, is_after_snapshot);
    told
}

/// The one node that comes of these.
fn merged(told: ToldNodes, record: Option<NodeRecord>) -> RestoredNode {
    let recovered = merge(told, record.map(|record| snapshot(vec![record])), SHAPE);
    assert_eq!((recovered.summary.nodes, recovered.shards.len()), (1, 3));
    let shard = NodeId::from_name(NAME).lane().shard(3);
    recovered.shards[shard][0].clone()
}

/// Goal: the log says who a node is and where it stands, the snapshot how long it has been silent, what it has sent, and how
/// it is judged.
#[test]
fn a_node_has_its_name_from_the_log_and_its_time_from_the_snapshot() {
    let node = merged(told(event(EventType::Joined, "alive", 7), false), Some(record(NodeState::Alive, 7)));
    let facts = node.facts.unwrap();
    assert_eq!(
        (&*facts.name, &*facts.zone, &*facts.labels[0].1, &*facts.profile),
        (NAME, "zone-1", "r1", "wan")
    );
    let NodeRecord { silence, sequence, interval_ms, event_sequence, state, .. } = node.record;
    assert_eq!((silence, sequence, interval_ms), (Duration::from_millis(700), Sequence(30), 2_000));
    assert_eq!((event_sequence, state, node.has_left), (4, NodeState::Alive, false));
    assert!(!node.record.is_degraded, "it joined after that was so");
}

/// Goal: what was decided and not told is decided again: a failure that was held, a restart, a recovery.
#[test]
fn a_node_stands_where_the_world_was_told() {
    let held =
        merged(told(event(EventType::Suspected, "suspect", 7), false), Some(record(NodeState::Failed, 7)));
    assert_eq!((held.record.state, held.record.is_degraded), (NodeState::Suspect, true));
    assert_eq!(held.record.silence, Duration::from_secs(5), "at least as long as was told");
    let restarted =
        merged(told(event(EventType::Joined, "alive", 7), false), Some(record(NodeState::Alive, 8)));
    assert_eq!((restarted.record.incarnation, restarted.record.sequence), (Incarnation(7), Sequence(20)));
    assert_eq!(restarted.record.silence, Duration::ZERO, "that of another run");
    let recovered =
        merged(told(event(EventType::Failed, "failed", 7), false), Some(record(NodeState::Alive, 7)));
    assert_eq!(recovered.record.state, NodeState::Failed);
}

/// Goal: what was told after the snapshot was taken counts against it.
#[test]
fn the_log_is_younger_than_the_snapshot() {
    let back =
        merged(told(event(EventType::Recovered, "alive", 7), true), Some(record(NodeState::Failed, 7)));
    assert_eq!((back.record.state, back.record.silence), (NodeState::Alive, Duration::ZERO));
    let gone = merged(told(event(EventType::Left, "left", 7), true), Some(record(NodeState::Alive, 7)));
    assert_eq!((gone.record.state, gone.has_left), (NodeState::Left, false));
    let joined = merged(told(event(EventType::Joined, "alive", 7), true), None);
    assert_eq!((joined.record.state, joined.record.sequence), (NodeState::Alive, Sequence(20)));
    assert_eq!(joined.record.interval_ms, 1_000);
}

/// Goal: a goodbye that was taken and not told is taken again.
#[test]
fn a_goodbye_that_nobody_was_told_of_is_kept() {
    let node = merged(told(event(EventType::Joined, "alive", 7), false), Some(record(NodeState::Left, 7)));
    assert_eq!((node.record.state, node.has_left), (NodeState::Alive, true));
}

/// Goal: a node that said goodbye and is back has not left, though the snapshot saw it gone: in a new run, in the same one, and
/// where the snapshot saw it between its first and second heartbeat. Method: the record is of the goodbye at sequence 30 of
/// run 7, or of one before the heartbeat 31; `joined` names the heartbeat before it.
#[test]
fn a_node_that_is_back_from_its_goodbye_has_not_left() {
    let joined = |incarnation, last_sequence| {
        let mut event = event(EventType::Joined, "alive", incarnation);
        event.last_sequence = Some(last_sequence);
        told(event, true)
    };
    for back in [joined(8, 1), joined(7, 31)] {
        let node = merged(back, Some(record(NodeState::Left, 7)));
        assert_eq!((node.record.state, node.has_left), (NodeState::Alive, false));
    }
    // It came, beat on and left, and the snapshot is younger than that, though `joined` was published after it was begun.
    for before in [joined(6, 40), joined(7, 29)] {
        assert!(merged(before, Some(record(NodeState::Left, 7))).has_left);
    }
}

/// Goal: of a node that does not count its heartbeats, or was told of without, the order of log and snapshot decides whether a
/// goodbye is the later; where that is not known the node is not said to have left.
#[test]
fn without_sequences_a_goodbye_counts_if_the_snapshot_is_the_younger() {
    for (is_after_snapshot, has_left) in [(false, true), (true, false)] {
        let mut uncounted = event(EventType::Joined, "alive", 7);
        uncounted.last_sequence = None;
        let node = merged(told(uncounted, is_after_snapshot), Some(record(NodeState::Left, 7)));
        assert_eq!(node.has_left, has_left);
    }
}

/// Goal: nodes that nobody was told of join anew; nodes for which there is no room are counted.
#[test]
fn who_is_not_taken_over_is_counted() {
    let recovered = merge(ToldNodes::default(), Some(snapshot(vec![record(NodeState::Alive, 7)])), SHAPE);
    assert_eq!((recovered.summary.nodes, recovered.summary.untold), (0, 1));
    assert_eq!(recovered.summary.latest_unix_us, 2_000);
    let nobody = Shape { nodes_max: 0, ..SHAPE };
    let recovered = merge(told(event(EventType::Joined, "alive", 7), false), None, nobody);
    assert_eq!((recovered.summary.nodes, recovered.summary.refused), (0, 1));
}
