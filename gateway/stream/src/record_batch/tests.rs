//! The batch format against bytes that another implementation made, and against anything.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::record::{Header, Record};

/// Four records from offset 42 on, as kafka-python 3.0.12 writes them (`pip install kafka-python`):
///
/// ```python
/// import struct
/// from kafka.record.default_records import DefaultRecordBatchBuilder
/// builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
/// for offset, timestamp, key, value, headers in [
///     (0, 1795500000000, b"node-7", b'{"type":"failed","node":"node-7"}',
///      [("ce_specversion", b"1.0"), ("content-type", b"application/json")]),
///     (1, 1795500000250, b"node-8", None, []),
///     (2, 1795499999000, None, b"x" * 70, [("empty", b""), ("null", None)]),
///     (3, 1795500000001, b"", b"", [("\u00fc", b"\x00\xff")]),
/// ]:
///     builder.append(offset, timestamp, key, value, headers)
/// batch = bytearray(builder.build())
/// batch[0:8] = struct.pack(">q", 42)  # A broker assigns the base offset; the checksum leaves it out.
/// print(batch.hex())
/// ```
const GOLDEN: &str = concat!(
    "000000000000002a0000010900000000020bcef607000000000003000001a20c23c300000001a20c23c3faffffffffff",
    "ffffffffffffffffff00000004bc010000000c6e6f64652d37427b2274797065223a226661696c6564222c226e6f6465",
    "223a226e6f64652d37227d041c63655f7370656376657273696f6e06312e3018636f6e74656e742d7479706520617070",
    "6c69636174696f6e2f6a736f6e1a00f403020c6e6f64652d380100b60100cf0f04018c01787878787878787878787878",
    "787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878",
    "78787878787878787878040a656d70747900086e756c6c011800020600000204c3bc0400ff",
);

fn golden_bytes() -> Vec<u8> {
    let digits = GOLDEN.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn header(name: &'static str, value: Option<&'static [u8]>) -> Header {
    Header { name: name.into(), value: value.map(Bytes::from_static) }
}

fn golden_records() -> Vec<Record> {
    vec![
        Record {
            timestamp_ms: 1_795_500_000_000,
            key: Some("node-7".into()),
            value: Some(r#"{"type":"failed","node":"node-7"}"#.into()),
            headers: vec![
                header("ce_specversion", Some(b"1.0")),
                header("content-type", Some(b"application/json")),
            ],
        },
        Record { timestamp_ms: 1_795_500_000_250, key: Some("node-8".into()), ..Record::default() },
        Record {
            timestamp_ms: 1_795_499_999_000,
            key: None,
            value: Some("x".repeat(70).into()),
            headers: vec![header("empty", Some(b"")), header("null", None)],
        },
        Record {
            timestamp_ms: 1_795_500_000_001,
            key: Some("".into()),
            value: Some("".into()),
            headers: vec![header("ü", Some(b"\x00\xff"))],
        },
    ]
}

fn encoded(base_offset: u64, records: &[Record]) -> Vec<u8> {
    let mut buffer = Vec::new();
    encode_batch(&mut buffer, base_offset, records);
    buffer
}

#[test]
fn encoder_writes_what_another_implementation_writes() {
    assert_eq!(encoded(42, &golden_records()), golden_bytes());
}

#[test]
fn decoder_reads_what_another_implementation_wrote() {
    let batch = Bytes::from(golden_bytes());
    assert_eq!(decode_batch(&batch, 42).unwrap(), golden_records());
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.base_offset, header.next_offset(), header.batch_bytes), (42, 46, batch.len()));
    assert_eq!(header.base_timestamp_ms, 1_795_500_000_000);
    assert_eq!(header.max_timestamp_ms, 1_795_500_000_250);
}

#[test]
fn every_flipped_bit_is_noticed() {
    // Also those that the checksum leaves out: offset, length, epoch, magic.
    let batch = golden_bytes();
    for bit in 0..batch.len() * 8 {
        let mut damaged = batch.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_batch(&damaged.into(), 42).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let batch = golden_bytes();
    for bytes in 0..batch.len() {
        let cut = Bytes::copy_from_slice(&batch[..bytes]);
        assert!(matches!(decode_batch(&cut, 42), Err(BatchFault::Truncated { .. })), "{bytes}");
    }
}

/// Changes a batch and gives it the checksum of the changed content: what a broken writer would make.
fn resealed(mut batch: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    change(&mut batch);
    let length = i32::try_from(batch.len() - LENGTH_COUNTS_FROM).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
    batch.into()
}

#[test]
fn malformed_batches_with_a_right_checksum_are_refused() {
    let fault = |change: fn(&mut Vec<u8>)| decode_batch(&resealed(golden_bytes(), change), 42).unwrap_err();
    assert_eq!(fault(|batch| batch[16] = 1), BatchFault::WrongMagic(1));
    assert_eq!(fault(|batch| batch[15] = 9), BatchFault::WrongLeaderEpoch(9));
    assert_eq!(fault(|batch| batch[22] = 4), BatchFault::UnsupportedAttributes(4));
    assert_eq!(fault(|batch| batch[7] = 41), BatchFault::WrongOffset { expected: 42, found: 41 });
    let wrong_count =
        |record_count, last_offset_delta| BatchFault::WrongCount { record_count, last_offset_delta };
    assert_eq!(fault(|batch| batch[60] = 5), wrong_count(5, 3));
    assert_eq!(fault(|batch| batch[57] = 0x80), wrong_count(i32::MIN + 4, 3));
    assert_eq!(fault(|batch| batch[26] = 4), wrong_count(4, 4));
    // One record more than there are, one fewer, a byte over, an offset that jumps.
    let counted = |batch: &mut Vec<u8>, count: u8| (batch[26], batch[60]) = (count - 1, count);
    assert_eq!(decode_batch(&resealed(golden_bytes(), |batch| counted(batch, 5)), 42), malformed(4));
    assert_eq!(decode_batch(&resealed(golden_bytes(), |batch| counted(batch, 3)), 42), malformed(3));
    assert_eq!(fault(|batch| batch.push(0)), BatchFault::MalformedRecord(4));
    assert_eq!(fault(|batch| batch[65] = 2), BatchFault::MalformedRecord(0));
}

const fn malformed(index: usize) -> Result<Vec<Record>, BatchFault> {
    Err(BatchFault::MalformedRecord(index))
}

#[test]
fn offsets_at_the_end_of_their_range_do_not_overflow() {
    let batch = Bytes::from(encoded(u64::MAX - 3, &golden_records()));
    assert!(matches!(decode_batch(&batch, u64::MAX - 3), Err(BatchFault::WrongCount { .. })));
    let batch = Bytes::from(encoded(u64::MAX - 4, &golden_records()));
    assert_eq!(decode_batch(&batch, u64::MAX - 4).unwrap().len(), 4);
}

#[test]
#[should_panic(expected = "at least one record")]
fn batch_without_records_is_a_mistake_of_the_caller() {
    encode_batch(&mut Vec::new(), 0, &[]);
}

fn any_bytes(bytes_max: usize) -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..bytes_max).prop_map(Bytes::from))
}

fn any_record() -> impl Strategy<Value = Record> {
    let header = ("\\PC{0,12}", any_bytes(20)).prop_map(|(name, value)| Header { name: name.into(), value });
    let headers = proptest::collection::vec(header, 0..4);
    (any::<i64>(), any_bytes(100), any_bytes(300), headers)
        .prop_map(|(timestamp_ms, key, value, headers)| Record { timestamp_ms, key, value, headers })
}

proptest! {
    #[test]
    fn batches_round_trip(
        base_offset in 0..u64::MAX / 2, records in proptest::collection::vec(any_record(), 1..20),
        garbage in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut buffer = garbage.clone();
        encode_batch(&mut buffer, base_offset, &records);
        prop_assert_eq!(&buffer[..garbage.len()], &garbage[..]);
        let bound: usize = BATCH_HEADER_BYTES + records.iter().map(record_bytes).sum::<usize>();
        prop_assert!(buffer.len() - garbage.len() <= bound);
        // What follows a batch is not looked at.
        let end = buffer.len();
        buffer.extend_from_slice(&garbage);
        let batch = Bytes::from(buffer).slice(garbage.len()..);
        prop_assert_eq!(BatchHeader::parse(&batch).unwrap().batch_bytes, end - garbage.len());
        prop_assert_eq!(decode_batch(&batch, base_offset).unwrap(), records);
    }

    #[test]
    fn decoder_survives_any_records_with_a_right_checksum(
        body in proptest::collection::vec(any::<u8>(), 0..200), count in any::<u8>(),
    ) {
        let mut batch = golden_bytes();
        batch.truncate(BATCH_HEADER_BYTES);
        let batch = resealed(batch, |batch| {
            batch.extend_from_slice(&body);
            (batch[26], batch[60]) = (count.wrapping_sub(1), count);
        });
        let _ = decode_batch(&batch, 42);
    }

    #[test]
    fn decoder_survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_batch(&bytes.into(), 42).is_err());
    }

    #[test]
    fn decoder_survives_changed_bytes(
        changes in proptest::collection::vec((0..277_usize, any::<u8>()), 1..6),
    ) {
        let batch = resealed(golden_bytes(), |batch| {
            for (position, byte) in changes {
                batch[position] = byte;
            }
        });
        let _ = decode_batch(&batch, 42);
    }
}
