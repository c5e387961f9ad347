//! Correlation: failures that share a label are told as one incident, at no cost in time.
//!
//! A rack of forty that loses its power makes forty events, and one more that names the rack; all of them carry the
//! incident's [`CauseId`]. The id must be known when the first of the forty is published, and publication does not
//! wait for the other thirty-nine. It need not: every failure was a suspicion before, so when the first one fails the
//! others stand there as suspects.
//!
//! ```text
//!   killed       suspect deadlines pass        failed deadlines pass
//!  ────┼───────────┼┼┼┼┼┼┼┼┼┼┼──────────────────┼┼┼┼┼┼┼┼┼┼┼────────────▶ time
//!                                               ▲ 1 failed + 39 suspect  ▲ no suspect is left:
//!                                                 of 40: an incident       `group_failed`, 40 of 40
//! ```
//!
//! **Which label.** Of the groups that the node is in (zone and labels), those in which enough nodes and a large enough
//! share are silent qualify. The one with the most silent nodes explains the most; among equals the one with the fewest
//! nodes says it best. So a rack is named as the rack although its zone is touched too, and a dead zone is not told
//! as eighty dead racks.
//!
//! **What counts as together.** Suspects, and failures of the run under way: each within the window after the one before.
//! A node that failed an hour ago is not part of it, and not of what could have failed either.
//!
//! **When it is told.** When no suspect is left in the group, or the window has passed since its latest failure, ten
//! windows after its first at the latest. Failures that the guard holds keep it untold: the first of them to be let
//! out comes right after it.
//!
//! Where suspicions and failures come up in one go (the gateway was held up), the others are not there yet. Then,
//! and only then, failures wait: until their suspicion has settled.

use std::collections::BTreeSet;

use super::config::CorrelationConfig;
use super::group::{Group, GroupIndex, Groups};
use super::member::Member;
use super::output::CauseId;
use crate::time::{Duration, Timestamp};

/// Windows after its first failure at which an incident is told at the latest.
const WINDOWS_MAX: u32 = 10;

/// Failures of one group with one cause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incident {
    pub(super) cause: CauseId,
    pub(super) first_at: Timestamp,
    pub(super) latest_at: Timestamp,
    /// Failures in it.
    pub(super) failed: u32,
    /// Nodes that could have failed, when the latest of them did.
    pub(super) members: u32,
    /// Those that were published.
    pub(super) published: u32,
    /// Those that wait somewhere: the incident is kept for them.
    pub(super) waiting: u32,
    pub(super) is_told: bool,
}

impl Incident {
    /// When it is told, if suspects are left until then.
    fn due(&self, window: Duration) -> Timestamp {
        (self.latest_at + window).min(self.first_at + window * WINDOWS_MAX)
    }
}

/// What is to be done with an incident whose time has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Tell it.
    Tell(GroupIndex),
    /// Its run has ended and nothing waits for it.
    Close(GroupIndex),
}

/// Gives out causes and remembers when to look at the incidents.
#[derive(Debug)]
pub(super) struct Correlation {
    config: CorrelationConfig,
    causes: u64,
    looks: BTreeSet<(Timestamp, GroupIndex)>,
}

impl Correlation {
    pub(super) const fn new(config: CorrelationConfig) -> Self {
        Self { config, causes: 0, looks: BTreeSet::new() }
    }

    pub(super) const fn settle(&self) -> Duration {
        self.config.settle
    }

    pub(super) const fn window(&self) -> Duration {
        self.config.window
    }

    /// The incident that this failure belongs to, if it belongs to one; it may begin with it. The failure has been
    /// counted in its groups.
    pub(super) fn incident_of(
        &mut self,
        groups: &mut Groups,
        member: &Member,
        now: Timestamp,
    ) -> Option<(GroupIndex, CauseId)> {
        let candidates = member.groups.into_iter().flatten().enumerate();
        let qualified = candidates.filter(|(_, index)| self.qualifies(groups.group(*index)));
        // The latest among equals: labels are listed from wide to narrow.
        let (_, index) = qualified.max_by_key(|(place, index)| {
            let group = groups.group(*index);
            (silent(group), std::cmp::Reverse(group.counted()), *place)
        })?;
        let group = groups.group_mut(index);
        let is_over = |incident: &Incident| {
            incident.is_told && now.since(incident.latest_at) > self.config.window && incident.waiting == 0
        };
        if group.incident.as_ref().is_none_or(is_over) {
            self.causes += 1;
            group.incident = Some(Incident {
                cause: CauseId(self.causes),
                first_at: now,
                latest_at: now,
                failed: 0,
                members: 0,
                published: 0,
                waiting: 0,
                is_told: false,
            });
        }
        let members = group.alive + silent(group);
        let incident = group.incident.as_mut().expect("made above");
        incident.failed += 1;
        incident.members = incident.members.max(members);
        incident.latest_at = now;
        self.looks.insert((incident.due(self.config.window), index));
        Some((index, incident.cause))
    }

    fn qualifies(&self, group: &Group) -> bool {
        let (silent, counted) = (silent(group), group.alive + silent(group));
        silent >= self.config.nodes_min
            && u64::from(silent) * 100 >= u64::from(self.config.percent) * u64::from(counted)
    }

    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.looks.first().map(|&(at, _)| at)
    }

    /// The next incident whose time has come.
    pub(super) fn due(&mut self, groups: &Groups, now: Timestamp) -> Option<Due> {
        while let Some(&(at, index)) = self.looks.first() {
            if at > now {
                return None;
            }
            self.looks.pop_first();
            // A look that was overtaken by another failure, or whose incident is gone, is void.
            let Some(incident) = groups.incident(index) else { continue };
            if incident.due(self.config.window) > now {
                continue;
            }
            if incident.is_told || (incident.published == 0 && incident.waiting == 0) {
                if incident.waiting == 0 {
                    return Some(Due::Close(index));
                }
            } else if incident.published > 0 {
                // Looked at once more, to be closed.
                self.looks.insert((now + self.config.window, index));
                return Some(Due::Tell(index));
            }
        }
        None
    }

    /// Looks at an incident again when the window has passed: it may be over then.
    pub(super) fn look_again(&mut self, index: GroupIndex, now: Timestamp) {
        self.looks.insert((now + self.config.window, index));
    }

    /// Whether everything that can fail in a group has, so that its incident can be told.
    pub(super) fn is_complete(group: &Group) -> bool {
        group.suspect == 0
    }

    /// Whether the incident's time has passed.
    pub(super) fn is_due(&self, incident: &Incident, now: Timestamp) -> bool {
        incident.due(self.config.window) <= now
    }
}

/// Nodes of a group that are silent together.
fn silent(group: &Group) -> u32 {
    group.suspect + group.run.failed
}
