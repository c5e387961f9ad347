//! What is answered without looking into a group.

use bytes::Bytes;

use super::error::GroupErrorCode;
use super::message::{GroupRequest, GroupResponse, JoinResponse, LeaveResponse, SyncResponse};

impl GroupRequest {
    /// Which group it is about.
    pub(super) fn group_id(&self) -> &str {
        match self {
            Self::Join(request) => &request.group_id,
            Self::Sync(request) => &request.member.group_id,
            Self::Heartbeat(member) | Self::OffsetCommitCheck(member) => &member.group_id,
            Self::Leave(request) => &request.group_id,
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
