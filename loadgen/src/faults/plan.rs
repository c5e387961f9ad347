//! Who is struck when: a plan of faults, drawn from a seed before the run.
//!
//! Each chosen node gets one fault, at a random time within the window that the [`Timeline`] leaves for its
//! kind, so that what it causes can be seen before the end. The plan says what the generator does to its
//! fleet; what truly happened is for [`crate::ground_truth`] to say. Pure.

use super::{Amount, FaultKind, FaultOptions, MassKill};
use crate::fleet::{FleetShape, NODES_PER_RACK, NodeIndex, zone_of};
use crate::moment::{Duration, Moment, microseconds};
use crate::random::Random;
use crate::timeline::Timeline;

/// One thing to do to the fleet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Stop the node: a kill, or the beginning of a pause or a restart.
    Silence,
    /// Stop its heartbeats, and let it answer pings.
    Mute,
    /// End the pause, or the muteness.
    Resume,
    /// Say "degraded" from the next heartbeat on.
    Degrade,
    /// Say "ok" again.
    EndDegraded,
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
    /// Draws a plan for a fleet.
    ///
    /// # Errors
    /// [`TooManyFaults`].
    ///
    /// # Panics
    /// If nodes shall move and there is only one relay.
    pub fn new(
        options: &FaultOptions,
        timeline: &Timeline,
        fleet: FleetShape,
        seed: u64,
    ) -> Result<Self, TooManyFaults> {
        let nodes = fleet.nodes;
        let mut counts = FaultKind::ALL.map(|kind| options.amount(kind).of(nodes));
        let mut random = Random::for_purpose(seed, "faults");
        let mut steps = Vec::new();
        let struck = plan_mass_kill(options.mass, timeline, fleet, &mut random, &mut steps);
        let single_faults = counts.iter().map(|&count| u64::from(count)).sum::<u64>();
        let faults = single_faults + steps.len() as u64;
        if faults > u64::from(nodes) || steps.len() < options.mass.racks as usize {
            return Err(TooManyFaults { faults, nodes });
        }
        let moving = counts[FaultKind::Move as usize];
        assert!(fleet.relays > 1 || moving == 0, "a node moves to another relay");
        let untouched: Vec<u32> = (0..nodes).filter(|node| !struck[*node as usize]).collect();
        let mut victims = draw_distinct(untouched, single_faults, &mut random).into_iter();
        counts[FaultKind::Kill as usize] += u32::try_from(steps.len()).expect("not more than nodes");
        for kind in FaultKind::ALL {
            let window = timeline.fault_end(kind).since(timeline.settled);
            for node in victims.by_ref().take(options.amount(kind).of(nodes) as usize) {
                let at = timeline.settled + random_below(window, &mut random);
                plan_one(kind, node, at, timeline, fleet.relays, &mut random, &mut steps);
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
        FaultKind::Mute => {
            step(at, Action::Mute);
            step(at + timeline.pause, Action::Resume);
        }
        FaultKind::Degrade => {
            step(at, Action::Degrade);
            step(at + timeline.degraded, Action::EndDegraded);
        }
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

/// Kills racks and a part of a zone, and says who was struck. Each mass kill has a moment of its own in the first half of
/// its window, so that guards have time to hold and to let go.
fn plan_mass_kill(
    mass: MassKill,
    timeline: &Timeline,
    fleet: FleetShape,
    random: &mut Random,
    steps: &mut Vec<Step>,
) -> Vec<bool> {
    let mut struck = vec![false; fleet.nodes as usize];
    let window = timeline.fault_end(FaultKind::Kill).since(timeline.settled) / 2;
    let mut kill = |nodes: Vec<NodeIndex>, random: &mut Random| {
        let at = timeline.settled + random_below(window, random);
        for node in nodes {
            if !std::mem::replace(&mut struck[node.slot()], true) {
                steps.push(Step { at, node, action: Action::Silence });
            }
        }
    };
    let whole_racks = (0..fleet.nodes / NODES_PER_RACK).collect();
    for NodeIndex(rack) in draw_distinct(whole_racks, u64::from(mass.racks), random) {
        let first = rack * NODES_PER_RACK;
        kill((first..first + NODES_PER_RACK).map(NodeIndex).collect(), random);
    }
    if mass.zone_share > 0.0 {
        let in_zone = |node: &u32| zone_of(NodeIndex(*node), fleet.zones) == 0;
        let members: Vec<u32> = (0..fleet.nodes).filter(in_zone).collect();
        let count =
            Amount::Share(mass.zone_share).of(u32::try_from(members.len()).expect("not more than nodes"));
        kill(draw_distinct(members, u64::from(count), random), random);
    }
    struck
}

/// So many different ones of these nodes, as far as there are, in random order: the first steps of a Fisher-Yates
/// shuffle.
fn draw_distinct(mut indices: Vec<u32>, count: u64, random: &mut Random) -> Vec<NodeIndex> {
    let count = usize::try_from(count).map_or(indices.len(), |count| count.min(indices.len()));
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
    use crate::faults::{Amount, MassKill};
    use crate::ground_truth::Timeouts;

    fn timeline() -> Timeline {
        let timeouts = Timeouts::new(Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(1));
        Timeline::new(30, Duration::from_secs(1), &timeouts, &FaultKind::ALL).unwrap()
    }

    fn fleet(nodes: u32) -> FleetShape {
        FleetShape { nodes, relays: 2, zones: 3 }
    }

    fn plan(options: &FaultOptions, seed: u64) -> FaultPlan {
        FaultPlan::new(options, &timeline(), fleet(20_000), seed).unwrap()
    }

    #[test]
    fn default_faults_of_20000_nodes() {
        let plan = plan(&FaultOptions::default(), 1);
        let counts = FaultKind::ALL.map(|kind| plan.count(kind));
        assert_eq!(counts, [200, 100, 100, 3, 0, 0, 0]);
        assert_eq!(plan.steps.len(), 200 + 2 * 100 + 2 * 100 + 3);
    }

    #[test]
    fn a_mass_kill_strikes_whole_racks_and_its_share_of_a_zone_each_at_one_moment() {
        let mass = MassKill { racks: 2, zone_share: 0.6 };
        let options = FaultOptions { kill: Amount::Count(10), mass, ..FaultOptions::NONE };
        let plan = plan(&options, 7);
        let mut moments: std::collections::BTreeMap<Moment, Vec<u32>> = Default::default();
        plan.steps.iter().for_each(|step| moments.entry(step.at).or_default().push(step.node.0));
        let mut sizes: Vec<usize> = moments.values().map(Vec::len).filter(|size| *size > 1).collect();
        sizes.sort_unstable();
        // A third of 20,000 nodes, in racks of 40: 6,680 in the first zone; a rack of it may have been struck before.
        assert_eq!(sizes[..2], [40, 40]);
        assert!((3_960..=4_008).contains(&sizes[2]), "{sizes:?}");
        assert_eq!(plan.count(FaultKind::Kill) as usize, plan.steps.len());
        let struck: BTreeSet<u32> = plan.steps.iter().map(|step| step.node.0).collect();
        assert_eq!(struck.len(), plan.steps.len(), "nobody is struck twice");
        for nodes in moments.values().filter(|nodes| nodes.len() == 40) {
            assert!(nodes.iter().all(|node| node / NODES_PER_RACK == nodes[0] / NODES_PER_RACK));
        }
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
            assert_eq!(
                first,
                !matches!(step.action, Action::Resume | Action::Restart | Action::EndDegraded),
                "{step:?}"
            );
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
    fn more_faults_than_nodes_are_refused() {
        let options =
            FaultOptions { kill: Amount::Share(1.0), leave: Amount::Count(1), ..FaultOptions::NONE };
        let error = FaultPlan::new(&options, &timeline(), fleet(100), 1).unwrap_err().to_string();
        assert!(error.contains("101 faults") && error.contains("100 nodes"), "{error}");
    }
}
