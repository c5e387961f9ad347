//! The coordinator of consumer groups: who is a member, who leads, and who got which assignment.
//!
//! It speaks the classic group protocol as Apache Kafka's `GroupCoordinator` does (Kafka protocol guide; KIP-62, KIP-345
//! static members, KIP-394 known member ids, KIP-814 skipped assignments). It does not know what a protocol's metadata
//! and assignments mean: members compute them, so range, sticky and cooperative assignors all work.
//!
//! ```text
//!  handle(now, token, request) ──▶ group "a"  members, pending ids, barrier      group.rs     which group, bounds
//!  on_time(now)                    group "b"  …                                  state.rs     the rebalance
//!         │                                                                      join.rs      joining
//!         ▼                        deadlines: (when, group), the earliest first  session.rs   sync, heartbeat, leave
//!  [(token, response)]             parked: token ──▶ group                       view.rs      list, describe
//! ```
//!
//! A pure state machine: time comes in with each call, responses go out with the token of their request, at once or
//! later. A join waits for the other members, a sync for the leader; everything else is answered at once. Every request
//! is answered exactly once if its caller does not forget it and keeps calling [`GroupCoordinator::on_time`].
//!
//! Nothing is durable: after a restart members find themselves unknown and join again. Committed offsets are in
//! `offsets.rs`. The newer consumer protocol (KIP-848) is not spoken.

pub mod limits;

mod config;
mod error;
mod join;
mod member;
mod message;
mod refusal;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use config::GroupConfig;
pub use error::GroupErrorCode;
pub use message::{
    GroupRequest, GroupResponse, GroupState, JoinRequest, JoinResponse, JoinedMember, LeaveRequest,
    LeaveResponse, LeavingMember, MemberOfGeneration, Protocol, RequestToken, SyncRequest, SyncResponse,
};
pub use view::{DescribedGroup, DescribedMember, ListedGroup};

use limits::{ASSIGNMENT_BYTES_MAX, GROUP_ID_BYTES_MAX};
use member::{MemberIds, Parked};
use state::{Answers, Group, Turn};

/// All groups of one server.
#[derive(Debug)]
pub struct GroupCoordinator {
    config: GroupConfig,
    ids: MemberIds,
    groups: BTreeMap<String, Entry>,
    /// One a group that has a deadline.
    deadlines: BTreeSet<(Duration, String)>,
    /// Requests that wait, and their groups.
    parked: BTreeMap<RequestToken, String>,
    /// Bytes that all groups hold.
    held_bytes: usize,
    /// The latest time that was given.
    now: Duration,
    refused_requests: u64,
}

#[derive(Debug)]
struct Entry {
    group: Group,
    /// What of it is counted in `held_bytes`.
    counted_bytes: usize,
    /// What of it is in `deadlines`.
    deadline: Option<Duration>,
}

impl GroupCoordinator {
    /// Without any group. Settings beyond their bounds are brought within them.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            ids: MemberIds::new(config.seed),
            config: config.bounded(),
            groups: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            parked: BTreeMap::new(),
            held_bytes: 0,
            now: Duration::ZERO,
            refused_requests: 0,
        }
    }

    /// Takes a request at `now`, the time since the server's start. Returns the responses that are due: perhaps this
    /// one's, and perhaps those of others that waited for it.
    ///
    /// # Panics
    /// If a request with the same token still waits.
    pub fn handle(&mut self, now: Duration, token: RequestToken, request: GroupRequest) -> Answers {
        assert!(!self.parked.contains_key(&token), "a token names one request at a time");
        self.now = self.now.max(now);
        let mut answers = Answers::new();
        if let Err(error) = self.admit(&request) {
            let is_for_load = matches!(
                error,
                GroupErrorCode::CoordinatorLoadInProgress | GroupErrorCode::RebalanceInProgress
            );
            self.refused_requests += u64::from(is_for_load);
            answers.push((token, request.refused(error)));
            return answers;
        }
        self.handle_in_group(token, request, &mut answers);
        answers
    }

    /// Ends sessions and rebalances whose time is over, and returns the responses that are due by that. Called at
    /// [`Self::next_deadline`] or later.
    pub fn on_time(&mut self, now: Duration) -> Answers {
        self.now = self.now.max(now);
        let mut answers = Answers::new();
        let not_due = (self.now.saturating_add(Duration::from_nanos(1)), String::new());
        let groups: Vec<String> =
            self.deadlines.range(..not_due).map(|(_, group_id)| group_id.clone()).collect();
        for group_id in groups {
            self.with_group(&group_id, &mut answers, |group, turn| group.expire(turn));
        }
        self.unpark(&answers);
        answers
    }

    /// When [`Self::on_time`] has something to do, in the time of [`Self::handle`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The connection of a request that waits has died: it will not be answered. Its member counts as not joined, and
    /// has its session timeout to come back; one that was never told its id goes at the next [`Self::on_time`].
    pub fn forget(&mut self, token: RequestToken) {
        let Some(group_id) = self.parked.remove(&token) else { return };
        let mut nothing = Answers::new();
        self.with_group(&group_id, &mut nothing, |group, turn| {
            let waits = |parked: Parked| parked == Parked::Join(token) || parked == Parked::Sync(token);
            if let Some(member) = group.members.values_mut().find(|member| waits(member.parked)) {
                member.forget_parked(turn.now);
            }
        });
    }

    /// How many requests wait.
    #[must_use]
    pub fn parked_requests(&self) -> usize {
        self.parked.len()
    }

    /// How many groups there are, empty ones included.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether the group has members. Its offsets are kept as long as it has.
    #[must_use]
    pub fn has_members(&self, group_id: &str) -> bool {
        self.groups.get(group_id).is_some_and(|entry| !entry.group.members.is_empty())
    }

    /// How many requests were refused because a bound over all groups was reached.
    #[must_use]
    pub const fn refused_requests(&self) -> u64 {
        self.refused_requests
    }

    /// Checks what does not depend on the state of the group, and makes room for a new one.
    fn admit(&mut self, request: &GroupRequest) -> Result<(), GroupErrorCode> {
        if !(1..=GROUP_ID_BYTES_MAX).contains(&request.group_id().len()) {
            return Err(GroupErrorCode::InvalidGroupId);
        }
        match request {
            GroupRequest::Join(join) => self.admit_join(join),
            GroupRequest::Sync(sync) => self.admit_sync(sync),
            GroupRequest::Leave(leave) if leave.members.len() > self.config.members_per_group_max => {
                Err(GroupErrorCode::InvalidRequest)
            }
            _ => Ok(()),
        }
    }

    fn admit_join(&mut self, join: &JoinRequest) -> Result<(), GroupErrorCode> {
        let timeouts = self.config.session_timeout_min..=self.config.session_timeout_max;
        if join.session_timeout_ms < 0 || !timeouts.contains(&member::session_timeout(join)) {
            return Err(GroupErrorCode::InvalidSessionTimeout);
        }
        join::check_request(join)?;
        self.admit_parked()?;
        if self.held_bytes + join::request_bytes(join) > self.config.state_bytes_max {
            return Err(GroupErrorCode::CoordinatorLoadInProgress);
        }
        let is_new_group = join.member_id.is_empty() && !self.groups.contains_key(&join.group_id);
        if is_new_group && self.groups.len() >= self.config.groups_max && !self.evict_vacant() {
            return Err(GroupErrorCode::CoordinatorLoadInProgress);
        }
        Ok(())
    }

    /// Kafka's own clients take the answer "loading" to a sync for fatal; a rebalance makes them join again.
    fn admit_sync(&self, sync: &SyncRequest) -> Result<(), GroupErrorCode> {
        let bytes: usize = sync.assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        if bytes <= ASSIGNMENT_BYTES_MAX && self.held_bytes + bytes > self.config.state_bytes_max {
            return Err(GroupErrorCode::RebalanceInProgress);
        }
        // A leader's never waits, and ends the waiting of others.
        if sync.assignments.is_empty() {
            return self.admit_parked().map_err(|_| GroupErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    fn admit_parked(&self) -> Result<(), GroupErrorCode> {
        if self.parked.len() < self.config.parked_requests_max {
            return Ok(());
        }
        Err(GroupErrorCode::CoordinatorLoadInProgress)
    }

    /// Drops the group that would be the first to go for being empty. Returns whether there is one.
    fn evict_vacant(&mut self) -> bool {
        let is_vacant = |group_id: &String| self.groups[group_id].group.is_vacant();
        let first = self.deadlines.iter().map(|(_, group_id)| group_id).find(|group_id| is_vacant(group_id));
        let Some(group_id) = first.cloned() else { return false };
        self.with_group(&group_id, &mut Answers::new(), |group, _| group.state = GroupState::Dead);
        true
    }

    fn handle_in_group(&mut self, token: RequestToken, request: GroupRequest, answers: &mut Answers) {
        let group_id = request.group_id().to_owned();
        if !self.groups.contains_key(&group_id) {
            match &request {
                GroupRequest::Join(join) if join.member_id.is_empty() => {
                    let entry = Entry { group: Group::new(self.now), counted_bytes: 0, deadline: None };
                    self.groups.insert(group_id.clone(), entry);
                }
                _ => {
                    answers.push((token, request.without_group()));
                    return;
                }
            }
        }
        self.with_group(&group_id, answers, |group, turn| {
            let answer = match request {
                GroupRequest::Join(join) => return group.join(turn, token, join),
                GroupRequest::Sync(sync) => return group.sync(turn, token, sync),
                GroupRequest::Heartbeat(member) => GroupResponse::Heartbeat(group.heartbeat(turn, &member)),
                GroupRequest::OffsetCommitCheck(member) => {
                    GroupResponse::OffsetCommitCheck(group.check_commit(turn, &member))
                }
                GroupRequest::Leave(leave) => {
                    let members = group.leave(turn, leave.members);
                    GroupResponse::Leave(LeaveResponse { error: GroupErrorCode::None, members })
                }
            };
            turn.answers.push((token, answer));
        });
        self.unpark(answers);
        if !answers.iter().any(|(answered, _)| *answered == token) {
            self.parked.insert(token, group_id);
        }
    }

    /// Runs one step of a group, and brings up to date what is kept about it here.
    fn with_group(
        &mut self,
        group_id: &str,
        answers: &mut Answers,
        step: impl FnOnce(&mut Group, &mut Turn<'_>),
    ) {
        let Some(entry) = self.groups.get_mut(group_id) else { return };
        let mut turn = Turn { now: self.now, config: &self.config, ids: &mut self.ids, answers };
        step(&mut entry.group, &mut turn);
        self.held_bytes -= entry.counted_bytes;
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, group_id.to_owned()));
        }
        let never_had_members = entry.group.is_vacant() && entry.group.generation == 0;
        if entry.group.state == GroupState::Dead || never_had_members {
            self.groups.remove(group_id);
            return;
        }
        entry.counted_bytes = entry.group.held_bytes() + group_id.len();
        entry.deadline = entry.group.deadline(&self.config);
        self.held_bytes += entry.counted_bytes;
        if let Some(deadline) = entry.deadline {
            self.deadlines.insert((deadline, group_id.to_owned()));
        }
    }

    fn unpark(&mut self, answers: &Answers) {
        for (token, _) in answers {
            self.parked.remove(token);
        }
    }
}
