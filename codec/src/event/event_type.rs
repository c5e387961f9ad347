//! The words that say what happened.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happened, in one word. Words that begin with `gateway_`, `zone_` or `group_` are about a gateway, a zone or a
/// group of nodes; all others are about a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum EventType {
    /// A node counts from now on.
    Joined,
    /// Silent past its suspect deadline.
    Suspected,
    /// Silent past its failed deadline.
    Failed,
    /// A suspect or failed node was heard again, in the same incarnation.
    Recovered,
    /// A node came back with a greater incarnation.
    Restarted,
    /// A node said goodbye.
    Left,
    /// The gateway no longer knows the node.
    Forgotten,
    /// A node says of itself that it is degraded.
    Degraded,
    /// A node no longer says that it is degraded.
    Healthy,
    /// A node beats, has work to do, and its progress stands still.
    Stalled,
    /// A stalled node's progress moves again, or its work is done.
    Progressing,
    /// A node changes so often that its changes are no longer told one by one.
    Flapping,
    /// A flapping node has settled; the event tells where.
    Steady,
    /// Two senders speak in the name of one node at once.
    Conflict,
    /// A node is in maintenance: silence means nothing.
    MaintenanceStarted,
    /// A node's maintenance is over.
    MaintenanceEnded,
    /// Many nodes that have something in common failed together.
    GroupFailed,
    /// So many nodes of a zone failed that the events about them are held back for a while.
    ZoneHeld,
    /// What was held back about a zone is told from now on.
    ZoneReleased,
    /// A gateway began an epoch.
    GatewayStarted,
    /// A gateway ended its epoch in good order.
    GatewayStopped,
    /// The gateway itself did not run for a while; deadlines were moved by as much.
    GatewayPaused,
    /// The kernel dropped datagrams of the gateway; deadlines were widened.
    GatewayOverloaded,
    /// Failures look like a fault of the gateway itself; they are held back for a while.
    GatewayDoubtful,
    /// The gateway no longer doubts itself.
    GatewayConfident,
    /// A part of the event log was damaged and set aside.
    GatewayLogDamaged,
    /// Retention removed events before a sink had read them.
    GatewaySinkLost,
    /// A word that this version does not know. A consumer passes it on or ignores it.
    Other(Box<str>),
}

impl EventType {
    /// The types that this version knows.
    pub const KNOWN: [Self; 27] = [
        Self::Joined,
        Self::Suspected,
        Self::Failed,
        Self::Recovered,
        Self::Restarted,
        Self::Left,
        Self::Forgotten,
        Self::Degraded,
        Self::Healthy,
        Self::Stalled,
        Self::Progressing,
        Self::Flapping,
        Self::Steady,
        Self::Conflict,
        Self::MaintenanceStarted,
        Self::MaintenanceEnded,
        Self::GroupFailed,
        Self::ZoneHeld,
        Self::ZoneReleased,
        Self::GatewayStarted,
        Self::GatewayStopped,
        Self::GatewayPaused,
        Self::GatewayOverloaded,
        Self::GatewayDoubtful,
        Self::GatewayConfident,
        Self::GatewayLogDamaged,
        Self::GatewaySinkLost,
    ];

    /// The word in the field `type`.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Joined => "joined",
            Self::Suspected => "suspected",
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Restarted => "restarted",
            Self::Left => "left",
            Self::Forgotten => "forgotten",
            Self::Degraded => "degraded",
            Self::Healthy => "healthy",
            Self::Stalled => "stalled",
            Self::Progressing => "progressing",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::Conflict => "conflict",
            Self::MaintenanceStarted => "maintenance_started",
            Self::MaintenanceEnded => "maintenance_ended",
            Self::GroupFailed => "group_failed",
            Self::ZoneHeld => "zone_held",
            Self::ZoneReleased => "zone_released",
            Self::GatewayStarted => "gateway_started",
            Self::GatewayStopped => "gateway_stopped",
            Self::GatewayPaused => "gateway_paused",
            Self::GatewayOverloaded => "gateway_overloaded",
            Self::GatewayDoubtful => "gateway_doubtful",
            Self::GatewayConfident => "gateway_confident",
            Self::GatewayLogDamaged => "gateway_log_damaged",
            Self::GatewaySinkLost => "gateway_sink_lost",
            Self::Other(word) => word,
        }
    }

    /// The type with this word; [`Self::Other`] if this version does not know it.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match Self::KNOWN.iter().find(|known| known.word() == word) {
            Some(known) => known.clone(),
            None => Self::Other(word.into()),
        }
    }

    /// What the event is about (`node`, `gateway`, `zone` or `group`) and the rest of the word.
    #[must_use]
    pub fn entity_and_change(&self) -> (&'static str, &str) {
        let word = self.word();
        for (prefix, entity) in [("gateway_", "gateway"), ("zone_", "zone"), ("group_", "group")] {
            if let Some(change) = word.strip_prefix(prefix) {
                return (entity, change);
            }
        }
        ("node", word)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_word(&Cow::<str>::deserialize(deserializer)?))
    }
}
