//! The file as it was written, and as no file should be.

use proptest::prelude::*;
use pulsegate_codec::{Incarnation, NodeId, Sequence};
use pulsegate_engine::{Duration, NodeState};

use super::*;

fn record(number: u64) -> NodeRecord {
    NodeRecord {
        node_id: NodeId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        silence: Duration::from_micros(number),
        incarnation: Incarnation(1),
        sequence: Sequence(u32::try_from(number % 1_000).unwrap()),
        interval_ms: 1_000,
        event_sequence: 1,
        state: NodeState::Alive,
        is_degraded: false,
        is_stalled: false,
        profile: 0,
    }
}

fn header(records: u64) -> Header {
    Header {
        epoch: 7,
        taken_at_unix_us: 1_795_518_025_582_136,
        shards: 2,
        records,
        event_offsets: vec![3, 1 << 40, 0, 17],
        profiles: vec!["default".to_owned(), String::new(), "wide-area".to_owned()],
    }
}

fn file(header: &Header, records: &[NodeRecord]) -> Vec<u8> {
    let mut file = header.encode();
    records.iter().for_each(|record| file.extend_from_slice(&record.encode()));
    file
}

fn sample() -> (Vec<NodeRecord>, Vec<u8>, usize) {
    let records: Vec<_> = (0..20).map(record).collect();
    let header = header(20);
    (records.clone(), file(&header, &records), header.encode().len())
}

/// Goal: what is read is what was written; the header does not change its length when it is written again at the end.
#[test]
fn a_file_comes_back_as_it_was() {
    let (records, file, header_bytes) = sample();
    let snapshot = decode(&file).unwrap();
    assert_eq!(snapshot, Snapshot { header: header(20), records, damaged: 0, torn: 0 });
    assert_eq!(Header { taken_at_unix_us: 0, ..header(0) }.encode().len(), header_bytes);
}

/// Goal: of a file that was torn at any byte, the whole records before the tear are taken and the others counted; torn in its
/// header it gives nothing.
#[test]
fn a_torn_file_gives_its_whole_records() {
    let (records, file, header_bytes) = sample();
    for length in 0..file.len() {
        let decoded = decode(&file[..length]);
        if length < header_bytes {
            assert!(decoded.is_err(), "{length}");
            continue;
        }
        let snapshot = decoded.unwrap();
        let whole = (length - header_bytes) / RECORD_BYTES;
        assert_eq!(snapshot.records, records[..whole], "{length}");
        assert_eq!((snapshot.damaged, snapshot.torn), (0, 20 - whole as u64));
    }
}

/// Goal: no flipped bit is believed: in the header it costs the file, in a record that record.
#[test]
fn a_flipped_bit_costs_what_it_is_in() {
    let (records, mut file, header_bytes) = sample();
    for bit in 0..file.len() * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        let decoded = decode(&file);
        if bit / 8 < header_bytes {
            assert!(decoded.is_err(), "bit {bit}");
        } else {
            let snapshot = decoded.unwrap();
            assert_eq!((snapshot.damaged, snapshot.torn), (1, 0), "bit {bit}");
            let hit = (bit / 8 - header_bytes) / RECORD_BYTES;
            let others =
                records.iter().enumerate().filter(|&(index, _)| index != hit).map(|(_, record)| record);
            assert!(snapshot.records.iter().eq(others), "bit {bit}");
        }
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Goal: another version is called by its number, and what is no snapshot is called that.
#[test]
fn what_cannot_be_read_is_named() {
    let (_, mut file, _) = sample();
    file[8] = 9;
    assert!(matches!(decode(&file), Err(SnapshotFault::Version { version: 9 })));
    assert!(matches!(decode(b"hello, world"), Err(SnapshotFault::NoSnapshot)));
    let directory = tempfile::tempdir().unwrap();
    assert!(read(&directory.path().join("none")).unwrap().is_none());
    assert!(matches!(read(directory.path()), Err(SnapshotFault::Io(_))));
}

proptest! {
    /// Goal: bytes of any kind end in a snapshot or a fault, also those that follow a sound beginning.
    #[test]
    fn any_bytes_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..300), keep in 0_usize..120) {
        let (_, file, _) = sample();
        let mut bytes = file[..keep].to_vec();
        bytes.extend_from_slice(&tail);
        if let Ok(snapshot) = decode(&bytes) {
            prop_assert!(snapshot.records.len() as u64 + snapshot.damaged + snapshot.torn == snapshot.header.records);
        }
    }
}
