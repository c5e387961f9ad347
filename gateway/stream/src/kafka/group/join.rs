//! Joining a group: new members, static ones that come back, and members that join again.

use std::mem::replace;

use super::error::GroupErrorCode;
use super::limits::{METADATA_BYTES_MAX, NAME_BYTES_MAX, PROTOCOLS_PER_MEMBER_MAX};
use super::member::{Member, Parked, session_timeout};
use super::message::{GroupResponse, GroupState, JoinRequest, JoinResponse, RequestToken};
use super::state::{Group, Turn, answer_parked};

/// Checks what does not depend on the group.
pub(super) fn check_request(request: &JoinRequest) -> Result<(), GroupErrorCode> {
    let names = request.protocols.iter().map(|protocol| protocol.name.len());
    let longest_name = names.chain([request.protocol_type.len()]).max().unwrap_or(0);
    let instance_bytes = request.group_instance_id.as_ref().map(String::len);
    let metadata_bytes: usize = request.protocols.iter().map(|protocol| protocol.metadata.len()).sum();
    let is_within_bounds = request.protocols.len() <= PROTOCOLS_PER_MEMBER_MAX
        && longest_name <= NAME_BYTES_MAX
        && instance_bytes.is_none_or(|bytes| (1..=NAME_BYTES_MAX).contains(&bytes))
        && metadata_bytes <= METADATA_BYTES_MAX;
    if !is_within_bounds {
        return Err(GroupErrorCode::InvalidRequest);
    }
    if request.protocols.is_empty() || request.protocol_type.is_empty() {
        return Err(GroupErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

/// Bytes that a member of this request would hold, about.
pub(super) fn request_bytes(request: &JoinRequest) -> usize {
    request.protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum::<usize>()
        + size_of::<Member>()
}

impl Group {
    /// Answers the join, or parks it.
    pub(super) fn join(&mut self, turn: &mut Turn<'_>, token: RequestToken, request: JoinRequest) {
        let result = if !self.has_protocol_for_all(&request) {
            Err((GroupErrorCode::InconsistentGroupProtocol, request.member_id))
        } else if request.member_id.is_empty() {
            self.join_without_id(turn, token, request)
        } else {
            self.join_with_id(turn, token, request)
        };
        if let Err((error, member_id)) = result {
            turn.answers.push((token, JoinResponse::refused(error, member_id)));
        }
    }

    /// Whether all members and this one have a protocol in common.
    fn has_protocol_for_all(&self, request: &JoinRequest) -> bool {
        if self.members.is_empty() {
            return true;
        }
        self.protocol_type.as_deref() == Some(request.protocol_type.as_str())
            && request
                .protocols
                .iter()
                .any(|protocol| self.members.values().all(|member| member.supports(&protocol.name)))
    }

    fn join_without_id(
        &mut self,
        turn: &mut Turn<'_>,
        token: RequestToken,
        request: JoinRequest,
    ) -> Result<(), (GroupErrorCode, String)> {
        let instance = request.group_instance_id.as_deref();
        let former = instance.and_then(|instance| self.member_of_instance(instance));
        if let Some(former) = former {
            let former_id = former.id.clone();
            self.replace_static(turn, token, &request, &former_id);
            return Ok(());
        }
        if self.members.len() + self.pending.len() >= turn.config.members_per_group_max {
            return Err((GroupErrorCode::GroupMaxSizeReached, String::new()));
        }
        let member_id = turn.ids.next(&request);
        if request.requires_known_member_id && request.group_instance_id.is_none() {
            let deadline = turn.now.saturating_add(session_timeout(&request));
            self.pending.insert(member_id.clone(), deadline);
            return Err((GroupErrorCode::MemberIdRequired, member_id));
        }
        self.add(turn, token, &request, member_id);
        Ok(())
    }

    fn join_with_id(
        &mut self,
        turn: &mut Turn<'_>,
        token: RequestToken,
        request: JoinRequest,
    ) -> Result<(), (GroupErrorCode, String)> {
        if request.group_instance_id.is_none() && self.pending.remove(&request.member_id).is_some() {
            let member_id = request.member_id.clone();
            self.add(turn, token, &request, member_id);
            return Ok(());
        }
        if let Err(error) = self.check_member(&request.member_id, request.group_instance_id.as_deref()) {
            return Err((error, request.member_id));
        }
        let member = &self.members[&request.member_id];
        let has_same_protocols = member.protocols == request.protocols;
        let is_informed = match self.state {
            // The answer to its last join may have been lost.
            GroupState::CompletingRebalance => has_same_protocols,
            // A leader that joins again wants a rebalance: it saw a change of the topics, say.
            GroupState::Stable => has_same_protocols && !self.is_leader(&request.member_id),
            _ => false,
        };
        if is_informed {
            self.wind_up(turn, &request.member_id);
            turn.answers.push((token, self.joined(&request.member_id)));
        } else {
            self.join_again(turn, token, &request);
        }
        Ok(())
    }

    fn add(&mut self, turn: &mut Turn<'_>, token: RequestToken, request: &JoinRequest, member_id: String) {
        let member = Member::new(member_id.clone(), token, turn.now, request);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
            self.leader = Some(member_id.clone());
        }
        self.members.insert(member_id, member);
        if let Some(until) = self.initial_until {
            // Another one may be on its way.
            self.join_deadline = turn.now.saturating_add(turn.config.initial_delay).min(until);
        }
        self.prepare_rebalance(turn);
        self.try_complete_join(turn);
    }

    /// Parks the join of a member, in a rebalance that it begins if there is none.
    fn join_again(&mut self, turn: &mut Turn<'_>, token: RequestToken, request: &JoinRequest) {
        let member = self.members.get_mut(&request.member_id).expect("the caller has checked the member");
        member.update(request);
        self.prepare_rebalance(turn);
        self.park_join(turn, token, &request.member_id);
        self.try_complete_join(turn);
    }

    fn park_join(&mut self, turn: &mut Turn<'_>, token: RequestToken, member_id: &str) {
        let member = self.members.get_mut(member_id).expect("the caller has checked the member");
        if let Parked::Join(earlier) = replace(&mut member.parked, Parked::Join(token)) {
            // The client has given it up, or it would not ask again.
            let refused = JoinResponse::refused(GroupErrorCode::RebalanceInProgress, member_id.to_owned());
            turn.answers.push((earlier, refused));
        }
    }

    /// A static member came back without its id: it gets a new one, and whoever has the old one is fenced.
    fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        token: RequestToken,
        request: &JoinRequest,
        former_id: &str,
    ) {
        let mut member = self.members.remove(former_id).expect("it was found under its instance");
        answer_parked(&member, turn.answers, GroupErrorCode::FencedInstanceId);
        let member_id = turn.ids.next(request);
        member.id.clone_from(&member_id);
        member.parked = Parked::Nothing;
        member.knows_its_id = false;
        member.last_seen = turn.now;
        member.update(request);
        self.members.insert(member_id.clone(), member);
        let was_leader = self.is_leader(former_id);
        if was_leader {
            self.leader = Some(member_id.clone());
        }
        if self.state == GroupState::Stable && self.choose_protocol() == self.protocol {
            let response = self.joined_without_rebalance(request, &member_id, former_id, was_leader);
            turn.answers.push((token, response));
            self.members.get_mut(&member_id).expect("inserted above").knows_its_id = true;
            return;
        }
        self.prepare_rebalance(turn);
        self.park_join(turn, token, &member_id);
        self.try_complete_join(turn);
    }

    /// What a static member is told that takes the place of its former self. A leader must not assign anew, since the
    /// others would not ask: it is told to skip that, or, in the versions that cannot say so, that its former self leads.
    fn joined_without_rebalance(
        &self,
        request: &JoinRequest,
        member_id: &str,
        former_id: &str,
        was_leader: bool,
    ) -> GroupResponse {
        let mut response = self.joined(member_id);
        if let GroupResponse::Join(join) = &mut response
            && was_leader
        {
            if request.supports_skip_assignment {
                join.skip_assignment = true;
            } else {
                former_id.clone_into(&mut join.leader);
                join.members = Vec::new();
            }
        }
        response
    }
}
