//! Engine and oracle over long histories: the oracle looks at a node only when something happens to it.
//!
//! [`crate::lockstep`] compares everything after every step, which costs as much as there are nodes. Here the
//! engine's verdicts of silence are put aside, and a node's are checked, in order, just before the next thing that
//! happens to it, or to the gateway: each must have been allowed when it was given, none may be missing, and the time that
//! has passed since must have done to the node what the engine says. In the end nothing is left unchecked.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor, NodeId};
use pulsegate_engine::detector::Method;
use pulsegate_engine::snapshot::{self, NodeRecord};
use pulsegate_engine::{Engine, EngineConfig, NodeState, Timestamp, Verdict, VerdictKind, Verdicts};

use crate::agreement::assert_agree;
use crate::known::Known;
use crate::lockstep::counted;
use crate::oracle::{Oracle, Sure};
use crate::restarted::Remembered;

/// More than one call can give in the worlds of this size.
const VERDICTS_MAX: usize = 16_384;

/// One shard of a gateway. Times in nanoseconds.
pub(crate) struct Shard {
    pub(crate) engine: Engine,
    oracle: Oracle,
    verdicts: Verdicts,
    /// Given because time had passed, and not checked yet.
    unchecked: BTreeMap<NodeId, Vec<Verdict>>,
    /// Whatever was due by then has been told.
    judged_up_to: u64,
    /// The gateway did not run for a while up to then.
    woke_at: u64,
}

impl Shard {
    pub(crate) fn new(config: &EngineConfig, start: u64) -> Self {
        Self {
            engine: Engine::new(config, Timestamp::from_nanoseconds(start)),
            oracle: Oracle::new(config, start),
            verdicts: Verdicts::with_capacity(VERDICTS_MAX),
            unchecked: BTreeMap::new(),
            judged_up_to: start,
            woke_at: start,
        }
    }

    /// A shard that takes over what another one remembered.
    pub(crate) fn restarted(
        config: &EngineConfig,
        remembered: &[Remembered],
        smear: Duration,
        start: u64,
    ) -> Self {
        let mut shard = Self::new(config, start);
        let smear_ns = u64::try_from(smear.as_nanos()).unwrap();
        for node in remembered {
            let (record, facts) = node;
            let round_trip_us = pick_round_trip_us(record.node_id);
            assert!(shard.engine.restore(record, facts.as_ref(), round_trip_us, smear));
            shard.oracle.restore(node, round_trip_us, smear_ns, start);
            shard.take_over_rounding(record.node_id);
        }
        shard
    }

    /// A third of a timeout that was computed in another way may be a nanosecond longer.
    fn take_over_rounding(&mut self, id: NodeId) {
        let theirs = self.engine.node(id).expect("restored").last_seen.as_nanoseconds();
        let known = self.oracle.nodes.get_mut(&id).expect("restored");
        assert!(known.last_seen.abs_diff(theirs) < 2_000, "{id}: silent since {theirs}, {known:?}");
        known.last_seen = theirs;
    }

    /// All that a next run would be told, checked. The caller has ticked.
    pub(crate) fn snapshot(&mut self, now: u64) -> Vec<Remembered> {
        self.engine.on_tick(Timestamp::from_nanoseconds(now), &mut self.verdicts);
        assert!(self.verdicts.is_empty(), "nothing is due");
        self.judged_up_to = now;
        self.catch_up_with_all();
        let mut bytes = Vec::new();
        let mut position = Some(0);
        while let Some(from) = position {
            position = self.engine.snapshot_piece(from, 100, |record| bytes.extend(record.encode()));
        }
        let mut records: Vec<NodeRecord> = snapshot::read(&bytes).collect::<Option<_>>().expect("sound");
        records.sort_by_key(|record| record.node_id);
        let expected = self.oracle.snapshot(now);
        assert!(expected.iter().map(|(record, _)| record).eq(&records));
        expected
    }

    /// Waits, awake, until just before this moment: whatever is due earlier has been [ticked](Self::tick) for.
    pub(crate) fn has_waited_until(&mut self, now: u64) {
        self.judged_up_to = self.judged_up_to.max(now.saturating_sub(1));
    }

    /// The gateway runs again.
    pub(crate) const fn wake(&mut self, now: u64) {
        self.woke_at = now;
    }

    /// Lets time pass up to now.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<Verdict> {
        let horizon = Timestamp::from_nanoseconds(now);
        while self.engine.next_deadline().is_some_and(|next| next <= horizon) {
            self.engine.on_tick(horizon, &mut self.verdicts);
            assert!(self.verdicts.room() > 0, "the buffer is large enough");
        }
        self.judged_up_to = now;
        let given = self.take_verdicts();
        let mut was_kept = None;
        for verdict in &given {
            let deadline = verdict.evidence.deadline.expect("nothing but time");
            let late_by = horizon.since(deadline);
            // A failed node may be overdue when its maintenance ends.
            let is_excused = now == self.woke_at || was_kept == Some(verdict.node_id);
            assert!(late_by < self.engine.tick() || is_excused, "late by {late_by:?}: {verdict:?}");
            let ends = matches!(verdict.kind, VerdictKind::MaintenanceEnded { .. });
            was_kept = if ends { Some(verdict.node_id) } else { was_kept };
            self.unchecked.entry(verdict.node_id).or_default().push(verdict.clone());
        }
        given
    }

    fn take_verdicts(&mut self) -> Vec<Verdict> {
        let count = self.verdicts.as_slice().len();
        self.verdicts.drain(count).collect()
    }

    pub(crate) fn heartbeats(&mut self, heartbeats: &[Heartbeat], now: u64) -> Vec<Verdict> {
        let mut expected = Vec::new();
        for heartbeat in heartbeats {
            self.catch_up(heartbeat.node_id);
            if let Some(verdict) = self.oracle.heartbeat(heartbeat, now, true) {
                expected.push(verdict);
                expected.extend(self.oracle.end_of_absence(heartbeat.node_id, now, true));
            }
            expected.extend(self.oracle.conditions(heartbeat, now, usize::MAX));
        }
        self.engine.on_heartbeats(heartbeats, Timestamp::from_nanoseconds(now), &mut self.verdicts);
        self.compare(&expected)
    }

    fn compare(&mut self, expected: &[Verdict]) -> Vec<Verdict> {
        let given = self.verdicts.as_slice();
        assert_eq!(given.len(), expected.len(), "{given:?} for {expected:?}");
        for (given, expected) in given.iter().zip(expected) {
            assert_agree(given, expected);
        }
        if given.is_empty() { Vec::new() } else { self.take_verdicts() }
    }

    pub(crate) fn departure(&mut self, departure: Departure, now: u64) -> Vec<Verdict> {
        self.catch_up(departure.node_id);
        let mut expected = Vec::from_iter(self.oracle.departure(departure, now, true));
        if !expected.is_empty() {
            expected.extend(self.oracle.planned_absence(departure, now, true));
        }
        self.engine.on_departure(departure, Timestamp::from_nanoseconds(now), &mut self.verdicts);
        self.compare(&expected)
    }

    /// An operator begins maintenance of a node that was told to the world, or ends it.
    pub(crate) fn maintenance(&mut self, id: NodeId, until: Option<u64>, now: u64) -> Vec<Verdict> {
        self.catch_up(id);
        if self.engine.node(id).is_none_or(|node| node.event_sequence == 0) {
            return Vec::new();
        }
        let at = Timestamp::from_nanoseconds(now);
        let expected = if let Some(until) = until {
            self.engine.set_maintenance(id, Timestamp::from_nanoseconds(until), at, &mut self.verdicts);
            self.oracle.set_maintenance(id, until, now, true).1
        } else {
            self.engine.clear_maintenance(id, at, &mut self.verdicts);
            self.oracle.clear_maintenance(id, now, true).1
        };
        self.compare(expected.as_slice())
    }

    pub(crate) fn descriptor(&mut self, descriptor: &NodeDescriptor<'_>, now: u64) {
        self.catch_up(descriptor.node_id());
        self.oracle.descriptor(descriptor);
        self.engine.on_descriptor(descriptor, Timestamp::from_nanoseconds(now));
    }

    /// The gateway wakes up and was not there for so many nanoseconds.
    pub(crate) fn pause(&mut self, nanoseconds: u64, now: u64) {
        self.catch_up_with_all();
        self.engine.on_pause(Duration::from_nanos(nanoseconds), Timestamp::from_nanoseconds(now));
        self.oracle.pauses.push((now - nanoseconds, now));
        self.oracle.listens_since = now;
    }

    /// Datagrams were dropped.
    pub(crate) fn drops(&mut self, now: u64) {
        self.catch_up_with_all();
        self.engine.on_drops(Timestamp::from_nanoseconds(now));
        self.oracle.dropped_at = Some(now);
        self.oracle.listens_since = now;
    }

    pub(crate) fn probe_answer(&mut self, id: NodeId, now: u64) {
        self.catch_up(id);
        self.engine.on_probe_answer(id, Timestamp::from_nanoseconds(now));
        self.oracle.probe_answer(id, now);
    }

    /// Checks what time has done to a node since something last happened to it.
    fn catch_up(&mut self, id: NodeId) {
        if !self.unchecked.is_empty() {
            for verdict in self.unchecked.remove(&id).unwrap_or_default() {
                self.oracle.horizon = verdict.decided_at.as_nanoseconds();
                self.oracle.accept_judgement(&verdict, self.oracle.horizon);
            }
        }
        self.oracle.horizon = self.judged_up_to;
        let Some(known) = self.oracle.nodes.get(&id) else { return };
        if self.oracle.is_surely_patient(known) {
            return;
        }
        if known.settles_quietly() {
            let node = self.engine.node(id);
            let has_settled = node
                .is_none_or(|node| node.state == NodeState::Left || node.is_returning != known.is_returning);
            self.oracle.settle_quietly(id, if has_settled { Sure::Perhaps } else { Sure::Certainly });
        }
        assert!(!self.oracle.is_overdue(id), "late: {id} at {}", self.judged_up_to);
    }

    /// Checks everything.
    pub(crate) fn catch_up_with_all(&mut self) {
        for id in self.oracle.ids() {
            self.catch_up(id);
        }
        assert!(self.unchecked.is_empty(), "verdicts on nodes that nobody knows: {:?}", self.unchecked);
        assert_eq!(counted(self.engine.counters()), self.oracle.counted);
        assert_eq!(self.engine.node_counts().known() as usize, self.oracle.nodes.len());
        for (&id, known) in &self.oracle.nodes {
            let node = self.engine.node(id).expect("the oracle knows a node that the engine does not");
            let theirs = (node.state, node.incarnation.0, node.last_sequence.0, node.interval_ms);
            assert_eq!(theirs, (known.state, known.incarnation, known.sequence, known.interval_ms), "{id}");
            assert_eq!(node.last_seen, Timestamp::from_nanoseconds(known.last_seen), "{id}");
            assert_eq!((node.event_sequence, node.is_degraded), (known.verdicts, known.is_degraded), "{id}");
            assert_eq!((node.is_stalled, node.is_returning), (known.is_stalled, known.is_returning), "{id}");
            assert_eq!(node.is_in_maintenance, known.maintenance.is_some(), "{id}");
        }
    }
}

/// What the snapshot's writer knew of the distance; some nodes had not told.
fn pick_round_trip_us(id: NodeId) -> u32 {
    u32::try_from(id.0 % 3 * 20_000).unwrap()
}

impl Oracle {
    /// Whether the node's floor alone says that nothing can have happened to it yet: for a cheap look.
    fn is_surely_patient(&self, known: &Known) -> bool {
        let profile = self.profile(known);
        let intervals =
            if profile.method == Method::Fixed { profile.suspect } else { profile.floor_intervals };
        let floor = intervals * f64::from(known.interval_ms) * 1e6;
        let silence = Duration::from_nanos(self.horizon.saturating_sub(known.last_seen));
        known.maintenance.is_none()
            && silence.as_secs_f64() * 1e9 < floor
            && silence < self.config.forget_after
    }

    /// Whether a verdict on this node is overdue.
    fn is_overdue(&self, id: NodeId) -> bool {
        let known = self.nodes.get(&id);
        known.is_some_and(|known| self.judgement(id, known, self.horizon, Sure::Certainly).is_some())
    }
}
