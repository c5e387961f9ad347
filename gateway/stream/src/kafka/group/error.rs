//! What the coordinator answers with when it refuses, with the numbers of the Kafka protocol.

/// An error code of the group protocol. `None` is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i16)]
pub enum GroupErrorCode {
    /// Success.
    None = 0,
    /// A bound over all groups is reached: the client tries again after its backoff.
    CoordinatorLoadInProgress = 14,
    /// The generation is not the current one: the member joins again.
    IllegalGeneration = 22,
    /// No protocol that all members have, another protocol type, or none at all.
    InconsistentGroupProtocol = 23,
    /// Empty, or longer than the bound.
    InvalidGroupId = 24,
    /// No such member (any more): it joins again, as a new one.
    UnknownMemberId = 25,
    /// Outside the configured range.
    InvalidSessionTimeout = 26,
    /// The group is being rebalanced: the member joins again.
    RebalanceInProgress = 27,
    /// A bound of one request is exceeded.
    InvalidRequest = 42,
    /// Join again with the id that comes with this answer.
    MemberIdRequired = 79,
    /// The group has as many members as it may have.
    GroupMaxSizeReached = 81,
    /// Another process has joined since with the same `group.instance.id`.
    FencedInstanceId = 82,
}

impl GroupErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }
}
