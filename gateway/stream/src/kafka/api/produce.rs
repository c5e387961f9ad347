//! `Produce`: refused. Only the gateway writes to its log.

use super::error_code;
use crate::kafka::wire::{Reader, WireError, Writer};

/// What has to be known to refuse.
#[derive(Debug)]
pub(in crate::kafka) struct Request<'a> {
    /// Without acknowledgement there is no response; the connection is closed instead.
    pub(in crate::kafka) wants_response: bool,
    pub(in crate::kafka) topics: Vec<(&'a str, Vec<i32>)>,
}

const REFUSAL: &str = "this topic is written by the gateway alone";

impl<'a> Request<'a> {
    pub(in crate::kafka) fn read(mut reader: Reader<'a>, version: i16) -> Result<Self, WireError> {
        if version >= 3 {
            reader.nullable_string()?; // Transaction.
        }
        let acks = reader.int16()?;
        reader.int32()?; // Timeout.
        let topics = reader.array(2, |reader| {
            let name = reader.string()?;
            let partitions = reader.array(5, |reader| {
                let index = reader.int32()?;
                reader.nullable_bytes()?;
                reader.tags()?;
                Ok(index)
            })?;
            reader.tags()?;
            Ok((name, partitions))
        })?;
        reader.tags()?;
        reader.finish()?;
        Ok(Self { wants_response: acks != 0, topics })
    }

    pub(in crate::kafka) fn write_refusal(&self, writer: &mut Writer, version: i16) {
        writer.array(&self.topics, |writer, (name, partitions)| {
            writer.string(name);
            writer.array(partitions, |writer, index| {
                writer.int32(*index);
                writer.int16(error_code::POLICY_VIOLATION);
                writer.int64(-1); // Base offset.
                if version >= 2 {
                    writer.int64(-1); // Append time.
                }
                if version >= 5 {
                    writer.int64(-1); // Start offset.
                }
                if version >= 8 {
                    writer.array([(); 0], |_, ()| {}); // Single records that are at fault.
                    writer.nullable_string(Some(REFUSAL));
                }
                writer.tags();
            });
            writer.tags();
        });
        if version >= 1 {
            writer.int32(0);
        }
        writer.tags();
    }
}
