//! What does not change from beat to beat: the message `NodeDescriptor`.
//!
//! Descriptors are rare (at start, on change, once a minute or so), so they are read twice: once to check them while
//! the frame is decoded, and once when somebody asks for them. Both readings go through [`DescriptorFields`], so what
//! passed the first cannot fail the second.

use crate::identity::NodeId;
use crate::limits::{LABELS_PER_NODE_MAX, NAME_BYTES_MAX, SERVICES_PER_NODE_MAX};
use crate::protobuf::{
    FieldReader, bytes_field_bytes, put_bytes_field, put_length, put_varint_field, varint_field_bytes,
};
use crate::reject::{Faults, RejectReason};

const NAME: u32 = 1;
const ZONE: u32 = 2;
const LABEL: u32 = 3;
const INTERVAL_MS: u32 = 4;
const PROFILE: u32 = 5;
const SERVICE: u32 = 6;
const ROUND_TRIP_TIME_US: u32 = 7;
const PROBE: u32 = 8;

const LABEL_KEY: u32 = 1;
const LABEL_VALUE: u32 = 2;

/// What does not change from beat to beat. Borrowed from the frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeDescriptor<'a> {
    /// Unique in the fleet; its hash is the node's id. Never empty.
    pub name: &'a str,
    /// Failure domain; empty when not told.
    pub zone: &'a str,
    /// Key and value, in the frame's order. At most [`crate::limits::LABELS_PER_NODE_MAX`]; a key is never empty.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Time between two heartbeats; 0 means the gateway's default.
    pub interval_ms: u32,
    /// Timeout profile; empty means the default.
    pub profile: &'a str,
    /// What runs on the node. At most [`crate::limits::SERVICES_PER_NODE_MAX`]; none is empty.
    pub services: Vec<&'a str>,
    /// Round-trip time to the gateway as the sender measured it; 0 means not known.
    pub round_trip_time_us: u32,
    /// What to ask when the node falls silent, such as `tcp://host:port`; empty means nothing.
    pub probe: &'a str,
}

impl<'a> NodeDescriptor<'a> {
    /// The node that this describes.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId::from_name(self.name)
    }

    /// Checks the message and returns the name in it. What is wrong with its values goes to `faults`.
    ///
    /// # Errors
    /// [`RejectReason::BadProtobuf`].
    pub(crate) fn check(message: &'a [u8], faults: &mut Faults) -> Result<&'a str, RejectReason> {
        let mut name = "";
        let mut label_count = 0;
        let mut service_count = 0;
        let mut fields = DescriptorFields::new(message);
        while let Some(field) = fields.next_field(faults)? {
            match field {
                DescriptorField::Name(text) => name = text,
                DescriptorField::Label(key, _) => {
                    label_count += 1;
                    faults.note_if(key.is_empty(), RejectReason::BadText);
                }
                DescriptorField::Service(text) => {
                    service_count += 1;
                    faults.note_if(text.is_empty(), RejectReason::BadText);
                }
                DescriptorField::Zone(_)
                | DescriptorField::Profile(_)
                | DescriptorField::Probe(_)
                | DescriptorField::IntervalMs(_)
                | DescriptorField::RoundTripTimeUs(_) => {}
            }
        }
        faults.note_if(name.is_empty(), RejectReason::BadText);
        let has_too_many = label_count > LABELS_PER_NODE_MAX || service_count > SERVICES_PER_NODE_MAX;
        faults.note_if(has_too_many, RejectReason::TooManyElements);
        Ok(name)
    }

    /// Reads a message that [`Self::check`] has passed.
    pub(crate) fn read(message: &'a [u8]) -> Self {
        let mut descriptor = Self::default();
        let mut fields = DescriptorFields::new(message);
        while let Ok(Some(field)) = fields.next_field(&mut Faults::default()) {
            match field {
                DescriptorField::Name(text) => descriptor.name = text,
                DescriptorField::Zone(text) => descriptor.zone = text,
                DescriptorField::Label(key, value) => descriptor.labels.push((key, value)),
                DescriptorField::IntervalMs(interval_ms) => descriptor.interval_ms = interval_ms,
                DescriptorField::Profile(text) => descriptor.profile = text,
                DescriptorField::Service(text) => descriptor.services.push(text),
                DescriptorField::RoundTripTimeUs(round_trip_time_us) => {
                    descriptor.round_trip_time_us = round_trip_time_us;
                }
                DescriptorField::Probe(text) => descriptor.probe = text,
            }
        }
        descriptor
    }

    /// Whether every text has a length that the wire allows.
    pub(crate) fn has_valid_texts(&self) -> bool {
        let may_be_empty =
            [self.zone, self.profile, self.probe].into_iter().chain(self.labels.iter().map(|label| label.1));
        let must_not_be_empty = [self.name]
            .into_iter()
            .chain(self.labels.iter().map(|label| label.0))
            .chain(self.services.iter().copied());
        may_be_empty.into_iter().all(|text| text.len() <= NAME_BYTES_MAX)
            && must_not_be_empty.into_iter().all(|text| !text.is_empty() && text.len() <= NAME_BYTES_MAX)
    }

    /// Whether it has more labels or services than the wire allows.
    pub(crate) const fn has_too_many_elements(&self) -> bool {
        self.labels.len() > LABELS_PER_NODE_MAX || self.services.len() > SERVICES_PER_NODE_MAX
    }

    /// Appends the message as field `number` of the batch.
    pub(crate) fn write(&self, number: u32, target: &mut Vec<u8>) {
        put_length(number, self.message_bytes(), target);
        put_text(NAME, self.name, target);
        put_text(ZONE, self.zone, target);
        for &(key, value) in &self.labels {
            put_length(LABEL, text_bytes(key) + text_bytes(value), target);
            put_text(LABEL_KEY, key, target);
            put_text(LABEL_VALUE, value, target);
        }
        put_varint_field(INTERVAL_MS, self.interval_ms.into(), target);
        put_text(PROFILE, self.profile, target);
        for service in &self.services {
            put_bytes_field(SERVICE, service.as_bytes(), target);
        }
        put_varint_field(ROUND_TRIP_TIME_US, self.round_trip_time_us.into(), target);
        put_text(PROBE, self.probe, target);
    }

    /// Bytes that [`Self::write`] appends.
    pub(crate) fn field_bytes(&self) -> usize {
        bytes_field_bytes(self.message_bytes())
    }

    fn message_bytes(&self) -> usize {
        let label_bytes =
            |&(key, value): &(&str, &str)| bytes_field_bytes(text_bytes(key) + text_bytes(value));
        text_bytes(self.name)
            + text_bytes(self.zone)
            + self.labels.iter().map(label_bytes).sum::<usize>()
            + varint_field_bytes(self.interval_ms.into())
            + text_bytes(self.profile)
            + self.services.iter().map(|service| bytes_field_bytes(service.len())).sum::<usize>()
            + varint_field_bytes(self.round_trip_time_us.into())
            + text_bytes(self.probe)
    }
}

/// One known field of a descriptor.
enum DescriptorField<'a> {
    Name(&'a str),
    Zone(&'a str),
    Label(&'a str, &'a str),
    IntervalMs(u32),
    Profile(&'a str),
    Service(&'a str),
    RoundTripTimeUs(u32),
    Probe(&'a str),
}

/// Reads a descriptor field by field, skipping what it does not know.
struct DescriptorFields<'a> {
    fields: FieldReader<'a>,
}

impl<'a> DescriptorFields<'a> {
    const fn new(message: &'a [u8]) -> Self {
        Self { fields: FieldReader::new(message) }
    }

    fn next_field(&mut self, faults: &mut Faults) -> Result<Option<DescriptorField<'a>>, RejectReason> {
        while let Some((number, value)) = self.fields.next_field()? {
            return Ok(Some(match number {
                NAME => DescriptorField::Name(read_text(value.bytes()?, faults)),
                ZONE => DescriptorField::Zone(read_text(value.bytes()?, faults)),
                LABEL => {
                    let (key, value) = read_label(value.bytes()?, faults)?;
                    DescriptorField::Label(key, value)
                }
                INTERVAL_MS => DescriptorField::IntervalMs(faults.u32(value.varint()?)),
                PROFILE => DescriptorField::Profile(read_text(value.bytes()?, faults)),
                SERVICE => DescriptorField::Service(read_text(value.bytes()?, faults)),
                ROUND_TRIP_TIME_US => DescriptorField::RoundTripTimeUs(faults.u32(value.varint()?)),
                PROBE => DescriptorField::Probe(read_text(value.bytes()?, faults)),
                _ => continue,
            }));
        }
        Ok(None)
    }
}

fn read_label<'a>(message: &'a [u8], faults: &mut Faults) -> Result<(&'a str, &'a str), RejectReason> {
    let mut label = ("", "");
    let mut fields = FieldReader::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            LABEL_KEY => label.0 = read_text(value.bytes()?, faults),
            LABEL_VALUE => label.1 = read_text(value.bytes()?, faults),
            _ => {}
        }
    }
    Ok(label)
}

/// The text, or an empty one and a fault if it is too long or not UTF-8.
fn read_text<'a>(bytes: &'a [u8], faults: &mut Faults) -> &'a str {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= NAME_BYTES_MAX => text,
        _ => {
            faults.note(RejectReason::BadText);
            ""
        }
    }
}

/// Appends a text field, unless it is empty.
fn put_text(number: u32, text: &str, target: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes_field(number, text.as_bytes(), target);
    }
}

const fn text_bytes(text: &str) -> usize {
    if text.is_empty() { 0 } else { bytes_field_bytes(text.len()) }
}
