//! Hostile bytes cost no more than themselves, and what is written is read back.

use proptest::prelude::*;

use super::*;
use crate::kafka::api::{
    APIS, ApiKey, Frame, admin, configs, coordinator, fetch, group, list_offsets, metadata, offsets, produce,
    sasl, versions,
};

/// Reads a frame as the server would, without answering it.
fn read_any(frame: &[u8]) -> Result<(), WireError> {
    let Frame::Request(header, reader) = Frame::read(frame)? else { return Ok(()) };
    let version = header.version;
    match header.api.key {
        ApiKey::Produce => produce::Request::read(reader, version).map(drop),
        ApiKey::Fetch => fetch::Request::read(reader, version).map(drop),
        ApiKey::ListOffsets => list_offsets::read(reader, version).map(drop),
        ApiKey::Metadata => metadata::read(reader, version).map(drop),
        ApiKey::OffsetCommit => offsets::CommitRequest::read(reader, version).map(drop),
        ApiKey::OffsetFetch => offsets::FetchRequest::read(reader, version).map(drop),
        ApiKey::FindCoordinator => coordinator::Request::read(reader, version).map(drop),
        ApiKey::JoinGroup => group::read_join(reader, version, "", "").map(drop),
        ApiKey::Heartbeat => group::read_heartbeat(reader, version).map(drop),
        ApiKey::LeaveGroup => group::read_leave(reader, version).map(drop),
        ApiKey::SyncGroup => group::read_sync(reader, version).map(drop),
        ApiKey::DescribeGroups => admin::read_describe_groups(reader, version).map(drop),
        ApiKey::SaslHandshake => sasl::read_handshake(reader).map(drop),
        ApiKey::SaslAuthenticate => sasl::read_authenticate(reader).map(drop),
        ApiKey::ListGroups => admin::read_list_groups(reader, version).map(drop),
        ApiKey::ApiVersions => versions::read(reader, version),
        ApiKey::DescribeConfigs => configs::read(reader, version).map(drop),
        ApiKey::DescribeCluster => admin::read_describe_cluster(reader, version),
    }
}

#[test]
fn array_that_claims_more_than_the_frame_holds_is_refused() {
    // Fetch 4 with 2^31 - 1 topics, in eighteen bytes and a few.
    let mut frame = vec![0, 1, 0, 4, 0, 0, 0, 1, 0xff, 0xff];
    frame.extend([0; 17]);
    frame.extend(i32::MAX.to_be_bytes());
    assert_eq!(read_any(&frame), Err(WireError::Truncated));
}

#[test]
fn many_small_claims_do_not_become_many_structures() {
    // Metadata 4 with 100,000 empty names, two bytes each.
    let count = 100_000_u32;
    let mut frame = vec![0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff];
    frame.extend(count.to_be_bytes());
    frame.extend(vec![0; count as usize * 2 + 1]);
    assert_eq!(read_any(&frame), Err(WireError::TooMany));
}

#[test]
fn null_arrays_and_lengths_below_null_are_told_apart() {
    let read = |bytes: &[u8]| Reader::new(bytes, false).nullable_array(4, Reader::int32);
    assert_eq!(read(&[0xff; 4]), Ok(None));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xfe]), Err(WireError::OutOfBounds));
    assert_eq!(read(&[0, 0, 0, 1, 0, 0, 0, 7]), Ok(Some(vec![7])));
    assert_eq!(Reader::new(&[0xff, 0xff], false).string(), Err(WireError::Null));
    assert_eq!(Reader::new(&[0, 1, 0xff], false).string(), Err(WireError::NotUtf8));
}

#[test]
fn varints_of_more_than_32_bits_are_refused() {
    let read = |bytes: &[u8]| Reader::new(bytes, true).unsigned_varint();
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(WireError::OutOfBounds));
    assert_eq!(read(&[0x80; 6]), Err(WireError::OutOfBounds));
}

#[test]
fn bytes_left_over_are_an_error() {
    let heartbeat =
        [&[0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 1, b'g', 0, 0, 0, 5, 0, 1, b'm'][..], &[0]].concat();
    assert_eq!(read_any(&heartbeat), Err(WireError::LeftOver(1)));
    assert_eq!(read_any(&heartbeat[..heartbeat.len() - 1]), Ok(()));
}

proptest! {
    #[test]
    fn any_body_behind_any_known_header_is_read_or_refused(
        api in 0..APIS.len(),
        version in 0..10_i16,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let api = APIS[api];
        let version = version.clamp(api.version_min, api.version_max);
        let mut frame = Vec::new();
        frame.extend((api.key as i16).to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0xff, 0xff]);
        // Small bytes make lengths that fit.
        frame.extend(body.iter().map(|byte| if byte & 1 == 0 { byte >> 6 } else { *byte }));
        let _ = read_any(&frame);
    }

    #[test]
    fn what_is_written_is_read_back(
        is_flexible in any::<bool>(),
        strings in proptest::collection::vec(proptest::option::of(".{0,40}"), 0..5),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        number in any::<i64>(),
    ) {
        let mut writer = Writer::new(7, is_flexible, is_flexible);
        writer.array(&strings, |writer, string| {
            writer.nullable_string(string.as_deref());
            writer.tags();
        });
        writer.bytes(&bytes);
        writer.int64(number);
        writer.tags();
        let written = writer.finish();
        prop_assert_eq!(written.len() - 4, u32::from_be_bytes([written[0], written[1], written[2], written[3]]) as usize);
        let mut reader = Reader::new(&written[4..], is_flexible);
        prop_assert_eq!(reader.int32(), Ok(7));
        prop_assert_eq!(reader.tags(), Ok(()));
        let read = reader.array(1, |reader| {
            let string = reader.nullable_string()?.map(str::to_owned);
            reader.tags()?;
            Ok(string)
        });
        prop_assert_eq!(read, Ok(strings));
        prop_assert_eq!(reader.bytes(), Ok(&bytes[..]));
        prop_assert_eq!(reader.int64(), Ok(number));
        prop_assert_eq!(reader.tags(), Ok(()));
        prop_assert_eq!(reader.finish(), Ok(()));
    }
}
