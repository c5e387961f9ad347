//! Every bound of the offset store, by name.

use crate::limits::{RECORD_BYTES_MAX, SEGMENT_BYTES_MIN, TOPIC_BYTES_MAX};

/// Longest group id, as in the coordinator.
pub const GROUP_ID_BYTES_MAX: usize = crate::kafka::group::limits::GROUP_ID_BYTES_MAX;

/// Most bytes of metadata with an offset. Kafka's default.
pub const METADATA_BYTES_MAX: usize = 4_096;

/// Most offsets, over all groups.
pub const ENTRIES_MAX: usize = 100_000;

/// Bytes that a group takes besides its id and its offsets, about: a node of its map has room for eleven offsets, however
/// few there are, and its place in the map of all groups is in a node that may be half empty.
pub const GROUP_OVERHEAD_BYTES: usize = 1_152;

/// Most bytes that all groups and offsets take in memory, about.
pub const STATE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Size of the log at which it is compacted, unless configured.
pub const COMPACT_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// How long the offsets of a group without members are kept, unless configured. Kafka's default.
pub const RETENTION_MS_DEFAULT: i64 = 7 * 24 * 60 * 60 * 1_000;

/// How long after the start no offset expires: members of long silent groups need time to come back.
pub const START_GRACE_MS: i64 = 60 * 60 * 1_000;

/// What the disk may lag behind in knowing that a group has members: after a restart its offsets are kept for so much
/// longer.
pub const ACTIVITY_STEP_MS: i64 = 24 * 60 * 60 * 1_000;

/// Most records of one append that no client asked for: of the compaction, say.
pub(super) const RECORDS_PER_APPEND: usize = 1_000;

// Whatever is within the bounds fits in a record.
const _: () = assert!(GROUP_ID_BYTES_MAX + TOPIC_BYTES_MAX + METADATA_BYTES_MAX + 1_024 < RECORD_BYTES_MAX);
// Lengths are written in 16 bits.
const _: () = assert!(METADATA_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(GROUP_ID_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(TOPIC_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(SEGMENT_BYTES_MIN < COMPACT_BYTES_DEFAULT);
