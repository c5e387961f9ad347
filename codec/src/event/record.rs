//! An event as the parts of a Kafka record: key, value, headers.
//!
//! The headers follow the Kafka binding of CloudEvents 1.0 in binary mode: each attribute is a header named `ce_` and
//! the attribute, except the content type, and the value is the data as it is. All that is not constant is written into
//! one buffer and cut into shared slices, so an event costs one allocation for its record.
//!
//! Putting the parts into a record batch is the business of `gateway/stream`.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Event, EventType, rfc3339_from_unix_us};

/// The parts of one record. Header names repeat nowhere; all values are UTF-8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRecord {
    /// When the gateway decided, in milliseconds since the Unix epoch: the record's timestamp.
    pub timestamp_ms: i64,
    /// What the event is about; decides the partition.
    pub key: Bytes,
    /// The event in its form.
    pub value: Bytes,
    /// Name and value.
    pub headers: [(&'static str, Bytes); 7],
}

/// In which form an event is a record's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ValueFormat {
    /// One flat JSON object.
    #[default]
    Json,
    /// `pulsegate.v1.Event` of `event.proto`.
    Protobuf,
}

impl ValueFormat {
    /// The header `content-type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
        }
    }
}

impl Event {
    /// The event as the parts of a record.
    #[must_use]
    pub fn to_record(&self, format: ValueFormat) -> EventRecord {
        let mut parts = Parts { buffer: BytesMut::with_capacity(RECORD_BYTES_TYPICAL) };
        let key = parts.cut(|buffer| buffer.extend_from_slice(self.subject().as_bytes()));
        let value = parts.cut(|buffer| match format {
            ValueFormat::Json => self.write_json(buffer),
            ValueFormat::Protobuf => buffer.extend_from_slice(&self.to_protobuf()),
        });
        let source = parts.cut(|buffer| {
            buffer.extend_from_slice(b"/gateways/");
            buffer.extend_from_slice(self.gateway.as_bytes());
        });
        let id = parts.cut(|buffer| {
            write_text(buffer, format_args!("{}/{}/{}", self.gateway, self.epoch, self.gateway_sequence));
        });
        let time = parts.cut(|buffer| {
            buffer.extend_from_slice(rfc3339_from_unix_us(self.decided_at_unix_us).as_bytes());
        });
        let event_type = parts.cut(|buffer| {
            buffer.extend_from_slice(self.event_type.cloud_events_type().as_bytes());
        });
        EventRecord {
            timestamp_ms: i64::try_from(self.decided_at_unix_us / 1_000).unwrap_or(i64::MAX),
            headers: [
                ("ce_specversion", Bytes::from_static(b"1.0")),
                ("ce_type", event_type),
                ("ce_source", source),
                ("ce_id", id),
                ("ce_time", time),
                ("ce_subject", key.clone()),
                ("content-type", Bytes::from_static(format.content_type().as_bytes())),
            ],
            key,
            value,
        }
    }

    /// The value of the event's record: one JSON object without white space.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut buffer = BytesMut::with_capacity(RECORD_BYTES_TYPICAL);
        self.write_json(&mut buffer);
        buffer.to_vec()
    }

    fn write_json(&self, buffer: &mut BytesMut) {
        serde_json::to_writer(buffer.writer(), self)
            .expect("an event holds text and integers only, and a buffer in memory takes every write");
    }
}

/// Enough for an event with a few labels, so that the buffer rarely grows.
const RECORD_BYTES_TYPICAL: usize = 1_024;

struct Parts {
    buffer: BytesMut,
}

impl Parts {
    /// What `write` writes, as a slice of the shared buffer.
    fn cut(&mut self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        write(&mut self.buffer);
        self.buffer.split().freeze()
    }
}

fn write_text(buffer: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    buffer.writer().write_fmt(text).expect("a buffer in memory takes every write");
}

impl EventType {
    /// The CloudEvents attribute `type`, for example `io.pulsegate.node.failed.v1`.
    #[must_use]
    pub fn cloud_events_type(&self) -> String {
        let (entity, change) = self.entity_and_change();
        format!("io.pulsegate.{entity}.{change}.v1")
    }
}
