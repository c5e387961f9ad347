//! What consumers of the stream read: one event a transition.
//!
//! An event is one flat JSON object. Numbers are integers and carry their unit in the name; times are microseconds
//! since the Unix epoch by the gateway's wall clock. A field that has no meaning for an event is absent, never null,
//! zero or empty. The schema only grows: a field never changes its meaning, and a reader ignores what it does not
//! know, an unknown `type` included. `proto/pulsegate/v1/event.proto` is the same schema with a comment on each field,
//! `schema/event.schema.json` the same as a JSON Schema, and `docs/stream.md` the page for consumers.
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
//! node by the same, never by wall clock.
//!
//! This module does not decide anything and does not know the engine: the gateway maps verdicts to events.

mod event_type;
mod protobuf;
mod record;
mod rfc3339;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::batch::DepartureReason;
use crate::identity::NodeId;

pub use event_type::EventType;
pub use record::{EventRecord, ValueFormat};
pub use rfc3339::{rfc3339_from_unix_us, unix_us_from_rfc3339};

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
    /// Counts the events on this node, from 1, with no gap, also across epochs: what was suppressed took no number. Begins
    /// anew when the node was forgotten.
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
    /// How the deadlines were chosen: `fixed`, `ewma` or `phi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Word>,
    /// Sequence of the last heartbeat that was accepted before the event; absent for a node that does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sequence: Option<u32>,
    /// Whole intervals that passed since the node was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals_missed: Option<u32>,
    /// Why a node left: `unspecified`, `shutdown`, `maintenance` or `scale_down`. Why a guard let go, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Word>,
    /// When a node that left means to be back, from its goodbye.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_return_ms: Option<u64>,
    /// The node's state after the event: `new`, `alive`, `suspect`, `failed` or `left`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Word>,
    /// What many events have in common: all failures that one `group_failed` explains carry its id here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause_id: String,
    /// What the nodes of a group share: `zone`, `shard`, the key of a label, or `gateway` for all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dimension: String,
    /// The shared value of that dimension.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// How many: nodes that failed (`group_failed`), that are silent (`zone_held`, `gateway_doubtful`), events that were
    /// let out (`zone_released`, `gateway_confident`) or were not told (`steady`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How many nodes the group, zone or gateway has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u32>,
    /// How long the event was held back before it was told; how long a guard held that lets go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_us: Option<u64>,
    /// The timeout profile that the node was held to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// Mean time between the node's heartbeats, as learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_us: Option<u64>,
    /// Deviation of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation_us: Option<u64>,
    /// The threshold of the phi detector in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phi_threshold_milli: Option<u32>,
    /// The round-trip time that the node reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_time_us: Option<u32>,
    /// The node's counter of work done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
    /// The node's work that waits to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u32>,
    /// How often the node came back or restarted, as counted by damping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap_count: Option<u32>,
    /// How long the gateway did not run; in `gateway_started`, at most so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_us: Option<u64>,
    /// How much was lost: datagrams, or events that a sink did not get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// The senders that speak in one node's name: 16 hexadecimal digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What the second opinion said: `answered` or `silent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Word>,
    /// Name of the sink.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sink: String,
    /// Topic of the log that was damaged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// Its partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// The first offset that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_offset: Option<u64>,
    /// The first offset that is there again, or will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// How many bytes were set aside; 0 if a whole segment file was missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
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
            state: None,
            cause_id: String::new(),
            dimension: String::new(),
            value: String::new(),
            count: None,
            members: None,
            held_us: None,
            profile: String::new(),
            mean_us: None,
            deviation_us: None,
            phi_threshold_milli: None,
            round_trip_time_us: None,
            progress: None,
            pending: None,
            flap_count: None,
            pause_us: None,
            dropped: None,
            sources: Vec::new(),
            probe: None,
            sink: String::new(),
            topic: String::new(),
            partition: None,
            first_offset: None,
            next_offset: None,
            bytes: None,
        }
    }

    /// Reads the value of a record whose header `content-type` is this; JSON if it has none.
    ///
    /// # Errors
    /// If the form is not known, or the bytes are not an event in that form.
    pub fn decode(content_type: Option<&[u8]>, value: &[u8]) -> Result<Self, EventError> {
        let Some(content_type) = content_type else { return Self::from_json(value) };
        // Parameters, such as a character set, may follow.
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |format: ValueFormat| essence.eq_ignore_ascii_case(format.content_type().as_bytes());
        if is(ValueFormat::Json) {
            Self::from_json(value)
        } else if is(ValueFormat::Protobuf) {
            Self::from_protobuf(value)
        } else {
            Err(EventError::ContentType(String::from_utf8_lossy(content_type).into_owned()))
        }
    }

    /// Reads JSON. Fields that this version does not know are ignored.
    ///
    /// # Errors
    /// If the bytes are not a JSON object with at least the fields that every event has, each of its type.
    pub fn from_json(value: &[u8]) -> Result<Self, EventError> {
        serde_json::from_slice(value).map_err(EventError::Json)
    }

    /// What the event is about: the node, else the zone, the gateway, or the group as `dimension=value`. It is the
    /// record's key and `ce_subject`.
    #[must_use]
    pub fn subject(&self) -> Cow<'_, str> {
        match self.event_type.entity_and_change().0 {
            "gateway" => Cow::from(&self.gateway),
            "zone" => Cow::from(&self.zone),
            "group" => format!("{}={}", self.dimension, self.value).into(),
            _ => Cow::from(&self.node),
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
pub enum EventError {
    /// Not the JSON of an event.
    #[error("not an event: {0}")]
    Json(#[source] serde_json::Error),
    /// Not the protobuf of an event.
    #[error("not an event: {0}")]
    Protobuf(#[source] prost::DecodeError),
    /// Protobuf without what every event has.
    #[error("not an event: `type` or `gateway` is missing")]
    Incomplete,
    /// A node id that is none.
    #[error("not an event: node_id {0:?} is not 16 hexadecimal digits")]
    NodeId(String),
    /// Neither of the two forms.
    #[error("not an event: content-type {0:?} is neither application/json nor application/protobuf")]
    ContentType(String),
}

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
