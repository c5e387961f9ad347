//! `SaslHandshake` and `SaslAuthenticate`: which mechanism, and its message.

use super::error_code;
use crate::kafka::wire::{Reader, WireError, Writer};

/// The one mechanism that there is.
pub(in crate::kafka) const PLAIN: &str = "PLAIN";

/// The mechanism that a client wants.
pub(in crate::kafka) fn read_handshake<'a>(mut reader: Reader<'a>) -> Result<&'a str, WireError> {
    let mechanism = reader.string()?;
    reader.finish()?;
    Ok(mechanism)
}

pub(in crate::kafka) fn write_handshake(writer: &mut Writer, is_known: bool) {
    writer.int16(if is_known { error_code::NONE } else { error_code::UNSUPPORTED_SASL_MECHANISM });
    writer.array([PLAIN], Writer::string);
}

/// The message of the mechanism.
pub(in crate::kafka) fn read_authenticate<'a>(mut reader: Reader<'a>) -> Result<&'a [u8], WireError> {
    let message = reader.bytes()?;
    reader.tags()?;
    reader.finish()?;
    Ok(message)
}

pub(in crate::kafka) fn write_authenticate(writer: &mut Writer, version: i16, is_admitted: bool) {
    writer.int16(if is_admitted { error_code::NONE } else { error_code::SASL_AUTHENTICATION_FAILED });
    writer.nullable_string((!is_admitted).then_some("unknown user or wrong password"));
    writer.bytes(&[]);
    if version >= 1 {
        writer.int64(0); // The session has no end.
    }
    writer.tags();
}
