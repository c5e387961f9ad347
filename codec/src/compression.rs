//! zstd with reused contexts and a declared, capped size.
//!
//! A compressed payload is exactly one ordinary zstd frame (RFC 8878), magic number included, so that a sender in any
//! language can use its zstd library as it comes. The size after decompression stands in the frame header and is
//! bounded there, and zstd is given exactly that much room: a bomb costs at most
//! [`PAYLOAD_BYTES_MAX`](crate::limits::PAYLOAD_BYTES_MAX) bytes of work and no memory.
//!
//! The magic number costs four bytes and 15 ns; leaving it out would need an "experimental" switch that many bindings
//! lack.
//!
//! The contexts are made once. The compressor's may resize itself when payloads become much larger or smaller; the
//! decompressor's never does. Decompressing into memory allocates nothing: zstd needs no window when it has the
//! whole output at hand, whatever window size the frame asks for.

use std::fmt;

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, find_frame_compressed_size, is_error_kind};

use crate::reject::RejectReason;

/// The first bytes of a zstd frame. Skippable frames, which begin otherwise, are not accepted.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Payloads below this are not worth a try: what a zstd frame brings of its own eats what it saves.
const COMPRESSIBLE_BYTES_MIN: usize = 128;

/// Compression must save one part in this many. Decompressing a few hundred bytes costs the gateway about as much as
/// receiving them (zstd has a table to build), so one byte saved is not worth it.
const SAVING_MIN_DIVISOR: usize = 8;

/// The gateway's half.
pub(crate) struct Decompressor {
    context: DCtx<'static>,
}

impl Decompressor {
    pub(crate) fn new() -> Self {
        Self { context: DCtx::create() }
    }

    /// Decompresses the one zstd frame in `compressed` into the whole of `target`.
    ///
    /// # Errors
    /// [`RejectReason::BadCompression`], or [`RejectReason::DecompressedSizeMismatch`] if the result is not as long
    /// as `target`.
    pub(crate) fn decompress(&mut self, compressed: &[u8], target: &mut [u8]) -> Result<(), RejectReason> {
        // zstd would decompress several frames one after the other, and skip skippable ones.
        if !compressed.starts_with(&MAGIC) || find_frame_compressed_size(compressed) != Ok(compressed.len()) {
            return Err(RejectReason::BadCompression);
        }
        match self.context.decompress(target, compressed) {
            Ok(written_bytes) if written_bytes == target.len() => Ok(()),
            Ok(_) => Err(RejectReason::DecompressedSizeMismatch),
            Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                Err(RejectReason::DecompressedSizeMismatch)
            }
            Err(_) => Err(RejectReason::BadCompression),
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

/// The sender's half.
pub(crate) struct Compressor {
    context: CCtx<'static>,
    compressed: Vec<u8>,
}

impl Compressor {
    /// A compressor of this level. zstd clamps levels that it does not have.
    pub(crate) fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(level),
            // Our header has a checksum already. It has the size, too, but zstd's own copy costs at most one byte,
            // and some tools cannot decompress a captured payload without it.
            CParameter::ChecksumFlag(false),
            CParameter::ContentSizeFlag(true),
        ] {
            let set = context.set_parameter(parameter);
            assert!(set.is_ok(), "zstd has had these parameters since 1.4");
        }
        Self { context, compressed: Vec::new() }
    }

    /// `payload` as one zstd frame, if that is shorter by enough.
    pub(crate) fn compress(&mut self, payload: &[u8]) -> Option<&[u8]> {
        if payload.len() < COMPRESSIBLE_BYTES_MIN {
            return None;
        }
        self.compressed.clear();
        self.compressed.reserve(compress_bound(payload.len()));
        let compressed_bytes = self.context.compress2(&mut self.compressed, payload).ok()?;
        let worthwhile_bytes_max = payload.len() - payload.len() / SAVING_MIN_DIVISOR;
        (compressed_bytes <= worthwhile_bytes_max).then_some(self.compressed.as_slice())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Compressor").finish_non_exhaustive()
    }
}
