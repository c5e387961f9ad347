//! One group: its members, and the steps of a rebalance.
//!
//! ```text
//!            first member           barrier             leader's sync
//!   Empty ───────────────▶ Preparing ──────▶ Completing ────────────▶ Stable
//!     ▲                     │  ▲  ▲              │ join, leave, expiry   │
//!     └──── no member left ─┘  │  └──────────────┘                       │
//!                              └─────────────────────────────────────────┘
//! ```
//!
//! The barrier opens when every member has joined and no id is still to come back; or at the rebalance timeout, which
//! removes the dynamic members that have not joined. Static members stay until their session ends. A group that was
//! empty waits for the initial delay instead, and a little longer with each member that comes meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::config::GroupConfig;
use super::error::GroupErrorCode;
use super::member::{Member, MemberIds, Parked};
use super::message::{GroupResponse, GroupState, JoinResponse, RequestToken, SyncResponse};

/// Responses that are due.
pub(super) type Answers = Vec<(RequestToken, GroupResponse)>;

/// What one call into a group works with.
pub(super) struct Turn<'a> {
    pub(super) now: Duration,
    pub(super) config: &'a GroupConfig,
    pub(super) ids: &'a mut MemberIds,
    pub(super) answers: &'a mut Answers,
}

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) state: GroupState,
    pub(super) generation: i32,
    /// Of its members, or of the last one that it had.
    pub(super) protocol_type: Option<String>,
    /// The chosen one. None while it is empty.
    pub(super) protocol: Option<String>,
    /// A member, whenever there are members.
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Ids that were given out, and until when they may come back.
    pub(super) pending: BTreeMap<String, Duration>,
    /// When the barrier opens whoever is missing. Counts while preparing.
    pub(super) join_deadline: Duration,
    /// The barrier opens at the deadline only, and the deadline moves until here with each new member.
    pub(super) initial_until: Option<Duration>,
    /// Until when the members of a new generation must have asked for their assignments.
    sync_deadline: Option<Duration>,
    empty_since: Duration,
}

impl Group {
    pub(super) const fn new(now: Duration) -> Self {
        Self {
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            join_deadline: now,
            initial_until: None,
            sync_deadline: None,
            empty_since: now,
        }
    }

    /// Nobody is here, and nobody has an id to come with.
    pub(super) fn is_vacant(&self) -> bool {
        self.state == GroupState::Empty && self.pending.is_empty()
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn member_of_instance(&self, instance_id: &str) -> Option<&Member> {
        self.members.values().find(|member| member.instance_id.as_deref() == Some(instance_id))
    }

    /// Whether this is a member, under its present id.
    pub(super) fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), GroupErrorCode> {
        let is_known = match instance_id {
            None => self.members.contains_key(member_id),
            Some(instance_id) => match self.member_of_instance(instance_id) {
                Some(member) if member.id != member_id => return Err(GroupErrorCode::FencedInstanceId),
                member => member.is_some(),
            },
        };
        if is_known { Ok(()) } else { Err(GroupErrorCode::UnknownMemberId) }
    }

    /// Begins a rebalance, unless one is being prepared.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == GroupState::PreparingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            member.must_sync = false;
            if let Parked::Sync(token) = member.parked {
                member.parked = Parked::Nothing;
                member.last_seen = turn.now;
                turn.answers.push((token, SyncResponse::refused(GroupErrorCode::RebalanceInProgress)));
            }
            if self.state == GroupState::CompletingRebalance {
                member.assignment = Bytes::new();
            }
        }
        let wait = self.longest_rebalance_timeout();
        let initial_delay = turn.config.initial_delay.min(wait);
        let is_initial = self.state == GroupState::Empty && !initial_delay.is_zero();
        self.join_deadline = turn.now.saturating_add(if is_initial { initial_delay } else { wait });
        self.initial_until = is_initial.then(|| turn.now.saturating_add(wait));
        self.sync_deadline = None;
        self.state = GroupState::PreparingRebalance;
    }

    /// Opens the barrier if nobody is missing.
    pub(super) fn try_complete_join(&mut self, turn: &mut Turn<'_>) {
        let is_preparing = self.state == GroupState::PreparingRebalance && self.initial_until.is_none();
        if is_preparing && self.pending.is_empty() && self.members.values().all(Member::is_joining) {
            self.complete_join(turn);
        }
    }

    /// The barrier opens: a new generation of those who have joined, or nobody.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.initial_until = None;
        self.members.retain(|_, member| member.is_joining() || member.is_static());
        self.elect_leader();
        if self.members.is_empty() {
            self.next_generation();
            self.protocol = None;
            self.state = GroupState::Empty;
            self.empty_since = turn.now;
            return;
        }
        if !self.members.values().any(Member::is_joining) {
            // Static members that are all away: their sessions end before long, or they come back.
            self.join_deadline = turn.now.saturating_add(self.longest_rebalance_timeout());
            return;
        }
        self.next_generation();
        self.protocol = self.choose_protocol();
        self.state = GroupState::CompletingRebalance;
        self.sync_deadline = Some(turn.now.saturating_add(self.longest_rebalance_timeout()));
        let joined: Vec<(RequestToken, String)> = self
            .members
            .values()
            .filter_map(|member| match member.parked {
                Parked::Join(token) => Some((token, member.id.clone())),
                _ => None,
            })
            .collect();
        for (token, member_id) in joined {
            turn.answers.push((token, self.joined(&member_id)));
            let member = self.members.get_mut(&member_id).expect("it was listed above");
            member.parked = Parked::Nothing;
            member.last_seen = turn.now;
            member.must_sync = true;
            member.knows_its_id = true;
        }
    }

    /// What a member of the present generation is told when it joins.
    pub(super) fn joined(&self, member_id: &str) -> GroupResponse {
        let protocol = self.protocol.as_deref();
        let members = if self.is_leader(member_id) {
            self.members.values().map(|member| member.as_joined(protocol)).collect()
        } else {
            Vec::new()
        };
        GroupResponse::Join(JoinResponse {
            error: GroupErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            skip_assignment: false,
            members,
        })
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    /// Keeps the leader if it is (still) here and joining; else one that is joining; else any.
    fn elect_leader(&mut self) {
        let present = self.leader.as_ref().and_then(|id| self.members.get(id));
        if present.is_some_and(Member::is_joining) {
            return;
        }
        let joining = self.members.values().find(|member| member.is_joining());
        let elected = joining.or(present).or_else(|| self.members.values().next());
        self.leader = elected.map(|member| member.id.clone());
    }

    /// The protocol that most members like best of those that all have. At a tie, the one that the leader likes better.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id))?;
        let is_common = |name: &str| self.members.values().all(|member| member.supports(name));
        let candidates = leader.protocols.iter().map(|protocol| protocol.name.as_str());
        let candidates: Vec<&str> = candidates.filter(|name| is_common(name)).collect();
        let mut votes = vec![0_usize; candidates.len()];
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|protocol| protocol.name.as_str());
            let vote = names.find_map(|name| candidates.iter().position(|candidate| *candidate == name));
            if let Some(vote) = vote {
                votes[vote] += 1;
            }
        }
        let most = votes.iter().max()?;
        let chosen = votes.iter().position(|count| count == most)?;
        Some(candidates[chosen].to_owned())
    }

    pub(super) fn longest_rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or(Duration::ZERO)
    }

    /// Takes a member out; what it waits for is answered. The caller lets [`Self::after_removal`] follow.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else { return };
        answer_parked(&member, turn.answers, GroupErrorCode::UnknownMemberId);
        if self.is_leader(member_id) {
            self.elect_leader();
        }
    }

    /// The others share what the removed ones had.
    pub(super) fn after_removal(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.state, GroupState::Stable | GroupState::CompletingRebalance) {
            self.prepare_rebalance(turn);
        }
        self.try_complete_join(turn);
    }

    /// The assignments are there.
    pub(super) fn become_stable(&mut self) {
        assert_eq!(self.state, GroupState::CompletingRebalance, "only then a leader hands in assignments");
        self.state = GroupState::Stable;
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self, config: &GroupConfig) -> Option<Duration> {
        let sessions = self.members.values().filter_map(Member::session_deadline);
        let pending = self.pending.values().copied();
        let join = (self.state == GroupState::PreparingRebalance).then_some(self.join_deadline);
        let vacant = self.is_vacant().then(|| self.empty_since.saturating_add(config.empty_group_retention));
        sessions.chain(pending).chain(join).chain(self.sync_deadline).chain(vacant).min()
    }

    /// Does what the time asks for.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.pending.retain(|_, deadline| *deadline > now);
        let sync_is_over = self.sync_deadline.is_some_and(|deadline| deadline <= now);
        let is_gone = |member: &&Member| {
            let is_silent = member.session_deadline().is_some_and(|deadline| deadline <= now);
            is_silent || (sync_is_over && member.must_sync)
        };
        let gone: Vec<String> =
            self.members.values().filter(is_gone).map(|member| member.id.clone()).collect();
        for member_id in &gone {
            self.remove(turn, member_id);
        }
        if sync_is_over {
            self.sync_deadline = None;
        }
        if gone.is_empty() {
            self.try_complete_join(turn);
        } else {
            self.after_removal(turn);
        }
        if self.state == GroupState::PreparingRebalance && self.join_deadline <= now {
            self.complete_join(turn);
        }
        if self.deadline(turn.config).is_some_and(|deadline| deadline <= now) && self.is_vacant() {
            self.state = GroupState::Dead;
        }
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let members: usize = self.members.values().map(Member::held_bytes).sum();
        let pending: usize = self.pending.keys().map(|id| id.len() + size_of::<(String, Duration)>()).sum();
        size_of::<Self>() + members + pending
    }
}

/// Answers what a member waits for with an error.
pub(super) fn answer_parked(member: &Member, answers: &mut Answers, error: GroupErrorCode) {
    match member.parked {
        Parked::Nothing => {}
        Parked::Join(token) => answers.push((token, JoinResponse::refused(error, member.id.clone()))),
        Parked::Sync(token) => answers.push((token, SyncResponse::refused(error))),
    }
}
