//! `[guard]`, `[correlation]` and `[damping]`: what of the verdicts is published, and when.

use std::ops::RangeInclusive;
use std::time::Duration;

use pulsegate_engine::limits::DIMENSIONS_MAX;
use pulsegate_engine::publication::PublicationConfig;
use serde::Deserialize;

use super::ConfigError;
use super::check::ranged;

/// A share of nodes.
const PERCENT: RangeInclusive<u64> = 1..=100;
/// Number of nodes below which a share says little.
const FEW_NODES: RangeInclusive<u64> = 0..=1_000_000;
/// Seconds that something is held or let out.
const SECONDS: RangeInclusive<u64> = 1..=3_600;
/// Events a second.
const PER_SECOND: RangeInclusive<u64> = 1..=1_000_000;
/// Failures that are remembered while they are held: a few hundred bytes each.
const HELD_MAX: RangeInclusive<u64> = 1_000..=16_777_216;
/// Milliseconds in which failures are one.
const WINDOW_MS: RangeInclusive<u64> = 1..=60_000;
/// Milliseconds that a failure waits for others.
const SETTLE_MS: RangeInclusive<u64> = 0..=10_000;
/// Nodes that make a group.
const NODES_MIN: RangeInclusive<u64> = 2..=1_000_000;
/// A penalty.
const PENALTY: RangeInclusive<u64> = 1..=1_000_000;

/// `[guard]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawGuard {
    /// `enabled`
    pub enabled: Option<bool>,
    /// `zone-percent`
    pub zone_percent: Option<u64>,
    /// `gateway-percent`
    pub gateway_percent: Option<u64>,
    /// `shard-percent`
    pub shard_percent: Option<u64>,
    /// `few-nodes`
    pub few_nodes: Option<u64>,
    /// `hold-max-s`
    pub hold_max_s: Option<u64>,
    /// `release-per-second`
    pub release_per_second: Option<u64>,
    /// `release-max-s`
    pub release_max_s: Option<u64>,
    /// `held-max`
    pub held_max: Option<u64>,
}

/// `[correlation]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawCorrelation {
    /// `labels`
    pub labels: Option<Vec<String>>,
    /// `nodes-min`
    pub nodes_min: Option<u64>,
    /// `percent`
    pub percent: Option<u64>,
    /// `window-ms`
    pub window_ms: Option<u64>,
    /// `settle-ms`
    pub settle_ms: Option<u64>,
}

/// `[damping]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawDamping {
    /// `enabled`
    pub enabled: Option<bool>,
    /// `half-life-s`
    pub half_life_s: Option<u64>,
    /// `suppress-above`
    pub suppress_above: Option<u64>,
    /// `reuse-below`
    pub reuse_below: Option<u64>,
    /// `suppress-max-s`
    pub suppress_max_s: Option<u64>,
}

/// Checks the three tables.
pub(super) fn check(
    guard: &RawGuard,
    correlation: &RawCorrelation,
    damping: &RawDamping,
) -> Result<PublicationConfig, ConfigError> {
    let mut config = PublicationConfig::default();
    let of = &mut config.guard;
    of.is_enabled = guard.enabled.unwrap_or(of.is_enabled);
    set(&mut of.zone_percent, "guard.zone-percent", guard.zone_percent, PERCENT)?;
    set(&mut of.gateway_percent, "guard.gateway-percent", guard.gateway_percent, PERCENT)?;
    set(&mut of.shard_percent, "guard.shard-percent", guard.shard_percent, PERCENT)?;
    set(&mut of.few_nodes, "guard.few-nodes", guard.few_nodes, FEW_NODES)?;
    set_seconds(&mut of.hold_max, "guard.hold-max-s", guard.hold_max_s)?;
    set(&mut of.release_per_second, "guard.release-per-second", guard.release_per_second, PER_SECOND)?;
    set_seconds(&mut of.release_max, "guard.release-max-s", guard.release_max_s)?;
    let held_max = ranged("guard.held-max", guard.held_max, of.held_max as u64, HELD_MAX)?;
    of.held_max = usize::try_from(held_max).expect("the range ends below 2^32");
    check_correlation(correlation, &mut config)?;
    let of = &mut config.damping;
    of.is_enabled = damping.enabled.unwrap_or(of.is_enabled);
    set_seconds(&mut of.half_life, "damping.half-life-s", damping.half_life_s)?;
    set_seconds(&mut of.suppress_max, "damping.suppress-max-s", damping.suppress_max_s)?;
    set(&mut of.suppress_above, "damping.suppress-above", damping.suppress_above, PENALTY)?;
    set(&mut of.reuse_below, "damping.reuse-below", damping.reuse_below, PENALTY)?;
    if of.reuse_below >= of.suppress_above {
        return Err(ConfigError::Contradiction {
            key: "damping.reuse-below",
            value: of.reuse_below.into(),
            relation: "below",
            other_key: "damping.suppress-above",
            other_value: of.suppress_above.into(),
            remedy: "a node must be steady before it can flap".to_owned(),
        });
    }
    Ok(config)
}

fn check_correlation(raw: &RawCorrelation, config: &mut PublicationConfig) -> Result<(), ConfigError> {
    let of = &mut config.correlation;
    if let Some(labels) = &raw.labels {
        let most = DIMENSIONS_MAX as u64 - 1;
        ranged("correlation.labels (how many)", Some(labels.len() as u64), 0, 0..=most)?;
        of.labels = labels.iter().map(|label| label.as_str().into()).collect();
    }
    set(&mut of.nodes_min, "correlation.nodes-min", raw.nodes_min, NODES_MIN)?;
    set(&mut of.percent, "correlation.percent", raw.percent, PERCENT)?;
    set_milliseconds(&mut of.window, "correlation.window-ms", raw.window_ms, WINDOW_MS)?;
    set_milliseconds(&mut of.settle, "correlation.settle-ms", raw.settle_ms, SETTLE_MS)
}

fn set(
    setting: &mut u32,
    key: &'static str,
    value: Option<u64>,
    range: RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    let value = ranged(key, value, u64::from(*setting), range)?;
    *setting = u32::try_from(value).expect("the ranges end below 2^32");
    Ok(())
}

fn set_seconds(setting: &mut Duration, key: &'static str, value: Option<u64>) -> Result<(), ConfigError> {
    *setting = Duration::from_secs(ranged(key, value, setting.as_secs(), SECONDS)?);
    Ok(())
}

fn set_milliseconds(
    setting: &mut Duration,
    key: &'static str,
    value: Option<u64>,
    range: RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    let default = u64::try_from(setting.as_millis()).expect("the defaults are short");
    *setting = Duration::from_millis(ranged(key, value, default, range)?);
    Ok(())
}
