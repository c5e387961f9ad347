//! Maintenance, the plain way.

use pulsegate_codec::{Departure, DepartureReason, NodeId};
use pulsegate_engine::limits::MAINTENANCE_MAX;
use pulsegate_engine::{Duration, NodeState, Ordered, Timestamp, Verdict, VerdictKind};

use crate::agreement::leeway;
use crate::known::{Known, Maintenance};
use crate::naive_detector::Lesson;
use crate::oracle::{Oracle, whole};

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

impl Oracle {
    /// An operator or a goodbye; there is room.
    fn begin_maintenance(&mut self, id: NodeId, wanted: Maintenance, now: u64) -> Option<Verdict> {
        let length = wanted.until.saturating_sub(now).min(nanoseconds(MAINTENANCE_MAX));
        let by_operator = wanted.by_operator;
        let known = self.nodes.get_mut(&id)?;
        let before = known.clone();
        if known.maintenance.replace(Maintenance { until: now + length, ..wanted }).is_some() {
            return None;
        }
        known.verdicts += 1;
        let after = known.clone();
        let kind = VerdictKind::MaintenanceStarted { length: Duration::from_nanos(length), by_operator };
        Some(self.verdict(id, kind, (&before, &after), now, None))
    }

    /// Whether the world has heard of it.
    fn is_told(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|known| known.verdicts > 0)
    }

    pub(crate) fn set_maintenance(
        &mut self,
        id: NodeId,
        until: u64,
        now: u64,
        has_room: bool,
    ) -> (Ordered, Option<Verdict>) {
        let until = until.min(now + nanoseconds(MAINTENANCE_MAX));
        if !self.is_told(id) || !has_room {
            self.orders.insert(id, until);
            return (Ordered::Waiting, None);
        }
        self.orders.remove(&id);
        let wanted = Maintenance { until, by_operator: true, leeway: 0 };
        (Ordered::InForce, self.begin_maintenance(id, wanted, now))
    }

    /// The verdicts of the orders that a tick carries out, if it has this much room.
    pub(crate) fn carry_out_orders(&mut self, now: u64, mut room: usize) -> Vec<Verdict> {
        let due: Vec<_> = self.orders.keys().copied().filter(|&id| self.is_told(id)).collect();
        let mut verdicts = Vec::new();
        for id in due {
            if room == 0 {
                break;
            }
            let until = self.orders.remove(&id).unwrap();
            let wanted = Maintenance { until, by_operator: true, leeway: 0 };
            let verdict = if until > now { self.begin_maintenance(id, wanted, now) } else { None };
            room -= usize::from(verdict.is_some());
            verdicts.extend(verdict);
        }
        verdicts
    }

    /// Whether there was anything to end, and the verdict.
    pub(crate) fn clear_maintenance(
        &mut self,
        id: NodeId,
        now: u64,
        has_room: bool,
    ) -> (bool, Option<Verdict>) {
        let was_waiting = self.orders.remove(&id).is_some();
        if self.nodes.get(&id).is_none_or(|known| known.maintenance.is_none()) {
            return (was_waiting, None);
        }
        (true, self.end_now(id, now, has_room))
    }

    /// Ends the node's maintenance. Without room it ends as soon as there is some.
    fn end_now(&mut self, id: NodeId, now: u64, has_room: bool) -> Option<Verdict> {
        let known = self.nodes.get_mut(&id).expect("the caller saw it");
        if !has_room {
            let ends_now = |maintenance| Maintenance { until: now, leeway: 0, ..maintenance };
            known.maintenance = known.maintenance.map(ends_now);
            return None;
        }
        let known = known.clone();
        let (verdict, after) = self.end_of_maintenance(id, &known, now, None);
        self.nodes.insert(id, after);
        Some(verdict)
    }

    /// After a goodbye that was told.
    pub(crate) fn planned_absence(
        &mut self,
        departure: Departure,
        now: u64,
        has_room: bool,
    ) -> Option<Verdict> {
        let known = self.nodes.get(&departure.node_id)?;
        let is_planned = departure.reason == DepartureReason::Maintenance && departure.expected_return_ms > 0;
        if !is_planned || known.is_held_by_operator() || !has_room {
            return None;
        }
        let grace = whole(self.timeouts(known).failed_us.ceil()) * 1_000;
        let leeway = if self.profile(known).needs_rhythm() { leeway(Duration::from_nanos(grace)) } else { 0 };
        let length = nanoseconds(Duration::from_millis(departure.expected_return_ms).min(MAINTENANCE_MAX));
        let wanted = Maintenance { until: now + length + grace, by_operator: false, leeway };
        self.begin_maintenance(departure.node_id, wanted, now)
    }

    /// After a heartbeat that made the node alive.
    pub(crate) fn end_of_absence(&mut self, id: NodeId, now: u64, has_room: bool) -> Option<Verdict> {
        let is_over = |known: &&Known| known.maintenance.is_some() && !known.is_held_by_operator();
        self.nodes.get(&id).filter(is_over)?;
        self.end_now(id, now, has_room)
    }

    pub(crate) fn end_of_maintenance(
        &self,
        id: NodeId,
        known: &Known,
        now: u64,
        deadline: impl Into<Option<u64>>,
    ) -> (Verdict, Known) {
        let Maintenance { by_operator, .. } = known.maintenance.expect("the caller saw it");
        let mut after = Known { maintenance: None, verdicts: known.verdicts + 1, ..known.clone() };
        if matches!(after.state, NodeState::Alive | NodeState::Suspect) {
            after.last_seen = now;
            after.learn(after.learns(&self.config), Lesson::Skip);
        }
        let kind = VerdictKind::MaintenanceEnded { by_operator };
        let deadline = deadline.into().map(Timestamp::from_nanoseconds);
        (self.verdict(id, kind, (known, &after), now, deadline), after)
    }
}
