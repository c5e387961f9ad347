//! The request decoder of the Kafka port, tested from outside: whatever another implementation of the protocol encodes
//! is read with the same content, and so is whatever the fuzz target once found worth keeping.
//!
//! `BLESS=1 cargo test -p pulsegate-stream --test decoder` writes the seeds of the fuzz corpus anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agreement;
mod corpus;
mod requests;

use pulsegate_stream::kafka::decoded::decode;

/// Goal: every request in every advertised version, as kafka-protocol encodes it with contents by chance, is accepted and
/// has the same meaning here.
#[test]
fn what_another_implementation_encodes_has_the_same_meaning_here() {
    for seed in 0..200 {
        for (name, frame) in requests::all(seed) {
            assert!(decode(&frame).is_some(), "seed {seed}, {name} is refused: {frame:02x?}");
            assert!(agreement::check_any_bytes(&frame), "seed {seed}, {name} cannot be compared");
        }
    }
}

/// Goal: the same requests with one byte changed, cut, or doubled are refused or have the same meaning here and there.
#[test]
fn damaged_requests_are_refused_or_have_the_same_meaning() {
    let mut compared = 0;
    for seed in 0..40 {
        let mut chance = requests::Chance(seed);
        for (_, frame) in requests::all(seed) {
            for _ in 0..4 {
                let mut damaged = frame.clone();
                let at = chance.below(damaged.len());
                match chance.below(4) {
                    0 => damaged.truncate(at),
                    1 => damaged.insert(at, chance.byte()),
                    _ => damaged[at] = chance.byte(),
                }
                compared += usize::from(agreement::check_any_bytes(&damaged));
            }
        }
    }
    assert!(compared > 1_000, "only {compared} damaged requests were still requests");
}
