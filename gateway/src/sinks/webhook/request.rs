//! Events as HTTP requests, after the HTTP protocol binding of CloudEvents 1.0.2.
//!
//! The attributes are the headers `ce_…` of the record, as the Kafka binding writes them. A record without a value (the
//! state of a node that was forgotten) has no body, or no `data`.

use std::fmt::Write;

use pulsegate_stream::Record;

use crate::sinks::feed::Outgoing;

/// A batch is closed when its values reach this many bytes; CloudEvents asks consumers to take 64 KiB an event.
pub(super) const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The word of the field `type`, from the attribute `type`: `failed`, `gateway_started`.
pub(super) fn event_word(record: &Record) -> Option<String> {
    let attribute = std::str::from_utf8(record.header("ce_type")?).ok()?;
    let middle = attribute.strip_prefix("io.pulsegate.")?.strip_suffix(".v1")?;
    let (entity, change) = middle.split_once('.')?;
    Some(if entity == "node" { change.to_owned() } else { format!("{entity}_{change}") })
}

/// The headers of one event in binary mode.
pub(super) fn binary_headers(record: &Record) -> Vec<(String, String)> {
    let headers = record.headers.iter().filter_map(|header| Some((header, header.value.as_deref()?)));
    headers
        .map(|(header, value)| match header.name.strip_prefix("ce_") {
            Some(attribute) => (format!("ce-{attribute}"), encode_header(value)),
            None => (header.name.to_string(), encode_header(value)),
        })
        .collect()
}

/// Percent-encodes what the binding (3.1.3.2) does not allow in a header: anything but printable ASCII, and `"` and `%`.
/// A space is not allowed either.
fn encode_header(value: &[u8]) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_graphic() && !b"\"%".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes every write");
        }
    }
    encoded
}

/// Several events in batch mode: an array of what [`structured`] gives.
pub(super) fn batch(events: &[Outgoing]) -> Vec<u8> {
    let mut body = vec![b'['];
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        structured(&event.record, &mut body);
    }
    body.push(b']');
    body
}

/// One event as a JSON object.
pub(super) fn structured(record: &Record, body: &mut Vec<u8>) {
    body.push(b'{');
    let mut is_json = true;
    for header in &record.headers {
        let Some(value) = header.value.as_deref() else { continue };
        let name = match (header.name.strip_prefix("ce_"), &*header.name) {
            (Some(attribute), _) => attribute,
            (None, "content-type") => {
                is_json = value.starts_with(b"application/json");
                "datacontenttype"
            }
            (None, _) => continue,
        };
        write_json(name, body);
        body.push(b':');
        write_json(&String::from_utf8_lossy(value), body);
        body.push(b',');
    }
    match record.value.as_deref() {
        Some(value) if is_json => {
            body.extend_from_slice(b"\"data\":");
            body.extend_from_slice(value);
        }
        Some(value) => {
            body.extend_from_slice(b"\"data_base64\":\"");
            encode_base64(value, body);
            body.push(b'"');
        }
        // Takes the comma after the last attribute back.
        None => body.truncate(body.len() - usize::from(body.ends_with(b","))),
    }
    body.push(b'}');
}

fn write_json(text: &str, body: &mut Vec<u8>) {
    serde_json::to_writer(body, text).expect("text is JSON, and memory takes every write");
}

/// Base64 with padding (RFC 4648, section 4).
fn encode_base64(bytes: &[u8], body: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                body.push(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]);
            } else {
                body.push(b'=');
            }
        }
    }
}
