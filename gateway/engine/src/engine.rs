//! One shard's engine: takes heartbeats and ticks, keeps every node's state, and says what changed.
//!
//! All branches live here and in its parts; the registry, the wheel and the detector do plain work and know nothing
//! of each other.
//!
//! ```text
//!                        second heartbeat: Joined            suspect deadline: Suspected
//!   (unknown) ──▶ New ──────────────────────────▶ Alive ────────────────────────────────▶ Suspect
//!              ▲   ▲                               ▲  ▲  two newer heartbeats: Recovered       │
//!              │   │ newer heartbeat               │  └──────────────────────────────────────┤ failed deadline:
//!              │   │                               │     two newer heartbeats: Recovered      ▼ Failed
//!              │  Left ◀── goodbye: Left           └───────────────────────────────────── Failed
//!              │   │       (from any state)     greater incarnation: Restarted (Alive, Suspect, Failed)
//!              └───┴── silent for the retention: Forgotten (Left, Failed)
//! ```
//!
//! **What counts as newer.** The same incarnation and a greater sequence, or a greater incarnation. Sequence 0 is
//! not counted by its node and is always newer. What is not newer is a duplicate or late, and proves nothing: it moves
//! nothing but a counter, so an echo cannot keep a dead node alive.
//!
//! **Recovery.** One heartbeat of a suspect or failed node may be the last that it had in it, or a late one. It moves the
//! last-seen time, and nothing is said. The second one recovers the node if it comes before the failed deadline that
//! follows from the first; else a suspect node fails, and a failed one is as before, without a word.
//!
//! **When a deadline passes.** At the first `on_tick` whose tick is not before the deadline's (see [`crate::time`]): never
//! early, at most one tick late, and it does not depend on how the wheel came to look at the node. If several
//! deadlines of a node have passed by then (the gateway was held up), all of its verdicts are given in their order:
//! a consumer always sees `suspected` before `failed` before `forgotten`. Each node is looked at once, however long the
//! gap was.
//!
//! **New nodes** have been heard once and are told to nobody. Silent past their failed deadline they vanish
//! without a verdict. A node that came back from `Left` goes back to `Left` in that case, because the world was told of
//! that.
//!
//! **The horizon** of `on_tick` may lie before the latest heartbeat: the worker drains its socket before it lets
//! deadlines pass, and what it drains is younger. Silence is judged up to the horizon; verdicts carry the later time.
//!
//! **A full verdict buffer** loses nothing. A heartbeat then moves the last-seen time and nothing else (not the sequence
//! or the incarnation), so the next one means again what this one meant. A departure, which may not be repeated, waits
//! in a queue. `on_tick` stops, and what is due stays due.
//!
//! **Memory** is taken at start. What allocates later: facts of nodes, once a changed descriptor, and
//! once the work of all nodes, when the first of them declares its progress.

mod condition;
mod conflict;
mod departure;
mod descriptor;
mod expiry;
mod heartbeat;
mod invariants;
mod maintenance;
mod protection;
mod restart;
mod view;

use std::collections::{HashMap, VecDeque};

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor};

use self::conflict::Rivals;
use self::maintenance::Maintenances;
pub use self::maintenance::Ordered;
pub use self::view::NodeView;
pub use crate::config::EngineConfig;
pub use crate::counters::{EngineCounters, NodeCounts};
use crate::detection::Detection;
use crate::detector::Deadlines;
use crate::limits::{DEPARTURES_POSTPONED_MAX, PROBE_ANSWERS_KEPT_MAX, WHEEL_WAIT_MAX};
use crate::listening::Listening;
use crate::registry::Registry;
use crate::senders::Senders;
use crate::slot::SlotIndex;
use crate::time::{Duration, Tick, TickLength, Timestamp};
use crate::verdict::{Evidence, NodeState, Verdict, VerdictKind, Verdicts};
use crate::wheel::{SPAN_TICKS, Wheel, WheelFull};
use crate::work::Works;

/// The nodes of one shard.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    ticks: TickLength,
    /// Most ticks that a node waits in the wheel before it is looked at again. Within the wheel's span.
    wait_ticks_max: u64,
    /// The latest time that the engine was told. Never before the wheel's tick: silence is judged up to that only.
    now: Timestamp,
    registry: Registry,
    detection: Detection,
    /// Gaps that began earlier than this are no samples: the gateway did not listen all the time.
    samples_from: Timestamp,
    listening: Listening,
    works: Works,
    maintenance: Maintenances,
    rivals: Rivals,
    /// Until when suspect nodes that answered a probe are not called failed.
    answers: HashMap<SlotIndex, Timestamp>,
    wheel: Wheel,
    departures_postponed: VecDeque<Departure>,
    counters: EngineCounters,
    /// Reused from call to call: where the nodes of a piece of a batch are.
    found: [Option<SlotIndex>; heartbeat::PIECE],
}

/// What led to a verdict, as far as the node's record does not say it.
struct Cause {
    kind: VerdictKind,
    deadline: Option<Timestamp>,
}

impl Engine {
    /// An engine that knows no node. Takes all the memory for `nodes_max` nodes.
    ///
    /// # Panics
    /// If the configuration breaks a rule that its fields state.
    #[must_use]
    pub fn new(config: &EngineConfig, now: Timestamp) -> Self {
        config.assert_valid();
        let ticks = TickLength::new(config.tick);
        let registry = Registry::new(config.nodes_max, config.hash_seed);
        Self {
            config: config.clone(),
            detection: Detection::new(config.profiles.clone(), registry.slot_count()),
            ticks,
            wait_ticks_max: ticks.count_in(WHEEL_WAIT_MAX).clamp(1, SPAN_TICKS),
            now,
            registry,
            samples_from: now,
            listening: Listening::default(),
            works: Works::default(),
            maintenance: Maintenances::default(),
            rivals: Rivals::default(),
            answers: HashMap::with_capacity(PROBE_ANSWERS_KEPT_MAX),
            wheel: Wheel::new(config.nodes_max, ticks.reached(now)),
            departures_postponed: VecDeque::with_capacity(DEPARTURES_POSTPONED_MAX),
            counters: EngineCounters::default(),
            found: [None; heartbeat::PIECE],
        }
    }

    /// Takes heartbeats whose senders are not known: see [`Self::on_heartbeats_of`].
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_heartbeats(
        &mut self,
        heartbeats: &[Heartbeat],
        received_at: Timestamp,
        verdicts: &mut Verdicts,
    ) {
        self.on_heartbeats_of(heartbeats, &Senders::unknown(), received_at, verdicts);
    }

    /// Takes heartbeats that were all received at `received_at`. Their senders are evidence, if two speak for one node.
    ///
    /// When `verdicts` has no room for a transition, the node's last-seen time moves all the same and the transition
    /// is left to its next heartbeat: counted in `verdicts_postponed`, never lost.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_heartbeats_of(
        &mut self,
        heartbeats: &[Heartbeat],
        senders: &Senders,
        received_at: Timestamp,
        verdicts: &mut Verdicts,
    ) {
        self.advance_now(received_at);
        for (index, piece) in heartbeats.chunks(heartbeat::PIECE).enumerate() {
            self.take_heartbeats(piece, (senders, index * heartbeat::PIECE), verdicts);
        }
    }

    /// Takes one descriptor; stored only when it differs from what is known. A descriptor alone is no sign of life.
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_descriptor(&mut self, descriptor: &NodeDescriptor<'_>, received_at: Timestamp) {
        self.advance_now(received_at);
        self.take_descriptor(descriptor);
    }

    /// Takes one departure. When `verdicts` has no room, it waits for the next `on_tick` (counted in
    /// `verdicts_postponed`), and is refused only when too many wait already (counted in `departures_refused`).
    ///
    /// # Panics
    /// If time goes back.
    pub fn on_departure(&mut self, departure: Departure, received_at: Timestamp, verdicts: &mut Verdicts) {
        self.advance_now(received_at);
        self.take_departure(departure, verdicts);
    }

    /// Lets the deadlines up to `horizon` pass, in tick order, at most
    /// [`crate::limits::WHEEL_ENTRIES_PER_CALL_MAX`] entries and only while `verdicts` has room. When work is left,
    /// [`Self::next_deadline`] says `horizon` or earlier: drain and call again.
    ///
    /// The caller has taken everything that had arrived by `horizon`. It may have taken more, so `horizon` may lie
    /// before the latest heartbeat; what has happened since then is judged next time.
    ///
    /// # Panics
    /// If horizons go back, by a tick or more.
    pub fn on_tick(&mut self, horizon: Timestamp, verdicts: &mut Verdicts) {
        let tick = self.ticks.reached(horizon);
        assert!(tick >= self.wheel.current(), "horizons do not go back: what was judged stays judged");
        self.now = self.now.max(horizon);
        self.wheel.advance(tick);
        self.take_postponed_departures(verdicts);
        self.carry_out_orders(verdicts);
        self.expire(verdicts);
    }

    /// When `on_tick` is next needed; `None` when nothing is armed. Now and then it is needed only to sort the wheel.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if !self.departures_postponed.is_empty() || self.maintenance.has_due_order() {
            // Overdue, whatever the time is.
            return Some(self.horizon());
        }
        self.wheel.next_tick().map(|tick| self.ticks.start(tick))
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &EngineCounters {
        &self.counters
    }

    /// How many nodes stand where.
    #[must_use]
    pub const fn node_counts(&self) -> NodeCounts {
        self.registry.counts()
    }

    /// Resolution of the wheel: no verdict is later than this, if the caller ticks in time.
    #[must_use]
    pub const fn tick(&self) -> Duration {
        self.config.tick
    }

    /// Bytes of memory that were taken at start: for records, lookup and wheel (first), and for what only verdicts
    /// and descriptors touch (second; what facts themselves hold is not in it).
    #[must_use]
    pub fn memory_bytes(&self) -> (usize, usize) {
        let (hot, cold) = self.registry.memory_bytes();
        let (learnt, paths) = self.detection.memory_bytes();
        (hot + learnt + self.wheel.memory_bytes() + self.works.memory_bytes(), cold + paths)
    }

    /// Where the memory lies that every heartbeat touches, address and bytes, for a caller who wants to advise the
    /// operating system about it. It stays there for as long as the engine lives.
    #[must_use]
    pub fn hot_memory(&self) -> [(usize, usize); 3] {
        let [records, tags] = self.registry.hot_memory();
        [records, tags, self.detection.hot_memory()]
    }

    fn advance_now(&mut self, now: Timestamp) {
        assert!(now >= self.now, "time does not go back: the caller reads one monotonic clock");
        self.now = now;
    }

    /// Silence has been judged up to this moment, and is being judged up to it within `on_tick`.
    const fn horizon(&self) -> Timestamp {
        self.ticks.start(self.wheel.current())
    }

    fn deadlines(&self, slot: SlotIndex) -> Deadlines {
        let node = self.registry.node(slot);
        let timeouts = self.detection.timeouts(slot, node.interval_ms());
        self.listening.deadlines(timeouts, node.last_seen)
    }

    /// When something happens to the node in this state if it stays silent.
    fn deadline(&self, slot: SlotIndex, state: NodeState) -> Timestamp {
        if let Some(maintenance) = self.maintenance_of(slot) {
            return maintenance.until;
        }
        match state {
            NodeState::New => self.deadlines(slot).failed,
            NodeState::Failed if self.registry.node(slot).is_returning() => self.deadlines(slot).failed,
            NodeState::Suspect => {
                let failed = self.deadlines(slot).failed;
                self.answers.get(&slot).map_or(failed, |&extended| failed.max(extended))
            }
            NodeState::Alive => self.deadlines(slot).suspect,
            NodeState::Failed | NodeState::Left => {
                self.registry.node(slot).last_seen + self.config.forget_after
            }
        }
    }

    /// By when the node must be looked at so that no verdict on it can be late: at its deadline, and sooner if what it
    /// teaches by beating on can bring the deadline forward. A heartbeat only writes down what it teaches; it cannot
    /// come before now, so the deadline that follows from it is not before the shortest timeout from now.
    fn look_by(&self, slot: SlotIndex, state: NodeState, deadline: Timestamp) -> Timestamp {
        if state != NodeState::Alive || !self.detection.learns() || self.maintenance_of(slot).is_some() {
            return deadline;
        }
        let shortest = self.detection.shortest(slot, self.registry.node(slot).interval_ms());
        shortest.map_or(deadline, |shortest| deadline.min(self.now + shortest))
    }

    /// Arms the node for its deadline, whatever it was armed for before.
    fn arm(&mut self, slot: SlotIndex, deadline: Timestamp) {
        // Counted from the wheel's tick, which is as far as the wheel can reach. It may lie behind `now`; then the
        // node is looked at early, once, when the wheel has caught up.
        let latest = self.wheel.current().after(self.wait_ticks_max);
        self.arm_at(slot, self.ticks.due(deadline).min(latest));
    }

    /// Makes sure that the node is looked at by its deadline: arms it anew only if it would be too late.
    fn arm_no_later(&mut self, slot: SlotIndex, deadline: Timestamp) {
        if self.ticks.due(deadline) < self.registry.node(slot).armed() {
            self.arm(slot, deadline);
        }
    }

    fn arm_at(&mut self, slot: SlotIndex, tick: Tick) {
        self.registry.node_mut(slot).set_armed(tick);
        if self.wheel.arm(slot, tick) == Err(WheelFull) {
            self.rebuild_wheel();
        }
    }

    /// Throws all entries away, stale ones with them, and arms every node for the tick that its record names.
    #[cold]
    fn rebuild_wheel(&mut self) {
        self.counters.wheel_rebuilds += 1;
        self.wheel.clear();
        for slot in self.registry.slots() {
            let armed = self.registry.node(slot).armed();
            self.wheel.arm(slot, armed).expect("a cleared wheel has room for every node once");
        }
    }

    /// Gives a verdict on the node as its record says it was before; the caller has made sure of room and changes the
    /// record afterwards.
    fn decide(&mut self, slot: SlotIndex, previous: NodeState, cause: Cause, verdicts: &mut Verdicts) {
        let event_sequence = self.registry.advance_event_sequence(slot);
        self.look_for_order(slot);
        let node = self.registry.node(slot);
        let interval_ms = node.interval_ms();
        // In 64 bits: a division of 128 takes as long as a cache miss.
        let silence_ms =
            self.now.as_nanoseconds().saturating_sub(node.last_seen.as_nanoseconds()) / 1_000_000;
        let intervals_missed = silence_ms / u64::from(interval_ms.max(1));
        verdicts.push(Verdict {
            node_id: node.id,
            kind: cause.kind,
            previous,
            incarnation: node.incarnation,
            event_sequence,
            decided_at: self.now,
            evidence: Evidence {
                second_opinion: None,
                last_seen: node.last_seen,
                deadline: cause.deadline,
                interval_ms,
                last_sequence: node.sequence,
                intervals_missed: u32::try_from(intervals_missed).unwrap_or(u32::MAX),
                terms: self.detection.terms(slot, interval_ms),
            },
            facts: self.registry.facts(slot).cloned(),
        });
    }
}

#[cfg(test)]
mod tests;
