//! Decoding and encoding allocate nothing once they are warm, whatever the frame, good or bad.
//!
//! Method: a global allocator that counts calls of the thread that asks. It does not see what zstd's C code does with
//! `malloc`; that code allocates when a context is made and not while it decompresses into memory.

#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; it only counts and forwards")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pulsegate_codec::{
    BatchEncoder, Compression, Decoder, Departure, DepartureReason, Heartbeat, Incarnation, NodeId, SenderId,
    Sequence,
};

struct CountingAllocator;

thread_local! {
    static ALLOCATION_COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // A thread that is being torn down has no counter any more; nothing is measured there.
    let _ = ALLOCATION_COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system allocator unchanged, which keeps the contract; counting touches no memory that
// is being allocated.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps `alloc`'s contract for this very call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller got `pointer` from us with this layout, and so from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller got `pointer` from us with this layout, and so from the system allocator.
        unsafe { System.realloc(pointer, layout, new_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATION_COUNT.get();
    work();
    ALLOCATION_COUNT.get() - before
}

/// Fills the encoder with `count` heartbeats and a departure.
fn fill(encoder: &mut BatchEncoder, count: u32) {
    for index in 0..count {
        encoder.heartbeat(Heartbeat {
            node_id: NodeId(index.into()),
            sequence: Sequence(index),
            incarnation: Incarnation(1_760_000_000),
            progress: 1 << 40,
            ..Heartbeat::default()
        });
    }
    encoder.departure(Departure {
        node_id: NodeId(1),
        incarnation: Incarnation(1),
        sequence: Sequence(1),
        reason: DepartureReason::Shutdown,
        expected_return_ms: 5,
    });
}

#[test]
fn counter_counts() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn decoder_allocates_nothing_not_even_at_first() {
    let mut good = Vec::new();
    for compression in [Compression::Off, Compression::Zstd { level: 3 }] {
        for count in [1, 32, 64, 2_000] {
            let mut encoder = BatchEncoder::new(SenderId(1), compression);
            fill(&mut encoder, count);
            let mut bytes = Vec::new();
            encoder.finish(1, 1, &mut bytes).unwrap();
            good.push(bytes);
        }
    }
    let mut decoder = Decoder::new();
    let allocation_count = allocations_of(|| {
        for bytes in &good {
            let batch = decoder.decode(bytes).unwrap();
            assert_eq!(batch.departures().count() + batch.descriptors().count(), 1);
        }
    });
    assert_eq!(allocation_count, 0);
    // Refusals allocate nothing either: neither a flipped bit nor what zstd does not like.
    let mut bad = good;
    let allocation_count = allocations_of(|| {
        for bytes in &mut bad {
            for index in (0..bytes.len()).step_by(7) {
                bytes[index] ^= 0x10;
                assert!(decoder.decode(bytes).is_err());
                reseal(bytes);
                let _ = decoder.decode(bytes);
                bytes[index] ^= 0x10;
            }
        }
    });
    assert_eq!(allocation_count, 0);
}

/// Makes the checksum fit again, so that the decoder looks further.
fn reseal(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn encoder_allocates_nothing_once_it_has_built_a_frame_as_large() {
    for compression in [Compression::Off, Compression::Zstd { level: 3 }] {
        let mut encoder = BatchEncoder::new(SenderId(1), compression);
        let mut bytes = Vec::new();
        fill(&mut encoder, 300);
        encoder.finish(1, 1, &mut bytes).unwrap();
        let allocation_count = allocations_of(|| {
            for count in [300, 1, 64] {
                fill(&mut encoder, count);
                encoder.finish(2, 2, &mut bytes).unwrap();
            }
        });
        assert_eq!(allocation_count, 0, "{compression:?}");
    }
}
