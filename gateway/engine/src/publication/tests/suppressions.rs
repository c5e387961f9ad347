//! Damping and silences: where each begins, where it ends, and whom it is about.

use super::*;

/// Forty nodes, by racks of ten, in two zones.
fn fleet_with(config: PublicationConfig) -> (Scene, Vec<NodeId>) {
    let mut scene = Scene::new(config, 1);
    let ids = (0..40)
        .map(|number| {
            scene.join(number, 0, &format!("zone-{}", number % 2), &format!("rack-{}", number / 10))
        })
        .collect();
    (scene, ids)
}

fn fleet() -> (Scene, Vec<NodeId>) {
    fleet_with(PublicationConfig::default())
}

fn is_flapping(scene: &Scene) -> bool {
    scene.publication.waiting().flapping > 0
}

fn silence(scene: &mut Scene, selector: Selector, seconds: u64) -> SilenceId {
    let until = scene.now + Duration::from_secs(seconds);
    scene.publication.silence(selector, until, "", scene.now).unwrap()
}

fn node(number: u64) -> Selector {
    Selector::Node(format!("node-{number}").into())
}

fn zone(name: &str) -> Selector {
    Selector::Zone(name.into())
}

/// Shows: three restarts are no flapping, a fourth is; from 4000 a penalty takes two half-lives to 1000, and then it is over.
#[test]
fn flapping_begins_above_3000_and_ends_below_1000() {
    let (mut scene, ids) = fleet();
    for _ in 0..3 {
        scene.say(ids[0], VerdictKind::Restarted);
        assert!(!is_flapping(&scene));
    }
    scene.say(ids[0], VerdictKind::Restarted);
    assert!(is_flapping(&scene));
    scene.pass(Duration::from_millis(119_900));
    assert!(is_flapping(&scene));
    scene.pass(Duration::from_millis(200));
    assert!(!is_flapping(&scene));
}

/// Shows: a penalty fades between flaps, so that one restart every 50 s is none, although none of them is forgotten.
#[test]
fn slow_restarts_are_no_flapping() {
    let (mut scene, ids) = fleet();
    for _ in 0..20 {
        scene.say(ids[0], VerdictKind::Restarted);
        assert!(!is_flapping(&scene));
        scene.pass(Duration::from_secs(50));
    }
}

/// Shows: a suspicion that ended counts a tenth of a failure.
#[test]
fn thirty_suspicions_are_no_flapping_and_one_more_is() {
    let (mut scene, ids) = fleet();
    for _ in 0..30 {
        scene.say(ids[0], VerdictKind::Suspected);
        scene.say(ids[0], VerdictKind::Recovered);
        assert!(!is_flapping(&scene));
    }
    scene.say(ids[0], VerdictKind::Suspected);
    scene.say(ids[0], VerdictKind::Recovered);
    assert!(is_flapping(&scene));
}

/// Shows: however often it flapped, it is steady 300 s after its last flap.
#[test]
fn damping_has_a_bound() {
    let (mut scene, ids) = fleet();
    for _ in 0..1_000 {
        scene.say(ids[0], VerdictKind::Restarted);
    }
    scene.pass(Duration::from_secs(299));
    assert!(is_flapping(&scene));
    scene.pass(Duration::from_secs(2));
    assert!(!is_flapping(&scene));
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: without damping everything is told.
#[test]
fn damping_can_be_switched_off() {
    let mut config = PublicationConfig::default();
    config.damping.is_enabled = false;
    let (mut scene, ids) = fleet_with(config);
    for _ in 0..20 {
        scene.say(ids[0], VerdictKind::Restarted);
    }
    assert_eq!((scene.of_kind(VerdictKind::Restarted).len(), is_flapping(&scene)), (20, false));
}

/// Shows: each selector means those that it names and nobody else.
#[test]
fn selectors() {
    let (names, id) = (facts("node-1", "zone-0", "rack-0"), NodeId(7));
    let label = |key: &str, value: &str| Selector::Label { key: key.into(), value: value.into() };
    let cases = [
        (node(1), true),
        (node(2), false),
        (zone("zone-0"), true),
        (zone("zone-1"), false),
        (label("rack", "rack-0"), true),
        (label("rack", "rack-1"), false),
        (label("relay", "rack-0"), false),
    ];
    for (selector, is_meant) in cases {
        assert_eq!(selector.matches(id, Some(&names)), is_meant, "{selector:?}");
        assert!(!selector.matches(id, None), "{selector:?} of a node that never described itself");
    }
    assert!(Selector::Node(id.to_string().into()).matches(id, None));
    assert!(!Selector::Node(NodeId(8).to_string().into()).matches(id, None));
}

/// Shows: a silence on one zone leaves the other's events alone.
#[test]
fn others_are_heard() {
    let (mut scene, ids) = fleet();
    silence(&mut scene, zone("zone-0"), 60);
    scene.kill(&ids[..4]);
    let told: Vec<_> =
        scene.of_kind(VerdictKind::Failed).into_iter().map(|(_, event)| event.verdict.node_id).collect();
    assert_eq!(told, [ids[1], ids[3]]);
}

/// Shows: a node that two silences are about is told when both have ended.
#[test]
fn the_last_of_two_silences_counts() {
    let (mut scene, ids) = fleet();
    silence(&mut scene, node(0), 60);
    silence(&mut scene, zone("zone-0"), 120);
    scene.kill(&ids[..1]);
    scene.pass(Duration::from_secs(100));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 0);
    let [left] = scene.publication.silences() else { panic!("one is left") };
    assert_eq!(left.silenced, 0, "the first took both verdicts; nothing is counted twice");
    scene.pass(Duration::from_secs(60));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 1);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: expected failures are no evidence: ten of the twenty of a zone under a silence do not put two more in doubt.
#[test]
fn silenced_failures_do_not_close_the_guard() {
    let (mut scene, ids) = fleet();
    let of_zone: Vec<_> = ids.iter().copied().filter(|id| id.0 % 2 == 0).collect();
    for id in &of_zone[..10] {
        silence(&mut scene, node(id.0), 3_600);
    }
    scene.kill(&of_zone[..10]);
    scene.kill(&of_zone[10..12]);
    assert_eq!((scene.of_kind(VerdictKind::Failed).len(), scene.guards()), (2, vec![]));
}

/// Shows: a failure that is held when a silence begins is kept by it, and told at its end.
#[test]
fn silence_during_a_hold() {
    let (mut scene, ids) = fleet();
    let of_zone: Vec<_> = ids.iter().copied().filter(|id| id.0 % 2 == 0).collect();
    scene.kill(&of_zone);
    assert_eq!(scene.publication.waiting().held, 20);
    let id = silence(&mut scene, zone("zone-0"), 3_600);
    scene.pass(Duration::from_secs(200));
    assert_eq!(scene.of_kind(VerdictKind::Failed), []);
    assert!(scene.publication.end_silence(id, scene.now));
    assert!(!scene.publication.end_silence(id, scene.now), "once");
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.of_kind(VerdictKind::Failed).len(), 20);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: after a silence the kind leads on from what was told: a restart that nobody heard of is one, although a
/// recovery came last.
#[test]
fn kind_leads_on_from_what_was_told() {
    let (mut scene, ids) = fleet();
    silence(&mut scene, node(0), 60);
    for kind in [VerdictKind::Restarted, VerdictKind::Suspected, VerdictKind::Recovered] {
        scene.say(ids[0], kind);
    }
    scene.pass(Duration::from_secs(61));
    let counts = [VerdictKind::Restarted, VerdictKind::Recovered].map(|kind| scene.of_kind(kind).len());
    assert_eq!(counts, [1, 0]);
    scene.check_accounts();
    scene.check_belief();
}

/// Shows: there are only so many silences.
#[test]
fn silences_are_bounded() {
    let (mut scene, _) = fleet_with(PublicationConfig { silences_max: 2, ..PublicationConfig::default() });
    let first = silence(&mut scene, node(0), 60);
    silence(&mut scene, node(1), 60);
    let refused = scene.publication.silence(node(2), scene.now, "", scene.now);
    assert_eq!(refused, Err(TooManySilences));
    assert!(scene.publication.end_silence(first, scene.now));
    silence(&mut scene, node(2), 60);
}

/// Shows: what was taken for granted ends with the silence of the node: one whose return nobody wanted to hear of counts again
/// when it fails anew.
#[test]
fn a_return_that_was_silenced_makes_the_next_death_no_less_suspicious() {
    let (mut scene, ids) = fleet();
    silence(&mut scene, zone("zone-0"), 60);
    let zone_0: Vec<_> = ids.iter().copied().step_by(2).collect();
    scene.kill(&zone_0);
    for id in &zone_0 {
        scene.say(*id, VerdictKind::Recovered);
    }
    scene.pass(Duration::from_secs(70));
    assert_eq!(scene.guards(), []);
    scene.kill(&zone_0);
    assert_eq!(scene.guards().len(), 1, "a zone of which everybody is silent");
    assert_eq!(scene.of_kind(VerdictKind::Failed), []);
}
