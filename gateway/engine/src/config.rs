//! What the engine is told once, when it is made.

use crate::detector::Profiles;
use crate::limits::{INTERVAL_MS_MAX, INTERVAL_MS_MIN, NODES_PER_SHARD_MAX, TICK_MAX, TICK_MIN};
use crate::time::Duration;

/// What the engine is told once, checked by the caller's configuration and asserted here.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Most nodes this shard can know, from 1 to [`NODES_PER_SHARD_MAX`]. Memory for all of them is taken at start.
    pub nodes_max: u32,
    /// Resolution of the wheel, from [`TICK_MIN`] to [`TICK_MAX`].
    pub tick: Duration,
    /// Interval of nodes that do not tell theirs, in milliseconds. Within the two bounds below.
    pub interval_ms: u32,
    /// A node may ask for an interval in this range, in milliseconds; what is outside is clamped and counted.
    /// The range lies within [`INTERVAL_MS_MIN`] and [`INTERVAL_MS_MAX`].
    pub interval_ms_min: u32,
    /// See `interval_ms_min`.
    pub interval_ms_max: u32,
    /// How nodes are judged, and which of them how.
    pub profiles: Profiles,
    /// Silence after which a failed or left node is forgotten. Not zero.
    pub forget_after: Duration,
    /// How long a node may beat with work pending and without progress until it counts as stalled; zero: for ever.
    pub stalled_after: Duration,
    /// Seeds the hash of node ids, so that nobody outside can aim at one bucket.
    pub hash_seed: u64,
}

impl EngineConfig {
    /// # Panics
    /// If a field breaks the rule that it states: the caller's configuration should have refused it with words.
    pub(crate) fn assert_valid(&self) {
        assert!((1..=NODES_PER_SHARD_MAX).contains(&self.nodes_max));
        assert!((TICK_MIN..=TICK_MAX).contains(&self.tick));
        assert!(self.interval_ms_min >= INTERVAL_MS_MIN);
        assert!(self.interval_ms_min <= self.interval_ms);
        assert!(self.interval_ms <= self.interval_ms_max);
        assert!(self.interval_ms_max <= INTERVAL_MS_MAX);
        assert!(!self.forget_after.is_zero());
    }

    /// The interval that a node is held to which asks for this one (0: does not ask).
    pub(crate) fn interval_ms_for(&self, asked_ms: u32) -> u32 {
        if asked_ms == 0 {
            self.interval_ms
        } else {
            asked_ms.clamp(self.interval_ms_min, self.interval_ms_max)
        }
    }
}
