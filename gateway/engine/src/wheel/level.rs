//! One level of the wheel: a ring of queues, and a bitmap of those that hold something.

use super::chunks::Queue;

/// Positions of one ring.
pub(super) const POSITIONS: usize = 1_024;

// A position is a mask, not a division; and the bitmap has whole words.
const _: () = assert!(POSITIONS.is_power_of_two() && POSITIONS.is_multiple_of(64));

const WORDS: usize = POSITIONS / 64;

/// A ring of queues, addressed by numbers that rise for ever: number `n` lies at position `n mod POSITIONS`. At any
/// time the owner uses a window of at most `POSITIONS` consecutive numbers, so no two of them share a position.
#[derive(Debug)]
pub(super) struct Level {
    queues: Box<[Queue; POSITIONS]>,
    occupied: [u64; WORDS],
}

impl Level {
    /// An empty ring.
    #[must_use]
    pub(super) fn new() -> Self {
        Self { queues: Box::new([Queue::EMPTY; POSITIONS]), occupied: [0; WORDS] }
    }

    /// Empties all queues. Their chunks are the pool's to take back.
    pub(super) fn clear(&mut self) {
        self.queues.fill(Queue::EMPTY);
        self.occupied = [0; WORDS];
    }

    /// The queue of this number, which is about to receive an entry.
    pub(super) fn queue_to_fill(&mut self, number: u64) -> &mut Queue {
        let position = position(number);
        self.occupied[position / 64] |= 1 << (position % 64);
        &mut self.queues[position]
    }

    /// Takes the queue of this number out; leaves it empty.
    pub(super) fn take(&mut self, number: u64) -> Queue {
        let position = position(number);
        self.occupied[position / 64] &= !(1 << (position % 64));
        std::mem::replace(&mut self.queues[position], Queue::EMPTY)
    }

    /// The queue of this number.
    #[must_use]
    pub(super) fn queue(&self, number: u64) -> Queue {
        self.queues[position(number)]
    }

    /// The first number from `start` on, within one turn of the ring, whose queue holds something.
    #[must_use]
    pub(super) fn next_occupied(&self, start: u64) -> Option<u64> {
        let first = position(start);
        let mut word_index = first / 64;
        let mut word = self.occupied[word_index] & (u64::MAX << (first % 64));
        // One word more than the ring has: the first one is looked at from both ends.
        for _ in 0..=WORDS {
            if word != 0 {
                let found = word_index * 64 + word.trailing_zeros() as usize;
                let distance = (found + POSITIONS - first) % POSITIONS;
                return Some(start + distance as u64);
            }
            word_index = (word_index + 1) % WORDS;
            word = self.occupied[word_index];
        }
        None
    }
}

fn position(number: u64) -> usize {
    usize::try_from(number % POSITIONS as u64).expect("less than the number of positions")
}
