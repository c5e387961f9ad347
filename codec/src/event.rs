//! What consumers of the stream read: one event a transition.
//!
//! An event is one flat JSON object. Numbers are integers and carry their unit in the name; times are microseconds
//! since the Unix epoch by the gateway's wall clock. A field that has no meaning for an event is absent, never null,
//! zero or empty. The schema only grows: a field never changes its meaning, and a reader ignores what it does not
//! know, an unknown `type` included. `proto/pulsegate/v1/event.proto` is the same schema with a comment on each field.
//!
//! ```text
//! key      node-7                                   decides the partition, so one node's events stay in order
//! headers  ce_specversion 1.0                       CloudEvents 1.0, Kafka binding, binary mode
//!          ce_type        io.pulsegate.node.failed.v1
//!          ce_source      /gateways/gw-1
//!          ce_id          gw-1/3/1042               gateway, epoch, counter: the same however often it is sent
//!          ce_time        2026-11-24T06:00:00.000000Z
//!          ce_subject     node-7
//!          content-type   application/json
//! value    {"type":"failed","node":"node-7",…}
//! ```
//!
//! Consumers drop duplicates by `gateway`, `epoch` and `gateway_sequence` (or by `ce_id`), and order the events of one
//! node by `epoch` and `event_sequence`, never by wall clock.
//!
//! This module does not decide anything and does not know the engine: the gateway maps verdicts to events.

mod record;
mod rfc3339;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::batch::DepartureReason;
use crate::identity::NodeId;

pub use record::EventRecord;
pub use rfc3339::{rfc3339_from_unix_us, unix_us_from_rfc3339};

/// What happened, in one word. Words that begin with `gateway_` or `zone_` are about a gateway or a zone; all others
/// are about a node.
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
    /// A gateway began an epoch.
    GatewayStarted,
    /// A gateway ended its epoch in good order.
    GatewayStopped,
    /// A word that this version does not know. A consumer passes it on or ignores it.
    Other(Box<str>),
}

impl EventType {
    /// The types that this version knows.
    pub const KNOWN: [Self; 9] = [
        Self::Joined,
        Self::Suspected,
        Self::Failed,
        Self::Recovered,
        Self::Restarted,
        Self::Left,
        Self::Forgotten,
        Self::GatewayStarted,
        Self::GatewayStopped,
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
            Self::GatewayStarted => "gateway_started",
            Self::GatewayStopped => "gateway_stopped",
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

    /// What the event is about (`node`, `gateway` or `zone`) and the rest of the word.
    #[must_use]
    pub fn entity_and_change(&self) -> (&'static str, &str) {
        let word = self.word();
        for (prefix, entity) in [("gateway_", "gateway"), ("zone_", "zone")] {
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

/// One of a small set of words that may grow, such as a state or a detector's name.
pub type Word = Cow<'static, str>;

/// One event of the stream. The order of the fields is the order in the JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The node's name; the 16 hexadecimal digits of its id if it never described itself. Empty for an event that is
    /// not about a node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The node's id, 16 hexadecimal digits in the JSON.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal_node_id")]
    pub node_id: Option<NodeId>,
    /// Failure domain; empty when not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// What the node says of itself, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Which run of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u32>,
    /// Counts the events on this node within the epoch, from 1, with no gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_sequence: Option<u32>,
    /// Name of the gateway that decided.
    pub gateway: String,
    /// Which run of the gateway; greater after each restart.
    pub epoch: u64,
    /// Counts the events of the gateway within the epoch, over all nodes, from 1, with no gap.
    pub gateway_sequence: u64,
    /// Which shard of the gateway owns the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
    /// The node's state before: `new`, `alive`, `suspect`, `failed` or `left`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Word>,
    /// When the gateway decided.
    pub decided_at_unix_us: u64,
    /// When the node was last heard before the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_unix_us: Option<u64>,
    /// The deadline that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_unix_us: Option<u64>,
    /// From the deadline to the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness_us: Option<u64>,
    /// From the last sign of life to the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_us: Option<u64>,
    /// The interval that the node was held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// Silence after which the node counts as suspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect_timeout_ms: Option<u64>,
    /// Silence after which the node counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_timeout_ms: Option<u64>,
    /// How the deadlines were chosen: `fixed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Word>,
    /// Sequence of the last heartbeat that was accepted before the event; absent for a node that does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sequence: Option<u32>,
    /// Whole intervals that passed since the node was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals_missed: Option<u32>,
    /// Why a node left: `unspecified`, `shutdown`, `maintenance` or `scale_down`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Word>,
    /// When a node that left means to be back, from its goodbye.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_return_ms: Option<u64>,
}

impl Event {
    /// An event with the fields that every event has; the others are absent.
    #[must_use]
    pub fn new(event_type: EventType, id: EventId, decided_at_unix_us: u64) -> Self {
        Self {
            event_type,
            node: String::new(),
            node_id: None,
            zone: String::new(),
            labels: BTreeMap::new(),
            incarnation: None,
            event_sequence: None,
            gateway: id.gateway,
            epoch: id.epoch,
            gateway_sequence: id.gateway_sequence,
            shard: None,
            previous: None,
            decided_at_unix_us,
            last_seen_unix_us: None,
            deadline_unix_us: None,
            lateness_us: None,
            silence_us: None,
            interval_ms: None,
            suspect_timeout_ms: None,
            failed_timeout_ms: None,
            detector: None,
            last_sequence: None,
            intervals_missed: None,
            reason: None,
            expected_return_ms: None,
        }
    }

    /// Reads the value of a record. Fields that this version does not know are ignored.
    ///
    /// # Errors
    /// If the bytes are not a JSON object with at least the fields that every event has, each of its type.
    pub fn from_json(value: &[u8]) -> Result<Self, EventError> {
        serde_json::from_slice(value).map_err(EventError)
    }

    /// What the event is about: the node, else the zone or the gateway. It is the record's key and `ce_subject`.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self.event_type.entity_and_change().0 {
            "gateway" => &self.gateway,
            "zone" => &self.zone,
            _ => &self.node,
        }
    }
}

/// What tells an event from every other; consumers drop duplicates by it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventId {
    /// Name of the gateway.
    pub gateway: String,
    /// Which run of the gateway.
    pub epoch: u64,
    /// Counts the events of the run, from 1.
    pub gateway_sequence: u64,
}

/// `<gateway>/<epoch>/<gateway_sequence>`, as in the header `ce_id`.
impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.gateway, self.epoch, self.gateway_sequence)
    }
}

/// The value of a record is not an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event: {0}")]
pub struct EventError(#[source] serde_json::Error);

/// The word for [`Event::reason`].
#[must_use]
pub const fn departure_reason_word(reason: DepartureReason) -> &'static str {
    match reason {
        DepartureReason::Unspecified => "unspecified",
        DepartureReason::Shutdown => "shutdown",
        DepartureReason::Maintenance => "maintenance",
        DepartureReason::ScaleDown => "scale_down",
    }
}

/// A node id as 16 hexadecimal digits: a JSON number of 64 bits would be rounded by many readers.
mod hexadecimal_node_id {
    use std::borrow::Cow;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::identity::NodeId;

    #[expect(clippy::ref_option, reason = "serde passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(id: &Option<NodeId>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<NodeId>, D::Error> {
        let Some(text) = Option::<Cow<'de, str>>::deserialize(deserializer)? else { return Ok(None) };
        if text.len() != 16 {
            return Err(D::Error::custom("node_id is not 16 hexadecimal digits"));
        }
        text.parse().map(Some).map_err(D::Error::custom)
    }
}
