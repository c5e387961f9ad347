//! What the oracle keeps of a node.

use std::cell::Cell;
use std::sync::Arc;

use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{EngineConfig, NodeState};

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
    /// It is suspect or failed, and has been heard once since.
    pub(crate) is_returning: bool,
    /// The heartbeat that is being taken was a newer one, and was taken whole.
    pub(crate) was_heard: bool,
    /// What the world was told last.
    pub(crate) is_degraded: bool,
    /// The counter of work done that it declared in this run, if it did.
    pub(crate) progress: Option<u64>,
    /// When it was last seen to move, or to have nothing to do.
    pub(crate) moved_at: u64,
    pub(crate) is_stalled: bool,
    pub(crate) maintenance: Option<Maintenance>,
    pub(crate) facts: Option<Arc<NodeFacts>>,
    /// Place of its profile.
    pub(crate) profile: usize,
    pub(crate) round_trip_us: u32,
    /// All that it has taught since it became known.
    pub(crate) lessons: Vec<Lesson>,
    /// It has answered a probe, and is not called failed before then.
    pub(crate) suspect_until: u64,
    /// How far the engine's moment may be from that, at most.
    pub(crate) answer_leeway: u64,
    /// What follows from the above, until one of them changes.
    pub(crate) timeouts: Cell<Option<Naive>>,
}

/// A time in which a node is not judged by its silence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maintenance {
    pub(crate) until: u64,
    pub(crate) by_operator: bool,
    /// How far the engine's end may be from this one: the grace of a goodbye is a learnt timeout.
    pub(crate) leeway: u64,
}

impl Known {
    /// A node that has been heard once.
    pub(crate) fn first(config: &EngineConfig, incarnation: u32, sequence: u32, now: u64) -> Self {
        Self {
            state: NodeState::New,
            incarnation,
            sequence,
            last_seen: now,
            interval_ms: config.interval_ms,
            verdicts: 0,
            is_returning: false,
            was_heard: false,
            is_degraded: false,
            maintenance: None,
            progress: None,
            moved_at: 0,
            is_stalled: false,
            facts: None,
            profile: config.profiles.default_index().position(),
            round_trip_us: 0,
            lessons: Vec::new(),
            timeouts: Cell::default(),
            suspect_until: 0,
            answer_leeway: 0,
        }
    }

    /// What a newer heartbeat of the same run teaches.
    pub(crate) fn learn_from(&mut self, learns: bool, now: u64, sequence: u32, listens_since: u64) {
        let is_counted = sequence != 0 && self.sequence != 0;
        let steps = if is_counted { sequence.saturating_sub(self.sequence) } else { 0 };
        let listened = self.last_seen >= listens_since;
        match self.state {
            NodeState::Suspect | NodeState::Failed if !self.is_returning => {
                if listened && self.state == NodeState::Suspect {
                    self.learn(learns, Lesson::Losses { steps });
                }
                self.learn(learns, Lesson::Wronged);
            }
            NodeState::Left => {}
            _ if listened => {
                let length_us = (now - self.last_seen) as f64 / 1e3;
                let interval_us = f64::from(self.interval_ms) * 1e3;
                self.learn(learns, Lesson::Gap { length_us, steps, interval_us });
            }
            _ => {}
        }
    }

    pub(crate) fn learn(&mut self, learns: bool, lesson: Lesson) {
        if learns {
            self.lessons.push(lesson);
            self.timeouts.set(None);
        }
    }

    /// The world begins anew with it: healthy and moving.
    pub(crate) fn forget_condition(&mut self) {
        (self.is_degraded, self.is_stalled, self.progress) = (false, false, None);
    }

    pub(crate) fn learns(&self, config: &EngineConfig) -> bool {
        config.profiles.detectors()[self.profile].profile().needs_rhythm()
    }

    /// The first heartbeat of a suspect or failed node: nothing but a sign of life.
    pub(crate) fn return_for(&mut self, config: &EngineConfig, now: u64, sequence: u32, listens_since: u64) {
        self.learn_from(self.learns(config), now, sequence, listens_since);
        self.is_returning = true;
        self.last_seen = now;
        self.sequence = self.sequence.max(sequence);
    }

    /// A heartbeat while an operator holds it down.
    pub(crate) fn hear_in_maintenance(&mut self, config: &EngineConfig, now: u64, sequence: u32) {
        self.learn(self.learns(config), Lesson::Skip);
        self.last_seen = now;
        self.sequence = self.sequence.max(sequence);
    }

    /// Heartbeats do not bring it back.
    pub(crate) fn is_held_by_operator(&self) -> bool {
        self.maintenance.is_some_and(|maintenance| maintenance.by_operator)
    }

    /// Nothing can happen to it any more but that.
    pub(crate) fn waits_to_be_forgotten(&self) -> bool {
        matches!(self.state, NodeState::Failed | NodeState::Left) && !self.is_returning
    }

    /// Whether what time does to it next is told to nobody.
    pub(crate) fn settles_quietly(&self) -> bool {
        self.maintenance.is_none()
            && (self.state == NodeState::New || (self.state == NodeState::Failed && self.is_returning))
    }
}
