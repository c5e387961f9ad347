//! From a fact to the events that must or may tell of it.

use crate::fleet::NodeIndex;
use crate::ground_truth::{Fact, FactKind, Span, Timeouts};
use crate::moment::Moment;

use super::{CLOCK_TOLERANCE, ObservedEvent, Outage};

/// The kinds of events that the judge knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum EventKind {
    /// A node counts from now on.
    Joined,
    /// Silent past its suspect deadline.
    Suspected,
    /// Silent past its failed deadline.
    Failed,
    /// Heard again in the same incarnation.
    Recovered,
    /// Heard in a greater incarnation.
    Restarted,
    /// Said goodbye.
    Left,
    /// No longer known to the gateway.
    Forgotten,
    /// Said that it is degraded.
    Degraded,
    /// Said that it no longer is.
    Healthy,
}

impl EventKind {
    /// All kinds, in order.
    pub const ALL: [Self; 9] = [
        Self::Joined,
        Self::Suspected,
        Self::Failed,
        Self::Recovered,
        Self::Restarted,
        Self::Left,
        Self::Forgotten,
        Self::Degraded,
        Self::Healthy,
    ];

    /// The word in the event's `type`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Suspected => "suspected",
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Restarted => "restarted",
            Self::Left => "left",
            Self::Forgotten => "forgotten",
            Self::Degraded => "degraded",
            Self::Healthy => "healthy",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Certainty {
    Must,
    May,
}

/// An event that must or may be reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// About which node.
    pub node: NodeIndex,
    /// What.
    pub kind: EventKind,
    /// Before this, the gateway cannot truly know.
    pub deadline: Moment,
    pub(super) certainty: Certainty,
    /// An event of this kind that was decided from here …
    belongs_from: Moment,
    /// … to here tells of this fact, perhaps too early or late.
    belongs_until: Moment,
    /// The run that the event must name, if only one is right.
    incarnation: Option<u32>,
    /// A node known from an earlier run of the generator restarts where another joins.
    or_restarted_from: Option<Moment>,
    /// The start of a gateway that had been away, and the deadline from then on.
    resumed: Option<(Moment, Moment)>,
}

impl Expectation {
    /// Appends what this fact leads one to expect, in the order in which it should be reported.
    pub(super) fn of_fact(
        fact: &Fact,
        timeouts: &Timeouts,
        outages: &[Outage],
        expectations: &mut Vec<Self>,
    ) {
        let outage = outages.iter().rfind(|outage| outage.touches(fact));
        if !matches!(fact.kind, FactKind::Joined | FactKind::Degraded | FactKind::Healthy) {
            expectations.extend(Self::silence(fact, EventKind::Suspected, timeouts, outage));
            // Who answers when asked is not called failed.
            if !fact.answered_pings {
                expectations.extend(Self::silence(fact, EventKind::Failed, timeouts, outage));
            }
        }
        let kind = match fact.kind {
            FactKind::Joined => EventKind::Joined,
            // Whether the recovery must be reported depends on what was: the judge decides.
            FactKind::HeardAgain => EventKind::Recovered,
            FactKind::Restarted => EventKind::Restarted,
            FactKind::Left => EventKind::Left,
            FactKind::Degraded => EventKind::Degraded,
            FactKind::Healthy => EventKind::Healthy,
            FactKind::SilentToTheEnd => return,
        };
        let joins = kind == EventKind::Joined;
        let says_status = matches!(kind, EventKind::Degraded | EventKind::Healthy);
        let swallowed = outage.filter(|outage| outage.swallows(fact));
        // What is said once and then no more is lost with its datagram; and who was not heard to be degraded is not well again.
        let may_be_lost = (swallowed.is_some() && (says_status || kind == EventKind::Left))
            || (outage.is_some() && kind == EventKind::Healthy);
        let must = (fact.was_member || joins || says_status) && !may_be_lost;
        let heard_by = swallowed.map_or(fact.at.after, |outage| outage.until);
        expectations.push(Self {
            node: fact.node,
            kind,
            deadline: fact.at.before,
            certainty: if must { Certainty::Must } else { Certainty::May },
            belongs_from: fact.at.before.saturating_sub(CLOCK_TOLERANCE),
            // A recovery is told at the second sign, and that may come late or be lost once.
            belongs_until: heard_by + timeouts.late_max + timeouts.tolerance * 8,
            incarnation: Some(fact.incarnation.0),
            or_restarted_from: joins.then(|| fact.from.before.saturating_sub(CLOCK_TOLERANCE)),
            resumed: None,
        });
        if let Some(outage) = swallowed.filter(|_| kind == EventKind::Left) {
            // Nobody heard the goodbye; then the node is silent, for all that the gateway knows.
            let end = outage.until + timeouts.failed_longest + timeouts.late_max;
            let silent = Fact {
                from: fact.at,
                at: Span::at(end),
                kind: FactKind::SilentToTheEnd,
                was_member: false,
                ..*fact
            };
            let kinds = [EventKind::Suspected, EventKind::Failed];
            expectations.extend(
                kinds.into_iter().filter_map(|kind| Self::silence(&silent, kind, timeouts, Some(outage))),
            );
        }
    }

    /// What a silence from `fact.from` to `fact.at` leads one to expect of one timeout.
    fn silence(fact: &Fact, kind: EventKind, timeouts: &Timeouts, outage: Option<&Outage>) -> Option<Self> {
        let (shortest, longest) = match kind {
            EventKind::Failed => (timeouts.failed, timeouts.failed_longest),
            _ => (timeouts.suspect, timeouts.suspect_longest),
        };
        let deadline = fact.from.before + shortest;
        // A deadline that passed before an outage is as any other.
        let outage = outage.filter(|outage| deadline > outage.from);
        let resumed = outage.map(|outage| (outage.until, outage.earliest(shortest, timeouts)));
        let earliest = resumed.map_or(deadline, |(_, resumed)| resumed.min(deadline));
        let gap_min = fact.at.before.since(outage.map_or(fact.from.after, |outage| outage.until));
        let certainty = if gap_min > longest + timeouts.tolerance && fact.was_member {
            Certainty::Must
        } else if fact.at.after + timeouts.tolerance > earliest {
            Certainty::May
        } else {
            return None;
        };
        // What may have been reported was so before the silence ended, or a moment later. A longer reach would take the
        // event of the node's next silence.
        let lateness_max = if certainty == Certainty::Must { timeouts.late_max } else { timeouts.tolerance };
        let restarts = fact.kind == FactKind::Restarted;
        Some(Self {
            node: fact.node,
            kind,
            deadline,
            certainty,
            belongs_from: fact.from.before,
            belongs_until: fact.at.after + lateness_max,
            incarnation: (!restarts).then_some(fact.incarnation.0),
            or_restarted_from: None,
            resumed,
        })
    }

    /// Before this, the gateway cannot have known what this event tells.
    pub(super) fn deadline_of(&self, event: &ObservedEvent) -> Moment {
        let resumed = self.resumed.filter(|&(from, _)| event.decided_at >= from);
        resumed.map_or(self.deadline, |(_, deadline)| deadline)
    }

    /// Whether this event tells of what was expected.
    pub(super) fn is_met_by(&self, event: &ObservedEvent) -> bool {
        let right_run = self.incarnation.is_none_or(|incarnation| incarnation == event.incarnation);
        let from = match self.or_restarted_from {
            Some(first_sign) if event.kind == EventKind::Restarted => first_sign,
            _ if event.kind == self.kind => self.belongs_from,
            _ => return false,
        };
        right_run && (from..=self.belongs_until).contains(&event.decided_at)
    }
}
