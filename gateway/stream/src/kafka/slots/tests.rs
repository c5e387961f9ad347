//! Rules one by one, then whole crowds by chance.

use proptest::prelude::*;

use super::*;

fn source(last: u8) -> Source {
    Source::of(IpAddr::from([10, 0, 0, last]))
}

fn taken(admission: Admission) -> SlotId {
    match admission {
        Admission::Taken(id) | Admission::TakenFor(id, _) => id,
        Admission::Refused => panic!("refused"),
    }
}

#[test]
fn the_oldest_that_has_proved_nothing_goes_first() {
    let mut slots = Slots::new(3, Proof::Cheap);
    let ids = [(); 3].map(|()| taken(slots.admit(source(1))));
    slots.prove(ids[0]);
    assert_eq!(slots.admit(source(1)), Admission::TakenFor(SlotId(3), ids[1]));
    slots.release(ids[2]);
    slots.release(ids[2]);
    assert_eq!(slots.admit(source(2)), Admission::Taken(SlotId(4)));
}

#[test]
fn a_source_does_not_displace_one_that_holds_less() {
    let mut slots = Slots::new(3, Proof::Cheap);
    for id in [(); 2].map(|()| taken(slots.admit(source(1)))) {
        slots.prove(id);
    }
    let stranger = taken(slots.admit(source(2)));
    assert_eq!(slots.admit(source(1)), Admission::Refused);
    slots.prove(stranger);
    assert_eq!(slots.admit(source(1)), Admission::Refused);
}

#[test]
fn where_proof_is_cheap_a_source_with_many_gives_its_youngest() {
    let mut slots = Slots::new(3, Proof::Cheap);
    let ids = [(); 3].map(|()| taken(slots.admit(source(1))));
    for id in ids {
        slots.prove(id);
    }
    assert_eq!(slots.admit(source(2)), Admission::TakenFor(SlotId(3), ids[2]));
}

#[test]
fn a_login_is_never_displaced() {
    let mut slots = Slots::new(2, Proof::Login);
    let ids = [(); 2].map(|()| taken(slots.admit(source(1))));
    for id in ids {
        slots.prove(id);
    }
    assert_eq!(slots.admit(source(2)), Admission::Refused);
}

#[test]
fn neighbours_in_an_ipv6_network_are_one_source() {
    let of = |text: &str| Source::of(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::7"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:10.0.0.1"), source(1));
}

proptest! {
    /// Goal: whatever a crowd does, the bound holds, and a source that keeps to its share never loses a proven slot.
    #[test]
    fn the_modest_keep_what_they_have(
        slots_max in 4_usize..40,
        steps in prop::collection::vec((2_u8..4, any::<bool>()), 0..300),
    ) {
        let mut slots = Slots::new(slots_max, Proof::Cheap);
        let modest = taken(slots.admit(source(1)));
        slots.prove(modest);
        for (greedy, proves) in steps {
            match slots.admit(source(greedy)) {
                Admission::Taken(id) => if proves { slots.prove(id) },
                Admission::TakenFor(id, gone) => {
                    prop_assert_ne!(gone, modest);
                    prop_assert!(id > gone);
                    if proves { slots.prove(id) }
                }
                Admission::Refused => {}
            }
            prop_assert!(slots.taken.len() <= slots_max);
        }
        // A newcomer from a fourth place finds room in any crowd of that size.
        prop_assert_ne!(slots.admit(source(9)), Admission::Refused);
    }
}
