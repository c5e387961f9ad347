//! Counts by whatever nodes share: the gateway, a shard, a zone, a label. Guards and correlation both read them.
//!
//! ```text
//!  index   0         1 … shards        then, as values are met
//!          gateway   one a shard       zone-a   rack-17   relay-3   zone-b   …
//! ```
//!
//! A node counts in the gateway's group, its shard's, and one a dimension (zone first, then the configured labels).
//! Groups that nobody is in and nothing depends on are given back.
//!
//! **Who counts.** Nodes that are alive, suspect or failed. Those that have left do not, so a drain in good order
//! shrinks the population instead of alarming anybody. Failures that were accepted do not either: one by one (their
//! node stands `Outside`), or all that a group has had up to a moment (`accepted_before`, so that it costs no walk).

use std::collections::HashMap;

use super::correlation::Incident;
use super::guard::Episode;
use super::member::{Member, Standing, Ticket};
use super::output::GuardScope;
use crate::limits::{DIMENSIONS_MAX, GROUPS_MAX};
use crate::time::Timestamp;
use crate::verdict::NodeFacts;

/// Where a group stands in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct GroupIndex(u32);

impl GroupIndex {
    pub(super) const GATEWAY: Self = Self(0);

    pub(super) fn of_shard(shard: u16) -> Self {
        Self(1 + u32::from(shard))
    }

    const fn slot(self) -> usize {
        self.0 as usize
    }
}

/// What the nodes of a group share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shared {
    /// The gateway.
    Gateway,
    /// A shard.
    Shard(u16),
    /// A value in a dimension.
    Value(u8, Box<str>),
}

impl Shared {
    /// Its name as the scope of a guard.
    pub(super) fn scope(&self) -> GuardScope {
        match self {
            Self::Gateway => GuardScope::Gateway,
            Self::Shard(shard) => GuardScope::Shard((*shard).into()),
            Self::Value(_, name) => GuardScope::Zone(name.clone()),
        }
    }
}

/// Nodes that share something.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) shared: Shared,
    /// Nodes that are in it, whether they count or not.
    members: u32,
    pub(super) alive: u32,
    pub(super) suspect: u32,
    /// Failures that were not accepted.
    pub(super) failed: u32,
    /// Failures up to here were accepted.
    accepted_before: Ticket,
    /// Failures of the run under way, the run's first failure, and when the latest of it came.
    pub(super) run: Run,
    pub(super) episode: Option<Episode>,
    pub(super) incident: Option<Incident>,
}

/// Failures with little time between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub(super) failed: u32,
    first: Ticket,
    pub(super) latest_at: Timestamp,
}

impl Group {
    fn new(shared: Shared) -> Self {
        Self {
            shared,
            members: 0,
            alive: 0,
            suspect: 0,
            failed: 0,
            accepted_before: Ticket(0),
            run: Run::default(),
            episode: None,
            incident: None,
        }
    }

    /// Nodes that are silent and count.
    pub(super) const fn silent(&self) -> u32 {
        self.suspect + self.failed
    }

    /// Nodes that count.
    pub(super) const fn counted(&self) -> u32 {
        self.alive + self.suspect + self.failed
    }

    /// Whether at least this share of what counts is silent.
    pub(super) fn is_silent_by(&self, percent: u32) -> bool {
        self.counted() > 0 && u64::from(self.silent()) * 100 >= u64::from(percent) * u64::from(self.counted())
    }

    /// Takes all its failures for granted.
    pub(super) fn accept_failures(&mut self, latest: Ticket) {
        self.failed = 0;
        self.accepted_before = Ticket(latest.0 + 1);
    }

    fn count(&mut self, standing: Standing, failed_ticket: Ticket, joins: bool) {
        let number = match standing {
            Standing::Outside => return,
            Standing::Alive => &mut self.alive,
            Standing::Suspect => &mut self.suspect,
            Standing::Failed if failed_ticket < self.accepted_before => return,
            Standing::Failed => &mut self.failed,
        };
        if joins {
            *number += 1;
        } else {
            *number -= 1;
        }
    }

    /// A failure came: it goes on with the run, or begins one.
    pub(super) fn note_failure(&mut self, ticket: Ticket, now: Timestamp, window: crate::Duration) {
        if self.run.failed == 0 || now.since(self.run.latest_at) > window {
            self.run = Run { failed: 0, first: ticket, latest_at: now };
        }
        self.run.failed += 1;
        self.run.latest_at = now;
    }

    /// A failed node of the run under way is failed no longer.
    fn forget_failure(&mut self, ticket: Ticket) {
        if ticket >= self.run.first {
            self.run.failed = self.run.failed.saturating_sub(1);
        }
    }

    const fn is_idle(&self) -> bool {
        self.members == 0 && self.episode.is_none() && self.incident.is_none()
    }
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    table: Vec<Option<Group>>,
    free: Vec<GroupIndex>,
    /// By dimension: where the group of a value stands.
    by_value: Vec<HashMap<Box<str>, GroupIndex>>,
    /// Keys of the dimensions after the zone.
    labels: Vec<Box<str>>,
    /// Values that found no room.
    pub(super) refused: u64,
    pub(super) shards: u16,
}

impl Groups {
    pub(super) fn new(labels: &[Box<str>], shards: u16) -> Self {
        let fixed = std::iter::once(Shared::Gateway).chain((0..shards).map(Shared::Shard));
        Self {
            table: fixed.map(|shared| Some(Group::new(shared))).collect(),
            free: Vec::new(),
            by_value: vec![HashMap::new(); 1 + labels.len()],
            labels: labels.to_vec(),
            refused: 0,
            shards,
        }
    }

    pub(super) fn group(&self, index: GroupIndex) -> &Group {
        self.table[index.slot()].as_ref().expect("an index is kept only as long as its group")
    }

    pub(super) fn group_mut(&mut self, index: GroupIndex) -> &mut Group {
        self.table[index.slot()].as_mut().expect("an index is kept only as long as its group")
    }

    /// The incident of a group; `None` if there is none, or the group is gone.
    pub(super) fn incident(&self, index: GroupIndex) -> Option<&Incident> {
        self.table[index.slot()].as_ref()?.incident.as_ref()
    }

    /// Whether a group holds.
    pub(super) fn episode(&self, index: GroupIndex) -> Option<&Episode> {
        self.table[index.slot()].as_ref()?.episode.as_ref()
    }

    /// The name of a dimension.
    pub(super) fn dimension(&self, dimension: u8) -> &str {
        match usize::from(dimension) {
            0 => "zone",
            label => &self.labels[label - 1],
        }
    }

    /// The zone of this name, if any node is in it.
    pub(super) fn zone(&self, name: &str) -> Option<GroupIndex> {
        self.by_value[0].get(name).copied()
    }

    /// All zones.
    pub(super) fn zones(&self) -> impl Iterator<Item = (GroupIndex, &str, &Group)> {
        let number = |slot: usize| GroupIndex(u32::try_from(slot).expect("GROUPS_MAX is below 2^32"));
        self.table.iter().enumerate().filter_map(move |(slot, group)| match group {
            Some(group) => match &group.shared {
                Shared::Value(0, name) => Some((number(slot), &**name, group)),
                _ => None,
            },
            None => None,
        })
    }

    /// The groups that a node is in.
    pub(super) fn of(member: &Member) -> impl Iterator<Item = GroupIndex> + use<> {
        let fixed = [GroupIndex::GATEWAY, GroupIndex::of_shard(member.shard)];
        fixed.into_iter().chain(member.groups.into_iter().flatten())
    }

    /// Changes how a node counts, in all its groups.
    pub(super) fn recount(&mut self, member: &mut Member, standing: Standing) {
        let before = member.standing;
        for index in Self::of(member) {
            let group = self.group_mut(index);
            group.count(before, member.failed_ticket, false);
            group.count(standing, member.failed_ticket, true);
            if before == Standing::Failed && standing != Standing::Failed {
                group.forget_failure(member.failed_ticket);
            }
        }
        member.standing = standing;
    }

    /// Moves a node, which counts nowhere just now, into the groups that its facts name.
    pub(super) fn place(&mut self, member: &mut Member, facts: Option<&NodeFacts>) {
        assert!(member.standing == Standing::Outside, "a node that moves is not counted meanwhile");
        let mut groups = [None; DIMENSIONS_MAX];
        if let Some(facts) = facts {
            for (dimension, group) in groups.iter_mut().enumerate().take(self.by_value.len()) {
                let value = self.value_of(facts, dimension).filter(|value| !value.is_empty());
                *group = value.and_then(|value| self.find_or_add(dimension, value));
            }
        }
        for index in groups.into_iter().flatten() {
            self.group_mut(index).members += 1;
        }
        for index in std::mem::replace(&mut member.groups, groups).into_iter().flatten() {
            self.group_mut(index).members -= 1;
            self.give_back(index);
        }
    }

    fn value_of<'a>(&self, facts: &'a NodeFacts, dimension: usize) -> Option<&'a str> {
        if dimension == 0 {
            return Some(&facts.zone);
        }
        let key = &self.labels[dimension - 1];
        facts.labels.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    fn find_or_add(&mut self, dimension: usize, value: &str) -> Option<GroupIndex> {
        if let Some(&index) = self.by_value[dimension].get(value) {
            return Some(index);
        }
        let number = u8::try_from(dimension).expect("DIMENSIONS_MAX is small");
        let group = Some(Group::new(Shared::Value(number, value.into())));
        let index = if let Some(index) = self.free.pop() {
            self.table[index.slot()] = group;
            index
        } else if self.table.len() < GROUPS_MAX {
            self.table.push(group);
            GroupIndex(u32::try_from(self.table.len() - 1).expect("GROUPS_MAX is below 2^32"))
        } else {
            self.refused += 1;
            return None;
        };
        self.by_value[dimension].insert(value.into(), index);
        Some(index)
    }

    /// Gives a group's place back if nobody is in it and nothing depends on it.
    pub(super) fn give_back(&mut self, index: GroupIndex) {
        let Some(group) = &self.table[index.slot()] else { return };
        let Shared::Value(dimension, value) = &group.shared else { return };
        if group.is_idle() {
            self.by_value[usize::from(*dimension)].remove(value);
            self.table[index.slot()] = None;
            self.free.push(index);
        }
    }
}
