//! What a run can be told, and which of it makes no sense.

use std::net::{Ipv4Addr, SocketAddr};

use crate::faults::{FaultKind, FaultOptions};
use crate::limits::{BATCH_NODES_MAX, INTERVAL_MS_MAX, INTERVAL_MS_MIN, NODES_MAX, RELAYS_MAX, SECONDS_MAX};
use crate::moment::Duration;
use crate::network::NetworkOptions;

/// A run: which fleet, how it beats, what goes wrong, and where the gateway is.
#[derive(Clone, PartialEq, Debug)]
pub struct RunOptions {
    /// Where heartbeats go, over UDP.
    pub gateway: SocketAddr,
    /// The gateway's admin port.
    pub admin: SocketAddr,
    /// The gateway's Kafka port.
    pub kafka: SocketAddr,
    /// Nodes of the fleet.
    pub nodes: u32,
    /// How long the fleet beats.
    pub seconds: u64,
    /// Time between two heartbeats of a node, in milliseconds. The gateway must allow it (it clamps what it does
    /// not), or its timeouts are others than those that the judge expects.
    pub interval_ms: u32,
    /// Most nodes in a frame.
    pub batch_nodes: u32,
    /// Relays; `None` for one in 50,000 nodes, and two if nodes move.
    pub relays: Option<u32>,
    /// Whether frames are compressed where that makes them smaller.
    pub zstd: bool,
    /// Decides phases, faults and the network.
    pub seed: u64,
    /// What happens to nodes.
    pub faults: FaultOptions,
    /// What happens to datagrams. Its own seed is not used.
    pub network: NetworkOptions,
    /// Each beat is late by a random time up to this share of the interval, from 0 to 1.
    pub jitter_share: f64,
    /// An event decided longer than this after its occasion does not tell of it, in milliseconds.
    pub late_ms: u32,
    /// How often the gateway is expected to start anew during the run. Signs that nobody listens are no reason to give up then.
    pub gateway_restarts: u32,
    /// All nodes beat at once.
    pub herd: bool,
    /// Frames carry nodes of several lanes.
    pub mix_lanes: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            gateway: SocketAddr::from((Ipv4Addr::LOCALHOST, 7_400)),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 7_480)),
            kafka: SocketAddr::from((Ipv4Addr::LOCALHOST, 7_492)),
            nodes: 20_000,
            seconds: 30,
            interval_ms: 1_000,
            batch_nodes: 64,
            relays: None,
            zstd: false,
            seed: 1,
            faults: FaultOptions::default(),
            network: NetworkOptions { reorder_by: 3, ..NetworkOptions::default() },
            jitter_share: 0.0,
            late_ms: 5_000,
            gateway_restarts: 0,
            herd: false,
            mix_lanes: false,
        }
    }
}

/// An option outside its bounds.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{option} is {value}: it must be {bound}")]
pub struct BadOption {
    option: &'static str,
    value: String,
    bound: String,
}

/// Nodes for which one relay speaks unless told otherwise: several full batches in each of its 256 lanes.
const NODES_PER_RELAY: u32 = 50_000;

impl RunOptions {
    /// How many relays there are.
    #[must_use]
    pub fn relay_count(&self) -> u32 {
        let moves = self.faults.amount(FaultKind::Move).of(self.nodes) > 0;
        let relays_min = if moves { 2 } else { 1 };
        self.relays.unwrap_or_else(|| (self.nodes / NODES_PER_RELAY).max(relays_min))
    }

    /// Time between two heartbeats of a node.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms as u64)
    }

    /// Checks what can be checked without a gateway.
    ///
    /// # Errors
    /// The first option that is outside its bounds.
    pub fn check(&self) -> Result<(), BadOption> {
        let number = |option, value: u64, least: u64, most: u64| {
            let bound = || format!("from {least} to {most}");
            (least..=most).contains(&value).then_some(()).ok_or_else(|| BadOption {
                option,
                value: value.to_string(),
                bound: bound(),
            })
        };
        number("--nodes", self.nodes.into(), 1, NODES_MAX.into())?;
        number("--seconds", self.seconds, 1, SECONDS_MAX)?;
        number("--interval-ms", self.interval_ms.into(), INTERVAL_MS_MIN.into(), INTERVAL_MS_MAX.into())?;
        number("--batch", self.batch_nodes.into(), 1, BATCH_NODES_MAX.into())?;
        number("--relays", self.relay_count().into(), 1, RELAYS_MAX.min(self.nodes.max(2)).into())?;
        if self.faults.amount(FaultKind::Move).of(self.nodes) > 0 {
            number("--relays", self.relay_count().into(), 2, RELAYS_MAX.into())?;
        }
        let shares = [
            ("--loss", self.network.loss),
            ("--duplicate", self.network.duplicate),
            ("--reorder", self.network.reorder),
            ("--jitter", self.jitter_share),
        ];
        for (option, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                let value = format!("{} %", share * 100.0);
                return Err(BadOption { option, value, bound: "from 0 % to 100 %".to_owned() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Amount;

    #[test]
    fn what_is_out_of_bounds_is_refused_with_the_bound() {
        assert_eq!(RunOptions::default().check(), Ok(()));
        let moves = FaultOptions { moves: Amount::Share(0.1), ..FaultOptions::NONE };
        for (options, part) in [
            (RunOptions { nodes: 0, ..Default::default() }, "--nodes is 0: it must be from 1 to 10000000"),
            (RunOptions { seconds: 0, ..Default::default() }, "--seconds is 0"),
            (RunOptions { interval_ms: 9, ..Default::default() }, "--interval-ms is 9: it must be from 10"),
            (RunOptions { batch_nodes: 0, ..Default::default() }, "--batch is 0"),
            (RunOptions { relays: Some(0), ..Default::default() }, "--relays is 0"),
            (
                RunOptions { relays: Some(1), faults: moves, ..Default::default() },
                "--relays is 1: it must be from 2",
            ),
            (RunOptions { jitter_share: 1.5, ..Default::default() }, "--jitter is 150 %"),
        ] {
            let text = options.check().unwrap_err().to_string();
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn relays_follow_from_the_fleet() {
        assert_eq!(RunOptions::default().relay_count(), 1);
        assert_eq!(RunOptions { nodes: 200_000, ..Default::default() }.relay_count(), 4);
        let faults = FaultOptions { moves: Amount::Share(0.1), ..FaultOptions::NONE };
        assert_eq!(RunOptions { faults, ..Default::default() }.relay_count(), 2);
    }
}
