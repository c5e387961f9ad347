//! Is there anything valid in a tail? The question that tells a torn write from damage.
//!
//! A batch may begin at any byte, since the length field that would lead to it may be what is damaged. Each byte is
//! tried, cheaply: 14 bytes of every header of this log are all ones (no idempotent producer). Only where they are is
//! the checksum computed. Base offset, magic and epoch are not looked at: a right checksum over a header and records is
//! no accident, whatever stands before it.
//!
//! The file is read in windows that overlap by one batch, so memory is bounded. A record whose value is itself a batch
//! would be taken for one and make a torn tail look like damage; events are text and cannot hold such bytes.

use std::fs::File;
use std::io;

use crate::limits::{BATCH_BYTES_MAX, BATCH_HEADER_BYTES};
use crate::record_batch::{BatchHeader, NO_PRODUCER, PRODUCER_AT};
use crate::segment::read_up_to;

/// What a tail holds.
pub(crate) struct Tail {
    /// Where the first batch with a right checksum begins in the file.
    pub(crate) valid_batch_at: Option<u64>,
    /// Every byte is zero.
    pub(crate) is_zero: bool,
}

/// Reads a file from `position` to its end, or to its first valid batch.
pub(crate) fn examine_tail(file: &File, position: u64) -> io::Result<Tail> {
    let mut window = vec![0; 2 * BATCH_BYTES_MAX];
    let mut window_at = position;
    let mut is_zero = true;
    loop {
        let count = read_up_to(file, &mut window, window_at)?;
        let bytes = &window[..count];
        is_zero &= bytes.iter().all(|byte| *byte == 0);
        // Batches that begin in the first half of a full window lie wholly in it; the rest comes with the next one.
        let is_last = count < window.len();
        let starts = if is_last { count } else { BATCH_BYTES_MAX };
        if let Some(start) = (0..starts).find(|start| is_valid_batch(&bytes[*start..])) {
            return Ok(Tail { valid_batch_at: Some(window_at + start as u64), is_zero: false });
        }
        if is_last {
            return Ok(Tail { valid_batch_at: None, is_zero });
        }
        window_at += BATCH_BYTES_MAX as u64;
    }
}

fn is_valid_batch(bytes: &[u8]) -> bool {
    const PRODUCER_END: usize = PRODUCER_AT + NO_PRODUCER.len();
    const { assert!(PRODUCER_END <= BATCH_HEADER_BYTES) };
    if bytes.get(PRODUCER_AT..PRODUCER_END) != Some(&NO_PRODUCER[..]) {
        return false;
    }
    BatchHeader::parse(bytes).is_ok_and(|header| header.verify_checksum(bytes).is_ok())
}
