//! An event in protobuf: the same fields by number, for consumers that decode millions.
//!
//! The generated type does the work; events are rare beside heartbeats. A reader ignores what it does not know, as with
//! the JSON.

use prost::Message;

use super::{Event, EventError, EventType, Word};
use crate::proto;

impl Event {
    /// The value of the event's record as `pulsegate.v1.Event`.
    #[must_use]
    pub fn to_protobuf(&self) -> Vec<u8> {
        self.to_message().encode_to_vec()
    }

    /// Reads protobuf. Fields that this version does not know are ignored.
    ///
    /// # Errors
    /// If the bytes are no protobuf message of this type, `type` or `gateway` is missing, or the node id is none.
    pub fn from_protobuf(value: &[u8]) -> Result<Self, EventError> {
        let message = proto::Event::decode(value).map_err(EventError::Protobuf)?;
        if message.r#type.is_empty() || message.gateway.is_empty() {
            return Err(EventError::Incomplete);
        }
        let node_id = match message.node_id.as_str() {
            "" => None,
            text if text.len() == 16 => Some(text.parse().map_err(|_| EventError::NodeId(text.to_owned()))?),
            text => return Err(EventError::NodeId(text.to_owned())),
        };
        Ok(Self {
            event_type: EventType::from_word(&message.r#type),
            node: message.node,
            node_id,
            zone: message.zone,
            labels: message.labels,
            incarnation: message.incarnation,
            event_sequence: message.event_sequence,
            gateway: message.gateway,
            epoch: message.epoch,
            gateway_sequence: message.gateway_sequence,
            decided_at_unix_us: message.decided_at_unix_us,
            shard: message.shard,
            previous: message.previous.map(Word::from),
            last_seen_unix_us: message.last_seen_unix_us,
            deadline_unix_us: message.deadline_unix_us,
            lateness_us: message.lateness_us,
            silence_us: message.silence_us,
            interval_ms: message.interval_ms,
            suspect_timeout_ms: message.suspect_timeout_ms,
            failed_timeout_ms: message.failed_timeout_ms,
            detector: message.detector.map(Word::from),
            last_sequence: message.last_sequence,
            intervals_missed: message.intervals_missed,
            reason: message.reason.map(Word::from),
            expected_return_ms: message.expected_return_ms,
            state: message.state.map(Word::from),
            cause_id: message.cause_id,
            dimension: message.dimension,
            value: message.value,
            count: message.count,
            members: message.members,
            held_us: message.held_us,
            profile: message.profile,
            mean_us: message.mean_us,
            deviation_us: message.deviation_us,
            phi_threshold_milli: message.phi_threshold_milli,
            round_trip_time_us: message.round_trip_time_us,
            progress: message.progress,
            pending: message.pending,
            flap_count: message.flap_count,
            pause_us: message.pause_us,
            dropped: message.dropped,
            sources: message.sources,
            probe: message.probe.map(Word::from),
            sink: message.sink,
            topic: message.topic,
            partition: message.partition,
            first_offset: message.first_offset,
            next_offset: message.next_offset,
            bytes: message.bytes,
        })
    }

    fn to_message(&self) -> proto::Event {
        proto::Event {
            r#type: self.event_type.word().to_owned(),
            node: self.node.clone(),
            node_id: self.node_id.map_or_else(String::new, |id| id.to_string()),
            zone: self.zone.clone(),
            labels: self.labels.clone(),
            incarnation: self.incarnation,
            event_sequence: self.event_sequence,
            gateway: self.gateway.clone(),
            epoch: self.epoch,
            gateway_sequence: self.gateway_sequence,
            decided_at_unix_us: self.decided_at_unix_us,
            shard: self.shard,
            previous: word(&self.previous),
            last_seen_unix_us: self.last_seen_unix_us,
            deadline_unix_us: self.deadline_unix_us,
            lateness_us: self.lateness_us,
            silence_us: self.silence_us,
            interval_ms: self.interval_ms,
            suspect_timeout_ms: self.suspect_timeout_ms,
            failed_timeout_ms: self.failed_timeout_ms,
            detector: word(&self.detector),
            last_sequence: self.last_sequence,
            intervals_missed: self.intervals_missed,
            reason: word(&self.reason),
            expected_return_ms: self.expected_return_ms,
            state: word(&self.state),
            cause_id: self.cause_id.clone(),
            dimension: self.dimension.clone(),
            value: self.value.clone(),
            count: self.count,
            members: self.members,
            held_us: self.held_us,
            profile: self.profile.clone(),
            mean_us: self.mean_us,
            deviation_us: self.deviation_us,
            phi_threshold_milli: self.phi_threshold_milli,
            round_trip_time_us: self.round_trip_time_us,
            progress: self.progress,
            pending: self.pending,
            flap_count: self.flap_count,
            pause_us: self.pause_us,
            dropped: self.dropped,
            sources: self.sources.clone(),
            probe: word(&self.probe),
            sink: self.sink.clone(),
            topic: self.topic.clone(),
            partition: self.partition,
            first_offset: self.first_offset,
            next_offset: self.next_offset,
            bytes: self.bytes,
        }
    }
}

fn word(word: &Option<Word>) -> Option<String> {
    word.as_deref().map(str::to_owned)
}
