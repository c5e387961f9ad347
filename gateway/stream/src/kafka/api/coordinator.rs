//! `FindCoordinator`: this gateway coordinates every group. There are no transactions.

use super::error_code;
use crate::kafka::server::Advertised;
use crate::kafka::wire::{Reader, WireError, Writer};

/// Which coordinators are looked for.
#[derive(Debug)]
pub(in crate::kafka) struct Request<'a> {
    pub(in crate::kafka) is_group: bool,
    pub(in crate::kafka) keys: Vec<&'a str>,
}

const GROUP: i8 = 0;
const REFUSAL: &str = "there are no transactions here";

impl<'a> Request<'a> {
    pub(in crate::kafka) fn read(mut reader: Reader<'a>, version: i16) -> Result<Self, WireError> {
        let mut keys = Vec::new();
        if version < 4 {
            keys.push(reader.string()?);
        }
        let kind = if version >= 1 { reader.int8()? } else { GROUP };
        if version >= 4 {
            keys = reader.array(1, Reader::string)?;
        }
        reader.tags()?;
        reader.finish()?;
        Ok(Self { is_group: kind == GROUP, keys })
    }

    pub(in crate::kafka) fn write_response(&self, writer: &mut Writer, version: i16, broker: &Advertised) {
        let (error, message) = if self.is_group {
            (error_code::NONE, None)
        } else {
            (error_code::COORDINATOR_NOT_AVAILABLE, Some(REFUSAL))
        };
        let address = |writer: &mut Writer| {
            writer.int32(if self.is_group { broker.node_id } else { -1 });
            writer.string(if self.is_group { &broker.host } else { "" });
            writer.int32(if self.is_group { i32::from(broker.port) } else { -1 });
        };
        if version >= 1 {
            writer.int32(0);
        }
        if version >= 4 {
            writer.array(&self.keys, |writer, key| {
                writer.string(key);
                address(writer);
                writer.int16(error);
                writer.nullable_string(message);
                writer.tags();
            });
        } else {
            writer.int16(error);
            if version >= 1 {
                writer.nullable_string(message);
            }
            address(writer);
        }
        writer.tags();
    }
}
