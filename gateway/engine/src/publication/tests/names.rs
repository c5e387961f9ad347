//! Nodes that are told of before they have told their names.

use super::*;

/// Whether each event has a name, and whether it is the first that has one.
fn names(scene: &Scene) -> Vec<(bool, bool)> {
    let nodes = scene.out.iter().filter_map(|(_, published)| match published {
        Published::Node(event) => Some((event.verdict.facts.is_some(), event.is_named_now)),
        _ => None,
    });
    nodes.collect()
}

fn nameless(scene: &mut Scene) -> NodeId {
    let id = NodeId(7);
    let puppet = Puppet { shard: 0, state: NodeState::New, incarnation: Incarnation(1), facts: None };
    scene.nodes.insert(id, puppet);
    id
}

fn describe(scene: &mut Scene, id: NodeId) {
    scene.nodes.get_mut(&id).unwrap().facts = Some(facts("node-7", "zone-0", ""));
}

/// Shows: the first event that has a name after some that had none is known as such, be it a verdict or a condition; and
/// again when the node was forgotten and came back without its name.
#[test]
fn first_event_with_a_name() {
    for second in [VerdictKind::Suspected, VerdictKind::Degraded] {
        let mut scene = Scene::new(PublicationConfig::default(), 1);
        for _ in 0..2 {
            let id = nameless(&mut scene);
            scene.say(id, VerdictKind::Joined);
            scene.say(id, VerdictKind::Degraded);
            describe(&mut scene, id);
            scene.say(id, second);
            scene.say(id, VerdictKind::Healthy);
            scene.say(id, VerdictKind::Forgotten);
        }
        let once = [(false, false), (false, false), (true, true), (true, false), (true, false)];
        assert_eq!(names(&scene), [once, once].concat());
    }
    let mut scene = Scene::new(PublicationConfig::default(), 1);
    scene.join(1, 0, "zone-0", "");
    assert_eq!(names(&scene), [(true, false)], "it was told by its name from the first");
}

/// Shows: after a restart of the gateway it is known how a node was told of last.
#[test]
fn nameless_node_of_an_earlier_run() {
    for (known_facts, is_named_now) in [(None, true), (Some(facts("node-7", "zone-0", "")), false)] {
        let mut scene = Scene::new(PublicationConfig::default(), 1);
        let id = nameless(&mut scene);
        scene.nodes.get_mut(&id).unwrap().state = NodeState::Alive;
        let (state, incarnation) = (NodeState::Alive, Incarnation(1));
        let known =
            KnownNode { shard: 0, node_id: id, state, incarnation, event_sequence: 4, facts: known_facts };
        scene.publication.on_known(known, scene.now);
        scene.believed.insert(id, (state, incarnation));
        scene.sequences.insert(id, 4);
        describe(&mut scene, id);
        scene.say(id, VerdictKind::Suspected);
        assert_eq!(names(&scene), [(true, is_named_now)]);
    }
}

/// Shows: a node keeps its name towards the world when the engine forgot it unheard and it comes back without one, so that
/// all that is told of it goes on in one place.
#[test]
fn name_outlives_an_end_that_was_silenced() {
    let mut scene = Scene::new(PublicationConfig::default(), 1);
    let id = scene.join(7, 0, "zone-0", "");
    let (selector, until) = (Selector::Node("node-7".into()), scene.now + Duration::from_secs(60));
    scene.publication.silence(selector, until, "", scene.now).unwrap();
    for kind in [VerdictKind::Suspected, VerdictKind::Failed, VerdictKind::Forgotten] {
        scene.say(id, kind);
    }
    nameless(&mut scene);
    scene.nodes.get_mut(&id).unwrap().incarnation = Incarnation(2);
    scene.say(id, VerdictKind::Joined);
    // The silence ends: the world hears where the node is.
    scene.pass(Duration::from_secs(61));
    assert_eq!(names(&scene), [(true, false); 2]);
}

/// Shows: and a silence that names it, or its zone, covers it as before.
#[test]
fn silence_covers_a_node_that_has_not_told_its_name_again() {
    for selector in [Selector::Node("node-7".into()), Selector::Zone("zone-0".into())] {
        let mut scene = Scene::new(PublicationConfig::default(), 1);
        let id = scene.join(7, 0, "zone-0", "");
        scene.publication.silence(selector, scene.now + Duration::from_secs(60), "", scene.now).unwrap();
        scene.nodes.get_mut(&id).unwrap().facts = None;
        scene.say(id, VerdictKind::Suspected);
        assert_eq!(scene.of_kind(VerdictKind::Suspected), []);
    }
}
