//! What is under way to a target, of one lane: everything before the window has arrived.
//!
//! ```text
//!   offsets   … 11 12 │ 13   14   15   17 │ 18 …
//!              arrived │ way  done way way │ not sent yet
//!                      └ acknowledged_to = 13: the cursor stands here
//! ```
//!
//! Records may arrive in any order; the cursor moves only over the part without a hole. Offsets may have gaps, where a
//! topic is compacted.

use std::collections::VecDeque;

/// The records of one lane that were sent and have not been passed by the cursor.
#[derive(Debug)]
pub(super) struct Window {
    acknowledged_to: u64,
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    offset: u64,
    timestamp_ms: i64,
    has_arrived: bool,
}

impl Window {
    /// Nothing under way; everything before `acknowledged_to` has arrived.
    #[must_use]
    pub(super) const fn new(acknowledged_to: u64) -> Self {
        Self { acknowledged_to, sent: VecDeque::new() }
    }

    /// A record is on its way. Offsets only grow.
    ///
    /// # Panics
    /// If it does not come after all before it.
    pub(super) fn send(&mut self, offset: u64, timestamp_ms: i64) {
        let after = self.sent.back().map_or(self.acknowledged_to, |last| last.offset + 1);
        assert!(offset >= after, "records of a lane are sent in their order: {offset} after {after}");
        if self.sent.is_empty() {
            // Whatever lay between is gone from the log.
            self.acknowledged_to = offset;
        }
        self.sent.push_back(Sent { offset, timestamp_ms, has_arrived: false });
    }

    /// A record has arrived, or will never. Returns whether it was under way.
    pub(super) fn finish(&mut self, offset: u64) -> bool {
        let Ok(index) = self.sent.binary_search_by_key(&offset, |sent| sent.offset) else { return false };
        self.sent[index].has_arrived = true;
        while let Some(first) = self.sent.front().filter(|first| first.has_arrived) {
            self.acknowledged_to = first.offset + 1;
            self.sent.pop_front();
        }
        true
    }

    /// Where the cursor may stand: all before it has arrived.
    #[must_use]
    pub(super) const fn acknowledged_to(&self) -> u64 {
        self.acknowledged_to
    }

    /// Time of the oldest record that has not arrived.
    #[must_use]
    pub(super) fn oldest_timestamp_ms(&self) -> Option<i64> {
        self.sent.front().map(|first| first.timestamp_ms)
    }

    /// How many are between the cursor and the last that was sent.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cursor_waits_at_the_first_hole() {
        let mut window = Window::new(11);
        for offset in [11, 12, 14] {
            window.send(offset, i64::try_from(offset).unwrap() * 10);
        }
        assert!(window.finish(12));
        assert_eq!((window.acknowledged_to(), window.oldest_timestamp_ms()), (11, Some(110)));
        assert!(window.finish(11));
        assert_eq!((window.acknowledged_to(), window.oldest_timestamp_ms()), (13, Some(140)));
        assert!(!window.finish(12), "it is no longer under way");
        assert!(window.finish(14));
        assert_eq!((window.acknowledged_to(), window.len()), (15, 0));
    }

    #[test]
    fn removed_records_are_passed_when_nothing_is_under_way() {
        let mut window = Window::new(5);
        window.send(90, 0);
        assert_eq!(window.acknowledged_to(), 90);
    }

    proptest! {
        /// Goal: whatever the order of arrivals, the cursor stands before the first record that has not arrived.
        #[test]
        fn cursor_never_passes_a_record_that_has_not_arrived(
            gaps in prop::collection::vec(0_u64..3, 1..50),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..80),
        ) {
            let mut next = 0;
            let offsets: Vec<u64> = gaps.iter().map(|gap| { next += gap + 1; next - 1 }).collect();
            let mut window = Window::new(0);
            for offset in &offsets {
                window.send(*offset, 0);
            }
            let mut arrived = std::collections::BTreeSet::new();
            for index in order {
                let offset = offsets[index.index(offsets.len())];
                window.finish(offset);
                arrived.insert(offset);
                let hole = offsets.iter().find(|offset| !arrived.contains(offset));
                match hole {
                    Some(hole) => {
                        prop_assert!(window.acknowledged_to() <= *hole);
                        let before = offsets.iter().rev().find(|offset| *offset < hole);
                        prop_assert!(before.is_none_or(|before| window.acknowledged_to() > *before));
                    }
                    None => prop_assert_eq!(window.acknowledged_to(), offsets[offsets.len() - 1] + 1),
                }
            }
        }
    }
}
