//! What is answered without looking into a group.

use bytes::Bytes;

use super::error::GroupErrorCode;
use super::message::{
    DescribedGroup, GroupRequest, GroupResponse, GroupState, JoinResponse, LeaveResponse, SyncResponse,
};

impl GroupRequest {
    /// Which group it is about. None for a list.
    pub(super) fn group_id(&self) -> Option<&str> {
        match self {
            Self::Join(request) => Some(&request.group_id),
            Self::Sync(request) => Some(&request.member.group_id),
            Self::Heartbeat(member) | Self::OffsetCommitCheck(member) => Some(&member.group_id),
            Self::Leave(request) => Some(&request.group_id),
            Self::Describe { group_id } => Some(group_id),
            Self::List { .. } => None,
        }
    }

    /// The response if there is no such group.
    pub(super) fn without_group(self) -> GroupResponse {
        match self {
            // Anybody may commit to a group that has no members.
            Self::OffsetCommitCheck(member) if member.generation < 0 => {
                GroupResponse::OffsetCommitCheck(GroupErrorCode::None)
            }
            request @ Self::OffsetCommitCheck(_) => request.refused(GroupErrorCode::IllegalGeneration),
            Self::Leave(request) => {
                let unknown = |member| (member, GroupErrorCode::UnknownMemberId);
                let members = request.members.into_iter().map(unknown).collect();
                GroupResponse::Leave(LeaveResponse { error: GroupErrorCode::None, members })
            }
            request => request.refused(GroupErrorCode::UnknownMemberId),
        }
    }

    /// The response of this request's kind with an error.
    pub(super) fn refused(self, error: GroupErrorCode) -> GroupResponse {
        match self {
            Self::Join(request) => JoinResponse::refused(error, request.member_id),
            Self::Sync(_) => SyncResponse::refused(error),
            Self::Heartbeat(_) => GroupResponse::Heartbeat(error),
            Self::Leave(_) => GroupResponse::Leave(LeaveResponse { error, members: Vec::new() }),
            Self::OffsetCommitCheck(_) => GroupResponse::OffsetCommitCheck(error),
            Self::List { .. } => GroupResponse::List(Vec::new()),
            Self::Describe { group_id } => GroupResponse::Describe(DescribedGroup::absent(group_id, error)),
        }
    }
}

impl JoinResponse {
    pub(super) const fn refused(error: GroupErrorCode, member_id: String) -> GroupResponse {
        GroupResponse::Join(Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            member_id,
            skip_assignment: false,
            members: Vec::new(),
        })
    }
}

impl SyncResponse {
    pub(super) const fn refused(error: GroupErrorCode) -> GroupResponse {
        GroupResponse::Sync(Self { error, protocol_type: None, protocol: None, assignment: Bytes::new() })
    }
}

impl DescribedGroup {
    /// A group that is not there.
    pub(super) const fn absent(group_id: String, error: GroupErrorCode) -> Self {
        Self {
            error,
            group_id,
            state: GroupState::Dead,
            protocol_type: String::new(),
            protocol: String::new(),
            members: Vec::new(),
        }
    }
}
