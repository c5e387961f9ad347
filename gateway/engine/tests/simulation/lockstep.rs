//! Engine and oracle side by side: every call goes to both, and they must agree after it.

use std::time::Duration;

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor, NodeId};
use pulsegate_engine::limits::{PAUSES_KEPT_MAX, WHEEL_ENTRIES_PER_CALL_MAX};
use pulsegate_engine::{
    Engine, EngineConfig, EngineCounters, NodeState, Timestamp, Verdict, VerdictKind, Verdicts,
};

use crate::agreement::assert_agree;
use crate::oracle::{Counted, Oracle, Sure};

/// The pair, and the verdicts that nobody has drained yet.
pub(crate) struct Lockstep {
    pub(crate) engine: Engine,
    oracle: Oracle,
    verdicts: Verdicts,
    now: u64,
    /// The latest time that the engine was told: what it takes for now.
    told: u64,
    steps: u64,
    /// Every so many steps, everything is compared; after the others, only what is cheap.
    thorough_every: u64,
}

impl Lockstep {
    pub(crate) fn new(config: &EngineConfig, verdicts_max: usize, start: u64, thorough_every: u64) -> Self {
        Self {
            engine: Engine::new(config, Timestamp::from_nanoseconds(start)),
            oracle: Oracle::new(config, start),
            verdicts: Verdicts::with_capacity(verdicts_max),
            now: start,
            told: start,
            steps: 0,
            thorough_every,
        }
    }

    /// Nanoseconds.
    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    pub(crate) const fn pass(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    fn tell(&mut self) -> Timestamp {
        self.told = self.now;
        Timestamp::from_nanoseconds(self.now)
    }

    pub(crate) fn heartbeats(&mut self, heartbeats: &[Heartbeat]) {
        let (waiting, mut room) = (self.verdicts.as_slice().len(), self.verdicts.room());
        let mut expected = Vec::new();
        for heartbeat in heartbeats {
            if let Some(verdict) = self.oracle.heartbeat(heartbeat, self.now, room > 0) {
                let has_joined = matches!(
                    verdict.kind,
                    VerdictKind::Joined | VerdictKind::Restarted | VerdictKind::Recovered
                );
                expected.push(verdict);
                room -= 1;
                if has_joined
                    && let Some(verdict) = self.oracle.end_of_absence(heartbeat.node_id, self.now, room > 0)
                {
                    expected.push(verdict);
                    room -= 1;
                }
            }
            let conditions = self.oracle.conditions(heartbeat, self.now, room);
            room -= conditions.len();
            expected.extend(conditions);
        }
        let received_at = self.tell();
        self.engine.on_heartbeats(heartbeats, received_at, &mut self.verdicts);
        self.check(waiting, &expected);
        self.compare();
    }

    pub(crate) fn descriptor(&mut self, descriptor: &NodeDescriptor<'_>) {
        self.oracle.descriptor(descriptor);
        let received_at = self.tell();
        self.engine.on_descriptor(descriptor, received_at);
        self.compare();
    }

    pub(crate) fn departure(&mut self, departure: Departure) {
        let (waiting, room) = (self.verdicts.as_slice().len(), self.verdicts.room());
        let mut expected = Vec::from_iter(self.oracle.departure(departure, self.now, room > 0));
        if !expected.is_empty() {
            expected.extend(self.oracle.planned_absence(departure, self.now, room > 1));
        }
        let received_at = self.tell();
        self.engine.on_departure(departure, received_at, &mut self.verdicts);
        self.check(waiting, &expected);
        self.compare();
    }

    /// Ticks once; returns whether the engine did all that was due.
    pub(crate) fn tick(&mut self) -> bool {
        self.tick_up_to(self.now)
    }

    /// Ticks once with a horizon, in nanoseconds and not after now. One that was passed before is replaced by the latest.
    pub(crate) fn tick_up_to(&mut self, horizon: u64) -> bool {
        if horizon > self.oracle.horizon {
            self.oracle.horizon = horizon;
        }
        self.told = self.told.max(self.oracle.horizon);
        let horizon = Timestamp::from_nanoseconds(self.oracle.horizon);
        let waiting = self.verdicts.as_slice().len();
        let before = *self.engine.counters();
        self.engine.on_tick(horizon, &mut self.verdicts);
        let given = self.verdicts.as_slice()[waiting..].to_vec();
        let rest = self.check_departures(&given, waiting);
        let rest = rest + self.check_orders(&given[rest..]);
        for verdict in &given[rest..] {
            self.oracle.accept_judgement(verdict, self.told);
        }
        let is_done = self.engine.next_deadline().is_none_or(|next| next > horizon);
        let looked_at = self.entries_looked_at(&before);
        assert!(looked_at <= WHEEL_ENTRIES_PER_CALL_MAX as u64, "{looked_at} entries in one call");
        let had_cause_to_stop = self.verdicts.room() == 0 || looked_at == WHEEL_ENTRIES_PER_CALL_MAX as u64;
        assert!(is_done || had_cause_to_stop, "stopped for no reason");
        for id in self.oracle.ids() {
            if self.has_settled_quietly(id) {
                self.oracle.settle_quietly(id, Sure::Perhaps);
            } else if is_done {
                self.oracle.settle_quietly(id, Sure::Certainly);
            }
        }
        if is_done {
            assert_eq!(self.oracle.overdue(self.told), [], "late");
        }
        self.compare();
        is_done
    }

    /// Postponed departures come first, and in order. Returns how many of the verdicts were theirs.
    fn check_departures(&mut self, given: &[Verdict], waiting: usize) -> usize {
        let mut room = self.verdicts.as_slice().len() + self.verdicts.room() - waiting;
        let mut checked = 0;
        while room > 0 {
            let Some(departure) = self.oracle.waiting.pop_front() else { break };
            if let Some(expected) = self.oracle.departure(departure, self.told, true) {
                let given_one = given.get(checked).expect("a departure that waited must be told");
                assert_agree(given_one, &expected);
                checked += 1;
                room -= 1;
                if let Some(expected) = self.oracle.planned_absence(departure, self.told, room > 0) {
                    assert_agree(given.get(checked).expect("its absence, too"), &expected);
                    checked += 1;
                    room -= 1;
                }
            }
        }
        checked
    }

    /// Orders that waited come next. Returns how many of the verdicts were theirs.
    fn check_orders(&mut self, given: &[Verdict]) -> usize {
        let room = given.len() + self.verdicts.room();
        let expected = self.oracle.carry_out_orders(self.told, room);
        for (index, expected) in expected.iter().enumerate() {
            assert_agree(given.get(index).expect("an order that waited must be told"), expected);
        }
        expected.len()
    }

    fn entries_looked_at(&self, before: &EngineCounters) -> u64 {
        let looked_at =
            |counters: &EngineCounters| counters.wheel_entries_fired + counters.wheel_entries_cascaded;
        looked_at(self.engine.counters()) - looked_at(before)
    }

    /// Of a call that did not do everything: whether this new or returning node's time has come in it. The oracle cannot know, but
    /// checks that it was allowed.
    fn has_settled_quietly(&self, id: NodeId) -> bool {
        let known = &self.oracle.nodes[&id];
        let node = self.engine.node(id);
        known.settles_quietly()
            && node
                .is_none_or(|node| node.state == NodeState::Left || node.is_returning != known.is_returning)
    }

    /// Takes up to `count` verdicts out.
    pub(crate) fn drain(&mut self, count: usize) -> Vec<Verdict> {
        let count = count.min(self.verdicts.as_slice().len());
        self.verdicts.drain(count).collect()
    }

    /// What the engine has said since `waiting`, against what it must have.
    fn check(&self, waiting: usize, expected: &[Verdict]) {
        let given = &self.verdicts.as_slice()[waiting..];
        assert_eq!(given.len(), expected.len(), "{given:?} for {expected:?}");
        for (given, expected) in given.iter().zip(expected) {
            assert_agree(given, expected);
        }
    }

    /// The gateway did not listen all the time.
    pub(crate) fn distrust_gaps(&mut self) {
        self.oracle.listens_since = self.told;
        self.engine.distrust_gaps();
    }

    /// The gateway wakes up now and was not there for so many nanoseconds.
    pub(crate) fn pause(&mut self, nanoseconds: u64) {
        // The engine joins pauses that lie long ago, which gives more time than the oracle would.
        if self.oracle.pauses.len() == PAUSES_KEPT_MAX {
            return;
        }
        let now = self.tell();
        self.engine.on_pause(Duration::from_nanos(nanoseconds), now);
        self.oracle.pauses.push((self.now.saturating_sub(nanoseconds), self.now));
        self.oracle.listens_since = self.now;
        self.compare();
    }

    /// Datagrams were dropped.
    pub(crate) fn drops(&mut self) {
        let now = self.tell();
        self.engine.on_drops(now);
        self.oracle.dropped_at = Some(self.now);
        self.oracle.listens_since = self.now;
        self.compare();
    }

    /// An operator begins maintenance for so many nanoseconds, or ends it.
    pub(crate) fn maintenance(&mut self, id: NodeId, length: Option<u64>) {
        let (waiting, has_room) = (self.verdicts.as_slice().len(), self.verdicts.room() > 0);
        let now = self.tell();
        let expected = if let Some(length) = length {
            let until = Timestamp::from_nanoseconds(self.now + length);
            let ordered = self.engine.set_maintenance(id, until, now, &mut self.verdicts);
            let (expected, verdict) = self.oracle.set_maintenance(id, self.now + length, self.now, has_room);
            assert_eq!(ordered, expected, "{id}");
            verdict
        } else {
            let was_any = self.engine.clear_maintenance(id, now, &mut self.verdicts);
            let (expected, verdict) = self.oracle.clear_maintenance(id, self.now, has_room);
            assert_eq!(was_any, expected, "{id}");
            verdict
        };
        self.check(waiting, expected.as_slice());
        self.compare();
    }

    pub(crate) fn probe_answer(&mut self, id: NodeId) {
        let now = self.tell();
        self.engine.on_probe_answer(id, now);
        self.oracle.probe_answer(id, self.now);
        self.compare();
    }

    fn compare(&mut self) {
        self.steps += 1;
        assert_eq!(counted(self.engine.counters()), self.oracle.counted);
        assert_eq!(self.engine.node_counts().known() as usize, self.oracle.nodes.len());
        if self.steps.is_multiple_of(self.thorough_every) {
            self.compare_thoroughly();
        }
    }

    pub(crate) fn compare_thoroughly(&self) {
        self.engine.check_invariants();
        let next = self.engine.next_deadline();
        for (&id, known) in &self.oracle.nodes {
            let node = self.engine.node(id).expect("the oracle knows a node that the engine does not");
            let theirs = (node.state, node.incarnation.0, node.last_sequence.0, node.interval_ms);
            assert_eq!(theirs, (known.state, known.incarnation, known.sequence, known.interval_ms), "{id}");
            assert_eq!(node.last_seen, Timestamp::from_nanoseconds(known.last_seen), "{id}");
            assert_eq!((node.event_sequence, node.is_degraded), (known.verdicts, known.is_degraded), "{id}");
            assert_eq!(node.is_in_maintenance, known.maintenance.is_some(), "{id}");
            assert_eq!(node.is_stalled, known.is_stalled, "{id}");
            assert_eq!(node.is_returning, known.is_returning, "{id}");
            let wakes = next.expect("something is armed while a node is known");
            let deadline =
                Timestamp::from_nanoseconds(self.oracle.deadline(known) + self.oracle.leeway(known));
            let is_in_time =
                wakes <= Timestamp::from_nanoseconds(self.now) || wakes < deadline + self.engine.tick();
            assert!(is_in_time, "{id}: sleeps until {wakes:?}, past {deadline:?}");
        }
    }
}

pub(crate) fn counted(counters: &EngineCounters) -> Counted {
    Counted {
        heartbeats_accepted: counters.heartbeats_accepted,
        heartbeats_stale: counters.heartbeats_stale,
        heartbeats_of_older_incarnation: counters.heartbeats_of_older_incarnation,
        heartbeats_refused_registry_full: counters.heartbeats_refused_registry_full,
        descriptors_stored: counters.descriptors_stored,
        descriptors_refused: counters.descriptors_refused,
        profiles_unknown: counters.profiles_unknown,
        intervals_clamped: counters.intervals_clamped,
        departures_accepted: counters.departures_accepted,
        departures_ignored: counters.departures_ignored,
        departures_refused: counters.departures_refused,
        new_nodes_never_confirmed: counters.new_nodes_never_confirmed,
        probe_answers_accepted: counters.probe_answers_accepted,
        probe_answers_ignored: counters.probe_answers_ignored,
    }
}
