//! Silences: an operator says that nobody wants to hear of some nodes for a while.
//!
//! What is silenced is counted and not published. When a silence ends, by itself or by hand, every node that it kept
//! still is compared with what the world was told last, and where that differs, where it stands now is published: one event,
//! however often it changed meanwhile.
//!
//! Failures under a silence are expected, so they are no evidence of a disruption and the guard does not count them.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_codec::NodeId;

use crate::time::Timestamp;
use crate::verdict::{NodeFacts, Verdict};

/// Names a silence, within a run of the gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SilenceId(pub u64);

/// Which nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// Those with this zone.
    Zone(Box<str>),
    /// The one with this name; the hexadecimal digits of its id if it has never described itself.
    Node(Box<str>),
    /// Those with this label.
    Label {
        /// Its key.
        key: Box<str>,
        /// Its value.
        value: Box<str>,
    },
}

impl Selector {
    /// Whether a node is meant.
    #[must_use]
    pub fn matches(&self, node_id: NodeId, facts: Option<&NodeFacts>) -> bool {
        match (self, facts) {
            (Self::Zone(zone), Some(facts)) => facts.zone == *zone,
            (Self::Node(name), Some(facts)) => facts.name == *name,
            (Self::Node(name), None) => node_id.to_string() == **name,
            (Self::Label { key, value }, Some(facts)) => {
                facts.labels.iter().any(|(name, held)| name == key && held == value)
            }
            (_, None) => false,
        }
    }
}

/// One silence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// Its name.
    pub id: SilenceId,
    /// Which nodes.
    pub selector: Selector,
    /// When it began.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Why, in the operator's words.
    pub comment: Box<str>,
    /// Verdicts that it kept from being published.
    pub silenced: u64,
}

/// There are as many silences as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManySilences;

/// All silences, and the nodes that they have kept still.
#[derive(Debug)]
pub(super) struct Silences {
    silences_max: usize,
    silences: Vec<Silence>,
    ids: u64,
    ends: BTreeSet<(Timestamp, SilenceId)>,
    /// The latest verdict on each node that was not published.
    muted: BTreeMap<NodeId, (usize, Verdict)>,
}

impl Silences {
    pub(super) const fn new(silences_max: usize) -> Self {
        Self { silences_max, silences: Vec::new(), ids: 0, ends: BTreeSet::new(), muted: BTreeMap::new() }
    }

    pub(super) fn add(
        &mut self,
        selector: Selector,
        from: Timestamp,
        until: Timestamp,
        comment: Box<str>,
    ) -> Result<SilenceId, TooManySilences> {
        if self.silences.len() >= self.silences_max {
            return Err(TooManySilences);
        }
        self.ids += 1;
        let id = SilenceId(self.ids);
        self.silences.push(Silence { id, selector, from, until, comment, silenced: 0 });
        self.ends.insert((until, id));
        Ok(id)
    }

    pub(super) fn all(&self) -> &[Silence] {
        &self.silences
    }

    pub(super) fn muted(&self) -> usize {
        self.muted.len()
    }

    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|&(at, _)| at)
    }

    /// Whether a verdict is to be kept; if so, it is.
    pub(super) fn keep(&mut self, shard: usize, verdict: &Verdict) -> bool {
        let facts = verdict.facts.as_deref();
        let Some(silence) =
            self.silences.iter_mut().find(|silence| silence.selector.matches(verdict.node_id, facts))
        else {
            return false;
        };
        silence.silenced += 1;
        self.muted.insert(verdict.node_id, (shard, verdict.clone()));
        true
    }

    /// Nothing is to be caught up with: the node is gone and the world never heard of it, or it was told.
    pub(super) fn unmute(&mut self, node_id: NodeId) {
        self.muted.remove(&node_id);
    }

    /// Ends one silence; `false` if there is none of this name.
    pub(super) fn end(&mut self, id: SilenceId) -> bool {
        let Some(index) = self.silences.iter().position(|silence| silence.id == id) else { return false };
        let silence = self.silences.remove(index);
        self.ends.remove(&(silence.until, id));
        true
    }

    /// Ends those whose time is over; `true` if there were any.
    pub(super) fn end_due(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        while let Some(&(_, id)) = self.ends.first().filter(|(until, _)| *until <= now) {
            any |= self.end(id);
        }
        any
    }

    /// The nodes that no silence keeps still any more, each with its latest verdict.
    pub(super) fn released(&mut self) -> BTreeMap<NodeId, (usize, Verdict)> {
        let silences = &self.silences;
        let is_kept = |verdict: &Verdict| {
            let facts = verdict.facts.as_deref();
            silences.iter().any(|silence| silence.selector.matches(verdict.node_id, facts))
        };
        let (kept, released) =
            std::mem::take(&mut self.muted).into_iter().partition(|(_, (_, verdict))| is_kept(verdict));
        self.muted = kept;
        released
    }
}
