//! The snapshot's file: a header with a checksum, then one record a node, each with its own.
//!
//! ```text
//!   0        8        12            16     24        32      36            40            48          52
//!   | magic  | version| header bytes| epoch| taken at| shards| record bytes| record count| partitions| profiles|
//!   56                         56 + 8 x partitions                            header bytes - 4
//!   | offset of pulsegate.events, by partition  | profile: length 1 B, name ... | CRC-32C | records ...
//! ```
//!
//! Numbers are little-endian, the time is in microseconds since the Unix epoch. The offsets are those before the first record
//! was taken: what the log holds from there on, the records may not know. The profiles give records their names back.
//!
//! The writer makes a new file and renames it, so a torn one should not be found; if it is, or a bit has flipped, each
//! record that is whole is taken. Without a sound header none is: what the records mean stands there. Nothing here decides
//! what that means for a start.

use std::io;
use std::path::Path;

use pulsegate_engine::snapshot::{self, NodeRecord, RECORD_BYTES};

use crate::config::limits;

/// The version that is written, and the only one that is read: what it holds is forgotten in seconds anyway.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"PGSNAP\r\n";
const FIXED_BYTES: usize = 56;
const CHECKSUM_BYTES: usize = 4;
/// Longest header: all partitions and profiles that there may be.
const HEADER_BYTES_MAX: usize = 65_536;

/// What the records mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The run of the gateway that wrote it.
    pub epoch: u64,
    /// When its last record was taken.
    pub taken_at_unix_us: u64,
    /// How many shards there were. Those of the next run may be others.
    pub shards: u32,
    /// How many records follow.
    pub records: u64,
    /// Where each partition of the event log ended before the first record was taken.
    pub event_offsets: Vec<u64>,
    /// Names of the profiles that records point to.
    pub profiles: Vec<String>,
}

impl Header {
    /// The header as bytes. Their number does not depend on `records` and `taken_at_unix_us`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let names: usize = self.profiles.iter().map(|name| 1 + name.len()).sum();
        let header_bytes = FIXED_BYTES + 8 * self.event_offsets.len() + names + CHECKSUM_BYTES;
        let mut bytes = Vec::with_capacity(header_bytes);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&number(header_bytes).to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.taken_at_unix_us.to_le_bytes());
        bytes.extend_from_slice(&self.shards.to_le_bytes());
        bytes.extend_from_slice(&number(RECORD_BYTES).to_le_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&number(self.event_offsets.len()).to_le_bytes());
        bytes.extend_from_slice(&number(self.profiles.len()).to_le_bytes());
        for offset in &self.event_offsets {
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        for name in &self.profiles {
            bytes.push(u8::try_from(name.len()).expect("PROFILE_NAME_BYTES_MAX fits"));
            bytes.extend_from_slice(name.as_bytes());
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header from the front of a file; returns what follows it as well.
    ///
    /// # Errors
    /// When it is not one, of another version, or damaged.
    pub fn decode(file: &[u8]) -> Result<(Self, &[u8]), SnapshotFault> {
        let mut fields = Fields { rest: file };
        if fields.take(MAGIC.len()) != Some(&MAGIC[..]) {
            return Err(SnapshotFault::NoSnapshot);
        }
        let version = fields.u32().ok_or(SnapshotFault::HeaderDamaged)?;
        if version != VERSION {
            return Err(SnapshotFault::Version { version });
        }
        let header_bytes = fields.u32().ok_or(SnapshotFault::HeaderDamaged)? as usize;
        Self::decode_checked(file, header_bytes).ok_or(SnapshotFault::HeaderDamaged)
    }

    fn decode_checked(file: &[u8], header_bytes: usize) -> Option<(Self, &[u8])> {
        if !(FIXED_BYTES + CHECKSUM_BYTES..=HEADER_BYTES_MAX).contains(&header_bytes) {
            return None;
        }
        let (header, records) = file.split_at_checked(header_bytes)?;
        let (checked, checksum) = header.split_at(header_bytes - CHECKSUM_BYTES);
        if checksum != crc32c::crc32c(checked).to_le_bytes() {
            return None;
        }
        let mut fields = Fields { rest: checked.get(16..)? };
        let (epoch, taken_at_unix_us, shards) = (fields.u64()?, fields.u64()?, fields.u32()?);
        if fields.u32()? as usize != RECORD_BYTES {
            return None;
        }
        let (record_count, partitions, profiles) = (fields.u64()?, fields.u32()?, fields.u32()?);
        // Each takes a byte at least, so numbers that make no sense end with the bytes.
        let event_offsets = (0..partitions).map(|_| fields.u64()).collect::<Option<_>>()?;
        let profiles = (0..profiles).map(|_| fields.name()).collect::<Option<_>>()?;
        let header = Self { epoch, taken_at_unix_us, shards, records: record_count, event_offsets, profiles };
        fields.rest.is_empty().then_some((header, records))
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a header is short")
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::from(*self.take(1)?.first()?);
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }
}

const _: () = assert!(limits::PROFILE_NAME_BYTES_MAX <= u8::MAX as usize);

/// What a file held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// What it says of itself.
    pub header: Header,
    /// The records that are whole.
    pub records: Vec<NodeRecord>,
    /// Records that are damaged.
    pub damaged: u64,
    /// Records that should have followed and did not: the file is torn.
    pub torn: u64,
}

/// Why a file gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFault {
    /// The file system refused.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("it is no snapshot")]
    NoSnapshot,
    /// Another version of the program wrote it.
    #[error("it has version {version} of the format, and this program reads version {VERSION}")]
    Version {
        /// Which it has.
        version: u32,
    },
    /// Cut off, or a bit has flipped.
    #[error("its header is damaged")]
    HeaderDamaged,
}

/// Reads a file; `None` if there is none.
///
/// # Errors
/// When it gives nothing.
pub fn read(path: &Path) -> Result<Option<Snapshot>, SnapshotFault> {
    match std::fs::read(path) {
        Ok(file) => decode(&file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the bytes of a file.
///
/// # Errors
/// As [`Header::decode`].
pub fn decode(file: &[u8]) -> Result<Snapshot, SnapshotFault> {
    let (header, bytes) = Header::decode(file)?;
    let count = usize::try_from(header.records).unwrap_or(usize::MAX);
    let (mut records, mut read) = (Vec::new(), 0);
    for record in snapshot::read(bytes).take(count) {
        read += 1;
        records.extend(record);
    }
    let damaged = read - records.len() as u64;
    let torn = header.records - read;
    Ok(Snapshot { header, records, damaged, torn })
}

#[cfg(test)]
mod tests;
