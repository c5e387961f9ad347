//! Why a frame is refused. One reason a decision, one counter a reason; a refused frame changes nothing else.

/// The one reason for which a frame was refused: of all that is wrong with it, what stands first here. The header's
/// checks are made in this order, too; a payload is read once, and what is found is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[repr(u8)]
pub enum RejectReason {
    /// Fewer bytes than a frame header.
    #[error("shorter than a frame header")]
    TooShort,
    /// Longer than [`crate::limits::FRAME_BYTES_MAX`], or cut by the receive buffer.
    #[error("longer than the longest frame")]
    TooLong,
    /// The first two bytes are not the magic.
    #[error("not a Pulsegate frame")]
    BadMagic,
    /// A version of the wire that this gateway does not speak.
    #[error("unknown wire version")]
    UnknownVersion,
    /// A flag bit that this version does not define.
    #[error("unknown flag")]
    UnknownFlag,
    /// The authenticated flag: specified, not built yet.
    #[error("authenticated frames are not supported yet")]
    AuthenticationUnsupported,
    /// The ack-wanted flag: specified, not built yet.
    #[error("acks are not supported yet")]
    AckUnsupported,
    /// The dictionary flag: specified, not built yet.
    #[error("zstd dictionaries are not supported yet")]
    DictionaryUnsupported,
    /// A key id in a frame that is not authenticated.
    #[error("key id in an unauthenticated frame")]
    KeyIdWithoutTag,
    /// The header's payload length is not the length of what follows it: a truncation, or trailing bytes.
    #[error("payload length differs from the header's")]
    LengthMismatch,
    /// CRC-32C of header and payload is not the header's.
    #[error("checksum mismatch")]
    ChecksumMismatch,
    /// The header declares more than [`crate::limits::PAYLOAD_BYTES_MAX`] after decompression.
    #[error("declared decompressed size above the bound")]
    DecompressedSizeAboveBound,
    /// zstd could not decompress the payload, or it is not one zstd frame.
    #[error("payload is not valid zstd")]
    BadCompression,
    /// The payload decompresses to another size than the header declares (a zstd bomb ends here).
    #[error("decompressed size differs from the header's")]
    DecompressedSizeMismatch,
    /// The payload is not a protobuf message, or a known field has another wire type.
    #[error("payload is not a valid HeartbeatBatch")]
    BadProtobuf,
    /// A column is neither empty nor as long as `node_id`.
    #[error("columns of unequal length")]
    UnequalColumns,
    /// More heartbeats, descriptors or departures than a frame may carry.
    #[error("more elements than a frame may carry")]
    TooManyElements,
    /// A name, label or other text is too long, empty where it must not be, or not UTF-8.
    #[error("a text is too long, empty or not UTF-8")]
    BadText,
    /// A number outside its range: an unknown status or departure reason, say.
    #[error("a value is out of range")]
    ValueOutOfRange,
    /// A node of another lane in a frame that does not say that it mixes lanes.
    #[error("a node of another lane in a frame of one lane")]
    LaneMismatch,
    /// Neither heartbeats nor descriptors nor departures.
    #[error("an empty frame")]
    Empty,
}

impl RejectReason {
    /// All reasons, in order.
    pub const ALL: [Self; 21] = [
        Self::TooShort,
        Self::TooLong,
        Self::BadMagic,
        Self::UnknownVersion,
        Self::UnknownFlag,
        Self::AuthenticationUnsupported,
        Self::AckUnsupported,
        Self::DictionaryUnsupported,
        Self::KeyIdWithoutTag,
        Self::LengthMismatch,
        Self::ChecksumMismatch,
        Self::DecompressedSizeAboveBound,
        Self::BadCompression,
        Self::DecompressedSizeMismatch,
        Self::BadProtobuf,
        Self::UnequalColumns,
        Self::TooManyElements,
        Self::BadText,
        Self::ValueOutOfRange,
        Self::LaneMismatch,
        Self::Empty,
    ];

    /// The value of the metric label `reason`: snake case, stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::BadMagic => "bad_magic",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownFlag => "unknown_flag",
            Self::AuthenticationUnsupported => "authentication_unsupported",
            Self::AckUnsupported => "ack_unsupported",
            Self::DictionaryUnsupported => "dictionary_unsupported",
            Self::KeyIdWithoutTag => "key_id_without_tag",
            Self::LengthMismatch => "length_mismatch",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::DecompressedSizeAboveBound => "decompressed_size_above_bound",
            Self::BadCompression => "bad_compression",
            Self::DecompressedSizeMismatch => "decompressed_size_mismatch",
            Self::BadProtobuf => "bad_protobuf",
            Self::UnequalColumns => "unequal_columns",
            Self::TooManyElements => "too_many_elements",
            Self::BadText => "bad_text",
            Self::ValueOutOfRange => "value_out_of_range",
            Self::LaneMismatch => "lane_mismatch",
            Self::Empty => "empty",
        }
    }

    /// Position in [`Self::ALL`], for an array of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Collects what is wrong with a payload and keeps the first reason in the order of [`RejectReason::ALL`], so that a
/// frame with several faults has the same name whatever the order of its fields.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Faults {
    first: Option<RejectReason>,
}

impl Faults {
    /// Remembers `reason` unless one that goes before it is known.
    pub(crate) fn note(&mut self, reason: RejectReason) {
        if self.first.is_none_or(|first| reason.index() < first.index()) {
            self.first = Some(reason);
        }
    }

    /// Remembers `reason` if `is_fault`.
    #[inline]
    pub(crate) fn note_if(&mut self, is_fault: bool, reason: RejectReason) {
        if is_fault {
            self.note(reason);
        }
    }

    /// `value` as 32 bits. protobuf libraries would cut off the rest in silence; a number that a node did not send is
    /// worse than none, so it is a fault.
    #[inline]
    pub(crate) fn u32(&mut self, value: u64) -> u32 {
        u32::try_from(value).unwrap_or_else(|_| {
            self.note(RejectReason::ValueOutOfRange);
            0
        })
    }

    /// Whether nothing is wrong so far.
    pub(crate) const fn is_empty(self) -> bool {
        self.first.is_none()
    }

    /// The first reason, if there is one.
    pub(crate) const fn verdict(self) -> Result<(), RejectReason> {
        match self.first {
            None => Ok(()),
            Some(reason) => Err(reason),
        }
    }
}

const _: () = assert!(RejectReason::Empty.index() + 1 == RejectReason::ALL.len());
