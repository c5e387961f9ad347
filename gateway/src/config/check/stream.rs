//! The rules of `[stream]`.

use std::time::Duration;

use pulsegate_codec::event::ValueFormat;

use super::{ConfigError, ranged, small};
use crate::config::Stream;
use crate::config::limits::{self, defaults};
use crate::config::raw::{FsyncPolicy, RawStream, RawValues};

pub(super) fn check(raw: &RawStream) -> Result<Stream, ConfigError> {
    let partitions = ranged("stream.partitions", raw.partitions, defaults::PARTITIONS, limits::PARTITIONS)?;
    let segment_bytes =
        ranged("stream.segment-bytes", raw.segment_bytes, defaults::SEGMENT_BYTES, limits::SEGMENT_BYTES)?;
    let retention_bytes = raw.retention_bytes.unwrap_or(defaults::RETENTION_BYTES);
    if retention_bytes != 0 && retention_bytes < segment_bytes {
        return Err(ConfigError::Contradiction {
            key: "stream.retention-bytes",
            value: retention_bytes,
            relation: "0 (keep everything) or at least",
            other_key: "stream.segment-bytes",
            other_value: segment_bytes,
            remedy: "whole segments are dropped: raise the first or lower the second".to_owned(),
        });
    }
    let retention_hours = ranged("stream.retention-hours", raw.retention_hours, 0, limits::RETENTION_HOURS)?;
    if let FsyncPolicy::IntervalMs(interval_ms) = raw.fsync {
        let value = u64::from(interval_ms.get());
        ranged("stream.fsync.interval-ms", Some(value), value, limits::FSYNC_INTERVAL_MS)?;
    }
    let values = match raw.values {
        RawValues::Json => ValueFormat::Json,
        RawValues::Protobuf => ValueFormat::Protobuf,
    };
    Ok(Stream {
        partitions: small(partitions),
        segment_bytes,
        retention_bytes,
        retention: Duration::from_secs(retention_hours * 3_600),
        fsync: raw.fsync,
        values,
        on_damage: raw.on_damage,
    })
}
