//! How the coordinator behaves: one file a part of the protocol, and a model with random clients.

mod bounds;
mod join;
mod leave;
mod model;
mod session;
mod statics;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::*;

const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 30_000;
const GROUP: &str = "readers";

/// A coordinator with a clock that the test moves, and the responses so far.
struct Server {
    coordinator: GroupCoordinator,
    now: Duration,
    next_token: u64,
    answers: BTreeMap<RequestToken, GroupResponse>,
}

impl Server {
    fn new() -> Self {
        Self::with(GroupConfig::new(7))
    }

    fn with(config: GroupConfig) -> Self {
        let now = Duration::from_secs(1);
        Self { coordinator: GroupCoordinator::new(config), now, next_token: 0, answers: BTreeMap::new() }
    }

    fn send(&mut self, request: GroupRequest) -> RequestToken {
        self.next_token += 1;
        let token = RequestToken(self.next_token);
        let answers = self.coordinator.handle(self.now, token, request);
        self.take(answers);
        token
    }

    fn take(&mut self, answers: Vec<(RequestToken, GroupResponse)>) {
        for (token, response) in answers {
            assert!(self.answers.insert(token, response).is_none(), "{token:?} was answered twice");
        }
    }

    /// Moves the clock, with a stop at each deadline.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(deadline) = self.coordinator.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            let answers = self.coordinator.on_time(self.now);
            self.take(answers);
        }
        self.now = until;
    }

    fn waits(&self, token: RequestToken) -> bool {
        !self.answers.contains_key(&token)
    }

    fn joined(&self, token: RequestToken) -> JoinResponse {
        match self.answers.get(&token) {
            Some(GroupResponse::Join(response)) => response.clone(),
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    fn synced(&self, token: RequestToken) -> SyncResponse {
        match self.answers.get(&token) {
            Some(GroupResponse::Sync(response)) => response.clone(),
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    fn heartbeat(&mut self, generation: i32, member_id: &str) -> GroupErrorCode {
        let token = self.send(GroupRequest::Heartbeat(member(generation, member_id)));
        match self.answers[&token] {
            GroupResponse::Heartbeat(error) => error,
            ref other => panic!("no answer to a heartbeat: {other:?}"),
        }
    }

    fn check_commit(&mut self, generation: i32, member_id: &str) -> GroupErrorCode {
        let token = self.send(GroupRequest::OffsetCommitCheck(member(generation, member_id)));
        match self.answers[&token] {
            GroupResponse::OffsetCommitCheck(error) => error,
            ref other => panic!("no answer to a commit: {other:?}"),
        }
    }

    fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<GroupErrorCode> {
        let leaving = members.iter().map(|(member_id, instance)| LeavingMember {
            member_id: (*member_id).to_owned(),
            group_instance_id: instance.map(str::to_owned),
        });
        let request = LeaveRequest { group_id: GROUP.to_owned(), members: leaving.collect() };
        let token = self.send(GroupRequest::Leave(request));
        match &self.answers[&token] {
            GroupResponse::Leave(response) if response.error == GroupErrorCode::None => {
                response.members.iter().map(|(_, error)| *error).collect()
            }
            other => panic!("no answer to a leave: {other:?}"),
        }
    }

    fn describe(&self) -> DescribedGroup<'_> {
        self.coordinator.describe(GROUP)
    }

    fn state(&self) -> GroupState {
        self.describe().state
    }

    /// A stable group of so many dynamic members, the leader first. Each has its own id for an assignment.
    fn stable_group(&mut self, count: usize) -> Vec<String> {
        let tokens: Vec<RequestToken> = (0..count).map(|_| self.send(GroupRequest::Join(join("")))).collect();
        self.pass(1_000);
        self.finish(&tokens)
    }

    /// Syncs those who have just joined; returns their ids, the leader's first.
    fn finish(&mut self, tokens: &[RequestToken]) -> Vec<String> {
        let joins: Vec<JoinResponse> = tokens.iter().map(|token| self.joined(*token)).collect();
        let mut ids: Vec<String> = joins.iter().map(|join| join.member_id.clone()).collect();
        ids.sort_by_key(|id| *id != joins[0].leader);
        let generation = joins[0].generation;
        let syncs: Vec<RequestToken> =
            ids.iter().rev().map(|id| self.send(sync(generation, id, &joins[0].leader, &ids))).collect();
        for (token, id) in syncs.into_iter().rev().zip(&ids) {
            assert_eq!(self.synced(token).error, GroupErrorCode::None);
            assert_eq!(self.synced(token).assignment, id.as_bytes());
        }
        ids
    }
}

fn member(generation: i32, member_id: &str) -> MemberOfGeneration {
    MemberOfGeneration {
        group_id: GROUP.to_owned(),
        generation,
        member_id: member_id.to_owned(),
        group_instance_id: None,
    }
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    let named =
        |name: &&str| Protocol { name: (*name).to_owned(), metadata: format!("metadata of {name}").into() };
    names.iter().map(named).collect()
}

/// A join as librdkafka of v3 sends it: no id first.
fn join(member_id: &str) -> JoinRequest {
    JoinRequest {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "127.0.0.1".to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range", "roundrobin"]),
        requires_known_member_id: false,
        supports_skip_assignment: false,
    }
}

/// A sync; with assignments, if this is the leader.
fn sync(generation: i32, member_id: &str, leader: &str, all: &[String]) -> GroupRequest {
    let own_id = |id: &String| (id.clone(), id.clone().into());
    GroupRequest::Sync(SyncRequest {
        member: member(generation, member_id),
        protocol_type: None,
        protocol: None,
        assignments: if member_id == leader { all.iter().map(own_id).collect() } else { Vec::new() },
    })
}
