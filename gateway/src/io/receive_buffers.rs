//! Memory that the kernel fills with datagrams.
//!
//! ```text
//!              stride (an odd number of cache lines)
//!   ├────────────────────────────────────────────────┤
//!   [ head ][ payload, up to a whole train           ][ head ][ payload …
//!   buffer 0                                          buffer 1
//! ```
//!
//! The memory is mapped, not allocated: a buffer must have room for a train of 64 KiB, but pages that were never
//! written take no memory, and with single datagrams only the first page of each ever is. The stride is an odd number
//! of cache lines: with a power of two all buffers' heads would compete for the same few sets of the cache.
//!
//! [`BufferRing`] is the queue in which buffers are lent to io_uring ("provided buffer ring", `io_uring_register(2)`).
//! The kernel takes from its head, we append at its tail; both are positions in shared memory.
//!
//! This file decides nothing about when a buffer may be read; each reader proves that with its `SAFETY` comment.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::io::receiver::ReceiverError;

const CACHE_LINE_BYTES: usize = 64;

/// Anonymous, zeroed, page-aligned memory.
#[derive(Debug)]
struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn new(bytes: usize) -> Result<Self, ReceiverError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(ReceiverError::OutOfMemory { bytes });
        }
        let address = NonNull::new(address.cast()).ok_or(ReceiverError::OutOfMemory { bytes })?;
        Ok(Self { address, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and whoever owns a `Mapping` drops it after everything that points
        // into it (see the field order of `Ring` and `Mmsg`).
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
    }
}

/// Equal buffers in one mapping.
#[derive(Debug)]
pub(super) struct Buffers {
    mapping: Mapping,
    count: usize,
    buffer_bytes: usize,
    stride: usize,
}

impl Buffers {
    /// `count` buffers of `buffer_bytes` each, head included.
    pub(super) fn new(count: usize, buffer_bytes: usize) -> Result<Self, ReceiverError> {
        let lines = buffer_bytes.div_ceil(CACHE_LINE_BYTES) | 1;
        let stride = lines * CACHE_LINE_BYTES;
        let mapping = Mapping::new(count * stride)?;
        Ok(Self { mapping, count, buffer_bytes, stride })
    }

    pub(super) const fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Where buffer `index` starts; aligned to a cache line.
    ///
    /// # Panics
    /// If there is no such buffer.
    #[inline]
    pub(super) fn address(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.count, "buffer {index} of {}", self.count);
        // SAFETY: `index * stride` is inside the mapping of `count * stride` bytes, by the assertion above.
        unsafe { self.mapping.address.add(index * self.stride) }
    }

    /// `length` bytes of buffer `index`, from `offset` on.
    ///
    /// # Panics
    /// If they are not inside the buffer.
    ///
    /// # Safety
    /// For as long as the slice lives, nobody may write to the buffer: not the kernel, and not we.
    #[inline]
    pub(super) unsafe fn bytes(&self, index: usize, offset: usize, length: usize) -> &[u8] {
        assert!(offset + length <= self.buffer_bytes, "{length} bytes at {offset} of {}", self.buffer_bytes);
        // SAFETY: `offset` is inside the buffer, by the assertion above.
        let start = unsafe { self.address(index).add(offset) };
        // SAFETY: the range is inside the mapping, which is zeroed from the start and lives as long as `self`; that
        // nobody writes to it meanwhile is the caller's promise.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }
}

/// The queue of buffers that are lent to the kernel.
#[derive(Debug)]
pub(super) struct BufferRing {
    entries: Mapping,
    entry_count: u16,
    /// Where the next buffer goes; the kernel sees it after `publish`.
    tail: u16,
}

impl BufferRing {
    /// An empty queue with room for `entry_count` buffers, a power of two.
    pub(super) fn new(entry_count: u16) -> Result<Self, ReceiverError> {
        assert!(entry_count.is_power_of_two(), "positions are masked");
        let bytes = usize::from(entry_count) * size_of::<BufRingEntry>();
        Ok(Self { entries: Mapping::new(bytes)?, entry_count, tail: 0 })
    }

    pub(super) fn address(&self) -> u64 {
        self.entries.address.as_ptr() as u64
    }

    pub(super) const fn entry_count(&self) -> u16 {
        self.entry_count
    }

    /// Appends buffer `index`. The kernel may not write to it before `publish`.
    #[inline]
    pub(super) fn lend(&mut self, index: u16, buffers: &Buffers) {
        let position = usize::from(self.tail & (self.entry_count - 1));
        // SAFETY: the position is masked, so the entry is inside the mapping of `entry_count` entries.
        let entry = unsafe { self.entries.address.cast::<BufRingEntry>().add(position) };
        // SAFETY: a mapped, aligned entry (any bits are one) to which the kernel has no claim: it reads entries between
        // its head and the published tail only, and no more than `entry_count` buffers exist, each lent once.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(buffers.address(usize::from(index)).as_ptr() as u64);
        // The length fits: a configuration is bounded by 64 KiB and a head.
        entry.set_len(u32::try_from(buffers.buffer_bytes()).unwrap_or(u32::MAX));
        entry.set_bid(index);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel everything lent so far.
    #[inline]
    pub(super) fn publish(&mut self) {
        let first = self.entries.address.cast::<BufRingEntry>();
        // SAFETY: `first` is the first entry of a page-aligned, zeroed ring; the tail lies in its reserved field.
        let tail = unsafe { BufRingEntry::tail(first.as_ptr()) };
        // SAFETY: the field is a mapped, aligned u16 that only we write, through this atomic.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: publishes the entries written by `lend`. Pairs with the acquire load of the tail in the kernel
        // (`io_ring_buffer_select` in io_uring/kbuf.c).
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_buffers_spread_over_the_sets_of_a_cache() {
        // Method: 64 sets of 64 bytes, as in most first-level caches.
        let buffers = Buffers::new(64, 65_536 + 80).unwrap();
        let mut sets: Vec<usize> =
            (0..64).map(|index| (buffers.address(index).as_ptr() as usize / 64) % 64).collect();
        sets.sort_unstable();
        sets.dedup();
        assert_eq!(sets.len(), 64);
    }

    #[test]
    #[should_panic(expected = "buffer 4 of 4")]
    fn there_is_no_buffer_behind_the_last() {
        let buffers = Buffers::new(4, 100).unwrap();
        let _ = buffers.address(4);
    }
}
