//! Any bytes as a request to the Kafka port: the decoder does not panic, and what it accepts, the kafka-protocol crate
//! reads with the same content.
//!
//! The check itself is `gateway/stream/tests/decoder/agreement.rs`; the tests there replay this target's corpus.
//!
//! ```text
//! search     cargo +nightly fuzz run decode_request -- -max_total_time=60 -max_len=4096
//! reproduce  cargo +nightly fuzz run decode_request fuzz/artifacts/decode_request/<file>
//! keep       put the file, with a name that says what it shows, into fuzz/corpus/decode_request/
//! seeds      BLESS=1 cargo test -p pulsegate-stream --test decoder
//! ```

#![no_main]

#[path = "../../gateway/stream/tests/decoder/agreement.rs"]
mod agreement;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    agreement::check_any_bytes(bytes);
});
