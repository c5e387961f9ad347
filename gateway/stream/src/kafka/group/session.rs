//! What members do between two rebalances: sync, heartbeat, commit, leave; and what administrators ask.

use std::mem::replace;

use bytes::Bytes;

use super::error::GroupErrorCode;
use super::limits::ASSIGNMENT_BYTES_MAX;
use super::member::Parked;
use super::message::{
    GroupResponse, GroupState, LeavingMember, MemberOfGeneration, RequestToken, SyncRequest, SyncResponse,
};
use super::state::{Group, Turn};

impl Group {
    /// Winds up a member's session timer.
    pub(super) fn wind_up(&mut self, turn: &Turn<'_>, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.last_seen = turn.now;
        }
    }

    /// Answers the sync, or parks it until the leader has come.
    pub(super) fn sync(&mut self, turn: &mut Turn<'_>, token: RequestToken, request: SyncRequest) {
        if let Err(error) = self.check_sync(&request) {
            turn.answers.push((token, SyncResponse::refused(error)));
            return;
        }
        let member_id = request.member.member_id;
        let member = self.members.get_mut(&member_id).expect("checked above");
        member.last_seen = turn.now;
        member.must_sync = false;
        if self.state == GroupState::Stable {
            turn.answers.push((token, self.assigned(&member_id)));
            return;
        }
        if let Parked::Sync(earlier) = replace(&mut member.parked, Parked::Sync(token)) {
            let refused = SyncResponse::refused(GroupErrorCode::RebalanceInProgress);
            turn.answers.push((earlier, refused));
        }
        if self.is_leader(&member_id) {
            self.distribute(turn, request.assignments);
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupErrorCode> {
        self.check_generation(&request.member)?;
        let is_other = |asked: &Option<String>, own: &Option<String>| asked.is_some() && asked != own;
        if is_other(&request.protocol_type, &self.protocol_type)
            || is_other(&request.protocol, &self.protocol)
        {
            return Err(GroupErrorCode::InconsistentGroupProtocol);
        }
        let bytes: usize = request.assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        if bytes > ASSIGNMENT_BYTES_MAX {
            return Err(GroupErrorCode::InvalidRequest);
        }
        match self.state {
            GroupState::PreparingRebalance => Err(GroupErrorCode::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
            GroupState::Empty | GroupState::Dead => Err(GroupErrorCode::UnknownMemberId),
        }
    }

    /// The leader's assignments go to those who wait; a member that is not named gets an empty one.
    fn distribute(&mut self, turn: &mut Turn<'_>, assignments: Vec<(String, Bytes)>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (member_id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&member_id) {
                // Copied: a slice would keep the whole request alive.
                member.assignment = Bytes::copy_from_slice(&assignment);
            }
        }
        self.become_stable();
        let waiting = self.members.values().filter_map(|member| match member.parked {
            Parked::Sync(token) => Some((token, self.assigned(&member.id))),
            _ => None,
        });
        turn.answers.extend(waiting);
        for member in self.members.values_mut() {
            if matches!(member.parked, Parked::Sync(_)) {
                member.parked = Parked::Nothing;
                member.last_seen = turn.now;
            }
        }
    }

    fn assigned(&self, member_id: &str) -> GroupResponse {
        GroupResponse::Sync(SyncResponse {
            error: GroupErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members[member_id].assignment.clone(),
        })
    }

    fn check_generation(&self, member: &MemberOfGeneration) -> Result<(), GroupErrorCode> {
        self.check_member(&member.member_id, member.group_instance_id.as_deref())?;
        if member.generation != self.generation {
            return Err(GroupErrorCode::IllegalGeneration);
        }
        Ok(())
    }

    /// Winds up the session timer, and tells of a rebalance.
    pub(super) fn heartbeat(&mut self, turn: &Turn<'_>, member: &MemberOfGeneration) -> GroupErrorCode {
        if let Err(error) = self.check_generation(member) {
            return error;
        }
        self.wind_up(turn, &member.member_id);
        match self.state {
            GroupState::PreparingRebalance => GroupErrorCode::RebalanceInProgress,
            _ => GroupErrorCode::None,
        }
    }

    /// A member commits whenever its generation stands, also while the next one is prepared; anybody may commit to a
    /// group without members, without a generation.
    pub(super) fn check_commit(&mut self, turn: &Turn<'_>, member: &MemberOfGeneration) -> GroupErrorCode {
        if member.generation < 0 && self.members.is_empty() {
            return GroupErrorCode::None;
        }
        if let Err(error) = self.check_generation(member) {
            return error;
        }
        self.wind_up(turn, &member.member_id);
        match self.state {
            GroupState::CompletingRebalance => GroupErrorCode::RebalanceInProgress,
            _ => GroupErrorCode::None,
        }
    }

    /// Takes members out that say so, or whose instance an administrator names.
    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        leaving: Vec<LeavingMember>,
    ) -> Vec<(LeavingMember, GroupErrorCode)> {
        let members_before = self.members.len();
        let left = leaving.into_iter().map(|member| (self.leave_one(turn, &member), member));
        let left = left.map(|(error, member)| (member, error)).collect();
        if self.members.len() < members_before {
            self.after_removal(turn);
        } else {
            // An id that will not come back may have been the last that was waited for.
            self.try_complete_join(turn);
        }
        left
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, leaving: &LeavingMember) -> GroupErrorCode {
        let mut member_id = leaving.member_id.clone();
        if let Some(instance_id) = leaving.group_instance_id.as_deref()
            && member_id.is_empty()
            && let Some(member) = self.member_of_instance(instance_id)
        {
            member_id.clone_from(&member.id);
        }
        if leaving.group_instance_id.is_none() && self.pending.remove(&member_id).is_some() {
            return GroupErrorCode::None;
        }
        match self.check_member(&member_id, leaving.group_instance_id.as_deref()) {
            Ok(()) => {
                self.remove(turn, &member_id);
                GroupErrorCode::None
            }
            Err(error) => error,
        }
    }
}
