//! What will go wrong: a plan of faults, drawn from a seed before the run.
//!
//! Each chosen node gets one fault, at a random time within the window that the [`Timeline`] leaves for its
//! kind, so that what it causes can be seen before the end. The plan says what the generator does to its
//! fleet; what truly happened is for [`crate::ground_truth`] to say. Pure.

use std::fmt;

use crate::fleet::NodeIndex;
use crate::moment::{Duration, Moment, microseconds};
use crate::random::Random;
use crate::timeline::Timeline;

/// What can be done to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FaultKind {
    /// Stops for good, without a word.
    Kill,
    /// Stops for longer than the failed timeout, then goes on in the same incarnation.
    Pause,
    /// Stops and starts again within an interval, in a new incarnation.
    Restart,
    /// Says goodbye.
    Leave,
    /// Beats through another relay. No fault at all, and so nothing may be reported.
    Move,
}

impl FaultKind {
    /// All kinds, in order.
    pub const ALL: [Self; 5] = [Self::Kill, Self::Pause, Self::Restart, Self::Leave, Self::Move];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::Leave => "leave",
            Self::Move => "move",
        })
    }
}

/// How many nodes a kind of fault strikes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Amount {
    /// This share of the fleet, from 0 to 1: rounded, but at least one node unless the share is 0.
    Share(f64),
    /// So many nodes.
    Count(u32),
}

impl Amount {
    /// Nobody.
    pub const NONE: Self = Self::Share(0.0);

    /// How many of this many nodes.
    #[must_use]
    pub fn of(self, nodes: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Share(share) if share <= 0.0 => 0,
            Self::Share(share) => {
                let exact = (f64::from(nodes) * share).round().clamp(1.0, f64::from(nodes));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 1 and nodes"
                )]
                let count = exact as u32;
                count
            }
        }
    }
}

/// How much of each kind.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaultOptions {
    /// [`FaultKind::Kill`].
    pub kill: Amount,
    /// [`FaultKind::Pause`].
    pub pause: Amount,
    /// [`FaultKind::Restart`].
    pub restart: Amount,
    /// [`FaultKind::Leave`].
    pub leave: Amount,
    /// [`FaultKind::Move`].
    pub moves: Amount,
}

impl FaultOptions {
    /// No faults.
    pub const NONE: Self = Self {
        kill: Amount::NONE,
        pause: Amount::NONE,
        restart: Amount::NONE,
        leave: Amount::NONE,
        moves: Amount::NONE,
    };

    /// How much of this kind.
    #[must_use]
    pub const fn amount(&self, kind: FaultKind) -> Amount {
        match kind {
            FaultKind::Kill => self.kill,
            FaultKind::Pause => self.pause,
            FaultKind::Restart => self.restart,
            FaultKind::Leave => self.leave,
            FaultKind::Move => self.moves,
        }
    }

    /// The kinds that strike at least one of this many nodes.
    pub fn kinds(&self, nodes: u32) -> impl Iterator<Item = FaultKind> + '_ {
        FaultKind::ALL.into_iter().filter(move |&kind| self.amount(kind).of(nodes) > 0)
    }
}

/// One in a hundred killed, one in two hundred paused and restarted, three leave.
impl Default for FaultOptions {
    fn default() -> Self {
        Self {
            kill: Amount::Share(0.01),
            pause: Amount::Share(0.005),
            restart: Amount::Share(0.005),
            leave: Amount::Count(3),
            moves: Amount::NONE,
        }
    }
}

/// One thing to do to the fleet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Stop the node: a kill, or the beginning of a pause or a restart.
    Silence,
    /// End the pause.
    Resume,
    /// Start the next run.
    Restart,
    /// Say goodbye.
    Leave,
    /// Go on through the relay that is so many further, counted around. Not 0.
    Move(u32),
}

/// One thing to do, when, and to whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Step {
    /// When.
    pub at: Moment,
    /// To whom.
    pub node: NodeIndex,
    /// What.
    pub action: Action,
}

/// More faults than nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{faults} faults are asked for, but there are {nodes} nodes and each gets one at most: ask for fewer"
)]
pub struct TooManyFaults {
    faults: u64,
    nodes: u32,
}

/// All that will be done to the fleet, soonest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultPlan {
    steps: Vec<Step>,
    next: usize,
    counts: [u32; FaultKind::ALL.len()],
}

impl FaultPlan {
    /// Draws a plan for a fleet of `nodes` nodes and `relays` relays.
    ///
    /// # Errors
    /// [`TooManyFaults`].
    ///
    /// # Panics
    /// If nodes shall move and there is only one relay.
    pub fn new(
        options: &FaultOptions,
        timeline: &Timeline,
        nodes: u32,
        relays: u32,
        seed: u64,
    ) -> Result<Self, TooManyFaults> {
        let counts = FaultKind::ALL.map(|kind| options.amount(kind).of(nodes));
        let faults = counts.iter().map(|&count| u64::from(count)).sum::<u64>();
        if faults > u64::from(nodes) {
            return Err(TooManyFaults { faults, nodes });
        }
        assert!(relays > 1 || counts[FaultKind::Move as usize] == 0, "a node moves to another relay");
        let mut random = Random::for_purpose(seed, "faults");
        let mut victims = draw_distinct(nodes, faults, &mut random).into_iter();
        let mut steps = Vec::new();
        for (kind, count) in FaultKind::ALL.into_iter().zip(counts) {
            let window = timeline.fault_end(kind).since(timeline.settled);
            for node in victims.by_ref().take(count as usize) {
                let at = timeline.settled + random_below(window, &mut random);
                plan_one(kind, node, at, timeline, relays, &mut random, &mut steps);
            }
        }
        steps.sort_unstable();
        Ok(Self { steps, next: 0, counts })
    }

    /// How many nodes this kind strikes.
    #[must_use]
    pub const fn count(&self, kind: FaultKind) -> u32 {
        self.counts[kind as usize]
    }

    /// When the next step is due; `None` after the last.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.steps.get(self.next).map(|step| step.at)
    }

    /// Takes the next step, if it is due.
    pub fn pop_due(&mut self, now: Moment) -> Option<Step> {
        let step = *self.steps.get(self.next).filter(|step| step.at <= now)?;
        self.next += 1;
        Some(step)
    }
}

fn plan_one(
    kind: FaultKind,
    node: NodeIndex,
    at: Moment,
    timeline: &Timeline,
    relays: u32,
    random: &mut Random,
    steps: &mut Vec<Step>,
) {
    let mut step = |at, action| steps.push(Step { at, node, action });
    match kind {
        FaultKind::Kill => step(at, Action::Silence),
        FaultKind::Pause => {
            step(at, Action::Silence);
            step(at + timeline.pause, Action::Resume);
        }
        FaultKind::Restart => {
            step(at, Action::Silence);
            step(at + random_below(timeline.restart_gap_max, random), Action::Restart);
        }
        FaultKind::Leave => step(at, Action::Leave),
        FaultKind::Move => {
            let further = 1 + random.below(u64::from(relays - 1));
            step(at, Action::Move(u32::try_from(further).expect("not above a 32-bit number")));
        }
    }
}

fn random_below(duration: Duration, random: &mut Random) -> Duration {
    Duration::from_micros(random.below(microseconds(duration)))
}

/// So many different nodes, in random order: the first steps of a Fisher-Yates shuffle.
fn draw_distinct(nodes: u32, count: u64, random: &mut Random) -> Vec<NodeIndex> {
    let mut indices: Vec<u32> = (0..nodes).collect();
    let count = usize::try_from(count).expect("not more than there are nodes");
    for position in 0..count {
        let other = position + random.index(indices.len() - position);
        indices.swap(position, other);
    }
    indices.truncate(count);
    indices.into_iter().map(NodeIndex).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ground_truth::Timeouts;

    fn timeline() -> Timeline {
        let timeouts = Timeouts::new(Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(1));
        Timeline::new(30, Duration::from_secs(1), &timeouts, &FaultKind::ALL).unwrap()
    }

    fn plan(options: &FaultOptions, seed: u64) -> FaultPlan {
        FaultPlan::new(options, &timeline(), 20_000, 2, seed).unwrap()
    }

    #[test]
    fn default_faults_of_20000_nodes() {
        let plan = plan(&FaultOptions::default(), 1);
        let counts = FaultKind::ALL.map(|kind| plan.count(kind));
        assert_eq!(counts, [200, 100, 100, 3, 0]);
        assert_eq!(plan.steps.len(), 200 + 2 * 100 + 2 * 100 + 3);
    }

    #[test]
    fn the_seed_decides() {
        let options = FaultOptions::default();
        assert_eq!(plan(&options, 5), plan(&options, 5));
        assert_ne!(plan(&options, 5).steps, plan(&options, 6).steps);
    }

    #[test]
    fn every_fault_falls_into_its_window_and_no_node_has_two() {
        let options = FaultOptions { moves: Amount::Share(0.1), ..FaultOptions::default() };
        let (plan, timeline) = (plan(&options, 2), timeline());
        assert!(plan.steps.is_sorted());
        assert!(plan.steps.iter().all(|step| step.at >= timeline.settled && step.at < timeline.sending_end));
        let mut struck = BTreeSet::new();
        for step in &plan.steps {
            let first = struck.insert(step.node);
            assert_eq!(first, !matches!(step.action, Action::Resume | Action::Restart), "{step:?}");
        }
        assert_eq!(struck.len(), 200 + 100 + 100 + 3 + 2_000);
    }

    #[test]
    fn a_pause_outlasts_the_failed_timeout_and_ends_before_the_run() {
        let options = FaultOptions { pause: Amount::Share(0.05), ..FaultOptions::NONE };
        let plan = plan(&options, 3);
        let resumes: Vec<_> = plan.steps.iter().filter(|step| step.action == Action::Resume).collect();
        assert_eq!(resumes.len(), 1_000);
        for resume in resumes {
            let stop = plan.steps.iter().find(|step| step.node == resume.node).unwrap();
            assert_eq!(resume.at.since(stop.at), Duration::from_secs(7));
            assert!(resume.at <= Moment::from_milliseconds(27_000));
        }
    }

    #[test]
    fn steps_come_out_when_due_and_once() {
        let mut plan = plan(&FaultOptions::default(), 4);
        let first = plan.next_due().unwrap();
        assert_eq!(plan.pop_due(first.saturating_sub(Duration::from_micros(1))), None);
        assert_eq!(plan.pop_due(first).map(|step| step.at), Some(first));
        let rest = std::iter::from_fn(|| plan.pop_due(Moment::from_milliseconds(30_000))).count();
        assert_eq!((rest, plan.next_due()), (plan.steps.len() - 1, None));
    }

    #[test]
    fn small_fleets_and_fractions() {
        assert_eq!(Amount::Share(0.005).of(20), 1, "not zero: the fault was asked for");
        assert_eq!(Amount::Share(0.0).of(20_000), 0);
        assert_eq!(Amount::Share(0.0125).of(1_000), 13);
        assert_eq!(Amount::Share(1.0).of(7), 7);
        assert_eq!(Amount::Count(3).of(1_000_000), 3);
    }

    #[test]
    fn more_faults_than_nodes_are_refused() {
        let options =
            FaultOptions { kill: Amount::Share(1.0), leave: Amount::Count(1), ..FaultOptions::NONE };
        let error = FaultPlan::new(&options, &timeline(), 100, 1, 1).unwrap_err().to_string();
        assert!(error.contains("101 faults") && error.contains("100 nodes"), "{error}");
    }
}
