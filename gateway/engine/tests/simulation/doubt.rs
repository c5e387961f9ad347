//! When a mass failure must be doubted, must not be, and may: counted over all nodes, each time anew.
//!
//! Publication keeps counts and takes some silences for granted (of nodes that an operator silenced, and what a guard
//! has let go). Here are two plain bounds instead. *Possible*: all silent nodes count, and four fifths of a threshold are
//! enough, for a guard that holds goes on that far. *Certain*: only suspicions count that came after anybody took
//! anything for granted. What lies between the two is publication's to say.

use std::collections::BTreeMap;

use pulsegate_codec::NodeId;
use pulsegate_engine::Timestamp;
use pulsegate_engine::publication::{CorrelationConfig, GuardConfig, PublicationConfig};

use crate::account::Account;

/// Publication's thresholds, and since when no silence was taken for granted.
pub(crate) struct Doubt {
    guard: GuardConfig,
    correlation: CorrelationConfig,
    accepted_at: Timestamp,
}

type Nodes = BTreeMap<NodeId, Account>;

/// Nodes of some kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    alive: u32,
    silent: u32,
    /// Silent, and certainly not taken for granted.
    fresh: u32,
}

impl Count {
    fn counted(self) -> u32 {
        self.alive + self.silent
    }
}

impl Doubt {
    pub(crate) fn new(config: &PublicationConfig, now: Timestamp) -> Self {
        Self { guard: config.guard.clone(), correlation: config.correlation.clone(), accepted_at: now }
    }

    /// Whatever is silent now may be taken for granted.
    pub(crate) const fn accept_all(&mut self, now: Timestamp) {
        self.accepted_at = now;
    }

    fn is_fresh(&self, account: &Account) -> bool {
        account.suspected_at > self.accepted_at && !account.was_silenced
    }

    fn count(&self, nodes: &Nodes, is_meant: impl Fn(&Account) -> bool) -> Count {
        let mut count = Count::default();
        for account in nodes.values().filter(|account| is_meant(account)) {
            count.alive += u32::from(account.is_alive());
            count.silent += u32::from(account.is_silent());
            count.fresh += u32::from(account.is_silent() && self.is_fresh(account));
        }
        count
    }

    /// Whether anything about the node's surroundings could be a reason to hold its failure.
    pub(crate) fn is_possible(&self, nodes: &Nodes, node: &Account) -> bool {
        let guard = &self.guard;
        let exceeds = |count: Count, few: u32, percent: u32| {
            count.silent > few && count.silent * 100 >= percent * 4 / 5 * count.counted()
        };
        let of_shard = self.count(nodes, |other| other.shard == node.shard);
        exceeds(self.count(nodes, |_| true), guard.few_nodes, guard.gateway_percent)
            || exceeds(of_shard, guard.few_nodes_of_shard, guard.shard_percent)
            || zone(node).is_some_and(|name| {
                let of_zone = self.count(nodes, |other| zone(other) == Some(name));
                exceeds(of_zone, guard.few_nodes, guard.zone_percent)
            })
    }

    /// Whether the node's zone has fallen silent beyond doubt.
    pub(crate) fn is_certain(&self, nodes: &Nodes, node: &Account) -> bool {
        let Some(name) = zone(node) else { return false };
        let of_zone = self.count(nodes, |other| zone(other) == Some(name));
        of_zone.fresh > self.guard.few_nodes
            && of_zone.fresh * 100 >= self.guard.zone_percent * of_zone.counted()
    }

    /// Whether enough nodes that share a label with this one are silent for an incident.
    pub(crate) fn may_share(&self, nodes: &Nodes, node: &Account) -> bool {
        self.peers(nodes, node).any(|count| count.silent >= self.correlation.nodes_min)
    }

    /// Whether so many are, and lately, that there must be one.
    pub(crate) fn must_share(&self, nodes: &Nodes, node: &Account) -> bool {
        // Suspects, and this node: failures count only while they come in one run.
        let is_suspect =
            |other: &Account| !matches!(other.seen, Some((pulsegate_engine::NodeState::Failed, _)));
        self.labels(node).any(|(key, value)| {
            let all = self.count(nodes, |other| label(other, key) == Some(value));
            let suspects = self.count(nodes, |other| label(other, key) == Some(value) && is_suspect(other));
            let together = suspects.fresh + u32::from(self.is_fresh(node));
            together >= self.correlation.nodes_min
                && together * 100 >= self.correlation.percent * all.counted()
        })
    }

    fn peers<'a>(&'a self, nodes: &'a Nodes, node: &'a Account) -> impl Iterator<Item = Count> + 'a {
        self.labels(node).map(|(key, value)| self.count(nodes, |other| label(other, key) == Some(value)))
    }

    /// The dimensions in which failures are correlated, with this node's values.
    fn labels<'a>(&'a self, node: &'a Account) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        let keys = std::iter::once("zone").chain(self.correlation.labels.iter().map(|key| &**key));
        keys.filter_map(|key| Some((key, label(node, key)?)))
    }
}

fn zone(account: &Account) -> Option<&str> {
    label(account, "zone")
}

fn label<'a>(account: &'a Account, key: &str) -> Option<&'a str> {
    let facts = account.facts.as_deref()?;
    if key == "zone" {
        return Some(&*facts.zone);
    }
    facts.labels.iter().find(|label| *label.0 == *key).map(|label| &*label.1)
}
