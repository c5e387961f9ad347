//! Leaving, alone and in batches.

use super::*;

#[test]
fn others_share_what_a_member_had_that_left() {
    let mut server = Server::new();
    let ids = server.stable_group(3);
    assert_eq!(server.leave(&[(&ids[0], None)]), [GroupErrorCode::None]);
    assert_eq!(server.heartbeat(1, &ids[0]), GroupErrorCode::UnknownMemberId);
    assert_eq!(server.heartbeat(1, &ids[1]), GroupErrorCode::RebalanceInProgress);
    let tokens = [1, 2].map(|index: usize| server.send(GroupRequest::Join(join(&ids[index]))));
    let left = server.finish(&tokens);
    assert_eq!(left, ids[1..]);
}

#[test]
fn batch_of_leaving_members_is_answered_one_by_one() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let errors = server.leave(&[(&ids[0], None), ("nobody", None), (&ids[1], None), ("", Some("nothing"))]);
    let unknown = GroupErrorCode::UnknownMemberId;
    assert_eq!(errors, [GroupErrorCode::None, unknown, GroupErrorCode::None, unknown]);
    assert_eq!(server.state(), GroupState::Empty);
    assert!(!server.coordinator.has_members(GROUP));
}

#[test]
fn leaving_a_group_that_is_not_there_is_an_unknown_member() {
    assert_eq!(Server::new().leave(&[("nobody", None)]), [GroupErrorCode::UnknownMemberId]);
}

#[test]
fn join_of_a_member_that_leaves_is_answered() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    server.leave(&[(&ids[0], None)]);
    assert_eq!(server.joined(first).error, GroupErrorCode::UnknownMemberId);
}

#[test]
fn barrier_opens_when_the_last_one_that_is_missing_leaves() {
    let mut server = Server::new();
    let ids = server.stable_group(2);
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    assert!(server.waits(first));
    server.leave(&[(&ids[1], None)]);
    assert_eq!(server.joined(first).generation, 2);
}

#[test]
fn id_that_was_given_out_can_leave() {
    let mut server = Server::new();
    let ids = server.stable_group(1);
    let token = server.send(GroupRequest::Join(JoinRequest { requires_known_member_id: true, ..join("") }));
    let pending = server.joined(token).member_id;
    let first = server.send(GroupRequest::Join(join(&ids[0])));
    assert!(server.waits(first));
    assert_eq!(server.leave(&[(&pending, None)]), [GroupErrorCode::None]);
    assert_eq!(server.joined(first).generation, 2);
}

#[test]
fn generations_go_on_in_an_empty_group_until_it_is_forgotten() {
    let mut server = Server::new();
    for generation in [1, 3] {
        let token = server.send(GroupRequest::Join(join("")));
        server.pass(100);
        assert_eq!(server.joined(token).generation, generation);
        server.leave(&[(&server.joined(token).member_id, None)]);
        assert_eq!(server.state(), GroupState::Empty);
    }
    server.pass(60 * 60 * 1_000);
    assert_eq!((server.state(), server.coordinator.groups()), (GroupState::Dead, 0));
    assert_eq!(server.coordinator.next_deadline(), None);
}
