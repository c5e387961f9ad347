//! On which terms each node is judged: its profile, its distance, and what was learnt of it. Arrays beside the registry, by slot.
//!
//! ```text
//!   path     | profile 1 B, round trip 4 B  |   8 bytes a slot, only the wheel and descriptors come here
//!   rhythms  | 16 bytes                     |   every heartbeat of a learning profile; absent while nobody learns
//! ```
//!
//! The rhythms are there from the start if the default profile or a rule's learns. Else they are allocated, for all slots at
//! once, when the first node names a profile that does: a gateway whose nodes are all judged by fixed numbers of intervals
//! pays nothing for the others.

use std::cell::Cell;

use pulsegate_codec::NodeDescriptor;

use crate::detector::profiles::{ProfileIndex, Profiles};
use crate::detector::{Detector, Gap, Observation, Rhythm, Timeouts};
use crate::limits::ROUND_TRIP_US_MAX;
use crate::slot::SlotIndex;
use crate::time::Duration;
use crate::verdict::Terms;

/// What a node's descriptor says of how to judge it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Path {
    profile: ProfileIndex,
    round_trip_us: u32,
}

/// The terms of all nodes of a shard.
#[derive(Debug)]
pub(crate) struct Detection {
    profiles: Profiles,
    paths: Box<[Path]>,
    /// One a slot, or none at all.
    rhythms: Box<[Rhythm]>,
    latest: Cell<Option<Latest>>,
}

/// Timeouts that were worked out last for a node whose profile learns nothing: they are the same for all nodes with this
/// profile, interval and distance, and in a mass expiry that is nearly always the next node, too.
#[derive(Clone, Copy, Debug)]
struct Latest {
    path: Path,
    interval_ms: u32,
    timeouts: Timeouts,
}

impl Detection {
    pub(crate) fn new(profiles: Profiles, slots: usize) -> Self {
        let path = Path { profile: profiles.default_index(), round_trip_us: 0 };
        let (paths, rhythms) = (vec![path; slots].into(), Box::default());
        let mut detection = Self { paths, rhythms, profiles, latest: Cell::default() };
        if detection.profiles.need_rhythm() {
            detection.make_room_to_learn();
        }
        detection
    }

    fn make_room_to_learn(&mut self) {
        self.rhythms = vec![Rhythm::UNKNOWN; self.paths.len()].into();
    }

    /// The slot belongs to another node from now on, of which nothing is known.
    pub(crate) fn begin(&mut self, slot: SlotIndex) {
        let path = Path { profile: self.profiles.default_index(), round_trip_us: 0 };
        self.paths[slot.position()] = path;
        if let Some(rhythm) = self.rhythms.get_mut(slot.position()) {
            *rhythm = Rhythm::UNKNOWN;
        }
    }

    /// Takes what the descriptor says of profile and distance. True if it names a profile that does not exist.
    pub(crate) fn describe(&mut self, slot: SlotIndex, descriptor: &NodeDescriptor<'_>) -> bool {
        let (profile, is_unknown) = self.profiles.choose(descriptor);
        if self.paths[slot.position()].profile != profile {
            self.paths[slot.position()].profile = profile;
            if self.rhythms.is_empty() && self.profiles.detector(profile).profile().needs_rhythm() {
                self.make_room_to_learn();
            }
            if let Some(rhythm) = self.rhythms.get_mut(slot.position()) {
                rhythm.begin_from_nothing();
            }
        }
        is_unknown
    }

    /// How the node is judged.
    pub(crate) fn profile(&self, slot: SlotIndex) -> ProfileIndex {
        self.paths[slot.position()].profile
    }

    /// Notes the distance.
    pub(crate) fn set_round_trip(&mut self, slot: SlotIndex, round_trip_us: u32) {
        self.paths[slot.position()].round_trip_us = round_trip_us.min(ROUND_TRIP_US_MAX);
    }

    /// The node is held to another interval: what was learnt of its rhythm means nothing any more.
    pub(crate) fn begin_anew(&mut self, slot: SlotIndex) {
        if let Some(rhythm) = self.rhythms.get_mut(slot.position()) {
            rhythm.begin_anew();
        }
    }

    /// Whether heartbeats can teach anything at all.
    #[inline]
    pub(crate) const fn learns(&self) -> bool {
        !self.rhythms.is_empty()
    }

    /// Detector and record of a node that may learn.
    #[inline]
    fn pupil(&mut self, slot: SlotIndex) -> Option<(&Detector, &mut Rhythm)> {
        let rhythm = self.rhythms.get_mut(slot.position())?;
        let detector = self.profiles.detector(self.paths[slot.position()].profile);
        detector.profile().needs_rhythm().then_some((detector, rhythm))
    }

    /// Learns from a gap between two heartbeats of a living node.
    #[inline]
    pub(crate) fn hear(&mut self, slot: SlotIndex, gap: Gap) {
        if let Some((detector, rhythm)) = self.pupil(slot) {
            detector.hear(rhythm, gap);
        }
    }

    /// The gap that is under way teaches nothing.
    pub(crate) fn skip_next_gap(&mut self, slot: SlotIndex) {
        if let Some((_, rhythm)) = self.pupil(slot) {
            rhythm.skip_next_gap();
        }
    }

    /// A node was held for suspect that was only hard to hear.
    pub(crate) fn count_losses(&mut self, slot: SlotIndex, steps: u32) {
        if let Some((_, rhythm)) = self.pupil(slot) {
            rhythm.count_losses(steps);
        }
    }

    /// A verdict of silence on the node was wrong.
    pub(crate) fn back_off(&mut self, slot: SlotIndex) {
        if let Some((detector, rhythm)) = self.pupil(slot) {
            rhythm.back_off(detector.profile().back_off_percent / 100.0);
        }
    }

    /// Loads what a deadline of the node needs, so that it is there soon. Returns something of it.
    #[inline]
    pub(crate) fn load(&self, slot: SlotIndex) -> u32 {
        let learnt = self.rhythms.get(slot.position()).map_or(0, Rhythm::load);
        self.paths[slot.position()].round_trip_us ^ learnt
    }

    fn observation(&self, slot: SlotIndex, interval_ms: u32) -> (&Detector, Observation) {
        let path = self.paths[slot.position()];
        let rhythm = self.rhythms.get(slot.position()).copied().unwrap_or(Rhythm::UNKNOWN);
        let observation = Observation { interval_ms, round_trip_us: path.round_trip_us, rhythm };
        (self.profiles.detector(path.profile), observation)
    }

    /// How long the node may be silent.
    pub(crate) fn timeouts(&self, slot: SlotIndex, interval_ms: u32) -> Timeouts {
        let path = self.paths[slot.position()];
        let is_same = |latest: &Latest| latest.path == path && latest.interval_ms == interval_ms;
        if let Some(latest) = self.latest.get().filter(is_same) {
            return latest.timeouts;
        }
        let (detector, observation) = self.observation(slot, interval_ms);
        let timeouts = detector.timeouts(&observation);
        if !detector.profile().needs_rhythm() {
            self.latest.set(Some(Latest { path, interval_ms, timeouts }));
        }
        timeouts
    }

    /// A bound below all suspect timeouts that the node can come to have by beating; `None` if they do not change.
    pub(crate) fn shortest(&self, slot: SlotIndex, interval_ms: u32) -> Option<Duration> {
        let (detector, observation) = self.observation(slot, interval_ms);
        detector.profile().needs_rhythm().then(|| detector.shortest(&observation))
    }

    /// The same, as evidence.
    pub(crate) fn terms(&self, slot: SlotIndex, interval_ms: u32) -> Terms {
        let (detector, observation) = self.observation(slot, interval_ms);
        let moments_us = detector.moments_us(&observation);
        let timeouts = self.timeouts(slot, interval_ms);
        Terms {
            profile: self.paths[slot.position()].profile,
            suspect_timeout: timeouts.suspect,
            failed_timeout: timeouts.failed,
            mean_us: moments_us.map(|(mean_us, _)| whole(mean_us)),
            deviation_us: moments_us.map(|(_, deviation_us)| whole(deviation_us)),
            round_trip_us: Some(observation.round_trip_us).filter(|&round_trip_us| round_trip_us != 0),
        }
    }

    /// Bytes of what heartbeats touch (first), and of what they do not.
    pub(crate) fn memory_bytes(&self) -> (usize, usize) {
        (size_of_val(&*self.rhythms), size_of_val(&*self.paths))
    }

    /// Address and bytes of what heartbeats touch.
    pub(crate) fn hot_memory(&self) -> (usize, usize) {
        (self.rhythms.as_ptr().addr(), size_of_val(&*self.rhythms))
    }
}

/// Microseconds, rounded to whole ones.
fn whole(microseconds: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of gaps: not negative, and the cast saturates after an hour"
    )]
    let whole = microseconds.round() as u32;
    whole
}
