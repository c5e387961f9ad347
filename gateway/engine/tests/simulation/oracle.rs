//! The rules of liveness, written down once more as plainly as possible.
//!
//! A sorted map from node id to facts, and a scan over all of it whenever time passes. No wheel, no hash, nothing
//! incremental. Written from the rules, not from the engine; only the vocabulary (states, verdicts, configuration) is
//! shared.
//!
//! Where the engine has a choice, in which order nodes are judged and how much of it one call does, the oracle has none
//! of its own: it is shown what the engine said and says whether that was allowed, and whether anything is missing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor, NodeId};
use pulsegate_engine::detector::Profile;
use pulsegate_engine::limits::{DEPARTURES_POSTPONED_MAX, ROUND_TRIP_US_MAX};
use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{EngineConfig, NodeState, Timestamp, Verdict, VerdictKind};

use crate::agreement::{assert_agree, leeway};
use crate::conflicts::Claims;
use crate::known::Known;
use crate::naive_detector::{self, Lesson, Naive};
use crate::protection;

/// What the oracle counted, under the engine's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) heartbeats_accepted: u64,
    pub(crate) heartbeats_stale: u64,
    pub(crate) heartbeats_of_older_incarnation: u64,
    pub(crate) heartbeats_refused_registry_full: u64,
    pub(crate) descriptors_stored: u64,
    pub(crate) descriptors_refused: u64,
    pub(crate) profiles_unknown: u64,
    pub(crate) intervals_clamped: u64,
    pub(crate) departures_accepted: u64,
    pub(crate) departures_ignored: u64,
    pub(crate) departures_refused: u64,
    pub(crate) new_nodes_never_confirmed: u64,
    pub(crate) probe_answers_accepted: u64,
    pub(crate) probe_answers_ignored: u64,
}

pub(crate) struct Oracle {
    pub(crate) config: EngineConfig,
    /// The gateway has listened without a break since then.
    pub(crate) listens_since: u64,
    /// Silence is judged up to here; it may lie before what heartbeats have told of the time.
    pub(crate) horizon: u64,
    /// From when to when the gateway was not there to listen; may overlap.
    pub(crate) pauses: Vec<(u64, u64)>,
    /// When datagrams were last found dropped.
    pub(crate) dropped_at: Option<u64>,
    pub(crate) nodes: BTreeMap<NodeId, Known>,
    pub(crate) waiting: VecDeque<Departure>,
    /// Operators' orders for nodes that the world has not heard of, and until when they hold.
    pub(crate) orders: BTreeMap<NodeId, u64>,
    /// What was said in nodes' names by somebody else, perhaps.
    pub(crate) claims: BTreeMap<NodeId, Claims>,
    pub(crate) counted: Counted,
}

impl Oracle {
    pub(crate) fn new(config: &EngineConfig, start: u64) -> Self {
        let counted = Counted::default();
        let (nodes, waiting) = (BTreeMap::new(), VecDeque::new());
        Self {
            config: config.clone(),
            listens_since: start,
            horizon: start,
            pauses: Vec::new(),
            dropped_at: None,
            nodes,
            waiting,
            orders: BTreeMap::new(),
            claims: BTreeMap::new(),
            counted,
        }
    }

    /// Takes a heartbeat; returns the verdict that it must lead to. Without room there is none.
    pub(crate) fn heartbeat(&mut self, heartbeat: &Heartbeat, now: u64, has_room: bool) -> Option<Verdict> {
        let (incarnation, sequence) = (heartbeat.incarnation.0, heartbeat.sequence.0);
        let full = self.nodes.len() == self.config.nodes_max as usize;
        let Some(known) = self.nodes.get_mut(&heartbeat.node_id) else {
            if full {
                self.counted.heartbeats_refused_registry_full += 1;
                return None;
            }
            self.counted.heartbeats_accepted += 1;
            let first = Known::first(&self.config, incarnation, sequence, now);
            self.nodes.insert(heartbeat.node_id, first);
            return None;
        };
        if incarnation < known.incarnation {
            self.counted.heartbeats_of_older_incarnation += 1;
            return self.refused(heartbeat, now, has_room);
        }
        let same_run = incarnation == known.incarnation;
        if same_run && sequence != 0 && sequence <= known.sequence {
            self.counted.heartbeats_stale += 1;
            return self.refused(heartbeat, now, has_room);
        }
        self.counted.heartbeats_accepted += 1;
        let kind = match known.state {
            NodeState::New if same_run => Some(VerdictKind::Joined),
            NodeState::New | NodeState::Left => None,
            _ if !same_run => Some(VerdictKind::Restarted),
            // An operator outranks heartbeats.
            NodeState::Suspect | NodeState::Failed if known.is_held_by_operator() => {
                known.hear_in_maintenance(&self.config, now, sequence);
                return None;
            }
            NodeState::Suspect | NodeState::Failed if known.is_returning => Some(VerdictKind::Recovered),
            // The first of two.
            NodeState::Suspect | NodeState::Failed => {
                known.return_for(&self.config, now, sequence, self.listens_since);
                return None;
            }
            NodeState::Alive => None,
        };
        let learns = known.learns(&self.config);
        if kind.is_some() && !has_room {
            known.last_seen = now;
            known.learn(learns, Lesson::Skip);
            return None;
        }
        let before = kind.map(|kind| (kind, known.clone()));
        let state_before = known.state;
        if same_run {
            known.learn_from(learns, now, sequence, self.listens_since);
        }
        known.state = match known.state {
            NodeState::Left => NodeState::New,
            NodeState::New if !same_run => NodeState::New,
            _ => NodeState::Alive,
        };
        known.last_seen = now;
        known.sequence = if same_run { sequence.max(known.sequence) } else { sequence };
        known.was_heard = true;
        known.is_returning = false;
        if !same_run {
            known.forget_condition();
        }
        if known.state != state_before {
            known.moved_at = now;
        }
        known.incarnation = incarnation;
        known.suspect_until = 0;
        known.verdicts += u32::from(kind.is_some());
        let (kind, before) = before?;
        let after = known.clone();
        Some(self.verdict(heartbeat.node_id, kind, (&before, &after), now, None))
    }

    pub(crate) fn descriptor(&mut self, descriptor: &NodeDescriptor<'_>) {
        let Some(known) = self.nodes.get_mut(&descriptor.node_id()) else {
            self.counted.descriptors_refused += 1;
            return;
        };
        known.round_trip_us = descriptor.round_trip_time_us.min(ROUND_TRIP_US_MAX);
        known.timeouts.set(None);
        let facts = NodeFacts {
            name: descriptor.name.into(),
            zone: descriptor.zone.into(),
            labels: descriptor.labels.iter().map(|&(key, value)| (key.into(), value.into())).collect(),
            interval_ms: descriptor.interval_ms,
            profile: descriptor.profile.into(),
            services: descriptor.services.iter().map(|&service| service.into()).collect(),
            probe: descriptor.probe.into(),
        };
        if known.facts.as_deref() == Some(&facts) {
            return;
        }
        known.facts = Some(Arc::new(facts));
        self.counted.descriptors_stored += 1;
        let asked = descriptor.interval_ms;
        let interval_ms = if asked == 0 {
            self.config.interval_ms
        } else {
            asked.max(self.config.interval_ms_min).min(self.config.interval_ms_max)
        };
        self.counted.intervals_clamped += u64::from(asked != 0 && asked != interval_ms);
        let (profile, is_unknown) = naive_detector::chosen(&self.config.profiles, descriptor);
        self.counted.profiles_unknown += u64::from(is_unknown);
        if profile != known.profile {
            known.profile = profile;
            known.lessons.clear();
            known.learn(true, Lesson::Skip);
        }
        if interval_ms != known.interval_ms {
            known.interval_ms = interval_ms;
            known.learn(true, Lesson::Anew);
        }
    }

    /// Takes a departure; returns the verdict that it must lead to. Without room there is none yet.
    pub(crate) fn departure(&mut self, departure: Departure, now: u64, has_room: bool) -> Option<Verdict> {
        let means_something = self.nodes.get(&departure.node_id).is_some_and(|known| {
            let newer_run = departure.incarnation.0 > known.incarnation;
            let same_run = departure.incarnation.0 == known.incarnation;
            let sequence = departure.sequence.0;
            let in_order = sequence == 0 || sequence >= known.sequence;
            newer_run || (same_run && in_order && known.state != NodeState::Left)
        });
        if !means_something {
            self.counted.departures_ignored += 1;
            return None;
        }
        if !has_room {
            if self.waiting.len() < DEPARTURES_POSTPONED_MAX {
                self.waiting.push_back(departure);
            } else {
                self.counted.departures_refused += 1;
            }
            return None;
        }
        self.counted.departures_accepted += 1;
        let known = self.nodes.get_mut(&departure.node_id)?;
        let before = known.clone();
        let (incarnation, sequence) = (departure.incarnation.0, departure.sequence.0);
        known.sequence =
            if incarnation == known.incarnation { sequence.max(known.sequence) } else { sequence };
        known.incarnation = incarnation;
        known.state = NodeState::Left;
        known.is_returning = false;
        known.forget_condition();
        known.last_seen = now;
        known.suspect_until = 0;
        known.verdicts += 1;
        let Departure { reason, expected_return_ms, .. } = departure;
        let kind = VerdictKind::Left { reason, expected_return_ms };
        let after = known.clone();
        Some(self.verdict(departure.node_id, kind, (&before, &after), now, None))
    }

    /// The verdict that the passing of time allows on this node at `now`, if any, and what the node is after it.
    pub(crate) fn judgement(
        &self,
        id: NodeId,
        known: &Known,
        now: u64,
        sure: Sure,
    ) -> Option<(Verdict, Known)> {
        let deadline = self.passed_deadline(known, sure)?;
        if known.maintenance.is_some() {
            return Some(self.end_of_maintenance(id, known, now, deadline));
        }
        let (kind, state) = match known.state {
            NodeState::New => return None,
            NodeState::Failed if known.is_returning => return None,
            NodeState::Alive => (VerdictKind::Suspected, NodeState::Suspect),
            NodeState::Suspect => (VerdictKind::Failed, NodeState::Failed),
            state => (VerdictKind::Forgotten, state),
        };
        let after = Known {
            state,
            verdicts: known.verdicts + 1,
            suspect_until: 0,
            is_returning: false,
            ..known.clone()
        };
        let deadline = Some(Timestamp::from_nanoseconds(deadline));
        let verdict = self.verdict(id, kind, (known, &after), now, deadline);
        Some((verdict, after))
    }

    /// The deadline of the node's state, if the tick that it belongs to has come.
    fn passed_deadline(&self, known: &Known, sure: Sure) -> Option<u64> {
        let tick = u64::try_from(self.config.tick.as_nanos()).unwrap();
        let last_tick = self.horizon - self.horizon % tick;
        let deadline = self.deadline(known);
        let leeway = self.leeway(known);
        let passed = match sure {
            Sure::Perhaps => deadline.saturating_sub(leeway),
            Sure::Certainly => deadline.saturating_add(leeway),
        };
        (passed <= last_tick).then_some(deadline)
    }

    pub(crate) fn profile(&self, known: &Known) -> &Profile {
        self.config.profiles.detectors()[known.profile].profile()
    }

    pub(crate) fn timeouts(&self, known: &Known) -> Naive {
        let naive = known.timeouts.get().unwrap_or_else(|| {
            let profile = self.profile(known);
            naive_detector::timeouts(profile, known.interval_ms, known.round_trip_us, &known.lessons)
        });
        known.timeouts.set(Some(naive));
        naive
    }

    pub(crate) fn deadline(&self, known: &Known) -> u64 {
        if let Some(maintenance) = known.maintenance {
            return maintenance.until;
        }
        let timeouts = self.timeouts(known);
        let silence_us = match known.state {
            NodeState::Alive => timeouts.suspect_us,
            NodeState::New | NodeState::Suspect => timeouts.failed_us,
            NodeState::Failed if known.is_returning => timeouts.failed_us,
            NodeState::Failed | NodeState::Left => self.config.forget_after.as_secs_f64() * 1e6,
        };
        let silence = whole(silence_us.ceil()) * 1_000;
        if known.waits_to_be_forgotten() {
            return known.last_seen.saturating_add(silence);
        }
        let deadline = protection::deadline(&self.pauses, self.dropped_at, known.last_seen, silence);
        if known.state == NodeState::Suspect { deadline.max(known.suspect_until) } else { deadline }
    }

    /// How far the engine's deadline may be from this one: it keeps single precision, and whole microseconds. Nothing where
    /// neither matters.
    pub(crate) fn leeway(&self, known: &Known) -> u64 {
        if let Some(maintenance) = known.maintenance {
            return maintenance.leeway;
        }
        let is_exact = known.waits_to_be_forgotten() || !self.profile(known).needs_rhythm();
        let answered = if known.state == NodeState::Suspect { known.answer_leeway } else { 0 };
        let own =
            if is_exact { 0 } else { leeway(Duration::from_secs_f64(self.timeouts(known).failed_us / 1e6)) };
        own.max(answered)
    }

    /// Checks one verdict that the engine gave because time had passed, and takes it over.
    pub(crate) fn accept_judgement(&mut self, given: &Verdict, now: u64) {
        self.settle_quietly(given.node_id, Sure::Perhaps);
        let known = self.nodes.get(&given.node_id).expect("a verdict on a node that nobody knows");
        let Some((mut expected, after)) = self.judgement(given.node_id, known, now, Sure::Perhaps) else {
            panic!("a verdict that nothing allows: {given:?} on {known:?}");
        };
        if let (Some(theirs), Some(ours)) = (given.evidence.deadline, expected.evidence.deadline)
            && theirs.as_nanoseconds().abs_diff(ours.as_nanoseconds()) <= self.leeway(known)
        {
            expected.evidence.deadline = Some(theirs);
        }
        assert_agree(given, &expected);
        let deadline = given.evidence.deadline.expect("a verdict of silence has a deadline");
        assert!(deadline.as_nanoseconds() <= self.horizon, "early: {given:?}");
        if expected.kind == VerdictKind::Forgotten {
            self.nodes.remove(&given.node_id);
        } else {
            self.nodes.insert(given.node_id, after);
        }
    }

    /// Does what time does to a new or returning node without a word, if its time has come.
    pub(crate) fn settle_quietly(&mut self, id: NodeId, sure: Sure) {
        let Some(known) = self.nodes.get(&id) else { return };
        if !known.settles_quietly() || self.passed_deadline(known, sure).is_none() {
            return;
        }
        if known.state == NodeState::Failed {
            if let Some(known) = self.nodes.get_mut(&id) {
                known.is_returning = false;
            }
            return;
        }
        self.counted.new_nodes_never_confirmed += 1;
        if known.verdicts == 0 {
            self.nodes.remove(&id);
        } else if let Some(known) = self.nodes.get_mut(&id) {
            known.state = NodeState::Left;
        }
    }

    /// All nodes on which a verdict is overdue at `now`.
    pub(crate) fn overdue(&self, now: u64) -> Vec<NodeId> {
        let is_overdue =
            |(&id, known): (&NodeId, &Known)| self.judgement(id, known, now, Sure::Certainly).map(|_| id);
        self.nodes.iter().filter_map(is_overdue).collect()
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }
}

/// Whether a moment must have passed, or only may have, given that the engine's deadlines are not exactly the oracle's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sure {
    Perhaps,
    Certainly,
}

/// A whole number as one.
pub(crate) fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "microseconds of some days at most"
    )]
    let whole = number as u64;
    whole
}
