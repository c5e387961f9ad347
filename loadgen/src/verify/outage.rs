//! A time in which the gateway was not there: killed, or stopped and started again.
//!
//! What nodes sent meanwhile reached nobody, and the gateway counts that time as nobody's silence. So what it says of a silence
//! that reaches into an outage is measured from the gateway's start:
//!
//! ```text
//!   last sign ──────── outage ────────▶ start ──────── timeout ────────▶
//!                                        │        └ a third of the suspect timeout: as much silence it may know of
//!                                        └ not before this, less that third; if nobody is heard, not later than this
//! ```
//!
//! A goodbye that fell into an outage was never heard, and the node fails. The gateway says itself, when it starts, how long
//! it may have been away; it is believed, because what that excuses is only what nobody can have heard.

use crate::ground_truth::{Fact, Timeouts};
use crate::moment::{Duration, Moment};

/// From when to when at most the gateway did not listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// Perhaps from here on.
    pub from: Moment,
    /// The gateway's start.
    pub until: Moment,
}

impl Outage {
    /// Whether a part of what the fact tells of fell into it.
    pub(super) fn touches(&self, fact: &Fact) -> bool {
        fact.from.before < self.until && fact.at.after > self.from
    }

    /// Whether the fact's sign fell into it, so that nobody may have heard it.
    pub(super) fn swallows(&self, fact: &Fact) -> bool {
        fact.at.before < self.until && fact.at.after > self.from
    }

    /// Before this the gateway cannot know, after it, that this timeout has passed.
    pub(super) fn earliest(&self, timeout: Duration, timeouts: &Timeouts) -> Moment {
        (self.until + timeout).saturating_sub(timeouts.suspect / 3 + timeouts.tolerance)
    }
}
