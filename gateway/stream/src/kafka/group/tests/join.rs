//! Joining, the barrier and the choice of the protocol.

use super::*;

#[test]
fn new_member_of_a_new_client_is_given_its_id_first() {
    let mut server = Server::new();
    let request = JoinRequest { requires_known_member_id: true, ..join("") };
    let token = server.send(GroupRequest::Join(request.clone()));
    let refused = server.joined(token);
    assert_eq!((refused.error, refused.error.code()), (GroupErrorCode::MemberIdRequired, 79));
    assert!(refused.member_id.starts_with("client-"), "{}", refused.member_id);
    assert_eq!(server.state(), GroupState::Empty);
    let token =
        server.send(GroupRequest::Join(JoinRequest { member_id: refused.member_id.clone(), ..request }));
    server.pass(100);
    let joined = server.joined(token);
    assert_eq!((joined.error, joined.member_id), (GroupErrorCode::None, refused.member_id));
    assert_eq!(joined.generation, 1);
}

#[test]
fn id_that_does_not_come_back_is_forgotten_with_its_group() {
    let mut server = Server::new();
    let token = server.send(GroupRequest::Join(JoinRequest { requires_known_member_id: true, ..join("") }));
    let id = server.joined(token).member_id;
    server.pass(10_000);
    assert_eq!(server.coordinator.groups(), 0);
    let token = server.send(GroupRequest::Join(join(&id)));
    assert_eq!(server.joined(token).error, GroupErrorCode::UnknownMemberId);
}

#[test]
fn new_group_waits_for_the_initial_delay_and_longer_for_each_member_that_comes() {
    let mut server = Server::new();
    let first = server.send(GroupRequest::Join(join("")));
    server.pass(99);
    assert!(server.waits(first));
    let second = server.send(GroupRequest::Join(join("")));
    server.pass(99);
    assert!(server.waits(first) && server.waits(second));
    server.pass(1);
    let (first, second) = (server.joined(first), server.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(second.leader, first.member_id);
}

#[test]
fn without_an_initial_delay_the_first_member_is_answered_at_once() {
    let mut server = Server::with(GroupConfig { initial_delay: Duration::ZERO, ..GroupConfig::new(7) });
    let token = server.send(GroupRequest::Join(join("")));
    assert_eq!(server.joined(token).generation, 1);
}

#[test]
fn only_the_leader_gets_the_members_with_their_metadata() {
    let mut server = Server::new();
    let tokens = [(); 3].map(|()| server.send(GroupRequest::Join(join(""))));
    server.pass(100);
    let joins = tokens.map(|token| server.joined(token));
    for join in &joins {
        if join.member_id == join.leader {
            let ids: Vec<&str> = join.members.iter().map(|member| member.member_id.as_str()).collect();
            assert_eq!(ids, joins.iter().map(|join| join.member_id.as_str()).collect::<Vec<_>>());
            assert!(join.members.iter().all(|member| member.metadata == "metadata of range"));
        } else {
            assert!(join.members.is_empty());
        }
        assert_eq!(join.protocol.as_deref(), Some("range"));
        assert_eq!(join.protocol_type.as_deref(), Some("consumer"));
    }
}

#[test]
fn barrier_opens_as_soon_as_all_known_members_have_joined_again() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let newcomer = server.send(GroupRequest::Join(join("")));
    assert_eq!(server.state(), GroupState::PreparingRebalance);
    assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::RebalanceInProgress);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    assert!(server.waits(newcomer) && server.waits(first));
    let second = server.send(GroupRequest::Join(join(&ids[1])));
    for token in [newcomer, first, second] {
        assert_eq!(server.joined(token).generation, 2);
        assert_eq!(server.joined(token).leader, ids[0]);
    }
    assert_eq!(server.finish(&[newcomer, first, second]).len(), 3);
}

#[test]
fn member_that_heartbeats_but_does_not_join_again_is_removed_at_the_rebalance_timeout() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    for _ in 0..5 {
        server.pass(5_000);
        assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::RebalanceInProgress);
    }
    server.pass(4_999);
    assert!(server.waits(first));
    server.pass(1);
    assert_eq!(server.joined(first).generation, 2);
    assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::UnknownMemberId);
}

#[test]
fn barrier_waits_for_an_id_that_was_given_out() {
    let mut server = Server::new();
    let ids = server.stable_group(1);
    let request = JoinRequest { requires_known_member_id: true, ..join("") };
    let token = server.send(GroupRequest::Join(request.clone()));
    assert_eq!(server.state(), GroupState::Stable);
    let pending = server.joined(token).member_id;
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    assert!(server.waits(first));
    let second = server.send(GroupRequest::Join(JoinRequest { member_id: pending, ..request }));
    assert_eq!((server.joined(first).generation, server.joined(second).generation), (2, 2));
}

#[test]
fn session_timer_stands_still_while_a_join_waits() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let slow = JoinRequest { rebalance_timeout_ms: 120_000, ..join("") };
    let newcomer = server.send(GroupRequest::Join(slow));
    for _ in 0..5 {
        server.pass(5_000);
        assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::RebalanceInProgress);
        assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::RebalanceInProgress);
    }
    // 25 s in the join, with a session timeout of 10 s.
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    let second = server.send(GroupRequest::Join(join(&ids[1])));
    for token in [newcomer, first, second] {
        assert_eq!(server.joined(token).error, GroupErrorCode::None);
    }
}

#[test]
fn protocol_that_most_members_like_best_of_the_common_ones_is_chosen() {
    let choose = |offers: &[&[&str]]| {
        let mut server = Server::new();
        let tokens: Vec<RequestToken> = offers
            .iter()
            .map(|names| {
                server.send(GroupRequest::Join(JoinRequest { protocols: protocols(names), ..join("") }))
            })
            .collect();
        server.pass(100);
        server.joined(tokens[0]).protocol.unwrap()
    };
    assert_eq!(choose(&[&["a", "b"], &["b", "a"], &["b", "a"]]), "b");
    assert_eq!(choose(&[&["a", "b", "c"], &["c", "b"], &["c", "b", "a"]]), "c");
    assert_eq!(choose(&[&["a", "b"], &["b"]]), "b");
    // A tie: as the leader likes.
    assert_eq!(choose(&[&["a", "b"], &["b", "a"]]), "a");
}

#[test]
fn member_without_a_common_protocol_is_refused() {
    let mut server = Server::new();
    server.stable_group(1);
    for request in [
        JoinRequest { protocols: protocols(&["sticky"]), ..join("") },
        JoinRequest { protocol_type: "connect".to_owned(), ..join("") },
        JoinRequest { protocols: Vec::new(), ..join("") },
        JoinRequest { protocol_type: String::new(), ..join("") },
    ] {
        let token = server.send(GroupRequest::Join(request));
        assert_eq!(server.joined(token).error, GroupErrorCode::InconsistentGroupProtocol);
        assert_eq!(server.state(), GroupState::Stable);
    }
}

#[test]
fn member_that_joins_again_unchanged_is_told_the_present_generation() {
    // Goal: a lost answer costs no rebalance; a leader's or a changed join asks for one.
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let token = server.send(GroupRequest::Join(join(&ids[1])));
    assert_eq!((server.joined(token).generation, server.state()), (1, GroupState::Stable));
    let changed = JoinRequest { protocols: protocols(&["range"]), ..join(&ids[1]) };
    let token = server.send(GroupRequest::Join(changed));
    assert!(server.waits(token));
    let leader = server.send(GroupRequest::Join(join(&ids[0])));
    assert_eq!((server.joined(token).generation, server.joined(leader).generation), (2, 2));
    // Before the sync, the leader too is only told again.
    let again = server.send(GroupRequest::Join(join(&ids[0])));
    assert_eq!(server.joined(again).members.len(), 2);
    assert_eq!(server.state(), GroupState::CompletingRebalance);
}

#[test]
fn leader_that_joins_a_stable_group_again_begins_a_rebalance() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let token = server.send(GroupRequest::Join(join(&ids[0])));
    assert!(server.waits(token));
    assert_eq!(server.state(), GroupState::PreparingRebalance);
}

#[test]
fn second_join_of_a_member_answers_the_first() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    let second = server.send(GroupRequest::Join(join(&ids[0])));
    assert_eq!(server.joined(first).error, GroupErrorCode::RebalanceInProgress);
    assert!(server.waits(second));
}

#[test]
fn member_whose_connection_died_in_the_join_must_come_back() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    server.coordinator.forget(first);
    let second = server.send(GroupRequest::Join(join(&ids[1])));
    assert!(server.waits(second));
    server.pass(9_999);
    assert!(server.waits(second));
    server.pass(1);
    assert_eq!((server.joined(second).leader, server.waits(first)), (ids[1].clone(), true));
    assert_eq!(server.coordinator.parked_requests(), 0);
}

#[test]
fn member_that_died_before_it_knew_its_id_goes_at_once() {
    let mut server = Server::new();
    let ids = server.stable_group(1);
    let lost = server.send(GroupRequest::Join(join("")));
    server.coordinator.forget(lost);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    server.pass(0);
    assert_eq!(server.joined(first).members.len(), 1);
}
