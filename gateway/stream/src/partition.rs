//! Which partition a key belongs to: Kafka's default partitioner for keyed records, so that any producer and any
//! consumer of the same topic computes the same.
//!
//! `murmur2` is Austin Appleby's `MurmurHash2` with the seed of Kafka's Java client (`Utils.murmur2`); the partition is
//! the hash without its sign bit, modulo the number of partitions. Records without a key go to partition 0: this log
//! has no round-robin.

/// The partition, of `partition_count`, of the records with this key.
///
/// # Panics
/// If `partition_count` is 0.
#[must_use]
pub fn partition_of_key(key: Option<&[u8]>, partition_count: u32) -> u32 {
    assert!(partition_count > 0, "a topic has at least one partition");
    key.map_or(0, |key| (murmur2(key) & 0x7fff_ffff) % partition_count)
}

/// Kafka's hash of a key.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    // Kafka takes the low 32 bits of the length as well.
    let [b0, b1, b2, b3, ..] = key.len().to_le_bytes();
    let mut hash = SEED ^ u32::from_le_bytes([b0, b1, b2, b3]);
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ word.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

/// The directory of a partition.
pub(crate) fn directory_name(topic: &str, partition: u32) -> String {
    format!("{topic}-{partition}")
}

/// The partition whose directory has this name; `None` if it is no directory of `topic`.
pub(crate) fn partition_of_directory(name: &str, topic: &str) -> Option<u32> {
    let digits = name.strip_prefix(topic)?.strip_prefix('-')?;
    let partition = digits.parse().ok()?;
    // Not "+1" and not "01": one partition has one name.
    (directory_name(topic, partition) == name).then_some(partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_one_of_the_java_client() {
        // Vectors of Apache Kafka's UtilsTest.testMurmur2.
        for (key, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn keys_go_where_kafkas_producer_sends_them() {
        // Observed with librdkafka's murmur2_random partitioner on 4 partitions.
        for (key, expected) in [("node-1", 2), ("node-2", 1), ("a", 0), ("heartbeat", 3)] {
            assert_eq!(partition_of_key(Some(key.as_bytes()), 4), expected, "{key}");
        }
        assert_eq!(partition_of_key(None, 4), 0);
        assert_eq!(partition_of_key(Some(b"node-1"), 1), 0);
    }

    #[test]
    fn directory_names_read_back() {
        assert_eq!(directory_name("pulsegate.events", 3), "pulsegate.events-3");
        assert_eq!(partition_of_directory("pulsegate.events-3", "pulsegate.events"), Some(3));
        for name in [
            "pulsegate.events-03",
            "pulsegate.events-+3",
            "pulsegate.events-",
            "other-3",
            "pulsegate.events3",
        ] {
            assert_eq!(partition_of_directory(name, "pulsegate.events"), None, "{name}");
        }
        // A topic whose name ends like a partition of another is not that topic.
        assert_eq!(partition_of_directory("events-1-2", "events"), None);
        assert_eq!(partition_of_directory("events-1-2", "events-1"), Some(2));
    }
}
