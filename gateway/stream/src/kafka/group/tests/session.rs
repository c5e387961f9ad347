//! Sync, heartbeat, commit, session timers, administration.

use super::*;

#[test]
fn syncs_wait_for_the_leader_and_then_get_their_assignments() {
    let mut server = Server::new();
    let tokens = [(); 3].map(|()| server.send(GroupRequest::Join(join(""))));
    server.pass(100);
    let ids = tokens.map(|token| server.joined(token).member_id);
    let follower = server.send(sync(1, &ids[1], &ids[0], &ids));
    assert!(server.waits(follower));
    assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::None);
    // The leader leaves the third one out.
    let leader = server.send(sync(1, &ids[0], &ids[0], &ids[..2]));
    assert_eq!(server.synced(leader).assignment, ids[0].as_bytes());
    assert_eq!(server.synced(follower).assignment, ids[1].as_bytes());
    let late = server.send(sync(1, &ids[2], &ids[0], &ids));
    assert_eq!((server.synced(late).error, server.synced(late).assignment.len()), (GroupErrorCode::None, 0));
    assert_eq!(server.synced(late).protocol.as_deref(), Some("range"));
    assert_eq!(server.state(), GroupState::Stable);
}

#[test]
fn sync_is_refused_for_a_wrong_member_generation_or_protocol() {
    let mut server = Server::new();
    let ids = server.stable_group(1);
    let mut error_of = |generation, id: &str, protocol_type: Option<&str>, protocol: Option<&str>| {
        let token = server.send(GroupRequest::Sync(SyncRequest {
            member: member(generation, id),
            protocol_type: protocol_type.map(str::to_owned),
            protocol: protocol.map(str::to_owned),
            assignments: Vec::new(),
        }));
        server.synced(token).error
    };
    assert_eq!(error_of(1, "nobody", None, None), GroupErrorCode::UnknownMemberId);
    assert_eq!(error_of(0, &ids[0], None, None), GroupErrorCode::IllegalGeneration);
    assert_eq!(error_of(1, &ids[0], Some("connect"), None), GroupErrorCode::InconsistentGroupProtocol);
    assert_eq!(error_of(1, &ids[0], None, Some("sticky")), GroupErrorCode::InconsistentGroupProtocol);
    assert_eq!(error_of(1, &ids[0], Some("consumer"), Some("range")), GroupErrorCode::None);
}

#[test]
fn syncs_that_wait_are_told_of_a_new_rebalance() {
    let mut server = Server::new();
    let tokens = [(); 2].map(|()| server.send(GroupRequest::Join(join(""))));
    server.pass(100);
    let ids = tokens.map(|token| server.joined(token).member_id);
    let follower = server.send(sync(1, &ids[1], &ids[0], &ids));
    server.send(GroupRequest::Join(join("")));
    assert_eq!(server.synced(follower).error, GroupErrorCode::RebalanceInProgress);
    let leader = server.send(sync(1, &ids[0], &ids[0], &ids));
    assert_eq!(server.synced(leader).error, GroupErrorCode::RebalanceInProgress);
}

#[test]
fn second_sync_of_a_member_answers_the_first() {
    let mut server = Server::new();
    let tokens = [(); 2].map(|()| server.send(GroupRequest::Join(join(""))));
    server.pass(100);
    let ids = tokens.map(|token| server.joined(token).member_id);
    let first = server.send(sync(1, &ids[1], &ids[0], &ids));
    let second = server.send(sync(1, &ids[1], &ids[0], &ids));
    assert_eq!(server.synced(first).error, GroupErrorCode::RebalanceInProgress);
    assert!(server.waits(second));
}

#[test]
fn leader_that_never_syncs_is_removed_and_the_others_go_on() {
    let mut server = Server::new();
    let tokens = [(); 2].map(|()| server.send(GroupRequest::Join(join(""))));
    server.pass(100);
    let ids = tokens.map(|token| server.joined(token).member_id);
    let follower = server.send(sync(1, &ids[1], &ids[0], &ids));
    for _ in 0..6 {
        assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::None);
        server.pass(5_000);
    }
    assert_eq!(server.synced(follower).error, GroupErrorCode::RebalanceInProgress);
    assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::UnknownMemberId);
    let again = server.send(GroupRequest::Join(join(&ids[1])));
    assert_eq!((server.joined(again).generation, server.joined(again).leader), (2, ids[1].clone()));
}

#[test]
fn silent_member_is_removed_at_its_session_timeout_and_heartbeats_put_it_off() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    server.pass(9_999);
    assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::None);
    server.pass(1);
    assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::RebalanceInProgress);
    assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::UnknownMemberId);
    let token = server.send(GroupRequest::Join(join(&ids[0])));
    assert_eq!(server.finish(&[token]), [ids[0].clone()]);
}

#[test]
fn heartbeat_of_a_wrong_member_or_generation_is_refused() {
    let mut server = Server::new();
    assert_eq!(server.heartbeat(1, "nobody"), GroupErrorCode::UnknownMemberId);
    let ids = server.stable_group(1);
    assert_eq!(server.heartbeat(1, "nobody"), GroupErrorCode::UnknownMemberId);
    assert_eq!(server.heartbeat(2, &ids[0]), GroupErrorCode::IllegalGeneration);
    assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::None);
}

#[test]
fn commit_is_allowed_for_members_of_the_generation_and_for_anybody_in_an_empty_group() {
    let mut server = Server::new();
    assert_eq!(server.check_commit(-1, ""), GroupErrorCode::None);
    assert_eq!(server.check_commit(5, "from before the restart"), GroupErrorCode::IllegalGeneration);
    let ids = server.stable_group(2);
    assert_eq!(server.check_commit(1, &ids[0]), GroupErrorCode::None);
    assert_eq!(server.check_commit(0, &ids[0]), GroupErrorCode::IllegalGeneration);
    assert_eq!(server.check_commit(1, "nobody"), GroupErrorCode::UnknownMemberId);
    assert_eq!(server.check_commit(-1, ""), GroupErrorCode::UnknownMemberId);
    // While the next generation is prepared the old one commits what it has done; after that it is too late.
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    assert_eq!(server.check_commit(1, &ids[1]), GroupErrorCode::None);
    server.send(GroupRequest::Join(join(&ids[1])));
    assert_eq!(server.joined(first).generation, 2);
    assert_eq!(server.check_commit(1, &ids[1]), GroupErrorCode::IllegalGeneration);
    assert_eq!(server.check_commit(2, &ids[1]), GroupErrorCode::RebalanceInProgress);
    server.leave(&[(&ids[0], None), (&ids[1], None)]);
    assert_eq!(server.check_commit(-1, ""), GroupErrorCode::None);
    assert_eq!(server.check_commit(2, &ids[1]), GroupErrorCode::UnknownMemberId);
}

#[test]
fn groups_are_listed_and_described_with_their_members() {
    let mut server = Server::new();
    assert_eq!(server.state(), GroupState::Dead);
    let ids = server.stable_group(2);
    let line = ListedGroup { group_id: GROUP, protocol_type: "consumer", state: GroupState::Stable };
    assert_eq!(server.coordinator.list().collect::<Vec<_>>(), [line]);
    let described = server.describe();
    assert_eq!((described.protocol, described.protocol_type), ("range", "consumer"));
    assert_eq!(described.members().len(), 2);
    for (member, id) in described.members().zip(&ids) {
        assert_eq!(member.member_id, *id);
        assert_eq!((member.metadata, member.assignment), (&b"metadata of range"[..], id.as_bytes()));
        assert_eq!((member.client_id, member.client_host), ("client", "127.0.0.1"));
    }
    server.send(GroupRequest::Join(join(&ids[0])));
    let described = server.describe();
    assert_eq!((described.state, described.protocol), (GroupState::PreparingRebalance, ""));
    assert_eq!(described.members().len(), 2);
    assert!(described.members().all(|member| member.metadata.is_empty() && member.assignment.is_empty()));
}
