//! The wheel's memory: chunks of slot numbers, strung into queues, taken from one pool of fixed size.
//!
//! A chunk is two cache lines: the number of the next chunk, two counts, and thirty entries. Walking
//! a queue streams through memory, thirty entries a jump, instead of one jump an entry as in a linked list.
//!
//! ```text
//!   queue { first, last } ──▶ | next | used, read | e0 e1 … e29 | ──▶ | next | used, read | e0 e1 … |
//! ```

use crate::slot::SlotIndex;

/// Entries of one chunk: what two cache lines leave after the link and the count.
pub(super) const CHUNK_ENTRIES: usize = 30;

/// No chunk.
const NONE: u32 = u32::MAX;

/// One piece of a queue, or of the list of free pieces.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Chunk {
    next: u32,
    /// Entries that were put in.
    used: u16,
    /// Entries that were taken out again. Less than `used` in every chunk of a queue.
    read: u16,
    entries: [u32; CHUNK_ENTRIES],
}

const _: () = assert!(size_of::<Chunk>() == 128);

/// All chunks. Never grows beyond what it was made with.
#[derive(Debug)]
pub(super) struct ChunkPool {
    chunks: Vec<Chunk>,
    chunks_max: usize,
    free: u32,
}

/// First in, first out, of slots. Its chunks belong to the one pool that it is used with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    first: u32,
    last: u32,
}

impl Queue {
    /// Holds nothing.
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    /// Whether it holds nothing.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

impl ChunkPool {
    /// A pool of this many chunks. The address space is taken now; the system hands out the memory when it is touched.
    #[must_use]
    pub(super) fn new(chunks_max: usize) -> Self {
        assert!(chunks_max < NONE as usize, "chunks are numbered in 32 bits");
        Self { chunks: Vec::with_capacity(chunks_max), chunks_max, free: NONE }
    }

    /// Gives all chunks back. Every queue of this pool must be set to empty by its owner.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.free = NONE;
    }

    /// Adds an entry at the queue's end; false when the pool is used up.
    #[must_use]
    pub(super) fn push(&mut self, queue: &mut Queue, slot: SlotIndex) -> bool {
        let has_room = queue.last != NONE && (self.chunks[queue.last as usize].used as usize) < CHUNK_ENTRIES;
        if !has_room && !self.extend(queue) {
            return false;
        }
        let chunk = &mut self.chunks[queue.last as usize];
        chunk.entries[chunk.used as usize] = slot.number();
        chunk.used += 1;
        true
    }

    /// Takes the oldest entry out.
    pub(super) fn pop(&mut self, queue: &mut Queue) -> Option<SlotIndex> {
        if queue.is_empty() {
            return None;
        }
        // A chunk in a queue holds at least one unread entry: emptied ones are given back below.
        let chunk = &mut self.chunks[queue.first as usize];
        let slot = SlotIndex::from_number(chunk.entries[chunk.read as usize]);
        chunk.read += 1;
        if chunk.read == chunk.used {
            self.release_first(queue);
        }
        Some(slot)
    }

    /// Hangs all entries of `tail` behind those of `queue`, without touching them.
    pub(super) fn append(&mut self, queue: &mut Queue, tail: Queue) {
        if tail.is_empty() {
            return;
        }
        if queue.is_empty() {
            *queue = tail;
            return;
        }
        self.chunks[queue.last as usize].next = tail.first;
        queue.last = tail.last;
    }

    /// The entries that wait in the queue, oldest first.
    pub(super) fn entries(&self, queue: Queue) -> impl Iterator<Item = SlotIndex> + '_ {
        let mut number = queue.first;
        let chunks = std::iter::from_fn(move || {
            // No chunk has the number that stands for none.
            let chunk = self.chunks.get(number as usize)?;
            number = chunk.next;
            Some(&chunk.entries[chunk.read as usize..chunk.used as usize])
        });
        chunks.flatten().map(|&number| SlotIndex::from_number(number))
    }

    /// Bytes that the pool takes when all of it is used.
    #[must_use]
    pub(super) const fn memory_bytes(&self) -> usize {
        self.chunks_max * size_of::<Chunk>()
    }

    fn extend(&mut self, queue: &mut Queue) -> bool {
        let Some(number) = self.take_free() else { return false };
        if queue.is_empty() {
            queue.first = number;
        } else {
            self.chunks[queue.last as usize].next = number;
        }
        queue.last = number;
        true
    }

    fn take_free(&mut self) -> Option<u32> {
        const FRESH: Chunk = Chunk { next: NONE, used: 0, read: 0, entries: [0; CHUNK_ENTRIES] };
        if self.free != NONE {
            let number = self.free;
            let chunk = &mut self.chunks[number as usize];
            self.free = chunk.next;
            (chunk.next, chunk.used, chunk.read) = (NONE, 0, 0);
            return Some(number);
        }
        if self.chunks.len() == self.chunks_max {
            return None;
        }
        let number = u32::try_from(self.chunks.len()).ok()?;
        self.chunks.push(FRESH);
        Some(number)
    }

    fn release_first(&mut self, queue: &mut Queue) {
        let number = queue.first;
        let chunk = &mut self.chunks[number as usize];
        let next = chunk.next;
        chunk.next = self.free;
        self.free = number;
        *queue = if next == NONE { Queue::EMPTY } else { Queue { first: next, last: queue.last } };
    }
}
