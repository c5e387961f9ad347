//! Which failures are one, by which name they are told, and which are not.

use super::*;

/// No guard, so that only correlation is at work; `elsewhere` is there to make shares small.
fn scene() -> Scene {
    let mut config = PublicationConfig::default();
    config.guard.is_enabled = false;
    let mut scene = Scene::new(config, 1);
    for number in 1_000..1_300 {
        scene.join(number, 0, "elsewhere", "");
    }
    scene
}

fn join(scene: &mut Scene, numbers: std::ops::Range<u64>, zone: &str, rack: &str) -> Vec<NodeId> {
    numbers.map(|number| scene.join(number, 0, zone, rack)).collect()
}

/// What was told of groups: dimension, value, failed, members.
fn told(scene: &Scene) -> Vec<(String, String, u32, u32)> {
    let words = |event: GroupEvent| (event.dimension.into(), event.value.into(), event.failed, event.members);
    scene.groups().into_iter().map(words).collect()
}

fn incident(dimension: &str, value: &str, failed: u32, members: u32) -> (String, String, u32, u32) {
    (dimension.to_owned(), value.to_owned(), failed, members)
}

/// Shows: of two groups with the same dead the one with fewer living is named; of two that are the same nodes, the label.
#[test]
fn tightest_dimension_is_named() {
    let mut scene = scene();
    let rack = join(&mut scene, 0..40, "zone-0", "rack-0");
    join(&mut scene, 40..80, "zone-0", "rack-1");
    scene.kill(&rack);
    scene.pass(Duration::from_secs(20));
    assert_eq!(told(&scene), [incident("rack", "rack-0", 40, 40)]);
    let rack = join(&mut scene, 80..120, "zone-1", "rack-2");
    scene.kill(&rack);
    scene.pass(Duration::from_secs(20));
    assert_eq!(told(&scene)[1..], [incident("rack", "rack-2", 40, 40)]);
}

/// Shows: two failures are none, three of six are an incident, three of seven are not.
#[test]
fn enough_nodes_and_enough_of_them() {
    for (nodes, dead, expected) in [(2, 2, 0), (3, 3, 1), (6, 3, 1), (7, 3, 0), (100, 50, 1), (100, 49, 0)] {
        let mut scene = scene();
        let rack = join(&mut scene, 0..nodes, "zone-0", "rack-0");
        join(&mut scene, 100..300, "zone-0", "");
        scene.kill(&rack[..dead]);
        scene.pass(Duration::from_secs(20));
        assert_eq!(told(&scene).len(), expected, "{dead} of {nodes}");
        let with_cause =
            scene.of_kind(VerdictKind::Failed).iter().filter(|(_, event)| event.cause.is_some()).count();
        assert_eq!(with_cause, dead * expected);
    }
}

/// Shows: two racks that die together are two causes, and one that dies again later is another one.
#[test]
fn causes_are_told_apart() {
    let mut scene = scene();
    let first = join(&mut scene, 0..40, "zone-0", "rack-0");
    let second = join(&mut scene, 40..80, "zone-0", "rack-1");
    join(&mut scene, 80..400, "zone-0", "");
    let both: Vec<_> = first.iter().chain(&second).copied().collect();
    scene.kill(&both);
    scene.pass(Duration::from_secs(60));
    for id in &first {
        scene.say(*id, VerdictKind::Recovered);
    }
    scene.pass(Duration::from_secs(600));
    scene.kill(&first);
    scene.pass(Duration::from_secs(60));
    let mut causes: Vec<_> = scene.groups().into_iter().map(|event| event.cause).collect();
    assert_eq!(causes.len(), 3);
    causes.dedup();
    assert_eq!(causes.len(), 3, "{causes:?}");
    let of = |id: NodeId| -> Vec<_> {
        let failed = scene.of_kind(VerdictKind::Failed).into_iter();
        failed.filter(|(_, event)| event.verdict.node_id == id).filter_map(|(_, event)| event.cause).collect()
    };
    assert_eq!(of(first[0]), of(first[39]));
    assert_eq!((of(first[0]).len(), of(second[0]).len()), (2, 1));
    assert!(!of(first[0]).contains(&of(second[0])[0]));
    scene.check_accounts();
}

/// Shows: a rack that dies again is another incident also when no tick came between to close the first.
#[test]
fn an_incident_is_over_without_a_tick() {
    let mut scene = scene();
    let rack = join(&mut scene, 0..40, "zone-0", "rack-0");
    join(&mut scene, 40..400, "zone-0", "");
    scene.kill(&rack);
    for kind in [VerdictKind::Recovered, VerdictKind::Suspected, VerdictKind::Failed] {
        scene.now = scene.now + Duration::from_secs(5);
        for id in &rack {
            scene.say(*id, kind);
        }
    }
    scene.pass(Duration::from_secs(20));
    let causes: Vec<_> = scene.groups().into_iter().map(|event| (event.cause, event.failed)).collect();
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert_ne!(causes[0].0, causes[1].0);
    scene.check_accounts();
}
