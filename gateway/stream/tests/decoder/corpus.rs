//! Replays the committed corpus of the fuzz target `decode_request`, so that what a search once found stays found without
//! a fuzzer.

use std::fs;
use std::path::Path;

use crate::agreement::check_any_bytes;
use crate::requests;

/// The seeds: one request of each kind and version.
const SEED: u64 = 1;

#[test]
fn corpus_holds_the_seeds_and_none_of_it_panics_or_disagrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/decode_request");
    let seeds = requests::all(SEED);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        seeds.iter().for_each(|(name, frame)| fs::write(folder.join(name), frame).unwrap());
    }
    for (name, frame) in seeds {
        assert!(check_any_bytes(&frame), "{name} is read, here and there");
        assert_eq!(fs::read(folder.join(&name)).ok(), Some(frame), "{name}: bless the corpus");
    }
    for entry in fs::read_dir(&folder).unwrap() {
        check_any_bytes(&fs::read(entry.unwrap().path()).unwrap());
    }
}
