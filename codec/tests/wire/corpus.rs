//! Replays the committed corpus of the fuzz target `decode_frame`, so that what a search once found stays found
//! without a nightly compiler.

use std::fs;

use prost::Message as _;
use pulsegate_codec::proto::{Departure, HeartbeatBatch};

use crate::agreement::check_any_bytes;
use crate::frames::{MIXED, framed};
use crate::wild_writer::{Choices, write_wildly};
use crate::{golden, is_blessing, workspace_path};

const CORPUS_PATH: &str = "fuzz/corpus/decode_frame";

/// The seeds: every golden frame, and a batch in five handwritings.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let batch = HeartbeatBatch {
        node_id: (1..=5).collect(),
        sequence: vec![1, 127, 128, 16_384, u32::MAX],
        status: vec![0, 1, 0, 1, 0],
        progress: vec![0, u64::MAX, 1 << 35, 1, 2],
        departure: vec![Departure { node_id: 9, reason: 1, ..Departure::default() }],
        ..HeartbeatBatch::default()
    };
    let mut seeds = golden::all_frames();
    seeds.push(("prost".into(), framed(MIXED, &batch.encode_to_vec())));
    for hand in 0..4_u8 {
        let choice = |index: u8| index.wrapping_mul(37).wrapping_add(hand.wrapping_mul(101)) ^ (index >> 2);
        let choices: Vec<u8> = (0..97).map(choice).collect();
        seeds.push((
            format!("wild-{hand}"),
            framed(MIXED, &write_wildly(&batch, &mut Choices::new(&choices))),
        ));
    }
    seeds
}

#[test]
fn corpus_holds_the_seeds_and_none_of_it_panics_or_disagrees_with_prost() {
    let folder = workspace_path(CORPUS_PATH);
    if is_blessing() {
        fs::create_dir_all(&folder).unwrap();
        seeds().iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
    }
    for (name, bytes) in seeds() {
        assert_eq!(fs::read(folder.join(&name)).ok(), Some(bytes), "{name}: bless the corpus");
    }
    for entry in fs::read_dir(&folder).unwrap() {
        check_any_bytes(&fs::read(entry.unwrap().path()).unwrap());
    }
}
