//! Which requests are understood, in which versions, and the frame around them.
//!
//! ```text
//! request:   i32 length │ i16 key │ i16 version │ i32 correlation │ nullable string client id │ [tags] │ body
//! response:  i32 length │ i32 correlation │ [tags] │ body
//! ```
//!
//! The tags are there in the flexible versions of a request, except in the response to `ApiVersions`: a client that does
//! not know this side's versions yet must be able to read it. The client id is in the classic encoding always.
//!
//! `Produce` is advertised although it is refused: librdkafka derives from its versions whether it may fetch at all.
//! `Fetch` ends at 12 and `Metadata` at 9, the last versions that name topics by name.

pub(super) mod admin;
pub(super) mod configs;
pub(super) mod coordinator;
pub(super) mod fetch;
pub(super) mod group;
pub(super) mod list_offsets;
pub(super) mod metadata;
pub(super) mod offsets;
pub(super) mod produce;
pub(super) mod sasl;
pub(super) mod versions;

use super::wire::{Reader, WireError, Writer};

/// The requests of the table below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ApiKey {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    LeaveGroup = 13,
    SyncGroup = 14,
    DescribeGroups = 15,
    ListGroups = 16,
    SaslHandshake = 17,
    ApiVersions = 18,
    DescribeConfigs = 32,
    SaslAuthenticate = 36,
    DescribeCluster = 60,
}

/// What is served of one kind of request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    pub(super) key: ApiKey,
    pub(super) version_min: i16,
    pub(super) version_max: i16,
    /// First version with the flexible encoding.
    flexible_from: i16,
}

const fn api(key: ApiKey, version_min: i16, version_max: i16, flexible_from: i16) -> Api {
    Api { key, version_min, version_max, flexible_from }
}

/// What is advertised, by key.
pub(super) const APIS: [Api; 16] = [
    api(ApiKey::Produce, 0, 9, 9),
    api(ApiKey::Fetch, 4, 12, 12),
    api(ApiKey::ListOffsets, 1, 7, 6),
    api(ApiKey::Metadata, 0, 9, 9),
    api(ApiKey::OffsetCommit, 2, 9, 8),
    api(ApiKey::OffsetFetch, 1, 8, 6),
    api(ApiKey::FindCoordinator, 0, 4, 3),
    api(ApiKey::JoinGroup, 0, 9, 6),
    api(ApiKey::Heartbeat, 0, 4, 4),
    api(ApiKey::LeaveGroup, 0, 5, 4),
    api(ApiKey::SyncGroup, 0, 5, 4),
    api(ApiKey::DescribeGroups, 0, 5, 5),
    api(ApiKey::ListGroups, 0, 4, 3),
    api(ApiKey::ApiVersions, 0, 4, 3),
    api(ApiKey::DescribeConfigs, 1, 4, 4),
    api(ApiKey::DescribeCluster, 0, 1, 0),
];

/// What is advertised as well where clients have to log in. A client that has no login to give is not confused by it;
/// one that has looks for it here.
pub(super) const LOGIN_APIS: [Api; 2] =
    [api(ApiKey::SaslHandshake, 0, 1, i16::MAX), api(ApiKey::SaslAuthenticate, 0, 2, 2)];

/// Error numbers of the protocol that are used here.
pub(super) mod error_code {
    pub(in crate::kafka) const NONE: i16 = 0;
    pub(in crate::kafka) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(in crate::kafka) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub(in crate::kafka) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub(in crate::kafka) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
    pub(in crate::kafka) const UNSUPPORTED_VERSION: i16 = 35;
    pub(in crate::kafka) const INVALID_REQUEST: i16 = 42;
    pub(in crate::kafka) const POLICY_VIOLATION: i16 = 44;
    pub(in crate::kafka) const KAFKA_STORAGE_ERROR: i16 = 56;
    pub(in crate::kafka) const SASL_AUTHENTICATION_FAILED: i16 = 58;
    pub(in crate::kafka) const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    pub(in crate::kafka) const FENCED_LEADER_EPOCH: i16 = 74;
    pub(in crate::kafka) const UNKNOWN_LEADER_EPOCH: i16 = 75;
}

/// The only leader epoch that there is.
pub(super) const LEADER_EPOCH: i32 = 0;

/// Stands for "authorized operations were not asked for", in `Metadata` and its like.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

/// What stands before the body of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHeader<'a> {
    pub(super) api: Api,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: &'a str,
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Frame<'a> {
    /// A request in a version of the table; the reader stands at its body.
    Request(RequestHeader<'a>, Reader<'a>),
    /// `ApiVersions` in a version that is not known: answered all the same, so that the client can choose a known one.
    UnknownApiVersions { correlation_id: i32 },
    /// A request or a version that was not advertised.
    Unknown,
}

impl<'a> Frame<'a> {
    /// Reads the header.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes, false);
        let (key, version, correlation_id) = (reader.int16()?, reader.int16()?, reader.int32()?);
        let Some(api) = APIS.into_iter().chain(LOGIN_APIS).find(|api| api.key as i16 == key) else {
            return Ok(Self::Unknown);
        };
        if !(api.version_min..=api.version_max).contains(&version) {
            return Ok(match api.key {
                ApiKey::ApiVersions => Self::UnknownApiVersions { correlation_id },
                _ => Self::Unknown,
            });
        }
        let client_id = reader.nullable_string()?.unwrap_or_default();
        let header = RequestHeader { api, version, correlation_id, client_id };
        reader.set_flexible(header.is_flexible());
        reader.tags()?;
        Ok(Self::Request(header, reader))
    }
}

impl RequestHeader<'_> {
    const fn is_flexible(&self) -> bool {
        self.version >= self.api.flexible_from
    }

    /// The response, up to its body.
    pub(super) fn response(&self) -> Writer {
        let has_tags = self.is_flexible() && !matches!(self.api.key, ApiKey::ApiVersions);
        Writer::new(self.correlation_id, self.is_flexible(), has_tags)
    }
}

/// Key, version and client id of a request that may be none of the table: the classic part of any header.
pub(super) fn unserved(frame: &[u8]) -> Option<(i16, i16, &str)> {
    let mut reader = Reader::new(frame, false);
    let (key, version, _) = (reader.int16().ok()?, reader.int16().ok()?, reader.int32().ok()?);
    // A header of another shape has no name that could be read.
    let client_id = reader.nullable_string().ok().flatten().unwrap_or_default();
    Some((key, version, client_id))
}
