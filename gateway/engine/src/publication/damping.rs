//! Flap damping, after RFC 2439 (section 4.2), which does it for routes: every flap adds to a penalty that halves with
//! time; beyond one threshold the node flaps and its verdicts are not published, below a lower one it is steady again.
//!
//! ```text
//!  penalty        flapping
//!    3000 ┄┄┄┄┄┄┄┄┄┄◆┄┄┄┄┄┄┄┄┄┄ suppress        ◆ the event `flapping`
//!                 ╱│╱╲                          ◇ the event `steady`, and where the node is by now
//!               ╱│╱   ╲__
//!    1000 ┄┄┄┄╱┄┄┄┄┄┄┄┄┄┄╲◇┄┄┄┄ reuse
//!           ╱│               ╲___
//! ```
//!
//! A penalty rather than the percentage of changed checks that Nagios uses: there are no checks here, only
//! transitions, and a penalty tells in advance when the node will be steady, so that a timer does and nothing is
//! polled. A flap is a sign of life after a failure, or a restart; one after a mere suspicion counts a tenth, for a
//! lossy network makes many.
//!
//! A penalty outlives the node's being forgotten, as that of a withdrawn route does.
//!
//! A node that flaps and then dies for good is told when its penalty has faded, `suppress_max` after its last flap at
//! the latest: the penalty is capped for that.

use std::collections::{BTreeSet, HashMap};

use pulsegate_codec::NodeId;

use super::config::DampingConfig;
use crate::time::{Duration, Timestamp};
use crate::verdict::Verdict;

/// A node with a penalty.
#[derive(Debug)]
struct Record {
    penalty: f64,
    /// When the penalty was this.
    at: Timestamp,
    flaps: u32,
    /// While the node flaps.
    damped: Option<Damped>,
    look_at: Timestamp,
}

/// What is known of a node that flaps.
#[derive(Debug)]
pub(super) struct Damped {
    pub(super) shard: usize,
    /// The verdict that was not published, the latest if there were several; the one that was published last if there were none.
    pub(super) latest: Verdict,
    pub(super) suppressed: u32,
}

/// All nodes with a penalty.
#[derive(Debug)]
pub(super) struct Damper {
    config: DampingConfig,
    records: HashMap<NodeId, Record>,
    looks: BTreeSet<(Timestamp, NodeId)>,
    flapping: usize,
}

impl Damper {
    pub(super) fn new(config: DampingConfig) -> Self {
        Self { config, records: HashMap::new(), looks: BTreeSet::new(), flapping: 0 }
    }

    pub(super) const fn flapping(&self) -> usize {
        self.flapping
    }

    /// What is known of the node, if it flaps.
    pub(super) fn damped(&mut self, node_id: NodeId) -> Option<&mut Damped> {
        if self.flapping == 0 {
            return None;
        }
        self.records.get_mut(&node_id)?.damped.as_mut()
    }

    /// Counts a flap. Returns how many there were, if with this one the node begins to flap.
    pub(super) fn flap(
        &mut self,
        shard: usize,
        verdict: &Verdict,
        penalty: u32,
        now: Timestamp,
    ) -> Option<u32> {
        if !self.config.is_enabled || penalty == 0 {
            return None;
        }
        let node_id = verdict.node_id;
        let record = self.records.entry(node_id).or_insert_with(|| Record {
            penalty: 0.0,
            at: now,
            flaps: 0,
            damped: None,
            look_at: now,
        });
        let faded = faded(record.penalty, now.since(record.at), self.config.half_life);
        record.penalty = (faded + f64::from(penalty)).min(ceiling(&self.config));
        record.at = now;
        record.flaps = record.flaps.saturating_add(1);
        let begins = record.damped.is_none() && record.penalty > f64::from(self.config.suppress_above);
        if begins {
            record.damped = Some(Damped { shard, latest: verdict.clone(), suppressed: 0 });
            self.flapping += 1;
        }
        let flaps = record.flaps;
        self.set_look(node_id, now);
        begins.then_some(flaps)
    }

    /// Looks at the node when its penalty has faded far enough.
    fn set_look(&mut self, node_id: NodeId, now: Timestamp) {
        let Some(record) = self.records.get_mut(&node_id) else { return };
        let reuse = f64::from(self.config.reuse_below);
        // RFC 2439: what is below half the reuse threshold is not worth remembering.
        let target = if record.damped.is_some() { reuse } else { reuse / 2.0 };
        let half_lives = (record.penalty / target).log2().max(0.0);
        self.looks.remove(&(record.look_at, node_id));
        record.look_at = now + self.config.half_life.mul_f64(half_lives);
        self.looks.insert((record.look_at, node_id));
    }

    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.looks.first().map(|&(at, _)| at)
    }

    /// The next node that is steady again; nodes whose penalty is not worth remembering are forgotten on the way.
    pub(super) fn steady(&mut self, now: Timestamp) -> Option<(Damped, u32)> {
        while let Some(&(at, node_id)) = self.looks.first() {
            if at > now {
                return None;
            }
            if let Some(ended) = self.end(node_id, now) {
                return Some(ended);
            }
            self.looks.remove(&(at, node_id));
            self.records.remove(&node_id);
        }
        None
    }

    /// Every node that flaps, steady or not.
    pub(super) fn end_any(&mut self, now: Timestamp) -> Option<(Damped, u32)> {
        let node_id = self
            .looks
            .iter()
            .map(|&(_, node_id)| node_id)
            .find(|node_id| self.records[node_id].damped.is_some())?;
        self.end(node_id, now)
    }

    fn end(&mut self, node_id: NodeId, now: Timestamp) -> Option<(Damped, u32)> {
        let record = self.records.get_mut(&node_id)?;
        let damped = record.damped.take()?;
        record.penalty = faded(record.penalty, now.since(record.at), self.config.half_life);
        record.at = now;
        let flaps = record.flaps;
        self.flapping -= 1;
        self.set_look(node_id, now);
        Some((damped, flaps))
    }
}

/// A penalty after a time.
fn faded(penalty: f64, time: Duration, half_life: Duration) -> f64 {
    penalty * (-time.as_secs_f64() / half_life.as_secs_f64()).exp2()
}

/// The greatest penalty: what fades to the reuse threshold within the longest suppression.
fn ceiling(config: &DampingConfig) -> f64 {
    let half_lives = config.suppress_max.as_secs_f64() / config.half_life.as_secs_f64();
    // Room for the flap that crosses the threshold, however short the longest suppression is.
    let least = f64::from(config.suppress_above) + 1.0;
    (f64::from(config.reuse_below) * half_lives.exp2()).max(least)
}
