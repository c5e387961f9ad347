//! `ApiVersions`: what this side understands. The tag section stays empty: old librdkafka misreads a full one.

use super::{APIS, Api, LOGIN_APIS, error_code};
use crate::kafka::wire::{Reader, WireError, Writer};

/// Nothing of the request matters.
pub(in crate::kafka) fn read(mut reader: Reader<'_>, version: i16) -> Result<(), WireError> {
    if version >= 3 {
        reader.string()?; // Name of the client's software.
        reader.string()?; // Its version.
    }
    reader.tags()?;
    reader.finish()
}

/// The table; `has_logins`: with what a login needs.
pub(in crate::kafka) fn write(writer: &mut Writer, version: i16, error: i16, has_logins: bool) {
    writer.int16(error);
    let login_apis: &[Api] = if has_logins { &LOGIN_APIS } else { &[] };
    let apis: Vec<Api> = APIS.iter().chain(login_apis).copied().collect();
    writer.array(apis, |writer, api| {
        writer.int16(api.key as i16);
        writer.int16(api.version_min);
        writer.int16(api.version_max);
        writer.tags();
    });
    if version >= 1 {
        writer.int32(0); // Throttle time.
    }
    writer.tags();
}

/// The answer to a version that is not known: as version 0, with an error and the table.
pub(in crate::kafka) fn unknown_version(correlation_id: i32, has_logins: bool) -> Vec<u8> {
    let mut writer = Writer::new(correlation_id, false, false);
    write(&mut writer, 0, error_code::UNSUPPORTED_VERSION, has_logins);
    writer.finish()
}
