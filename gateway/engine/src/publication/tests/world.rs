//! A random world: nodes live and die alone and in masses, silences come and go, ticks are late or missing. After every
//! step the accounts must be right; in the end, when nothing waits, the world must believe what is so.

use super::*;

/// Small, fast and good enough for choosing (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

const NODES: u64 = 120;
const SEEDS: u64 = 60;
const STEPS: u64 = 600;

/// Goal: conservation, order and numbering a node, bounded hold, and agreement in the end. Method: the checks of
/// [`Scene::collect`] after every verdict, those of the accounts after every step; the engine is a table of states.
#[test]
fn nothing_is_lost_and_the_world_believes_what_is_so() {
    let mut seen = PublicationCounters::default();
    for seed in 1..=SEEDS {
        println!("seed {seed}");
        let counters = run(seed);
        seen.cancelled += counters.cancelled;
        seen.damped += counters.damped;
        seen.silenced += counters.silenced;
        seen.held += counters.held;
        seen.settled += counters.settled;
        seen.caught_up += counters.caught_up;
        seen.released_at_once += counters.released_at_once;
        seen.groups_failed += counters.groups_failed;
    }
    let all = [
        seen.cancelled,
        seen.damped,
        seen.silenced,
        seen.held,
        seen.settled,
        seen.caught_up,
        seen.released_at_once,
        seen.groups_failed,
    ];
    assert!(all.iter().all(|count| *count > 100), "every way must be walked: {seen:?}");
}

fn run(seed: u64) -> PublicationCounters {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut config = PublicationConfig::default();
    if dice.below(3) == 0 {
        config.guard.held_max = 20;
    }
    config.guard.release_per_second = 5;
    (config.damping.suppress_above, config.damping.reuse_below) = (1_500, 500);
    let bound = config.guard.hold_max + config.guard.release_max;
    let mut scene = Scene::new(config, 2);
    for number in 0..NODES {
        join(&mut scene, number);
    }
    for _ in 0..STEPS {
        step(&mut scene, &mut dice);
        scene.check_accounts();
    }
    // Everybody keeps their state from now on; silences end, penalties fade, guards let go.
    for id in scene.publication.silences().iter().map(|silence| silence.id).collect::<Vec<_>>() {
        scene.publication.end_silence(id, scene.now);
    }
    scene.pass(Duration::from_secs(3_600));
    assert_eq!(scene.publication.next_deadline(), None, "nothing waits for ever");
    let waiting = scene.publication.waiting();
    assert_eq!(Waiting { nodes: 0, ..waiting }, Waiting::default());
    scene.check_accounts();
    scene.check_belief();
    for (_, published) in &scene.out {
        if let Published::Node(event) = published {
            // Ticks came up to 30 s late.
            assert!(event.held <= bound + Duration::from_secs(31), "{event:?}");
        }
    }
    scene.publication.counters()
}

fn join(scene: &mut Scene, number: u64) {
    let (zone, rack) = (number % 3, number / 10);
    let shard = usize::try_from(number / 3 % 2).unwrap();
    scene.join(number, shard, &format!("zone-{zone}"), &format!("rack-{rack}"));
}

fn step(scene: &mut Scene, dice: &mut Dice) {
    match dice.below(20) {
        0..8 => {
            let number = dice.below(NODES);
            turn(scene, dice, number, 10);
        }
        8..10 => {
            // One mischievous node.
            turn(scene, dice, 7, 10);
        }
        10 => {
            // A mass: a zone, a rack or a shard moves on by one state.
            let (modulus, divisor) = [(3, 1), (NODES, 10), (2, 3)][usize::try_from(dice.below(3)).unwrap()];
            let value = dice.below(modulus.min(12));
            let silence = dice.below(3);
            for number in (0..NODES).filter(|number| number / divisor % modulus == value) {
                if dice.below(5) > 0 {
                    turn(scene, dice, number, silence);
                }
            }
        }
        11 => silence(scene, dice),
        12 => {
            // A late tick.
            scene.now = scene.now + Duration::from_millis(dice.below(30_000));
            scene.publication.on_tick(scene.now);
            scene.collect();
        }
        13 if dice.below(4) == 0 => {
            scene.publication.release(None, scene.now);
            scene.collect();
        }
        _ => {
            let time = Duration::from_millis(dice.below(4_000));
            scene.pass(time);
        }
    }
}

/// Moves a node on: towards death if `silence` is above 0, towards life otherwise, at random if it is 10.
fn turn(scene: &mut Scene, dice: &mut Dice, number: u64, silence: u64) {
    let id = NodeId(number);
    let Some(state) = scene.nodes.get(&id).map(|node| node.state) else { return join(scene, number) };
    let dies = if silence == 10 { dice.below(2) == 0 } else { silence > 0 };
    let left = VerdictKind::Left { reason: DepartureReason::Shutdown, expected_return_ms: 0 };
    let kind = match (state, dies) {
        (NodeState::Alive, true) if dice.below(10) == 0 => left,
        (NodeState::Alive, true) => VerdictKind::Suspected,
        (NodeState::Suspect, true) => VerdictKind::Failed,
        (NodeState::Failed | NodeState::Left, true) if dice.below(8) == 0 => VerdictKind::Forgotten,
        (NodeState::Failed, true) if dice.below(8) == 0 => left,
        (NodeState::Suspect | NodeState::Failed, false) if dice.below(4) == 0 => VerdictKind::Restarted,
        (NodeState::Suspect | NodeState::Failed, false) => VerdictKind::Recovered,
        (NodeState::Alive, false) if dice.below(10) == 0 => VerdictKind::Restarted,
        (NodeState::Left, false) => VerdictKind::Joined,
        _ => return,
    };
    scene.say(id, kind);
}

fn silence(scene: &mut Scene, dice: &mut Dice) {
    let known: Vec<_> = scene.publication.silences().iter().map(|silence| silence.id).collect();
    if known.len() > 3 {
        scene.publication.end_silence(known[0], scene.now);
        scene.collect();
        return;
    }
    let number = dice.below(NODES);
    let selector = match dice.below(3) {
        0 => Selector::Zone(format!("zone-{}", number % 3).into()),
        1 => Selector::Node(format!("node-{number}").into()),
        _ => Selector::Label { key: "rack".into(), value: format!("rack-{}", number / 10).into() },
    };
    let until = scene.now + Duration::from_millis(dice.below(60_000));
    scene.publication.silence(selector, until, "", scene.now).unwrap();
}
