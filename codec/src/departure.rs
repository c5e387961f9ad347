//! A node that goes away on purpose: the message `Departure`.

use crate::identity::{Incarnation, NodeId, Sequence};
use crate::protobuf::{
    FieldReader, put_fixed64_field, put_length, put_varint_field, varint_bytes, varint_field_bytes,
};
use crate::reject::{Faults, RejectReason};

const NODE_ID: u32 = 1;
const INCARNATION: u32 = 2;
const SEQUENCE: u32 = 3;
const REASON: u32 = 4;
const EXPECTED_RETURN_MS: u32 = 5;

/// A node that goes away on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Which node.
    pub node_id: NodeId,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// Its last heartbeat: anything up to it that arrives later is late, not a return.
    pub sequence: Sequence,
    /// Why.
    pub reason: DepartureReason,
    /// When it means to be back, in milliseconds from now; 0 means not known.
    pub expected_return_ms: u64,
}

/// Why a node goes away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum DepartureReason {
    /// Not told.
    #[default]
    Unspecified = 0,
    /// The process ends.
    Shutdown = 1,
    /// Work on the machine; it will be back.
    Maintenance = 2,
    /// The fleet shrinks; it will not be back.
    ScaleDown = 3,
}

impl DepartureReason {
    /// The reason with this number on the wire.
    const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Unspecified),
            1 => Some(Self::Shutdown),
            2 => Some(Self::Maintenance),
            3 => Some(Self::ScaleDown),
            _ => None,
        }
    }
}

impl Departure {
    /// Reads the message. What is wrong with its values goes to `faults`.
    ///
    /// # Errors
    /// [`RejectReason::BadProtobuf`].
    pub(crate) fn read(message: &[u8], faults: &mut Faults) -> Result<Self, RejectReason> {
        let mut departure = Self {
            node_id: NodeId(0),
            incarnation: Incarnation(0),
            sequence: Sequence(0),
            reason: DepartureReason::Unspecified,
            expected_return_ms: 0,
        };
        let mut fields = FieldReader::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                NODE_ID => departure.node_id = NodeId(value.fixed64()?),
                INCARNATION => departure.incarnation = Incarnation(faults.u32(value.varint()?)),
                SEQUENCE => departure.sequence = Sequence(faults.u32(value.varint()?)),
                REASON => match DepartureReason::from_number(value.varint()?) {
                    Some(reason) => departure.reason = reason,
                    None => faults.note(RejectReason::ValueOutOfRange),
                },
                EXPECTED_RETURN_MS => departure.expected_return_ms = value.varint()?,
                _ => {}
            }
        }
        Ok(departure)
    }

    /// Appends the message as field `number` of the batch.
    pub(crate) fn write(&self, number: u32, target: &mut Vec<u8>) {
        put_length(number, self.message_bytes(), target);
        put_fixed64_field(NODE_ID, self.node_id.0, target);
        put_varint_field(INCARNATION, self.incarnation.0.into(), target);
        put_varint_field(SEQUENCE, self.sequence.0.into(), target);
        put_varint_field(REASON, self.reason as u64, target);
        put_varint_field(EXPECTED_RETURN_MS, self.expected_return_ms, target);
    }

    /// Bytes that [`Self::write`] appends.
    pub(crate) const fn field_bytes(&self) -> usize {
        let message_bytes = self.message_bytes();
        1 + varint_bytes(message_bytes as u64) + message_bytes
    }

    const fn message_bytes(&self) -> usize {
        let node_id_bytes = if self.node_id.0 == 0 { 0 } else { 9 };
        node_id_bytes
            + varint_field_bytes(self.incarnation.0 as u64)
            + varint_field_bytes(self.sequence.0 as u64)
            + varint_field_bytes(self.reason as u64)
            + varint_field_bytes(self.expected_return_ms)
    }
}
