//! What an operator can set about publication, in the engine's own units.

use crate::limits::{DIMENSIONS_MAX, SILENCES_MAX};
use crate::time::Duration;

/// Everything. The caller has checked the ranges and tells its user; here they are asserted.
#[derive(Clone, Debug)]
pub struct PublicationConfig {
    /// Which mass failures are doubted.
    pub guard: GuardConfig,
    /// Which failures belong together.
    pub correlation: CorrelationConfig,
    /// Which nodes flap.
    pub damping: DampingConfig,
    /// Most silences at a time.
    pub silences_max: usize,
}

/// When failures are held back, for how long, and how fast they are let out again.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Without it nothing is held.
    pub is_enabled: bool,
    /// A zone is disrupted when at least this share of its nodes is silent. Kubernetes: 55.
    pub zone_percent: u32,
    /// The gateway doubts itself when at least this share of all nodes is silent.
    pub gateway_percent: u32,
    /// The gateway doubts a shard when at least this share of its nodes is silent, and far less of the others'.
    pub shard_percent: u32,
    /// So few silent nodes never disrupt a zone or the gateway. Kubernetes: 2.
    pub few_nodes: u32,
    /// So few silent nodes never put a shard in doubt.
    pub few_nodes_of_shard: u32,
    /// Longest time from the first verdict that a guard holds to the moment it lets go.
    pub hold_max: Duration,
    /// How many verdicts are let out a second, at least.
    pub release_per_second: u32,
    /// Longest time that letting out takes: with more than fits, the rate goes up.
    pub release_max: Duration,
    /// Most verdicts that are held or wait to be let out.
    pub held_max: usize,
}

/// When failures count as one.
#[derive(Clone, Debug)]
pub struct CorrelationConfig {
    /// Labels whose values are watched, beside the zone.
    pub labels: Vec<Box<str>>,
    /// Fewest failures that can be a group.
    pub nodes_min: u32,
    /// Share of the nodes with the same value that must be silent.
    pub percent: u32,
    /// Failures with less time between them belong to one run.
    pub window: Duration,
    /// A failure whose suspicion is younger than this waits until it is so old, so that others can catch up.
    pub settle: Duration,
}

/// When a node flaps (RFC 2439, section 4).
#[derive(Clone, Debug)]
pub struct DampingConfig {
    /// Without it nothing is damped.
    pub is_enabled: bool,
    /// Time in which a penalty halves.
    pub half_life: Duration,
    /// Penalty above which a node flaps.
    pub suppress_above: u32,
    /// Penalty below which it is steady again.
    pub reuse_below: u32,
    /// Longest time from the last flap until it is steady again.
    pub suppress_max: Duration,
}

/// Penalty for a failure that was followed by a sign of life, and for a restart.
pub const PENALTY_FAILURE: u32 = 1_000;

/// Penalty for a suspicion that was followed by a sign of life.
pub const PENALTY_SUSPICION: u32 = 100;

impl Default for PublicationConfig {
    fn default() -> Self {
        Self {
            guard: GuardConfig {
                is_enabled: true,
                zone_percent: 55,
                gateway_percent: 55,
                shard_percent: 20,
                few_nodes: 2,
                few_nodes_of_shard: 10,
                hold_max: Duration::from_secs(60),
                release_per_second: 1_000,
                release_max: Duration::from_secs(60),
                held_max: 262_144,
            },
            correlation: CorrelationConfig {
                labels: vec!["rack".into(), "relay".into()],
                nodes_min: 3,
                percent: 50,
                window: Duration::from_secs(1),
                settle: Duration::from_millis(100),
            },
            damping: DampingConfig {
                is_enabled: true,
                half_life: Duration::from_secs(60),
                suppress_above: 3_000,
                reuse_below: 1_000,
                suppress_max: Duration::from_secs(300),
            },
            silences_max: SILENCES_MAX,
        }
    }
}

impl PublicationConfig {
    /// # Panics
    /// If a rule is broken that a field states or that joins two of them.
    pub(super) fn assert_valid(&self) {
        let guard = &self.guard;
        for percent in
            [guard.zone_percent, guard.gateway_percent, guard.shard_percent, self.correlation.percent]
        {
            assert!((1..=100).contains(&percent), "a share lies between 1 and 100");
        }
        assert!(guard.held_max > 0 && guard.release_per_second > 0, "what is held must have a way out");
        assert!(!guard.release_max.is_zero(), "letting out takes time");
        assert!(self.correlation.labels.len() < DIMENSIONS_MAX, "one dimension is the zone");
        assert!(self.correlation.nodes_min > 1, "one node is no group");
        assert!(!self.damping.half_life.is_zero(), "a penalty must fade");
        assert!(self.damping.reuse_below > 0, "a penalty never fades to nothing");
        assert!(self.damping.reuse_below < self.damping.suppress_above, "steady is below flapping");
        assert!(self.silences_max <= SILENCES_MAX, "each verdict is compared with every silence");
    }
}
