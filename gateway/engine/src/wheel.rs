//! When to look at which node: a hierarchical timing wheel that is never searched and never cancelled in.
//!
//! **Entries are hints.** An entry is nothing but a slot number. The node's own record says at which tick it wants to
//! be looked at (`Node::armed`); an entry that comes up and finds the record wanting something else is *stale* and
//! is dropped. So a heartbeat need not touch the wheel at all: the entry comes up at the old deadline, the owner
//! computes the new one and arms again, once a timeout instead of once a heartbeat (foca, tokio and ZooKeeper know
//! the trick). The armed tick plays the part of a generation, but is exact and never wraps: ticks are counted in 39
//! bits. Two entries of one node at the same tick are harmless: the first one moves the armed tick on, the second is
//! stale.
//!
//! **Levels.** Two rings (Varghese & Lauck 1987, scheme 7). Near: one queue a tick, 1024 ticks. Far: one queue for 64
//! ticks, 1024 queues. An entry goes to the near ring if it fits; most timeouts do, and never move again.
//!
//! ```text
//!             current                                                 SPAN_TICKS
//!   due ◀──────┤·|·|·|·|·| near: 1 tick each, 1024 |
//!              ├───────┬───────┬───────┬── far: 64 ticks each, 1024 ──────┤
//!                       cascading: one far queue, on its way to near
//! ```
//!
//! A far queue may cascade as soon as all of it fits into the near ring, which is 960 ticks before it must: the owner
//! does it piece by piece with what is left of each call's budget, so there is no burst at the turn of a ring. Two levels
//! suffice, because arming again is what the owner does all the time anyway: a wait that is longer than the span, or than
//! two minutes, is cut, and the node looked at in between. That also bounds how long a stale entry stays.
//!
//! **Advancing** strings the queues of all ticks up to now into one queue, `due`, touching no entry: a jump of hours
//! costs as little as one of a tick. The owner takes entries out of `due` at its own pace.
//!
//! **Memory** is taken at start, for twice as many entries as there are nodes. If stale entries fill it, the owner
//! rebuilds the wheel from the records ([`Wheel::clear`]): that takes at least as many stale entries as nodes, so
//! it costs little on average.
//!
//! It does not read records and knows neither deadlines nor time, only ticks.

mod chunks;
mod level;

use crate::slot::SlotIndex;
use crate::time::Tick;
use chunks::{CHUNK_ENTRIES, ChunkPool, Queue};
use level::{Level, POSITIONS};

/// Ticks of one far queue, as a shift.
const FAR_SHIFT: u32 = 6;
/// Ticks of one far queue.
const FAR_TICKS: u64 = 1 << FAR_SHIFT;
/// Ticks of the near ring.
const NEAR_TICKS: u64 = POSITIONS as u64;

/// How far ahead of the current tick an entry can be armed.
pub const SPAN_TICKS: u64 = (POSITIONS as u64 - 1) << FAR_SHIFT;

// A far queue must fit into the near ring whole, or it could never cascade ahead of time.
const _: () = assert!(FAR_TICKS < NEAR_TICKS);

/// Slots by the tick at which they are to be looked at.
#[derive(Debug)]
pub struct Wheel {
    /// Everything up to and with this tick is in `due`.
    current: Tick,
    near: Level,
    far: Level,
    due: Queue,
    /// A far queue that is being cascaded, and its number.
    cascading: Queue,
    cascading_number: u64,
    pool: ChunkPool,
}

/// The pool is used up; nothing was armed. Clear the wheel and arm all nodes anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WheelFull;

impl Wheel {
    /// An empty wheel that stands at `now`, with room for two entries a node.
    #[must_use]
    pub fn new(nodes_max: u32, now: Tick) -> Self {
        // Each node once, and a partly filled chunk for every queue there is. Twice that: see `clear`.
        let chunks_once = (nodes_max as usize).div_ceil(CHUNK_ENTRIES) + 2 * POSITIONS + 2;
        Self {
            current: now,
            near: Level::new(),
            far: Level::new(),
            due: Queue::EMPTY,
            cascading: Queue::EMPTY,
            cascading_number: 0,
            pool: ChunkPool::new(2 * chunks_once),
        }
    }

    /// The tick up to which entries are due.
    #[must_use]
    pub const fn current(&self) -> Tick {
        self.current
    }

    /// Adds an entry for `slot` at `tick`, which lies within [`SPAN_TICKS`]. One that is not in the future is due at once.
    ///
    /// # Errors
    /// [`WheelFull`] if there is no room.
    ///
    /// # Panics
    /// If the tick is beyond the span.
    pub fn arm(&mut self, slot: SlotIndex, tick: Tick) -> Result<(), WheelFull> {
        assert!(tick <= self.current.after(SPAN_TICKS), "the caller arms within the span");
        let queue = if tick <= self.current {
            &mut self.due
        } else if tick.0 - self.current.0 <= NEAR_TICKS {
            self.near.queue_to_fill(tick.0)
        } else {
            self.far.queue_to_fill(tick.0 >> FAR_SHIFT)
        };
        if self.pool.push(queue, slot) { Ok(()) } else { Err(WheelFull) }
    }

    /// Moves the current tick on; entries up to it become due, in the order of ticks (those of one far queue are not
    /// ordered among themselves). Looks at no entry.
    ///
    /// # Panics
    /// If `now` is before the current tick.
    pub fn advance(&mut self, now: Tick) {
        assert!(now >= self.current, "ticks do not go back");
        self.retire_cascading(now);
        loop {
            let near = self.near.next_occupied(self.current.0 + 1).filter(|&tick| tick <= now.0);
            let far = self.next_far().filter(|&number| number << FAR_SHIFT <= now.0);
            match (near, far) {
                (None, None) => break,
                (Some(tick), None) => self.retire_near(tick),
                (Some(tick), Some(number)) if tick < number << FAR_SHIFT => self.retire_near(tick),
                (_, Some(number)) => self.retire_far(number, now),
            }
        }
        self.current = now;
    }

    /// Takes entries that are due into `piece`, as many as fit; returns how many. Whether a node still wants to be
    /// looked at is the node's to say.
    pub fn pop_due(&mut self, piece: &mut [SlotIndex]) -> usize {
        for (count, entry) in piece.iter_mut().enumerate() {
            let Some(slot) = self.pool.pop(&mut self.due) else { return count };
            *entry = slot;
        }
        piece.len()
    }

    /// Whether entries are due.
    #[must_use]
    pub const fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether a far queue holds entries that may be due: it must be cascaded before `due` is believed to be all.
    #[must_use]
    pub const fn must_cascade(&self) -> bool {
        !self.cascading.is_empty() && self.cascading_number << FAR_SHIFT <= self.current.0
    }

    /// Takes one entry that is to be sorted into the near ring, from a far queue that fits into it; `None` when there
    /// is none. The caller arms it again if [`Self::belongs_to_cascade`] says so, or drops it.
    pub fn pop_cascading(&mut self) -> Option<SlotIndex> {
        if self.cascading.is_empty() {
            let number = self.next_far()?;
            let last_tick = (number << FAR_SHIFT) + FAR_TICKS - 1;
            if last_tick > self.current.0 + NEAR_TICKS {
                return None;
            }
            self.cascading = self.far.take(number);
            self.cascading_number = number;
        }
        self.pool.pop(&mut self.cascading)
    }

    /// Whether an entry that [`Self::pop_cascading`] just gave is the one that armed its node at `armed`.
    #[must_use]
    pub const fn belongs_to_cascade(&self, armed: Tick) -> bool {
        armed.0 >> FAR_SHIFT == self.cascading_number
    }

    /// The tick at which [`Self::advance`] is next needed: exact for the near ring, the first tick of its queue for
    /// the far ring. The current tick when entries wait; `None` when there are none.
    #[must_use]
    pub fn next_tick(&self) -> Option<Tick> {
        if self.has_due() || self.must_cascade() {
            return Some(self.current);
        }
        let near = self.near.next_occupied(self.current.0 + 1);
        let far = self.next_far().map(|number| number << FAR_SHIFT);
        let cascading = (!self.cascading.is_empty()).then_some(self.cascading_number << FAR_SHIFT);
        [near, far, cascading].into_iter().flatten().min().map(Tick)
    }

    /// Drops all entries. The owner then arms each of its nodes once; that needs at most half of the pool.
    pub fn clear(&mut self) {
        self.near.clear();
        self.far.clear();
        self.due = Queue::EMPTY;
        self.cascading = Queue::EMPTY;
        self.pool.clear();
    }

    /// Bytes of memory that were taken at start.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.pool.memory_bytes() + 2 * POSITIONS * size_of::<Queue>()
    }

    /// All entries with the first and the last tick that their place stands for. For tests: walks everything.
    pub fn entries(&self) -> impl Iterator<Item = (SlotIndex, Tick, Tick)> + '_ {
        let due = self.pool.entries(self.due).map(|slot| (slot, Tick(0), self.current));
        let near = (self.current.0 + 1..=self.current.0 + NEAR_TICKS).flat_map(|tick| {
            self.pool.entries(self.near.queue(tick)).map(move |slot| (slot, Tick(tick), Tick(tick)))
        });
        let far_start = self.current.0 >> FAR_SHIFT;
        let far = (far_start..far_start + POSITIONS as u64)
            .flat_map(|number| self.pool.entries(self.far.queue(number)).map(move |slot| (slot, number)))
            .chain(self.pool.entries(self.cascading).map(|slot| (slot, self.cascading_number)))
            .map(|(slot, number)| {
                (slot, Tick(number << FAR_SHIFT), Tick((number << FAR_SHIFT) + FAR_TICKS - 1))
            });
        due.chain(near).chain(far)
    }

    /// The number of the first far queue that holds something. The queue that the current tick lies in counts: it may
    /// have been filled before the current tick came there.
    fn next_far(&self) -> Option<u64> {
        self.far.next_occupied(self.current.0 >> FAR_SHIFT)
    }

    fn retire_near(&mut self, tick: u64) {
        let queue = self.near.take(tick);
        self.pool.append(&mut self.due, queue);
    }

    /// A far queue whose first tick has come: due as a whole, or on its way to the near ring.
    fn retire_far(&mut self, number: u64, now: Tick) {
        let queue = self.far.take(number);
        if (number << FAR_SHIFT) + FAR_TICKS - 1 <= now.0 {
            self.pool.append(&mut self.due, queue);
        } else {
            // Only the last one can lie across `now`, and the one before it was retired above or as its own turn came.
            assert!(self.cascading.is_empty(), "far queues cascade one after the other");
            self.cascading = queue;
            self.cascading_number = number;
        }
    }

    /// A cascade that was not finished when the last of its ticks came: what is left of it is due.
    fn retire_cascading(&mut self, now: Tick) {
        if self.cascading.is_empty() || (self.cascading_number << FAR_SHIFT) + FAR_TICKS - 1 > now.0 {
            return;
        }
        let rest = std::mem::replace(&mut self.cascading, Queue::EMPTY);
        self.pool.append(&mut self.due, rest);
    }
}

#[cfg(test)]
mod tests;
