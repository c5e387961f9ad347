//! Static members (KIP-345).

use super::*;

fn static_join(instance: &str, member_id: &str) -> GroupRequest {
    let group_instance_id = Some(instance.to_owned());
    GroupRequest::Join(JoinRequest { group_instance_id, requires_known_member_id: true, ..join(member_id) })
}

/// Two static members `a` (the leader) and `b`, and their ids.
fn stable_pair(server: &mut Server) -> Vec<String> {
    let tokens = ["a", "b"].map(|instance| server.send(static_join(instance, "")));
    server.pass(100);
    server.finish(&tokens)
}

#[test]
fn static_member_needs_no_id_first() {
    let mut server = Server::new();
    let ids = stable_pair(&mut server);
    assert!(ids[0].starts_with("a-") && ids[1].starts_with("b-"), "{ids:?}");
}

#[test]
fn restarted_static_member_gets_its_assignment_back_without_a_rebalance() {
    let mut server = Server::new();
    let ids = stable_pair(&mut server);
    let token = server.send(static_join("b", ""));
    let joined = server.joined(token);
    assert_eq!((joined.generation, joined.leader.as_str()), (1, ids[0].as_str()));
    assert_ne!(joined.member_id, ids[1]);
    let token = server.send(sync(1, &joined.member_id, &ids[0], &ids));
    assert_eq!(server.synced(token).assignment, ids[1].as_bytes());
    assert_eq!(server.state(), GroupState::Stable);
}

#[test]
fn restarted_static_leader_does_not_assign_anew() {
    for supports_skip_assignment in [false, true] {
        let mut server = Server::new();
        let ids = stable_pair(&mut server);
        let group_instance_id = Some("a".to_owned());
        let request = JoinRequest { group_instance_id, supports_skip_assignment, ..join("") };
        let token = server.send(GroupRequest::Join(request));
        let joined = server.joined(token);
        assert_eq!(joined.skip_assignment, supports_skip_assignment);
        assert_eq!(joined.leader == joined.member_id, supports_skip_assignment);
        assert_eq!(joined.members.len(), if supports_skip_assignment { 2 } else { 0 });
        let token = server.send(sync(1, &joined.member_id, "", &ids));
        assert_eq!(server.synced(token).assignment, ids[0].as_bytes());
    }
}

#[test]
fn former_self_of_a_static_member_is_fenced() {
    let mut server = Server::new();
    let ids = stable_pair(&mut server);
    server.send(static_join("b", ""));
    let old = MemberOfGeneration { group_instance_id: Some("b".to_owned()), ..member(1, &ids[1]) };
    let token = server.send(GroupRequest::Heartbeat(old.clone()));
    assert_eq!(server.answers[&token], GroupResponse::Heartbeat(GroupErrorCode::FencedInstanceId));
    let token = server.send(GroupRequest::OffsetCommitCheck(old));
    assert_eq!(server.answers[&token], GroupResponse::OffsetCommitCheck(GroupErrorCode::FencedInstanceId));
    let token = server.send(static_join("b", &ids[1]));
    assert_eq!(server.joined(token).error, GroupErrorCode::FencedInstanceId);
    assert_eq!(server.leave(&[(&ids[1], Some("b"))]), [GroupErrorCode::FencedInstanceId]);
}

#[test]
fn join_that_waits_is_fenced_when_its_instance_joins_anew() {
    let mut server = Server::new();
    let ids = stable_pair(&mut server);
    let old = server.send(static_join("a", &ids[0]));
    assert!(server.waits(old));
    let new = server.send(static_join("a", ""));
    assert_eq!(server.joined(old).error, GroupErrorCode::FencedInstanceId);
    assert!(server.waits(new));
    let other = server.send(static_join("b", &ids[1]));
    assert_eq!(server.joined(new).generation, 2);
    assert_eq!(server.joined(other).leader, server.joined(new).member_id);
}

#[test]
fn static_member_that_is_away_keeps_its_place_until_its_session_ends() {
    // Goal: at the rebalance timeout the group goes on with the static member still in it.
    let mut server = Server::new();
    let instance = |name: &str| Some(name.to_owned());
    let patient = JoinRequest { session_timeout_ms: 100_000, group_instance_id: instance("b"), ..join("") };
    let leader = JoinRequest { group_instance_id: instance("a"), ..join("") };
    let tokens = [leader.clone(), patient].map(|request| server.send(GroupRequest::Join(request)));
    server.pass(100);
    let ids = server.finish(&tokens);
    let rejoin = JoinRequest { member_id: ids[0].clone(), ..leader };
    let token = server.send(GroupRequest::Join(rejoin));
    server.pass(30_000);
    assert_eq!((server.joined(token).generation, server.joined(token).members.len()), (2, 2));
}

#[test]
fn group_of_static_members_that_are_all_away_ends_with_their_sessions() {
    let mut server = Server::new();
    let ids = stable_pair(&mut server);
    let token = server.send(static_join("a", &ids[0]));
    server.coordinator.forget(token);
    server.pass(10_000);
    assert_eq!(server.state(), GroupState::Empty);
}

#[test]
fn administrator_removes_a_static_member_by_its_instance() {
    let mut server = Server::new();
    let ids = stable_pair(&mut server);
    assert_eq!(server.leave(&[("", Some("b"))]), [GroupErrorCode::None]);
    assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::UnknownMemberId);
}
