//! Any bytes as a frame: the decoder does not panic, and what it accepts, prost reads with the same content.
//!
//! The check itself is `codec/tests/wire/agreement.rs`, which the codec's property tests use, too; the test
//! `codec/tests/wire/corpus.rs` replays this target's corpus on a stable compiler.
//!
//! ```text
//! search     cargo +nightly fuzz run decode_frame -- -max_total_time=60 -max_len=4096
//! reproduce  cargo +nightly fuzz run decode_frame fuzz/artifacts/decode_frame/<file>
//! keep       put the file, with a name that says what it shows, into fuzz/corpus/decode_frame/
//! seeds      BLESS=1 cargo test -p pulsegate-codec --test wire      writes the golden frames into the corpus
//! ```

#![no_main]

#[path = "../../codec/tests/wire/agreement.rs"]
mod agreement;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agreement::check_any_bytes(bytes));
