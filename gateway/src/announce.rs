//! From verdicts to events: names, wall-clock times, the gateway's signature.
//!
//! The engine speaks in monotonic time and node ids; consumers want names and a calendar. Pure: the offset between
//! the two clocks comes in by argument.

use pulsegate_codec::event::{Event, EventId, EventType, departure_reason_word};
use pulsegate_engine::detector::Method;
use pulsegate_engine::publication::{
    CauseId, GroupEvent, GuardChange, GuardEvent, GuardScope, NodeEvent, Published, Saying,
};
use pulsegate_engine::{NodeState, Profiles, SecondOpinion, Verdict, VerdictKind};

use crate::ailments::Ailment;
use crate::gateway::LogDamage;
use crate::io::clock::WallOffset;

/// Makes the events of one run of a gateway.
#[derive(Debug)]
pub struct Announcer {
    gateway: String,
    epoch: u64,
    /// Events made so far in this epoch.
    announced: u64,
    profiles: Profiles,
}

impl Announcer {
    /// No event made yet.
    #[must_use]
    pub fn new(gateway: String, epoch: u64, profiles: Profiles) -> Self {
        Self { gateway, epoch, announced: 0, profiles }
    }

    /// An event about the gateway itself.
    #[must_use]
    pub fn gateway(&mut self, event_type: EventType, decided_at_unix_us: u64) -> Event {
        let id = self.next_id();
        Event::new(event_type, id, decided_at_unix_us)
    }

    /// Retention removed events before a sink could send them.
    #[must_use]
    pub fn sink_lost(&mut self, sink: &str, events: u64, decided_at_unix_us: u64) -> Event {
        let mut event = self.gateway(EventType::GatewaySinkLost, decided_at_unix_us);
        event.sink = sink.to_owned();
        event.dropped = Some(events);
        event
    }

    /// The gateway itself is unwell.
    #[must_use]
    pub fn ailment(&mut self, ailment: Ailment, decided_at_unix_us: u64) -> Event {
        match ailment {
            Ailment::Paused(pause_us) => {
                let mut event = self.gateway(EventType::GatewayPaused, decided_at_unix_us);
                event.pause_us = Some(pause_us);
                event
            }
            Ailment::Overloaded(dropped) => {
                let mut event = self.gateway(EventType::GatewayOverloaded, decided_at_unix_us);
                event.dropped = Some(dropped);
                event
            }
        }
    }

    /// A part of a log was set aside.
    #[must_use]
    pub fn log_damaged(&mut self, damage: &LogDamage, decided_at_unix_us: u64) -> Event {
        let mut event = self.gateway(EventType::GatewayLogDamaged, decided_at_unix_us);
        damage.topic.clone_into(&mut event.topic);
        event.partition = Some(damage.partition);
        event.first_offset = Some(damage.gap.first_offset);
        event.next_offset = Some(damage.gap.next_offset);
        event.bytes = Some(damage.gap.bytes);
        event
    }

    /// The event that tells what publication let out.
    #[must_use]
    pub fn published(&mut self, published: &Published, wall: WallOffset) -> Event {
        match published {
            Published::Node(node) => self.node_event(node, wall),
            Published::Group(group) => self.group(group, wall),
            Published::Guard(guard) => self.guard(guard, wall),
        }
    }

    fn node_event(&mut self, node: &NodeEvent, wall: WallOffset) -> Event {
        let mut event = self.node(node.shard, &node.verdict, wall);
        if node.saying != Saying::Verdict {
            // The verdict may be one that was not told: what is said of it moves the node nowhere.
            event.state = Some(node.verdict.previous.label().into());
            (event.reason, event.expected_return_ms) = (None, None);
        }
        match node.saying {
            Saying::Verdict => {}
            Saying::Flapping { flaps } => {
                event.event_type = EventType::Flapping;
                event.flap_count = Some(flaps);
            }
            Saying::Steady { flaps, damped } => {
                event.event_type = EventType::Steady;
                event.flap_count = Some(flaps);
                event.count = Some(damped);
            }
        }
        event.cause_id = node.cause.map_or_else(String::new, |cause| self.cause(cause));
        event.held_us = Some(microseconds(node.held)).filter(|held_us| *held_us != 0);
        event
    }

    fn group(&mut self, group: &GroupEvent, wall: WallOffset) -> Event {
        let id = self.next_id();
        let mut event = Event::new(EventType::GroupFailed, id, wall.unix_us(group.decided_at));
        if &*group.dimension == "zone" {
            event.zone = group.value.to_string();
        }
        event.dimension = group.dimension.to_string();
        event.value = group.value.to_string();
        event.count = Some(group.failed);
        event.members = Some(group.members);
        event.cause_id = self.cause(group.cause);
        event
    }

    fn guard(&mut self, guard: &GuardEvent, wall: WallOffset) -> Event {
        let id = self.next_id();
        let is_zone = matches!(guard.scope, GuardScope::Zone(_));
        let event_type = match (guard.change, is_zone) {
            (GuardChange::Held, true) => EventType::ZoneHeld,
            (GuardChange::Held, false) => EventType::GatewayDoubtful,
            (GuardChange::Released { .. }, true) => EventType::ZoneReleased,
            (GuardChange::Released { .. }, false) => EventType::GatewayConfident,
        };
        let mut event = Event::new(event_type, id, wall.unix_us(guard.decided_at));
        match &guard.scope {
            GuardScope::Gateway => event.dimension = "gateway".to_owned(),
            GuardScope::Shard(shard) => {
                event.dimension = "shard".to_owned();
                event.value = shard.to_string();
            }
            GuardScope::Zone(zone) => event.zone = zone.to_string(),
        }
        event.count = Some(guard.silent);
        event.members = Some(guard.members);
        if let GuardChange::Released { reason, released, held, .. } = guard.change {
            event.reason = Some(reason.label().into());
            event.count = Some(u32::try_from(released).unwrap_or(u32::MAX));
            event.held_us = Some(microseconds(held));
        }
        event
    }

    fn cause(&self, cause: CauseId) -> String {
        format!("{}/{}/{}", self.gateway, self.epoch, cause.0)
    }

    /// The event that tells this verdict of this shard.
    #[must_use]
    pub fn node(&mut self, shard: usize, verdict: &Verdict, wall: WallOffset) -> Event {
        let id = self.next_id();
        let evidence = &verdict.evidence;
        let mut event = Event::new(event_type(verdict.kind), id, wall.unix_us(verdict.decided_at));
        match &verdict.facts {
            Some(facts) => {
                event.node = facts.name.to_string();
                event.zone = facts.zone.to_string();
                event.labels =
                    facts.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            }
            None => event.node = verdict.node_id.to_string(),
        }
        event.node_id = Some(verdict.node_id);
        event.incarnation = Some(verdict.incarnation.0);
        event.event_sequence = Some(verdict.event_sequence);
        event.shard = u32::try_from(shard).ok();
        event.previous = Some(verdict.previous.label().into());
        event.state = state_after(verdict).map(Into::into);
        event.interval_ms = Some(evidence.interval_ms);
        event.suspect_timeout_ms = Some(milliseconds(evidence.terms.suspect_timeout));
        event.failed_timeout_ms = Some(milliseconds(evidence.terms.failed_timeout));
        let profile = self.profiles.detector(evidence.terms.profile).profile();
        event.detector = Some(profile.method.label().into());
        event.profile = profile.name.to_string();
        if profile.method == Method::Phi {
            event.phi_threshold_milli = Some(thousandths(profile.failed));
        }
        event.mean_us = evidence.terms.mean_us.map(u64::from);
        event.deviation_us = evidence.terms.deviation_us.map(u64::from);
        event.round_trip_time_us = evidence.terms.round_trip_us;
        event.last_seen_unix_us = Some(wall.unix_us(evidence.last_seen));
        event.silence_us = Some(microseconds(verdict.decided_at.since(evidence.last_seen)));
        event.last_sequence = Some(evidence.last_sequence.0).filter(|sequence| *sequence != 0);
        event.intervals_missed = Some(evidence.intervals_missed);
        if let Some(deadline) = evidence.deadline {
            event.deadline_unix_us = Some(wall.unix_us(deadline));
            event.lateness_us = Some(microseconds(verdict.decided_at.since(deadline)));
        }
        if let VerdictKind::Stalled { progress, pending } | VerdictKind::Progressing { progress, pending } =
            verdict.kind
        {
            event.progress = Some(progress);
            event.pending = Some(pending);
        }
        if let VerdictKind::MaintenanceStarted { length, .. } = verdict.kind {
            event.expected_return_ms = Some(milliseconds(length));
        }
        if let VerdictKind::MaintenanceStarted { by_operator, .. }
        | VerdictKind::MaintenanceEnded { by_operator } = verdict.kind
        {
            event.reason = Some(if by_operator { "operator" } else { "goodbye" }.into());
        }
        event.probe = evidence.second_opinion.map(|opinion| match opinion {
            SecondOpinion::Answered => "answered".into(),
            SecondOpinion::Silent => "silent".into(),
        });
        if let VerdictKind::Conflict { senders: [ours, theirs] } = verdict.kind {
            let theirs = theirs.filter(|_| theirs != ours);
            event.sources =
                [ours, theirs].into_iter().flatten().map(|sender| format!("{:016x}", sender.0)).collect();
        }
        if let VerdictKind::Left { reason, expected_return_ms } = verdict.kind {
            event.reason = Some(departure_reason_word(reason).into());
            event.expected_return_ms = Some(expected_return_ms).filter(|milliseconds| *milliseconds != 0);
        }
        event
    }

    fn next_id(&mut self) -> EventId {
        self.announced += 1;
        EventId { gateway: self.gateway.clone(), epoch: self.epoch, gateway_sequence: self.announced }
    }
}

const fn event_type(kind: VerdictKind) -> EventType {
    match kind {
        VerdictKind::Joined => EventType::Joined,
        VerdictKind::Suspected => EventType::Suspected,
        VerdictKind::Failed => EventType::Failed,
        VerdictKind::Recovered => EventType::Recovered,
        VerdictKind::Restarted => EventType::Restarted,
        VerdictKind::Left { .. } => EventType::Left,
        VerdictKind::Forgotten => EventType::Forgotten,
        VerdictKind::Degraded => EventType::Degraded,
        VerdictKind::Healthy => EventType::Healthy,
        VerdictKind::Stalled { .. } => EventType::Stalled,
        VerdictKind::MaintenanceStarted { .. } => EventType::MaintenanceStarted,
        VerdictKind::MaintenanceEnded { .. } => EventType::MaintenanceEnded,
        VerdictKind::Conflict { .. } => EventType::Conflict,
        VerdictKind::Progressing { .. } => EventType::Progressing,
    }
}

/// Where the node stands after it; `None` when it is no longer known.
const fn state_after(verdict: &Verdict) -> Option<&'static str> {
    let state = match verdict.kind {
        VerdictKind::Joined | VerdictKind::Recovered | VerdictKind::Restarted => NodeState::Alive,
        VerdictKind::Suspected => NodeState::Suspect,
        VerdictKind::Failed => NodeState::Failed,
        VerdictKind::Left { .. } => NodeState::Left,
        VerdictKind::Forgotten => return None,
        _ => verdict.previous,
    };
    Some(state.label())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a threshold is small and positive"
)]
fn thousandths(threshold: f64) -> u32 {
    (threshold * 1e3).round() as u32
}

/// Rounded up, as deadlines are.
fn milliseconds(duration: pulsegate_engine::Duration) -> u64 {
    microseconds(duration).div_ceil(1_000)
}

fn microseconds(duration: pulsegate_engine::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::{DepartureReason, Incarnation, NodeId, Sequence};
    use pulsegate_engine::{Duration, Evidence, NodeState, Terms, Timestamp};

    use super::*;
    use crate::config::Config;

    fn verdict(kind: VerdictKind) -> Verdict {
        Verdict {
            node_id: NodeId(0xab),
            kind,
            previous: NodeState::Suspect,
            incarnation: Incarnation(7),
            event_sequence: 3,
            decided_at: Timestamp::from_milliseconds(9_008),
            evidence: Evidence {
                second_opinion: None,
                last_seen: Timestamp::from_milliseconds(4_000),
                deadline: Some(Timestamp::from_milliseconds(9_000)),
                interval_ms: 1_000,
                last_sequence: Sequence(12),
                intervals_missed: 5,
                terms: Terms {
                    suspect_timeout: Duration::from_secs(3),
                    failed_timeout: Duration::from_secs(5),
                    ..Terms::default()
                },
            },
            facts: None,
        }
    }

    fn announcer() -> Announcer {
        Announcer::new("gw".to_owned(), 2, Config::from_toml("").unwrap().profiles)
    }

    /// One second after the Unix epoch the monotonic clock stood at zero.
    const WALL: WallOffset = WallOffset::from_unix_us_at_origin(1_000_000);

    #[test]
    fn evidence_is_told_in_wall_clock_time() {
        let event = announcer().node(1, &verdict(VerdictKind::Failed), WALL);
        assert_eq!(event.event_type, EventType::Failed);
        assert_eq!(event.node, "00000000000000ab");
        assert_eq!(event.decided_at_unix_us, 10_008_000);
        assert_eq!(event.last_seen_unix_us, Some(5_000_000));
        assert_eq!(event.deadline_unix_us, Some(10_000_000));
        assert_eq!((event.lateness_us, event.silence_us), (Some(8_000), Some(5_008_000)));
        assert_eq!((event.suspect_timeout_ms, event.failed_timeout_ms), (Some(3_000), Some(5_000)));
        assert_eq!((event.epoch, event.shard, event.previous.as_deref()), (2, Some(1), Some("suspect")));
    }

    #[test]
    fn events_are_numbered_without_a_gap() {
        let mut announcer = announcer();
        let started = announcer.gateway(EventType::GatewayStarted, 5);
        let next = announcer.node(0, &verdict(VerdictKind::Recovered), WALL);
        assert_eq!((started.gateway_sequence, next.gateway_sequence), (1, 2));
    }

    #[test]
    fn flapping_and_steady_keep_the_state_that_was_told() {
        let left = VerdictKind::Left { reason: DepartureReason::Shutdown, expected_return_ms: 7 };
        for untold in [VerdictKind::Failed, VerdictKind::Recovered, VerdictKind::Forgotten, left] {
            for saying in [Saying::Flapping { flaps: 4 }, Saying::Steady { flaps: 4, damped: 3 }] {
                let verdict = Verdict { previous: NodeState::Alive, ..verdict(untold) };
                let (cause, held) = (None, Duration::ZERO);
                let node = Published::Node(NodeEvent {
                    shard: 0,
                    verdict,
                    saying,
                    cause,
                    held,
                    is_named_now: false,
                });
                let event = announcer().published(&node, WALL);
                assert_eq!((event.state.as_deref(), event.reason), (Some("alive"), None), "{untold:?}");
                assert_eq!((event.flap_count, event.expected_return_ms), (Some(4), None));
            }
        }
    }

    #[test]
    fn goodbye_tells_its_reason() {
        let kind = VerdictKind::Left { reason: DepartureReason::Maintenance, expected_return_ms: 0 };
        let event = announcer().node(0, &verdict(kind), WALL);
        assert_eq!((event.reason.as_deref(), event.expected_return_ms), (Some("maintenance"), None));
    }
}
