//! One record: what a producer hands to the log and what a consumer gets back.
//!
//! Keys, values and headers are shared slices ([`Bytes`]): a decoded record points into its batch.

use std::borrow::Cow;

use bytes::Bytes;
use pulsegate_codec::event::EventRecord;

/// One record of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// When it happened, in milliseconds since the Unix epoch, by the producer's clock.
    pub timestamp_ms: i64,
    /// Decides the partition; records with equal keys stay in order.
    pub key: Option<Bytes>,
    /// The payload. `None` deletes the key in a compacted topic.
    pub value: Option<Bytes>,
    /// In order; names may repeat.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The name.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Option<Bytes>,
}

impl Record {
    /// The value of the first header with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|header| header.name == name)?.value.as_ref()
    }
}

impl From<EventRecord> for Record {
    fn from(event: EventRecord) -> Self {
        let headers = event.headers.into_iter();
        Self {
            timestamp_ms: event.timestamp_ms,
            key: Some(event.key),
            value: Some(event.value),
            headers: headers.map(|(name, value)| Header { name: name.into(), value: Some(value) }).collect(),
        }
    }
}
