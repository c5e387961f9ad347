//! Each threshold of the guard, at its edge and one beyond, and what letting go leaves behind.

use super::*;

/// Nodes with these numbers in one zone, on one shard.
fn crowd(scene: &mut Scene, numbers: std::ops::Range<u64>, shard: usize, zone: &str) -> Vec<NodeId> {
    numbers.map(|number| scene.join(number, shard, zone, "")).collect()
}

/// Nodes on these many shards in zones of two, which are too few to be disrupted.
fn pairs(numbers: std::ops::Range<u64>, shards: usize) -> (Scene, Vec<NodeId>) {
    let mut scene = Scene::new(PublicationConfig::default(), shards);
    let ids = numbers.map(|number| {
        let shard = usize::try_from(number).unwrap() % shards;
        scene.join(number, shard, &format!("pair-{}", number / 2), "")
    });
    let ids = ids.collect();
    (scene, ids)
}

/// A zone of a hundred, and four hundred nodes elsewhere.
fn zone_of_100() -> (Scene, Vec<NodeId>) {
    let mut scene = Scene::new(PublicationConfig::default(), 1);
    let zone = crowd(&mut scene, 0..100, 0, "zone-0");
    crowd(&mut scene, 100..500, 0, "elsewhere");
    (scene, zone)
}

fn scopes(scene: &Scene) -> Vec<GuardScope> {
    scene.guards().into_iter().map(|event| event.scope).collect()
}

fn failed(scene: &Scene) -> usize {
    scene.of_kind(VerdictKind::Failed).len()
}

/// Shows: 54 % of a zone is believed, 55 % is not.
#[test]
fn zone_threshold() {
    let (mut scene, zone) = zone_of_100();
    scene.kill(&zone[..54]);
    assert_eq!((failed(&scene), scopes(&scene)), (54, vec![]));
    let (mut scene, zone) = zone_of_100();
    scene.kill(&zone[..55]);
    assert_eq!((failed(&scene), scopes(&scene)), (0, vec![GuardScope::Zone("zone-0".into())]));
}

/// Shows: two of a zone of two are believed, three of a zone of three are not.
#[test]
fn few_nodes_of_a_zone() {
    for (nodes, is_held) in [(2, false), (3, true)] {
        let mut scene = Scene::new(PublicationConfig::default(), 1);
        let zone = crowd(&mut scene, 0..nodes, 0, "zone-0");
        crowd(&mut scene, 100..200, 0, "elsewhere");
        scene.kill(&zone);
        assert_eq!(scopes(&scene).len(), usize::from(is_held), "{nodes}");
    }
}

/// Shows: 54 % of everything is believed, 55 % is not.
#[test]
fn gateway_threshold() {
    let (mut scene, ids) = pairs(0..100, 1);
    scene.kill(&ids[..54]);
    assert_eq!((failed(&scene), scopes(&scene)), (54, vec![]));
    let (mut scene, ids) = pairs(0..100, 1);
    scene.kill(&ids[..55]);
    assert_eq!((failed(&scene), scopes(&scene)), (0, vec![GuardScope::Gateway]));
}

/// Shows: 19 % of a shard is believed, 20 % is not; nor is a third, if that is more than ten nodes.
#[test]
fn shard_threshold() {
    for (nodes, dead, is_held) in [(200, 19, false), (200, 20, true), (60, 10, false), (60, 11, true)] {
        let (mut scene, ids) = pairs(0..nodes, 2);
        let shard: Vec<_> = ids.into_iter().filter(|id| id.0 % 2 == 1).take(dead).collect();
        scene.kill(&shard);
        let expected = if is_held { vec![GuardScope::Shard(1)] } else { vec![] };
        assert_eq!(scopes(&scene), expected, "{dead} of {nodes}");
        assert_eq!(failed(&scene), if is_held { 0 } else { dead });
    }
}

/// Shows: a shard is doubted while its share is four times the others' and not below.
#[test]
fn shard_is_compared_with_the_others() {
    for (others, is_held) in [(10, true), (11, false)] {
        let (mut scene, ids) = pairs(0..200, 2);
        let of_shard = |shard| ids.iter().copied().filter(move |id| id.0 % 2 == shard);
        let dead: Vec<_> = of_shard(1).take(40).chain(of_shard(0).take(others)).collect();
        scene.kill(&dead);
        let expected = if is_held { vec![GuardScope::Shard(1)] } else { vec![] };
        assert_eq!(scopes(&scene), expected, "{others} others");
    }
}

/// Shows: a zone that explains what is silent is doubted instead of the gateway, unless it is nearly the whole fleet.
#[test]
fn zone_explains_the_gateway() {
    let zone = GuardScope::Zone("zone-0".into());
    for (zone_nodes, doubted) in [(70, zone), (95, GuardScope::Gateway)] {
        let mut scene = Scene::new(PublicationConfig::default(), 1);
        let ids = crowd(&mut scene, 0..zone_nodes, 0, "zone-0");
        crowd(&mut scene, zone_nodes..100, 0, "elsewhere");
        scene.kill(&ids[..60]);
        assert_eq!(scopes(&scene), [doubted]);
    }
}

/// Shows: without a guard nothing is held.
#[test]
fn guard_can_be_switched_off() {
    let mut config = PublicationConfig::default();
    config.guard.is_enabled = false;
    let mut scene = Scene::new(config, 1);
    let ids = crowd(&mut scene, 0..100, 0, "zone-0");
    scene.kill(&ids);
    assert_eq!((failed(&scene), scopes(&scene)), (100, vec![]));
}

/// Shows: letting go takes for granted what was held, in every scope, and what had failed in the zone before.
#[test]
fn letting_go_takes_the_failures_for_granted() {
    let (mut scene, zone) = zone_of_100();
    scene.kill(&zone[..50]);
    scene.kill(&zone[50..60]);
    assert_eq!((failed(&scene), scopes(&scene).len()), (50, 1), "60 of 100");
    scene.pass(Duration::from_secs(120));
    scene.kill(&zone[60..63]);
    assert_eq!(failed(&scene), 63, "3 of the 40 that are left");

    let (mut scene, others) = pairs(0..60, 1);
    let zone = crowd(&mut scene, 100..140, 0, "zone-0");
    scene.kill(&zone);
    scene.pass(Duration::from_secs(120));
    scene.kill(&others[..20]);
    assert_eq!(failed(&scene), 60, "20 of 60, not 60 of 100: the gateway does not doubt itself");
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: what failed before calm came is evidence still.
#[test]
fn calm_takes_nothing_for_granted() {
    let (mut scene, zone) = zone_of_100();
    scene.kill(&zone[..60]);
    for id in &zone[..17] {
        scene.say(*id, VerdictKind::Recovered);
    }
    scene.pass(Duration::from_secs(1));
    assert_eq!(failed(&scene), 43);
    scene.kill(&zone[60..72]);
    assert_eq!(failed(&scene), 43, "55 of 100");
    scene.pass(Duration::from_secs(61));
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: an operator can take failures for granted where nothing is held yet.
#[test]
fn operator_rebaselines_a_zone_that_is_not_held() {
    let (mut scene, zone) = zone_of_100();
    scene.kill(&zone[..50]);
    assert_eq!(scene.publication.release(Some("zone-0"), scene.now), Some(0));
    scene.kill(&zone[50..60]);
    assert_eq!((failed(&scene), scopes(&scene)), (60, vec![]), "10 of 50");
}

/// Shows: what is held is listed with its bound, and no more once it was let go of.
#[test]
fn holds_are_listed() {
    let (mut scene, zone) = zone_of_100();
    assert_eq!(scene.publication.holds().count(), 0);
    scene.kill(&zone[..60]);
    let since = scene.now;
    let expected = HoldStatus {
        scope: GuardScope::Zone("zone-0".into()),
        alive: 40,
        suspect: 0,
        failed: 60,
        held: 60,
        since,
        until: since + Duration::from_secs(60),
    };
    assert_eq!(scene.publication.holds().collect::<Vec<_>>(), [expected]);
    assert_eq!(scene.publication.release(None, scene.now), Some(60));
    assert_eq!(scene.publication.holds().count(), 0);
}

/// Shows: a goodbye and a restart cancel a failure that is held as a recovery does; being forgotten lets it out first.
#[test]
fn what_ends_a_wait() {
    let (mut scene, zone) = zone_of_100();
    scene.kill(&zone[..60]);
    scene.say(zone[0], VerdictKind::Left { reason: DepartureReason::ScaleDown, expected_return_ms: 0 });
    scene.say(zone[1], VerdictKind::Restarted);
    assert_eq!((failed(&scene), scene.publication.counters().cancelled), (0, 2));
    scene.say(zone[2], VerdictKind::Forgotten);
    let told = scene.out.iter().rev().filter_map(|(_, published)| match published {
        Published::Node(event) => Some((event.verdict.node_id, event.verdict.kind)),
        _ => None,
    });
    let last: Vec<_> = told.take(2).collect();
    assert_eq!(last, [(zone[2], VerdictKind::Forgotten), (zone[2], VerdictKind::Failed)]);
    scene.pass(Duration::from_secs(70));
    assert_eq!(failed(&scene), 58);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: a failure that is settling and would be doubted is cancelled by a sign of life as if it were held.
#[test]
fn doubted_failure_that_settles_is_cancelled() {
    let (mut scene, zone) = zone_of_100();
    for id in &zone[..60] {
        scene.say(*id, VerdictKind::Suspected);
        scene.say(*id, VerdictKind::Failed);
    }
    scene.say(zone[0], VerdictKind::Recovered);
    assert_eq!((failed(&scene), scene.publication.counters().cancelled), (0, 1));
    scene.pass(Duration::from_secs(70));
    assert_eq!(failed(&scene), 59);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: a hold that ends with nothing held does not use up the rate at which the next one is let out.
#[test]
fn a_hold_that_ends_empty_leaves_the_next_its_rate() {
    let mut config = PublicationConfig::default();
    config.guard.release_per_second = 10;
    let mut scene = Scene::new(config, 1);
    let zone = crowd(&mut scene, 0..100, 0, "zone-0");
    crowd(&mut scene, 100..500, 0, "elsewhere");
    // One fails, which closes the guard; it comes back first, so nothing is held when the zone is calm again.
    let all = &zone[..];
    for (ids, kind) in
        [(all, VerdictKind::Suspected), (&all[..1], VerdictKind::Failed), (all, VerdictKind::Recovered)]
    {
        for id in ids {
            scene.say(*id, kind);
        }
        scene.pass(Duration::from_secs(2));
    }
    assert_eq!((scene.guards().len(), scene.publication.waiting().verdicts()), (2, 0), "held, and let go of");
    scene.pass(Duration::from_secs(3_600));
    scene.kill(&zone);
    scene.pass(Duration::from_secs(60));
    let out = failed(&scene);
    assert!(out <= 1, "its hold has just ended: {out}");
    scene.pass(Duration::from_secs(5));
    let out = failed(&scene);
    assert!((45..=51).contains(&out), "ten a second: {out}");
    scene.pass(Duration::from_secs(5));
    assert_eq!(failed(&scene), 100);
}
