//! Requests and responses of the coordinator: owned, already decoded, with every field that any served version has.
//!
//! A decoder of an old version fills in what that version lacks: an empty `member_id`, no `group_instance_id`, the
//! session timeout for the rebalance timeout.

use bytes::Bytes;

use super::error::GroupErrorCode;

/// Names one request until it is answered. The caller makes them up; none is used twice while it waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestToken(pub u64);

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupRequest {
    /// `JoinGroup`: answered when all members have joined.
    Join(JoinRequest),
    /// `SyncGroup`: answered when the leader has handed in the assignments.
    Sync(SyncRequest),
    /// `Heartbeat`: answered at once, as are all that follow.
    Heartbeat(MemberOfGeneration),
    /// `LeaveGroup`.
    Leave(LeaveRequest),
    /// Whether an `OffsetCommit` may go to the store.
    OffsetCommitCheck(MemberOfGeneration),
}

/// One assignor that a member has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protocol {
    /// `range`, `cooperative-sticky` and so on.
    pub name: String,
    /// What the leader gets of the member if this protocol is chosen.
    pub metadata: Bytes,
}

/// `JoinGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinRequest {
    /// Which group; created if it is not there and the member is new.
    pub group_id: String,
    /// Empty for a new member.
    pub member_id: String,
    /// Set for a static member (v5 and later).
    pub group_instance_id: Option<String>,
    /// Of the request header.
    pub client_id: String,
    /// Address of the peer, for `DescribeGroups`.
    pub client_host: String,
    /// As on the wire.
    pub session_timeout_ms: i32,
    /// As on the wire; not positive: the session timeout (v0 has no such field).
    pub rebalance_timeout_ms: i32,
    /// `consumer`.
    pub protocol_type: String,
    /// In the order of the member's preference.
    pub protocols: Vec<Protocol>,
    /// v4 and later: a new member is given its id first and joins with it.
    pub requires_known_member_id: bool,
    /// v9 and later: a leader can be told that the assignments stand.
    pub supports_skip_assignment: bool,
}

/// `SyncGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncRequest {
    /// Who asks.
    pub member: MemberOfGeneration,
    /// v5 and later.
    pub protocol_type: Option<String>,
    /// v5 and later.
    pub protocol: Option<String>,
    /// From the leader: (member id, assignment).
    pub assignments: Vec<(String, Bytes)>,
}

/// A member as it calls itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberOfGeneration {
    /// Which group.
    pub group_id: String,
    /// Of which generation; -1 for a consumer that commits without being a member.
    pub generation: i32,
    /// Which member.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
}

/// `LeaveGroup`; one member before v3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaveRequest {
    /// Which group.
    pub group_id: String,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member that leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeavingMember {
    /// May be empty if the instance is given: an administrator removes it.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
}

/// What is answered. Each request gets the variant of its own name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupResponse {
    /// `JoinGroup`.
    Join(JoinResponse),
    /// `SyncGroup`.
    Sync(SyncResponse),
    /// `Heartbeat`.
    Heartbeat(GroupErrorCode),
    /// `LeaveGroup`.
    Leave(LeaveResponse),
    /// Whether the commit may go on.
    OffsetCommitCheck(GroupErrorCode),
}

/// `JoinGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinResponse {
    /// Success or why not.
    pub error: GroupErrorCode,
    /// Of the group; -1 if refused.
    pub generation: i32,
    /// Of the group; none if refused.
    pub protocol_type: Option<String>,
    /// The chosen one; none if refused. Versions before 7 put an empty string there.
    pub protocol: Option<String>,
    /// Member id of the leader; empty if refused.
    pub leader: String,
    /// The receiver's own id.
    pub member_id: String,
    /// Tells a leader of v9 and later that the assignments stand.
    pub skip_assignment: bool,
    /// All members, for the leader; nothing for the others.
    pub members: Vec<JoinedMember>,
}

/// What the leader gets of each member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
    /// For the chosen protocol.
    pub metadata: Bytes,
}

/// `SyncGroup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncResponse {
    /// Success or why not.
    pub error: GroupErrorCode,
    /// Of the group; none if refused.
    pub protocol_type: Option<String>,
    /// The chosen one; none if refused.
    pub protocol: Option<String>,
    /// The receiver's; empty if refused.
    pub assignment: Bytes,
}

/// `LeaveGroup`. Versions before 3 answer the error of the only member, unless `error` is set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaveResponse {
    /// Of the request as a whole.
    pub error: GroupErrorCode,
    /// In the order of the request.
    pub members: Vec<(LeavingMember, GroupErrorCode)>,
}

/// Where a group stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupState {
    /// No member.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignments.
    CompletingRebalance,
    /// Everybody has an assignment, or can have it.
    Stable,
    /// Not there (any more).
    Dead,
}

impl GroupState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];

    /// As the Kafka tools show and expect it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}
