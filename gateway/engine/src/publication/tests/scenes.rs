//! One scene each, with a line that says what it shows.

use super::*;

const LEFT: VerdictKind = VerdictKind::Left { reason: DepartureReason::ScaleDown, expected_return_ms: 0 };

/// Nodes in racks of 40, racks dealt out to the zones, nodes dealt out to the shards.
fn fleet(nodes: u64, zones: u64, shards: usize) -> (Scene, Vec<NodeId>) {
    let mut scene = Scene::new(PublicationConfig::default(), shards);
    let ids = (0..nodes)
        .map(|number| {
            let rack = number / 40;
            let shard = usize::try_from(number).unwrap() % shards;
            scene.join(number, shard, &format!("zone-{}", rack % zones), &format!("rack-{rack}"))
        })
        .collect();
    (scene, ids)
}

/// Shows: a dead rack is one incident that names the rack, its forty nodes carry the cause, and nobody waits.
#[test]
fn rack_of_40_of_10_000() {
    let (mut scene, ids) = fleet(10_000, 3, 2);
    scene.kill(&ids[400..440]);
    let failed = scene.of_kind(VerdictKind::Failed);
    assert_eq!(failed.len(), 40);
    scene.pass(Duration::from_secs(30));
    let groups = scene.groups();
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!((&*groups[0].dimension, &*groups[0].value), ("rack", "rack-10"));
    assert_eq!((groups[0].failed, groups[0].members), (40, 40));
    for (_, event) in failed {
        assert_eq!((event.cause, event.held), (Some(groups[0].cause), Duration::ZERO));
    }
    assert_eq!(scene.guards(), []);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: 60 % of a zone is held, let out at the bound and not before, all of it, at the rate, under one cause.
#[test]
fn zone_of_which_60_percent_die_is_held_and_then_reported_in_full() {
    let (mut scene, ids) = fleet(12_000, 3, 2);
    let zone: Vec<_> = ids.iter().copied().filter(|id| id.0 / 40 % 3 == 1).collect();
    let dead: Vec<_> = zone.iter().copied().filter(|id| id.0 % 5 < 3).collect();
    assert_eq!((zone.len(), dead.len()), (4_000, 2_400));
    scene.kill(&dead);
    let held_at = scene.now;
    assert_eq!(scene.of_kind(VerdictKind::Failed), []);
    assert_eq!(scene.of_kind(VerdictKind::Suspected).len(), 2_400, "a suspicion asks nobody to act");
    assert_eq!(scene.publication.waiting().held, 2_400);
    scene.pass(Duration::from_millis(59_999));
    assert_eq!((scene.of_kind(VerdictKind::Failed).len(), scene.groups().len()), (0, 0));
    scene.check_accounts();
    scene.pass(Duration::from_secs(10));
    let failed = scene.of_kind(VerdictKind::Failed);
    assert_eq!(failed.len(), 2_400);
    let last = failed.last().unwrap().0;
    assert!(last.since(held_at) <= Duration::from_millis(62_400), "a thousand a second: {last:?}");
    assert!(last.since(held_at) >= Duration::from_millis(62_300), "and no more: {last:?}");
    assert!(failed.iter().all(|(_, event)| event.held >= Duration::from_secs(60)));
    assert!(failed.is_sorted_by_key(|(_, event)| event.verdict.node_id), "oldest first");
    let [group] = &scene.groups()[..] else { panic!("{:?}", scene.groups()) };
    assert_eq!((&*group.dimension, &*group.value, group.failed), ("zone", "zone-1", 2_400));
    assert!(failed.iter().all(|(_, event)| event.cause == Some(group.cause)));
    let [held, released] = &scene.guards()[..] else { panic!("{:?}", scene.guards()) };
    assert_eq!((&held.scope, held.silent), (&GuardScope::Zone("zone-1".into()), 2_400));
    assert!(matches!(
        released.change,
        GuardChange::Released { reason: ReleaseReason::Expired, released: 2_400, cancelled: 0, .. }
    ));
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: after a hold the zone begins anew with those that are left, so the guard cannot hold for ever.
#[test]
fn guard_never_sticks() {
    let (mut scene, ids) = fleet(1_200, 3, 1);
    let zone: Vec<_> = ids.iter().copied().filter(|id| id.0 / 40 % 3 == 1).collect();
    scene.kill(&zone[..240]);
    scene.pass(Duration::from_secs(120));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 240);
    assert_eq!(scene.publication.waiting(), Waiting { nodes: 1_200, ..Waiting::default() });
    // Three more: of 160 that are left, no disruption.
    scene.kill(&zone[240..243]);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 243, "not held");
    // The same again, of those: held anew, and let go anew.
    scene.kill(&zone[243..350]);
    assert_eq!(scene.publication.waiting().held, 107);
    scene.pass(Duration::from_secs(61));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 350);
    scene.check_belief();
}

/// Shows: who comes back while held was never reported failed; the rest is let out when the zone is calm.
#[test]
fn recovery_during_a_hold_cancels_and_calm_lets_go() {
    let (mut scene, ids) = fleet(1_200, 3, 1);
    let zone: Vec<_> = ids.iter().copied().filter(|id| id.0 / 40 % 3 == 1).collect();
    scene.kill(&zone[..240]);
    scene.pass(Duration::from_secs(5));
    for id in &zone[..80] {
        scene.say(*id, VerdictKind::Recovered);
    }
    scene.pass(Duration::from_secs(5));
    let failed = scene.of_kind(VerdictKind::Failed);
    let recovered = scene.of_kind(VerdictKind::Recovered);
    assert_eq!((recovered.len(), failed.len()), (80, 160));
    assert!(recovered.iter().all(|(_, event)| event.verdict.previous == NodeState::Suspect));
    let counters = scene.publication.counters();
    assert_eq!(counters.cancelled, 80, "65 while held, the others before their turn came");
    assert!(matches!(
        scene.guards()[1].change,
        GuardChange::Released { reason: ReleaseReason::Calm, cancelled: 65, .. }
    ));
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: when everything dies at once, the gateway says that it doubts itself, once, holds, and lets go in the end.
#[test]
fn everything_at_once_is_doubted() {
    let (mut scene, ids) = fleet(1_200, 3, 2);
    scene.kill(&ids);
    assert_eq!(scene.of_kind(VerdictKind::Failed), []);
    scene.pass(Duration::from_secs(62));
    let scopes: Vec<_> = scene.guards().into_iter().map(|event| event.scope).collect();
    assert_eq!(scopes, [GuardScope::Gateway, GuardScope::Gateway]);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 1_200);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: failures that sit on one shard and on no other, in all zones, are that shard's, not the nodes'.
#[test]
fn own_shard_is_the_sick_one() {
    let (mut scene, ids) = fleet(2_400, 3, 4);
    let dead: Vec<_> = ids.iter().copied().filter(|id| id.0 % 8 == 1).collect();
    scene.kill(&dead);
    assert_eq!(scene.of_kind(VerdictKind::Failed), []);
    assert_eq!(scene.guards()[0].scope, GuardScope::Shard(1));
    assert_eq!((scene.guards()[0].silent, scene.guards()[0].members), (300, 600));
    for id in &dead {
        scene.say(*id, VerdictKind::Recovered);
    }
    scene.pass(Duration::from_secs(10));
    assert!(scene.of_kind(VerdictKind::Failed).len() < 200, "most came to nothing");
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: goodbyes shrink the zone instead of disrupting it, and an operator can say so of nodes that never said goodbye.
#[test]
fn scale_down_rebaselines() {
    let (mut scene, ids) = fleet(1_200, 3, 1);
    let zone: Vec<_> = ids.iter().copied().filter(|id| id.0 / 40 % 3 == 1).collect();
    for id in &zone[..300] {
        scene.say(*id, LEFT);
    }
    scene.kill(&zone[300..340]);
    assert_eq!((scene.of_kind(VerdictKind::Failed).len(), scene.guards().len()), (40, 0), "40 of 100");
    scene.kill(&zone[340..370]);
    assert_eq!(scene.publication.waiting().held, 30, "70 of 100");
    assert_eq!(scene.publication.release(Some("zone-1"), scene.now), Some(30));
    assert_eq!(scene.publication.release(Some("elsewhere"), scene.now), None);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 70);
    scene.kill(&zone[370..373]);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 73, "3 of the 30 that are left");
    scene.check_belief();
}

/// Shows: three nodes are too few for a share of them to mean anything, two always pass.
#[test]
fn few_nodes_are_never_a_disruption() {
    let (mut scene, ids) = fleet(2, 1, 1);
    scene.kill(&ids);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 2);
    assert_eq!(scene.guards(), []);
}

/// Shows: a node that fails over and over is told as flapping once, is quiet then, and in the end is told where it is.
#[test]
fn flapping_node() {
    let (mut scene, ids) = fleet(100, 1, 1);
    for _ in 0..10 {
        scene.kill(&ids[..1]);
        scene.pass(Duration::from_secs(3));
        scene.say(ids[0], VerdictKind::Recovered);
        scene.pass(Duration::from_secs(2));
    }
    scene.kill(&ids[..1]);
    let sayings = |scene: &Scene| -> Vec<Saying> {
        let sayings = scene.out.iter().filter_map(|(_, published)| match published {
            Published::Node(event) if event.saying != Saying::Verdict => Some(event.saying),
            _ => None,
        });
        sayings.collect()
    };
    assert_eq!(sayings(&scene), [Saying::Flapping { flaps: 4 }]);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 4, "the later ones are damped");
    assert_eq!(scene.publication.counters().damped, 20);
    assert_eq!(scene.publication.waiting().flapping, 1);
    scene.check_accounts();
    scene.pass(Duration::from_secs(301));
    assert_eq!(sayings(&scene)[1..], [Saying::Steady { flaps: 10, damped: 20 }]);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 5, "where it is now");
    scene.check_accounts();
    scene.check_belief();
    scene.pass(Duration::from_secs(600));
    assert_eq!(scene.publication.next_deadline(), None, "and then it is forgotten that it flapped");
}

/// Shows: what is silenced is counted, not told; when the silence ends, what differs is told, and only that.
#[test]
fn silence_expiry() {
    let (mut scene, ids) = fleet(1_000, 1, 1);
    let until = scene.now + Duration::from_secs(600);
    scene.publication.silence(Selector::Zone("zone-0".into()), until, "moving", scene.now).unwrap();
    let told = scene.out.len();
    scene.kill(&ids[..900]);
    for id in &ids[..300] {
        scene.say(*id, VerdictKind::Recovered);
    }
    for id in &ids[300..310] {
        scene.say(*id, VerdictKind::Restarted);
    }
    scene.pass(Duration::from_secs(500));
    assert_eq!((scene.out.len(), scene.guards().len()), (told, 0));
    assert_eq!(scene.publication.silences()[0].silenced, 900 * 2 + 310);
    scene.pass(Duration::from_secs(110));
    assert_eq!(
        scene.out.len() - told,
        600,
        "590 have failed, 10 have restarted, the others are as they were"
    );
    assert_eq!(scene.of_kind(VerdictKind::Restarted).len(), 10);
    assert_eq!(scene.publication.silences(), []);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: when no more can be held, nothing is lost: the guard lets go, and says why.
#[test]
fn full_hold_lets_go() {
    let mut config = PublicationConfig::default();
    config.guard.held_max = 100;
    let (default, ids) = fleet(1_200, 1, 1);
    drop(default);
    let mut scene = Scene::new(config, 1);
    for id in &ids {
        scene.join(id.0, 0, "zone-0", "");
    }
    scene.kill(&ids);
    assert!(scene.publication.waiting().held + scene.publication.waiting().releasing <= 100);
    assert!(matches!(
        scene.guards()[1].change,
        GuardChange::Released { reason: ReleaseReason::Full, released: 100, .. }
    ));
    scene.pass(Duration::from_secs(70));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 1_200);
    assert!(scene.publication.counters().released_at_once > 0);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: more than fits the rate is let out within the longest release all the same.
#[test]
fn release_takes_no_longer_than_it_may() {
    let mut config = PublicationConfig::default();
    (config.guard.release_per_second, config.guard.release_max) = (1, Duration::from_secs(10));
    let mut scene = Scene::new(config, 1);
    let ids: Vec<_> = (0..1_000).map(|number| scene.join(number, 0, "zone-0", "")).collect();
    scene.kill(&ids);
    scene.pass(Duration::from_secs(65));
    let halfway = scene.of_kind(VerdictKind::Failed).len();
    assert!((480..=520).contains(&halfway), "{halfway}");
    scene.pass(Duration::from_secs(5));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 1_000);
}

/// Shows: suspicions and failures that come in one go wait a moment for each other, so that the cause is known.
#[test]
fn failures_that_come_with_their_suspicions_settle_first() {
    let (mut scene, ids) = fleet(1_000, 1, 1);
    for id in &ids[40..80] {
        scene.say(*id, VerdictKind::Suspected);
        scene.say(*id, VerdictKind::Failed);
    }
    assert_eq!(scene.publication.waiting().settling, 40);
    scene.check_accounts();
    scene.pass(Duration::from_millis(100));
    let failed = scene.of_kind(VerdictKind::Failed);
    assert_eq!((failed.len(), scene.groups().len()), (40, 1));
    assert!(failed.iter().all(|(_, event)| event.cause == Some(scene.groups()[0].cause)));
    // One that is heard again before it has settled is told in full.
    scene.say(ids[0], VerdictKind::Suspected);
    scene.say(ids[0], VerdictKind::Failed);
    scene.say(ids[0], VerdictKind::Recovered);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 41);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: a dead zone is told as the zone, not as its racks.
#[test]
fn wider_dimension_explains_more() {
    let (mut scene, ids) = fleet(1_200, 3, 1);
    let zone: Vec<_> = ids.iter().copied().filter(|id| id.0 / 40 % 3 == 1).collect();
    scene.kill(&zone);
    scene.pass(Duration::from_secs(62));
    let groups: Vec<_> = scene.groups().into_iter().map(|event| (event.value, event.failed)).collect();
    assert_eq!(groups, [("zone-1".into(), 400)]);
}

/// Shows: a gateway that stops tells what it held.
#[test]
fn stopping_tells_everything() {
    let (mut scene, ids) = fleet(1_200, 3, 1);
    scene.kill(&ids);
    scene.publication.finish(scene.now);
    scene.collect();
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 1_200);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: nodes known from an earlier run count in their zone, those that had failed are old news, and the numbers of a
/// node's events go on.
#[test]
fn known_nodes_count() {
    let mut scene = Scene::new(PublicationConfig::default(), 1);
    for number in 0..100_u64 {
        let state = if number < 60 { NodeState::Failed } else { NodeState::Alive };
        let facts = facts(&format!("node-{number}"), "zone-0", "");
        let puppet = Puppet { shard: 0, state, incarnation: Incarnation(1), facts: Some(Arc::clone(&facts)) };
        let known = KnownNode {
            shard: 0,
            node_id: NodeId(number),
            state,
            incarnation: Incarnation(1),
            event_sequence: 7,
            facts: Some(facts),
        };
        scene.sequences.insert(NodeId(number), 7);
        scene.nodes.insert(NodeId(number), puppet);
        scene.publication.on_known(known, scene.now);
        scene.believed.insert(NodeId(number), (state, Incarnation(1)));
    }
    let ids: Vec<_> = (60..63).map(NodeId).collect();
    scene.kill(&ids);
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 3, "3 of 40");
    scene.check_belief();
}

/// Shows: what a node says of its condition is told at once, in the node's order, also while a guard holds its zone.
#[test]
fn a_condition_is_held_by_nobody() {
    let (mut scene, ids) = fleet(400, 1, 1);
    scene.kill(&ids[..300]);
    assert_eq!(scene.of_kind(VerdictKind::Failed), []);
    scene.say(ids[399], VerdictKind::Degraded);
    scene.say(ids[399], VerdictKind::Healthy);
    let told = [VerdictKind::Degraded, VerdictKind::Healthy].map(|kind| scene.of_kind(kind).len());
    assert_eq!(told, [1, 1]);
    scene.pass(Duration::from_secs(100));
    scene.check_accounts();
    scene.check_belief();
}
