//! The wheel against a model that is a sorted map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Plays the owner of the wheel: keeps what the nodes' records would keep, and the model.
struct Owner {
    wheel: Wheel,
    armed: Vec<Option<Tick>>,
    rebuilds: u32,
}

impl Owner {
    fn new(nodes: u32, now: u64) -> Self {
        Self { wheel: Wheel::new(nodes, Tick(now)), armed: vec![None; nodes as usize], rebuilds: 0 }
    }

    fn arm(&mut self, node: usize, tick: u64) {
        let tick = Tick(tick).min(self.wheel.current().after(SPAN_TICKS));
        self.armed[node] = Some(tick);
        if self.wheel.arm(slot(node), tick) == Err(WheelFull) {
            self.rebuilds += 1;
            self.wheel.clear();
            for (node, armed) in self.armed.iter().enumerate() {
                if let Some(tick) = armed {
                    self.wheel.arm(slot(node), *tick).unwrap();
                }
            }
        }
    }

    /// Sorts up to `budget` entries, or as many as must be.
    fn cascade(&mut self, mut budget: usize) {
        while self.wheel.must_cascade() || budget > 0 {
            let Some(slot) = self.wheel.pop_cascading() else { return };
            let armed = self.armed[slot.position()];
            if let Some(tick) = armed.filter(|&tick| self.wheel.belongs_to_cascade(tick)) {
                self.wheel.arm(slot, tick).expect("room: an entry has just been taken out");
            }
            budget = budget.saturating_sub(1);
        }
    }

    /// Takes up to `budget` due entries; returns the nodes that were due, with their ticks.
    fn fire(&mut self, budget: usize) -> Vec<(usize, Tick)> {
        let mut fired = Vec::new();
        for _ in 0..budget {
            let mut piece = [slot(0)];
            if self.wheel.pop_due(&mut piece) == 0 {
                break;
            }
            let node = piece[0].position();
            if let Some(tick) = self.armed[node].filter(|&tick| tick <= self.wheel.current()) {
                self.armed[node] = None;
                fired.push((node, tick));
            }
        }
        fired
    }

    fn earliest(&self) -> Option<Tick> {
        self.armed.iter().flatten().min().copied()
    }
}

fn slot(node: usize) -> SlotIndex {
    SlotIndex::from_position(node)
}

#[derive(Clone, Debug)]
enum Step {
    /// Node, ticks ahead (or behind, a little).
    Arm(usize, i64),
    /// Ticks ahead, entries to fire, entries to sort ahead of time.
    Advance(u64, usize, usize),
}

const NODES: usize = 40;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ahead = prop_oneof![
        4 => -3_i64..1_100,
        2 => 0_i64..70_000,
        1 => 0_i64..1_000_000,
    ];
    let advance = prop_oneof![
        4 => 0_u64..70,
        2 => 0_u64..1_100,
        1 => 0_u64..70_000,
        1 => 0_u64..100_000_000,
    ];
    let entries = prop_oneof![2 => Just(usize::MAX), 1 => 0_usize..5];
    let step = prop_oneof![
        3 => (0..NODES, ahead).prop_map(|(node, ahead)| Step::Arm(node, ahead)),
        1 => (advance, entries.clone(), 0_usize..20).prop_map(|(a, f, c)| Step::Advance(a, f, c)),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Goal: whatever is armed, moved and advanced, a node fires at the first advance that reaches its tick, and only then.
    #[test]
    fn fires_what_a_sorted_map_would_fire(start in 0_u64..5_000, steps in steps()) {
        let mut owner = Owner::new(u32::try_from(NODES).unwrap(), start);
        // The model: what each node waits for. An armed node that is due but not yet fired stays in it.
        let mut model: BTreeMap<usize, Tick> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Arm(node, ahead) => {
                    let tick = owner.wheel.current().0.saturating_add_signed(ahead);
                    owner.arm(node, tick);
                    let reachable = owner.wheel.current().0 + SPAN_TICKS;
                    model.insert(node, Tick(tick.min(reachable)));
                }
                Step::Advance(ahead, fire, cascade) => {
                    let now = owner.wheel.current().after(ahead);
                    owner.wheel.advance(now);
                    owner.cascade(0);
                    for (node, tick) in owner.fire(fire) {
                        prop_assert!(tick <= now, "early");
                        prop_assert_eq!(model.remove(&node), Some(tick));
                    }
                    if !owner.wheel.has_due() {
                        prop_assert!(model.values().all(|&tick| tick > now), "late");
                    }
                    owner.cascade(cascade);
                }
            }
            let next = owner.wheel.next_tick();
            prop_assert!(next.is_some() || model.is_empty());
            if let (Some(next), Some(earliest)) = (next, owner.earliest()) {
                prop_assert!(next <= earliest.max(owner.wheel.current()), "sleeps through a deadline");
            }
        }
    }
}

#[test]
fn the_next_tick_is_exact_within_the_near_ring_and_at_most_a_far_queue_early_beyond() {
    for ahead in [1, 2, 63, 64, 65, 1_023, 1_024, 1_025, 1_088, 5_000, SPAN_TICKS] {
        for start in [0, 1, 63, 1_000, 1_024, 12_345] {
            let mut owner = Owner::new(1, start);
            owner.arm(0, start + ahead);
            let next = owner.wheel.next_tick().unwrap();
            if ahead <= NEAR_TICKS {
                assert_eq!(next, Tick(start + ahead));
            } else {
                assert_eq!(next, Tick((start + ahead) >> FAR_SHIFT << FAR_SHIFT));
                owner.wheel.advance(next);
                owner.cascade(0);
                assert_eq!(owner.fire(1).len(), usize::from(next.0 == start + ahead));
                assert!(owner.earliest().is_none() || owner.wheel.next_tick() == Some(Tick(start + ahead)));
            }
        }
    }
}

#[test]
fn nodes_of_different_ticks_fire_in_the_order_of_ticks_after_a_gap() {
    let mut owner = Owner::new(1_000, 0);
    // Near and far mixed, no two in one far queue.
    for node in 0..1_000 {
        owner.arm(node, 64 * (1 + (node as u64 * 389) % 1_000));
    }
    owner.wheel.advance(Tick(1_000_000));
    owner.cascade(0);
    let fired = owner.fire(usize::MAX);
    assert_eq!(fired.len(), 1_000);
    assert!(fired.is_sorted_by_key(|&(_, tick)| tick));
}

#[test]
fn a_far_queue_is_sorted_ahead_of_time_and_then_fires_tick_by_tick() {
    let mut owner = Owner::new(64, 0);
    // The latest first, so that the soonest are the last to be sorted.
    for node in 0..64 {
        owner.arm(node, 2_111 - node as u64);
    }
    owner.wheel.advance(Tick(1_086));
    owner.cascade(usize::MAX);
    assert_eq!(
        owner.wheel.next_tick(),
        Some(Tick(2_048)),
        "not yet: the last tick does not fit into the near ring"
    );
    owner.wheel.advance(Tick(1_087));
    owner.cascade(10);
    assert_eq!(owner.wheel.next_tick(), Some(Tick(2_048)), "sorted in part");
    for node in 0..64 {
        owner.wheel.advance(Tick(2_047 + node));
        owner.cascade(0);
        assert_eq!(owner.fire(usize::MAX), [], "early");
        owner.wheel.advance(Tick(2_048 + node));
        owner.cascade(0);
        assert_eq!(owner.fire(usize::MAX).len(), 1, "tick {}", 2_048 + node);
    }
}

#[test]
fn a_sort_that_was_begun_ahead_of_time_and_never_finished_loses_nothing() {
    let mut owner = Owner::new(100, 0);
    for node in 0..100 {
        owner.arm(node, 2_048 + (node as u64) % 64);
    }
    owner.wheel.advance(Tick(1_087));
    owner.cascade(45);
    owner.wheel.advance(Tick(50_000));
    owner.cascade(0);
    assert_eq!(owner.fire(usize::MAX).len(), 100);
    assert_eq!(owner.wheel.next_tick(), None);
}

#[test]
fn memory_of_entries_that_came_up_is_used_again() {
    let mut owner = Owner::new(1, 0);
    for round in 1..=200_000 {
        // Near and far in turn.
        let ahead = if round % 2 == 0 { 10 } else { 2_000 };
        let tick = owner.wheel.current().after(ahead);
        owner.arm(0, tick.0);
        owner.wheel.advance(Tick(tick.0 - 5));
        owner.cascade(1);
        owner.wheel.advance(tick);
        owner.cascade(0);
        assert_eq!(owner.fire(1), [(0, tick)]);
    }
    assert_eq!(owner.rebuilds, 0);
}

#[test]
fn stale_entries_cannot_grow_the_wheel() {
    // Method: one node is moved nearer and further until far more entries were made than there is memory for.
    let mut owner = Owner::new(1, 0);
    let memory_bytes = owner.wheel.memory_bytes();
    for round in 0..1_000_000_u64 {
        owner.arm(0, 60_000 - round % 50_000);
    }
    assert!(owner.rebuilds > 0);
    assert_eq!(owner.wheel.memory_bytes(), memory_bytes);
    owner.wheel.advance(Tick(60_000));
    owner.cascade(0);
    assert_eq!(owner.fire(usize::MAX).len(), 1);
}

#[test]
fn an_entry_beyond_the_span_comes_up_at_its_end() {
    let mut owner = Owner::new(1, 7);
    owner.arm(0, u64::MAX);
    assert_eq!(owner.armed[0], Some(Tick(7 + SPAN_TICKS)));
    owner.wheel.advance(Tick(6 + SPAN_TICKS));
    owner.cascade(0);
    assert_eq!(owner.fire(1), []);
    owner.wheel.advance(Tick(7 + SPAN_TICKS));
    owner.cascade(0);
    assert_eq!(owner.fire(1), [(0, Tick(7 + SPAN_TICKS))]);
}

#[test]
fn a_ring_finds_its_next_queue_from_every_position() {
    for occupied in [0, 1, 63, 64, 65, 500, 1_023] {
        let mut level = Level::new();
        let _ = level.queue_to_fill(occupied);
        for start in [0, 1, 62, 63, 64, 66, 499, 501, 1_000, 1_023, 1_024, 98_765] {
            let found = level.next_occupied(start).unwrap();
            assert!((start..start + POSITIONS as u64).contains(&found));
            assert_eq!(found % POSITIONS as u64, occupied);
        }
    }
    assert_eq!(Level::new().next_occupied(5), None);
}

/// Goal: a cleared wheel holds nothing, wherever an entry was: due, in the near ring, in the far one, or half sorted from one
/// into the other; and its room is free again. Method: with each place filled alone, and all at once.
#[test]
fn a_cleared_wheel_is_as_a_new_one() {
    let far = NEAR_TICKS + FAR_TICKS;
    for places in [[true, false, false], [false, true, false], [false, false, true], [true; 3]] {
        let [is_due, is_near, is_far] = places;
        let mut wheel = Wheel::new(8, Tick(0));
        if is_far {
            for node in 0..3 {
                wheel.arm(slot(node), Tick(far)).unwrap();
            }
            wheel.advance(Tick(2 * FAR_TICKS - 1));
            wheel.pop_cascading().expect("the far queue fits into the near ring now");
        }
        if is_near {
            wheel.arm(slot(4), wheel.current().after(5)).unwrap();
        }
        if is_due {
            wheel.arm(slot(5), wheel.current()).unwrap();
        }
        wheel.clear();
        assert_eq!(
            (wheel.has_due(), wheel.must_cascade(), wheel.next_tick()),
            (false, false, None),
            "{places:?}"
        );
        assert_eq!((wheel.pop_cascading(), wheel.entries().count()), (None, 0), "{places:?}");
        let now = wheel.current();
        for node in 0..8 {
            wheel.arm(slot(node), now.after(1)).unwrap();
        }
        wheel.advance(now.after(1));
        let mut piece = [slot(0); 16];
        assert_eq!(wheel.pop_due(&mut piece), 8, "{places:?}");
        assert_eq!(piece[..8].iter().map(|slot| slot.position()).sum::<usize>(), 28, "each once: {piece:?}");
    }
}

#[test]
#[should_panic(expected = "within the span")]
fn a_tick_beyond_the_span_is_the_owners_mistake() {
    let mut wheel = Wheel::new(1, Tick(7));
    wheel.arm(slot(0), Tick(7).after(SPAN_TICKS)).unwrap();
    let _ = wheel.arm(slot(0), Tick(8).after(SPAN_TICKS));
}
