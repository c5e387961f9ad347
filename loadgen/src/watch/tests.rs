//! Events are sorted into those about the fleet, about strangers, and about the gateway.

use pulsegate_codec::event::EventId;

use super::*;
use crate::fleet::FleetOptions;

fn fleet() -> Fleet {
    Fleet::new(FleetOptions { nodes: 10, ..FleetOptions::default() })
}

fn event(event_type: EventType, node: &str, decided_at_unix_us: u64) -> Event {
    let id = EventId { gateway: "gw".to_owned(), epoch: 1, gateway_sequence: 1 };
    let mut event = Event::new(event_type, id, decided_at_unix_us);
    event.node = node.to_owned();
    event
}

#[test]
fn an_event_about_a_node_of_the_fleet_is_kept_small() {
    let (clock, directory, mut watched) = (Clock::start(), Directory::new(&fleet()), Watched::default());
    let decided_at = Moment::from_milliseconds(1_500);
    let mut failed = event(EventType::Failed, "node-000007", clock.unix_us(decided_at));
    failed.incarnation = Some(3);
    failed.event_sequence = Some(2);
    failed.lateness_us = Some(4_000);
    watched.note(&failed, &directory, &clock);
    let expected = ObservedEvent {
        decided_at,
        node: NodeIndex(7),
        incarnation: 3,
        event_sequence: 2,
        lateness_us: 4_000,
        kind: EventKind::Failed,
    };
    assert_eq!(watched.events, [expected]);
}

#[test]
fn a_node_that_never_described_itself_is_found_by_its_id() {
    let (clock, directory, mut watched) = (Clock::start(), Directory::new(&fleet()), Watched::default());
    let node_id = NodeId::from_name("node-000004");
    let mut joined = event(EventType::Joined, &node_id.to_string(), clock.unix_us(Moment::ZERO));
    joined.node_id = Some(node_id);
    watched.note(&joined, &directory, &clock);
    assert_eq!(watched.events[0].node, NodeIndex(4));
}

#[test]
fn events_that_are_not_about_the_fleet_are_set_aside_and_counted() {
    let (clock, directory, mut watched) = (Clock::start(), Directory::new(&fleet()), Watched::default());
    let now = clock.unix_us(Moment::ZERO);
    watched.note(&event(EventType::Joined, "stranger", now), &directory, &clock);
    watched.note(&event(EventType::Restarted, "node-000010", now), &directory, &clock);
    assert_eq!((watched.invented_nodes, watched.other_events), (2, 0));
    watched.note(&event(EventType::Failed, "stranger", now), &directory, &clock);
    watched.note(&event(EventType::Joined, "node-000001", now - 1), &directory, &clock);
    watched.note(&event(EventType::Other("promoted".into()), "node-000001", now), &directory, &clock);
    assert_eq!((watched.invented_nodes, watched.other_events, watched.gateway_starts), (2, 3, 0));
    let mut started = event(EventType::GatewayStarted, "", now + 5_000_000);
    watched.note(&started, &directory, &clock);
    started.pause_us = Some(2_000_000);
    watched.note(&started, &directory, &clock);
    let [from, until] = [3_000, 5_000].map(Moment::from_milliseconds);
    assert_eq!(
        (watched.gateway_starts, watched.events.len(), watched.outages),
        (2, 0, vec![Outage { from, until }])
    );
}
