//! Frames around messages that the tests have written themselves.

use pulsegate_codec::{FrameHeader, Lane, frame};

/// A header for frames that mix lanes, so that ids need no care. Its sizes come later.
pub(crate) const MIXED: FrameHeader = FrameHeader {
    flags: frame::FLAG_MIXED_LANES,
    lane: Lane(0),
    key_id: 0,
    payload_bytes: 0,
    decompressed_bytes: 0,
};

/// A frame of this message. `header` says its lane and flags; its sizes are made to fit.
pub(crate) fn framed(header: FrameHeader, message: &[u8]) -> Vec<u8> {
    let payload = match header.is_compressed() {
        true => zstd::bulk::compress(message, 3).expect("memory is enough"),
        false => message.to_vec(),
    };
    let header = FrameHeader {
        payload_bytes: u16::try_from(payload.len()).expect("test messages fit into a frame"),
        decompressed_bytes: u32::try_from(message.len()).expect("test messages fit into a frame"),
        ..header
    };
    let mut bytes = Vec::new();
    header.write(&payload, &mut bytes);
    bytes
}

/// A frame around a payload that calls itself compressed, truly or not.
pub(crate) fn compressed_frame(payload: &[u8], decompressed_bytes: usize) -> Vec<u8> {
    let header = FrameHeader {
        flags: MIXED.flags | frame::FLAG_ZSTD,
        payload_bytes: u16::try_from(payload.len()).expect("test payloads fit into a frame"),
        decompressed_bytes: u32::try_from(decompressed_bytes).expect("test sizes fit into the header"),
        ..MIXED
    };
    let mut bytes = Vec::new();
    header.write(payload, &mut bytes);
    bytes
}
