//! Every bound of the log, by name. What exceeds one is refused with an error that names it.

/// Most bytes of one record as it lies in a batch: key, value, headers and their lengths.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Most records of one batch.
pub const RECORDS_PER_BATCH_MAX: usize = 16_384;

/// Most bytes of one batch, header included. Kafka clients fetch so much of a partition at once by default.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Most partitions of a topic.
pub const PARTITIONS_MAX: u32 = 1_024;

/// Longest topic name, as in Kafka: a directory name has 255 bytes and the partition needs a few.
pub const TOPIC_BYTES_MAX: usize = 249;

/// Size at which a segment is sealed and the next one begun, unless configured.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Smallest configurable segment.
pub const SEGMENT_BYTES_MIN: u64 = 1024;

/// Largest configurable segment.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Bytes of a partition that are kept at least, unless configured.
pub const RETENTION_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;

/// Most bytes of batches that one poll of a reader takes from the files.
pub const POLL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that a walk over a segment reads at once.
pub const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Bytes of a segment between two entries of its index: what a reader walks through at most to find a batch.
pub const INDEX_INTERVAL_BYTES: u64 = 16 * 1024;

/// Most keys that one pass of compaction holds in memory: some 50 MiB. More keys take more passes.
pub const COMPACTION_KEYS_MAX: usize = 1 << 20;

/// Bytes after which compaction begins the next batch.
pub const COMPACTED_BATCH_BYTES: usize = 64 * 1024;

/// How long compaction keeps a record without a value at least, unless configured: a day.
pub const TOMBSTONES_KEPT_MS: u64 = 24 * 3_600 * 1_000;

/// Bytes of a batch before its first record.
pub const BATCH_HEADER_BYTES: usize = 61;

/// The smallest record: its length, attributes, two deltas, null key, null value, no headers. One byte each.
pub const RECORD_BYTES_MIN: usize = 7;

// Any record that is accepted fits in a batch of its own.
const _: () = assert!(BATCH_HEADER_BYTES + RECORD_BYTES_MAX <= BATCH_BYTES_MAX);
// A poll can always take at least one batch.
const _: () = assert!(BATCH_BYTES_MAX <= POLL_BYTES_MAX);
// Kafka's tools keep positions in a segment in 31 bits.
const _: () = assert!(SEGMENT_BYTES_MAX <= i32::MAX as u64);
// A segment has room for any batch; only a smaller configured one is overshot, by one batch.
const _: () = assert!(BATCH_BYTES_MAX as u64 <= SEGMENT_BYTES_DEFAULT);
const _: () =
    assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES_DEFAULT && SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_DEFAULT <= RETENTION_BYTES_DEFAULT);
// A batch can hold its most records, if they are small enough.
const _: () = assert!(BATCH_HEADER_BYTES + RECORDS_PER_BATCH_MAX * RECORD_BYTES_MIN <= BATCH_BYTES_MAX);
const _: () = assert!(READ_AHEAD_BYTES >= BATCH_HEADER_BYTES);
