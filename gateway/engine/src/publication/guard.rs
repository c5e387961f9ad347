//! The guard: mass failures are doubted for a while before they are published.
//!
//! When most of a zone, of a shard, or of everything goes silent at once, a broken network or a sick gateway is likelier
//! than that many dead machines, and a consumer who believes the events moves the load of all of them. So the
//! *published* failures are held, not just acted on carefully: Kubernetes stops evicting and still says `NotReady`, and
//! traffic goes to zero all the same (kubernetes/kubernetes#77864).
//!
//! **When.** A zone is disrupted as in Kubernetes' node lifecycle controller: more than two nodes silent, and at least
//! 55 % or all of them. Suspects count as silent. That makes the guard close before the first failure of a
//! mass comes up, because all of it is suspect by then. The gateway's group is judged alike; a shard when a fifth of
//! it is silent and the other shards' share is less than a quarter of that. The wider scopes are passed over where a
//! zone or a label explains nine tenths of what is silent.
//!
//! ```text
//!             first failure that a disrupted scope holds
//!   watching ────────────────────────────────────────────▶ holding
//!      ▲                                                      │ calm: a fifth below the threshold
//!      └────────────── lets go of all of it ◀─────────────────┤ expired: hold_max after the first
//!                                                             │ operator · full · stopped
//! ```
//!
//! **It lets go, always.** A guard that never does is worse than none (Netflix/eureka#1267). Unless calm has come,
//! letting go also accepts: what was held, and whatever had failed in the scope before, is no evidence of a disruption
//! any more, so the scope begins anew with the nodes that are left.
//!
//! **What passes.** `suspected`: it says that a node may be silent, no more, and asks nobody to act; holding it would
//! blind those who watch. Everything that is not a failure passes as well.

use std::collections::{BTreeMap, BTreeSet};

use super::config::GuardConfig;
use super::group::{Group, GroupIndex, Groups, Shared};
use super::member::{Member, Ticket};
use super::output::CauseId;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// A scope whose failures are held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Episode {
    pub(super) began_at: Timestamp,
    pub(super) cancelled: u64,
}

/// A failure that is not published yet.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) shard: usize,
    pub(super) verdict: Verdict,
    pub(super) cause: Option<(GroupIndex, CauseId)>,
    pub(super) waits_since: Timestamp,
}

/// What is held, and until when.
#[derive(Debug)]
pub(super) struct Guard {
    config: GuardConfig,
    /// By scope, oldest first.
    held: BTreeMap<GroupIndex, BTreeMap<Ticket, Failure>>,
    held_count: usize,
    /// When each scope that holds must let go.
    expiries: BTreeSet<(Timestamp, GroupIndex)>,
}

impl Guard {
    pub(super) const fn new(config: GuardConfig) -> Self {
        Self { config, held: BTreeMap::new(), held_count: 0, expiries: BTreeSet::new() }
    }

    pub(super) const fn held(&self) -> usize {
        self.held_count
    }

    /// How many scopes hold.
    pub(super) fn holding(&self) -> usize {
        self.expiries.len()
    }

    /// The scope that has held for longest.
    pub(super) fn longest_holding(&self) -> Option<GroupIndex> {
        self.expiries.first().map(|&(_, scope)| scope)
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.expiries.is_empty()
    }

    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|&(at, _)| at)
    }

    /// Every scope that holds and when it lets go at the latest, the next first.
    pub(super) fn ends(&self) -> impl Iterator<Item = (Timestamp, GroupIndex)> + '_ {
        self.expiries.iter().copied()
    }

    /// The scope whose hold has lasted long enough.
    pub(super) fn expired(&self, now: Timestamp) -> Option<GroupIndex> {
        self.expiries.first().filter(|(at, _)| *at <= now).map(|&(_, scope)| scope)
    }

    /// The scope that doubts this node's failure, the widest that does.
    pub(super) fn scope_in_doubt(&self, groups: &Groups, member: &Member) -> Option<GroupIndex> {
        if !self.config.is_enabled {
            return None;
        }
        let is_explained = |wide: GroupIndex| {
            member.groups.into_iter().flatten().any(|index| explains(groups.group(index), groups.group(wide)))
        };
        for wide in [GroupIndex::GATEWAY, GroupIndex::of_shard(member.shard)] {
            if self.is_disrupted(groups, wide) && !is_explained(wide) {
                return Some(wide);
            }
        }
        member.groups[0].filter(|zone| self.is_disrupted(groups, *zone))
    }

    /// Whether a scope's failures are to be doubted now.
    fn is_disrupted(&self, groups: &Groups, scope: GroupIndex) -> bool {
        let group = groups.group(scope);
        // Having begun to doubt, it takes more than one node to cease: see `is_calm`.
        group.episode.is_some() || self.exceeds(groups, scope, 100)
    }

    /// Whether a scope that holds may cease.
    pub(super) fn is_calm(&self, groups: &Groups, scope: GroupIndex) -> bool {
        !self.exceeds(groups, scope, 80)
    }

    /// Whether a scope is beyond this share of its threshold, in percent.
    fn exceeds(&self, groups: &Groups, scope: GroupIndex, share: u32) -> bool {
        let group = groups.group(scope);
        let percent = |threshold: u32| (threshold * share).div_ceil(100);
        match group.shared {
            Shared::Gateway => {
                is_disrupted(group, self.config.few_nodes, percent(self.config.gateway_percent))
            }
            Shared::Value(..) => {
                is_disrupted(group, self.config.few_nodes, percent(self.config.zone_percent))
            }
            Shared::Shard(_) => {
                is_disrupted(group, self.config.few_nodes_of_shard, percent(self.config.shard_percent))
                    && is_exceptional(group, groups.group(GroupIndex::GATEWAY))
            }
        }
    }

    /// Holds a failure; true when it is the first of its scope.
    pub(super) fn hold(
        &mut self,
        group: &mut Group,
        scope: GroupIndex,
        ticket: Ticket,
        failure: Failure,
        now: Timestamp,
    ) -> bool {
        let is_first = group.episode.is_none();
        if is_first {
            group.episode = Some(Episode { began_at: now, cancelled: 0 });
            self.expiries.insert((now + self.config.hold_max, scope));
        }
        self.held.entry(scope).or_default().insert(ticket, failure);
        self.held_count += 1;
        is_first
    }

    /// How many failures a scope holds.
    pub(super) fn held_by(&self, scope: GroupIndex) -> usize {
        self.held.get(&scope).map_or(0, BTreeMap::len)
    }

    /// Takes one failure out.
    pub(super) fn take(&mut self, scope: GroupIndex, ticket: Ticket) -> Failure {
        let failure = self.held.get_mut(&scope).and_then(|held| held.remove(&ticket));
        self.held_count -= 1;
        failure.expect("a node that waits here has its failure here")
    }

    /// Ends a scope's hold and returns what it held, oldest first.
    pub(super) fn let_go(&mut self, scope: GroupIndex, episode: Episode) -> BTreeMap<Ticket, Failure> {
        self.expiries.remove(&(episode.began_at + self.config.hold_max, scope));
        let held = self.held.remove(&scope).unwrap_or_default();
        self.held_count -= held.len();
        held
    }
}

fn is_disrupted(group: &Group, few_nodes: u32, percent: u32) -> bool {
    group.silent() > few_nodes && group.is_silent_by(percent)
}

/// Whether a shard is silent far beyond the others: four times their share or more.
fn is_exceptional(shard: &Group, gateway: &Group) -> bool {
    let silent = u64::from(gateway.silent().saturating_sub(shard.silent()));
    let counted = u64::from(gateway.counted().saturating_sub(shard.counted()));
    counted > 0 && u64::from(shard.silent()) * counted >= 4 * silent * u64::from(shard.counted())
}

/// Whether a narrow group holds nine tenths of a wide one's silence without being nearly all of it.
fn explains(narrow: &Group, wide: &Group) -> bool {
    let tenths = |part: u32, whole: u32| u64::from(part) * 10 >= u64::from(whole) * 9;
    tenths(narrow.silent(), wide.silent()) && !tenths(narrow.counted(), wide.counted())
}
