//! What the oracle keeps of a node.

use std::cell::Cell;
use std::sync::Arc;

use pulsegate_engine::NodeState;
use pulsegate_engine::verdict::NodeFacts;

use crate::naive_detector::{Lesson, Naive};

/// What is known of a node. Times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) state: NodeState,
    pub(crate) incarnation: u32,
    pub(crate) sequence: u32,
    pub(crate) last_seen: u64,
    pub(crate) interval_ms: u32,
    pub(crate) verdicts: u32,
    /// The heartbeat that is being taken was a newer one, and was taken whole.
    pub(crate) was_heard: bool,
    /// What the world was told last.
    pub(crate) is_degraded: bool,
    pub(crate) facts: Option<Arc<NodeFacts>>,
    /// Place of its profile.
    pub(crate) profile: usize,
    pub(crate) round_trip_us: u32,
    /// All that it has taught since it became known.
    pub(crate) lessons: Vec<Lesson>,
    /// It has answered a probe, and is not called failed before then.
    pub(crate) suspect_until: u64,
    /// What follows from the above, until one of them changes.
    pub(crate) timeouts: Cell<Option<Naive>>,
}

impl Known {
    /// What a newer heartbeat of the same run teaches.
    pub(crate) fn learn_from(&mut self, learns: bool, now: u64, sequence: u32, listens_since: u64) {
        let is_counted = sequence != 0 && self.sequence != 0;
        let steps = if is_counted { sequence.saturating_sub(self.sequence) } else { 0 };
        let listened = self.last_seen >= listens_since;
        match self.state {
            NodeState::New | NodeState::Alive if listened => {
                let length_us = (now - self.last_seen) as f64 / 1e3;
                let interval_us = f64::from(self.interval_ms) * 1e3;
                self.learn(learns, Lesson::Gap { length_us, steps, interval_us });
            }
            NodeState::Suspect | NodeState::Failed => {
                if listened && self.state == NodeState::Suspect {
                    self.learn(learns, Lesson::Losses { steps });
                }
                self.learn(learns, Lesson::Wronged);
            }
            NodeState::New | NodeState::Alive | NodeState::Left => {}
        }
    }

    pub(crate) fn learn(&mut self, learns: bool, lesson: Lesson) {
        if learns {
            self.lessons.push(lesson);
            self.timeouts.set(None);
        }
    }
}
