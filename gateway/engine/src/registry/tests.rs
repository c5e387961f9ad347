//! The registry against a model that is a hash map, and what churn does to it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    SetState(u64, NodeState),
}

/// Few ids, so that they are met again, and the ones that an implementation might have kept for itself.
fn id() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..40, Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 63)]
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![
        Just(NodeState::New),
        Just(NodeState::Alive),
        Just(NodeState::Suspect),
        Just(NodeState::Failed),
        Just(NodeState::Left),
    ];
    prop_oneof![
        3 => id().prop_map(Step::Insert),
        2 => id().prop_map(Step::Remove),
        1 => (id(), state).prop_map(|(id, state)| Step::SetState(id, state)),
    ]
}

proptest! {
    /// Goal: finds what was put in, where it was put, in the state that was set, and nothing else; full means full.
    #[test]
    fn knows_what_a_hash_map_would_know(
        seed: u64,
        nodes_max in 1_u32..30,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut registry = Registry::new(nodes_max, seed);
        let mut model: HashMap<u64, (SlotIndex, NodeState)> = HashMap::new();
        for step in steps {
            match step {
                Step::Insert(id) if model.contains_key(&id) => {}
                Step::Insert(id) => {
                    let slot = registry.insert(NodeId(id));
                    prop_assert_eq!(slot.is_some(), model.len() < nodes_max as usize);
                    if let Some(slot) = slot {
                        prop_assert_eq!(registry.event_sequence(slot), 0, "nothing of the slot's last node is left");
                        prop_assert!(registry.facts(slot).is_none());
                        registry.advance_event_sequence(slot);
                        registry.set_facts(slot, Arc::new(NodeFacts::default()));
                        model.insert(id, (slot, NodeState::New));
                    }
                }
                Step::Remove(id) => {
                    if let Some((slot, _)) = model.remove(&id) {
                        registry.remove(slot);
                    }
                }
                Step::SetState(id, state) => {
                    if let Some((slot, known)) = model.get_mut(&id) {
                        registry.set_state(*slot, state);
                        *known = state;
                    }
                }
            }
            for id in (0..40).chain([u64::MAX, u64::MAX - 1, 1 << 63]) {
                let found = registry.find(NodeId(id));
                prop_assert_eq!(found, model.get(&id).map(|&(slot, _)| slot));
                if let Some(slot) = found {
                    prop_assert_eq!(registry.state(slot), Some(model[&id].1));
                    prop_assert_eq!(registry.node(slot).id, NodeId(id));
                }
            }
            prop_assert_eq!(registry.counts().known() as usize, model.len());
            prop_assert_eq!(registry.slots().count(), model.len());
        }
        for (slot, _) in model.into_values() {
            registry.remove(slot);
        }
        prop_assert!(registry.overflow.iter().all(|&count| count == 0), "removal leaves a trace");
    }
}

impl Registry {
    /// Groups that a lookup of this id reads.
    fn groups_read(&self, id: NodeId) -> usize {
        let Home { mut group, hash, .. } = self.home(id);
        let mut read = 1;
        let end = self.find(id).map(|slot| slot.position() / GROUP_SLOTS);
        while end.map_or(self.overflow[group] != 0, |end| end != group) {
            group = self.next_group(group, hash);
            read += 1;
        }
        read
    }

    fn groups_read_on_average(&self, ids: impl Iterator<Item = u64>) -> f64 {
        let (count, read) =
            ids.fold((0, 0), |(count, read), id| (count + 1, read + self.groups_read(NodeId(id))));
        read as f64 / f64::from(count)
    }
}

const FULL: u32 = 20_000;

#[test]
fn churn_of_many_times_the_capacity_neither_fills_nor_slows_the_table() {
    // Method: a full table, in which the oldest node makes room for a new one, over and over.
    let mut registry = Registry::new(FULL, 1);
    for id in 0..u64::from(FULL) {
        registry.insert(NodeId(id)).unwrap();
    }
    let churn = |registry: &mut Registry, ids: std::ops::Range<u64>| {
        for id in ids.clone() {
            let oldest = registry.find(NodeId(id - u64::from(FULL))).unwrap();
            registry.remove(oldest);
            registry.insert(NodeId(id)).expect("one was removed, so one fits");
        }
        let known = ids.end - u64::from(FULL)..ids.end;
        registry.groups_read_on_average(known)
    };
    let after_once = churn(&mut registry, u64::from(FULL)..2 * u64::from(FULL));
    let after_ten_times = churn(&mut registry, 2 * u64::from(FULL)..11 * u64::from(FULL));
    assert!(after_ten_times < 1.6, "{after_ten_times} groups a lookup");
    assert!(after_ten_times < after_once * 1.1, "{after_once} groups a lookup, then {after_ten_times}");
    let unknown = registry.groups_read_on_average(0..u64::from(FULL));
    assert!(unknown < 5.0, "{unknown} groups to find that an id is not known");
}

#[test]
fn ids_of_any_shape_spread_evenly() {
    type Shape = fn(u64) -> u64;
    let shapes: [(&str, Shape); 4] = [
        ("sequential", |n| n),
        ("high bits only", |n| n << 44),
        ("one lane", |n| 0xab << 56 | n),
        ("multiples of a page", |n| n * 4_096),
    ];
    for (name, shape) in shapes {
        let mut registry = Registry::new(FULL, 7);
        for n in 0..u64::from(FULL) {
            registry.insert(NodeId(shape(n))).unwrap();
        }
        let average = registry.groups_read_on_average((0..u64::from(FULL)).map(shape));
        assert!(average < 1.6, "{name}: {average} groups a lookup");
    }
}

#[test]
fn the_seed_decides_where_an_id_lives() {
    let home = |seed| Registry::new(FULL, seed).home(NodeId(42)).group;
    let homes: std::collections::BTreeSet<_> = (0..100).map(home).collect();
    assert!(homes.len() > 90, "{homes:?}");
}

/// Goal: a lookup ends also where, after churn in a small full table, every group has overflowed.
#[test]
fn a_lookup_in_a_small_table_ends() {
    for seed in 0..200 {
        let mut registry = Registry::new(12, seed);
        let mut known: Vec<u64> = (0..12).collect();
        for id in &known {
            registry.insert(NodeId(*id)).unwrap();
        }
        for id in 12..500 {
            // Any of those that are known.
            let gone = known.swap_remove(usize::try_from(id * 7 % 12).unwrap());
            registry.remove(registry.find(NodeId(gone)).unwrap());
            assert_eq!(registry.find(NodeId(gone)), None);
            registry.insert(NodeId(id)).expect("one was removed, so one fits");
            known.push(id);
        }
    }
}
