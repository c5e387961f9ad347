//! What truly happened to every node, from the datagrams that were handed to the kernel, and when.
//!
//! Not from what was planned: if the generator itself stalls, its nodes truly fell silent, and the gateway is
//! right to say so. Each datagram has a [`Span`]: the clock before and after the call that handed it over.
//! The gateway cannot have received it before the one, and a generator that was descheduled in between is no
//! reason to blame anybody.
//!
//! ```text
//!  signs of one node   x   x   x               x   x     x'  x'  …        │ end of judgement
//!                          └─────── silence ───┘   └restart┘    └──────── silence to the end
//!  facts               Joined (second sign)    HeardAgain  Restarted      SilentToTheEnd
//! ```
//!
//! Only what deviates is kept: 32 bytes a node for its latest sign, and one [`Fact`] for a join, a restart, a
//! goodbye, or a gap that comes near the suspect timeout. The same rules as the gateway's decide which sign
//! counts: a heartbeat of an older incarnation, or not newer than the latest one, is no news.
//! [`crate::verify`] turns facts into what must, may and must not be reported.

use std::cmp::Ordering;

use pulsegate_codec::{Incarnation, Sequence};

use crate::fleet::NodeIndex;
use crate::moment::{Duration, Moment, microseconds};

/// How long a node may be silent, and how near to that the truth is uncertain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Silence after which a node is suspect, at the least.
    pub suspect: Duration,
    /// Silence after which a node has failed, at the least.
    pub failed: Duration,
    /// Silence after which a node is suspect, whatever the gateway has learnt of it: as `suspect` where it learns nothing.
    pub suspect_longest: Duration,
    /// The same of `failed`.
    pub failed_longest: Duration,
    /// A gap this near to a timeout may be reported or not: datagrams take time, and ticks have a length.
    pub tolerance: Duration,
    /// An event that is decided longer than this after its occasion does not tell of it.
    pub late_max: Duration,
}

/// [`Timeouts::late_max`] unless told otherwise.
pub const LATE_MAX_DEFAULT: Duration = Duration::from_secs(5);

impl Timeouts {
    /// Timeouts of nodes with this interval that are not learnt. The tolerance is a quarter of it.
    #[must_use]
    pub fn new(suspect: Duration, failed: Duration, interval: Duration) -> Self {
        Self {
            suspect,
            failed,
            suspect_longest: suspect,
            failed_longest: failed,
            tolerance: interval / 4,
            late_max: LATE_MAX_DEFAULT,
        }
    }

    /// Whether the gateway learns them, so that the judge knows only between which bounds they are.
    #[must_use]
    pub fn are_learnt(&self) -> bool {
        (self.suspect, self.failed) != (self.suspect_longest, self.failed_longest)
    }
}

/// Something happened at one moment between these two (both included).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Not earlier than this.
    pub before: Moment,
    /// Not later than this.
    pub after: Moment,
}

impl Span {
    /// A span without length.
    #[must_use]
    pub const fn at(moment: Moment) -> Self {
        Self { before: moment, after: moment }
    }
}

/// What was handed to the kernel about one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sign {
    /// Which node.
    pub node: NodeIndex,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// Which heartbeat; for a goodbye, the last one.
    pub sequence: Sequence,
    /// Whether this is the goodbye.
    pub departs: bool,
    /// Whether the node says that it is degraded.
    pub degraded: bool,
}

/// What the sign at [`Fact::at`] was, after the one at [`Fact::from`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FactKind {
    /// The second sign of a node that was new (or had left): it counts from now on.
    Joined,
    /// A sign after a gap that is, or is nearly, longer than the suspect timeout.
    HeardAgain,
    /// The first sign of a new run.
    Restarted,
    /// The goodbye.
    Left,
    /// The first sign that says "degraded".
    Degraded,
    /// The first that says "ok" after that.
    Healthy,
    /// None: judgement ended here.
    SilentToTheEnd,
}

impl FactKind {
    /// Whether this is about what a node says of itself, and not about whether it is there.
    #[must_use]
    pub const fn is_status(self) -> bool {
        matches!(self, Self::Degraded | Self::Healthy)
    }
}

/// One thing that happened to one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The sign before.
    pub from: Span,
    /// The sign itself, or the end of judgement.
    pub at: Span,
    /// Which node.
    pub node: NodeIndex,
    /// Its run at `at`.
    pub incarnation: Incarnation,
    /// What happened.
    pub kind: FactKind,
    /// Whether the node counted as a member before `at`. What happens to a node that does not, nobody need
    /// report.
    pub was_member: bool,
    /// Whether the node answered pings in between.
    pub answered_pings: bool,
    /// Whether no sign of the node followed before the record ended.
    pub is_last_sign: bool,
}

/// The latest sign of one node.
#[derive(Clone, Copy, Debug)]
struct Latest {
    before_us: u64,
    span_us: u32,
    incarnation: Incarnation,
    sequence: Sequence,
    standing: Standing,
    degraded: bool,
    /// Since this sign, it does nothing but answer pings.
    answers_pings: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Unheard,
    HeardOnce,
    Member,
    Gone,
}

impl Latest {
    const NONE: Self = Self {
        before_us: 0,
        span_us: 0,
        incarnation: Incarnation(0),
        sequence: Sequence(0),
        standing: Standing::Unheard,
        degraded: false,
        answers_pings: false,
    };

    /// Whether this sign is news after what is known: a later run, or a later heartbeat of the same run. A
    /// goodbye carries the sequence of the last heartbeat, and counts once.
    fn is_followed_by(&self, sign: &Sign) -> bool {
        if self.standing == Standing::Unheard {
            return !sign.departs;
        }
        match sign.incarnation.cmp(&self.incarnation) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal if sign.departs => {
                self.standing != Standing::Gone && sign.sequence >= self.sequence
            }
            Ordering::Equal => sign.sequence > self.sequence,
        }
    }

    fn span(&self) -> Span {
        let before = Moment::from_microseconds(self.before_us);
        Span { before, after: before + Duration::from_micros(u64::from(self.span_us)) }
    }
}

/// The record of one run.
#[derive(Clone, Debug)]
pub struct GroundTruth {
    timeouts: Timeouts,
    latest: Vec<Latest>,
    facts: Vec<Fact>,
    signs_of_life: u64,
}

impl GroundTruth {
    /// A record of a fleet that nobody has heard of.
    #[must_use]
    pub fn new(node_count: u32, timeouts: Timeouts) -> Self {
        let latest = vec![Latest::NONE; node_count as usize];
        Self { timeouts, latest, facts: Vec::new(), signs_of_life: 0 }
    }

    /// Heartbeats so far that were news: what the gateway should accept if the kernel loses nothing.
    #[must_use]
    pub const fn signs_of_life(&self) -> u64 {
        self.signs_of_life
    }

    /// Notes a sign that was handed to the kernel at `at`. Signs come in the order of their handing over.
    pub fn note(&mut self, sign: &Sign, at: Span) {
        let latest = self.latest[sign.node.slot()];
        if !latest.is_followed_by(sign) {
            return;
        }
        self.signs_of_life += u64::from(!sign.departs);
        let (standing, kind) = self.transition(&latest, sign, at);
        let (from, was_member) = (latest.span(), latest.standing == Standing::Member);
        let status = status(&latest, standing, sign);
        for kind in kind.into_iter().chain(status) {
            let Sign { node, incarnation, .. } = *sign;
            let answered_pings = latest.answers_pings;
            self.facts.push(Fact {
                from,
                at,
                node,
                incarnation,
                kind,
                was_member,
                answered_pings,
                is_last_sign: false,
            });
        }
        self.latest[sign.node.slot()] = Latest {
            before_us: at.before.as_microseconds(),
            span_us: u32::try_from(microseconds(at.after.since(at.before))).unwrap_or(u32::MAX),
            incarnation: sign.incarnation,
            sequence: sign.sequence,
            standing,
            degraded: sign.degraded,
            answers_pings: false,
        };
    }

    /// From now on the node answers pings and does nothing else, until its next sign.
    pub fn note_mute(&mut self, node: NodeIndex) {
        self.latest[node.slot()].answers_pings = true;
    }

    /// How the node stands after this sign, which is news, and what of it is a fact worth keeping.
    fn transition(&self, latest: &Latest, sign: &Sign, at: Span) -> (Standing, Option<FactKind>) {
        let newer_run = sign.incarnation > latest.incarnation;
        let gap_min = at.before.since(latest.span().after);
        let gap_max = at.after.since(latest.span().before);
        match latest.standing {
            Standing::Unheard | Standing::Gone if sign.departs => (Standing::Gone, None),
            Standing::Unheard | Standing::Gone => (Standing::HeardOnce, None),
            _ if sign.departs => (Standing::Gone, Some(FactKind::Left)),
            // A new node's second run says nothing of its first, and one that stays silent for long is new
            // again.
            Standing::HeardOnce if newer_run => (Standing::HeardOnce, None),
            Standing::HeardOnce if gap_min > self.timeouts.failed_longest + self.timeouts.tolerance => {
                (Standing::HeardOnce, None)
            }
            Standing::HeardOnce => (Standing::Member, Some(FactKind::Joined)),
            Standing::Member if newer_run => (Standing::Member, Some(FactKind::Restarted)),
            Standing::Member => {
                let is_silence = gap_max + self.timeouts.tolerance > self.timeouts.suspect;
                (Standing::Member, is_silence.then_some(FactKind::HeardAgain))
            }
        }
    }

    /// Ends the record: what was silent then is silent to the end. Returns the facts, sorted by node, each
    /// node's in the order in which they happened.
    #[must_use]
    pub fn close(mut self, judged_until: Moment) -> Vec<Fact> {
        for (index, latest) in (0_u32..).zip(&self.latest) {
            let silence = judged_until.since(latest.span().before);
            let member = latest.standing == Standing::Member;
            if member && silence + self.timeouts.tolerance > self.timeouts.suspect {
                self.facts.push(Fact {
                    from: latest.span(),
                    at: Span::at(judged_until),
                    node: NodeIndex(index),
                    incarnation: latest.incarnation,
                    kind: FactKind::SilentToTheEnd,
                    was_member: true,
                    answered_pings: latest.answers_pings,
                    is_last_sign: false,
                });
            }
        }
        for fact in &mut self.facts {
            fact.is_last_sign = fact.at == self.latest[fact.node.slot()].span();
        }
        self.facts.sort_by_key(|fact| fact.node);
        self.facts
    }
}

/// What this sign, which is news, changes of the node's status. A node that joins and one that restarts count as healthy
/// until they say otherwise.
fn status(latest: &Latest, standing: Standing, sign: &Sign) -> Option<FactKind> {
    if standing != Standing::Member {
        return None;
    }
    let goes_on = latest.standing == Standing::Member && sign.incarnation == latest.incarnation;
    match (latest.degraded && goes_on, sign.degraded) {
        (false, true) => Some(FactKind::Degraded),
        (true, false) => Some(FactKind::Healthy),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
