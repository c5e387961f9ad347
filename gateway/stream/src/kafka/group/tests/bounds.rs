//! What is refused for being too much.

use super::*;
use crate::kafka::group::limits::{
    ASSIGNMENT_BYTES_MAX, GROUP_ID_BYTES_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX, PROTOCOLS_PER_MEMBER_MAX,
};

fn in_group(group_id: &str) -> GroupRequest {
    GroupRequest::Join(JoinRequest { group_id: group_id.to_owned(), ..join("") })
}

fn error_of(server: &mut Server, request: GroupRequest) -> GroupErrorCode {
    let token = server.send(request);
    server.joined(token).error
}

#[test]
fn group_ids_are_not_empty_and_not_too_long() {
    let mut server = Server::new();
    for group_id in [String::new(), "g".repeat(GROUP_ID_BYTES_MAX + 1)] {
        assert_eq!(error_of(&mut server, in_group(&group_id)), GroupErrorCode::InvalidGroupId);
        let heartbeat = MemberOfGeneration { group_id, ..member(1, "m") };
        let token = server.send(GroupRequest::Heartbeat(heartbeat));
        assert_eq!(server.answers[&token], GroupResponse::Heartbeat(GroupErrorCode::InvalidGroupId));
    }
    let token = server.send(in_group(&"g".repeat(GROUP_ID_BYTES_MAX)));
    assert!(server.waits(token));
}

#[test]
fn session_timeouts_are_within_their_range() {
    let mut server = Server::new();
    for session_timeout_ms in [i32::MIN, -1, 0, 5_999, 1_800_001, i32::MAX] {
        let request = GroupRequest::Join(JoinRequest { session_timeout_ms, ..join("") });
        assert_eq!(error_of(&mut server, request), GroupErrorCode::InvalidSessionTimeout);
    }
    for session_timeout_ms in [6_000, 1_800_000] {
        let token = server.send(GroupRequest::Join(JoinRequest { session_timeout_ms, ..join("") }));
        assert!(server.waits(token));
    }
}

#[test]
fn names_protocols_and_metadata_are_not_too_much() {
    let mut server = Server::new();
    let named =
        |name: &str, bytes: usize| Protocol { name: name.to_owned(), metadata: vec![0; bytes].into() };
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    for request in [
        JoinRequest { protocols: vec![named("a", METADATA_BYTES_MAX), named("b", 1)], ..join("") },
        JoinRequest { protocols: vec![named(&long, 0)], ..join("") },
        JoinRequest { protocols: vec![named("a", 0); PROTOCOLS_PER_MEMBER_MAX + 1], ..join("") },
        JoinRequest { group_instance_id: Some(long.clone()), ..join("") },
        JoinRequest { group_instance_id: Some(String::new()), ..join("") },
        JoinRequest { protocol_type: long, ..join("") },
    ] {
        assert_eq!(error_of(&mut server, GroupRequest::Join(request)), GroupErrorCode::InvalidRequest);
    }
    let most = JoinRequest { protocols: vec![named("a", METADATA_BYTES_MAX)], ..join("") };
    let token = server.send(GroupRequest::Join(most));
    assert!(server.waits(token));
}

#[test]
fn assignments_are_not_too_much() {
    let mut server = Server::new();
    let token = server.send(GroupRequest::Join(join("")));
    server.pass(100);
    let id = server.joined(token).member_id;
    for (bytes, error) in [
        (ASSIGNMENT_BYTES_MAX + 1, GroupErrorCode::InvalidRequest),
        (ASSIGNMENT_BYTES_MAX, GroupErrorCode::None),
    ] {
        let token = server.send(GroupRequest::Sync(SyncRequest {
            member: member(1, &id),
            protocol_type: None,
            protocol: None,
            assignments: vec![(id.clone(), vec![0; bytes].into())],
        }));
        assert_eq!(server.synced(token).error, error);
    }
}

#[test]
fn full_group_takes_no_more_members_nor_ids() {
    let mut server = Server::with(GroupConfig { members_per_group_max: 2, ..GroupConfig::new(7) });
    let pending = JoinRequest { requires_known_member_id: true, ..join("") };
    assert_eq!(error_of(&mut server, GroupRequest::Join(pending.clone())), GroupErrorCode::MemberIdRequired);
    server.send(GroupRequest::Join(join("")));
    assert_eq!(error_of(&mut server, GroupRequest::Join(join(""))), GroupErrorCode::GroupMaxSizeReached);
    assert_eq!(error_of(&mut server, GroupRequest::Join(pending)), GroupErrorCode::GroupMaxSizeReached);
}

#[test]
fn new_group_takes_the_place_of_an_empty_one_only() {
    let mut server = Server::with(GroupConfig { groups_max: 2, ..GroupConfig::new(7) });
    let ids = server.stable_group(1);
    server.send(in_group("second"));
    assert_eq!(error_of(&mut server, in_group("third")), GroupErrorCode::CoordinatorLoadInProgress);
    assert_eq!(server.coordinator.refused_requests(), 1);
    server.leave(&[(&ids[0], None)]);
    let third = server.send(in_group("third"));
    assert!(server.waits(third));
    assert_eq!((server.state(), server.coordinator.groups()), (GroupState::Dead, 2));
}

#[test]
fn requests_that_wait_and_bytes_that_are_held_are_bounded() {
    let mut server = Server::with(GroupConfig { parked_requests_max: 2, ..GroupConfig::new(7) });
    let waiting = [(); 2].map(|()| server.send(GroupRequest::Join(join(""))));
    assert_eq!(
        error_of(&mut server, GroupRequest::Join(join(""))),
        GroupErrorCode::CoordinatorLoadInProgress
    );
    server.pass(100);
    server.finish(&waiting);

    let mut server = Server::with(GroupConfig { state_bytes_max: 4_096, ..GroupConfig::new(7) });
    let big = || {
        GroupRequest::Join(JoinRequest {
            protocols: vec![Protocol { name: "a".to_owned(), metadata: vec![0; 2_048].into() }],
            ..join("")
        })
    };
    let first = server.send(big());
    assert!(server.waits(first));
    assert_eq!(error_of(&mut server, big()), GroupErrorCode::CoordinatorLoadInProgress);
    server.pass(100);
    let id = server.joined(first).member_id;
    for (bytes, error) in [(4_096, GroupErrorCode::RebalanceInProgress), (64, GroupErrorCode::None)] {
        let token = server.send(GroupRequest::Sync(SyncRequest {
            member: member(1, &id),
            protocol_type: None,
            protocol: None,
            assignments: vec![(id.clone(), vec![0; bytes].into())],
        }));
        assert_eq!(server.synced(token).error, error);
    }
    assert_eq!(server.coordinator.refused_requests(), 2);
}

#[test]
fn settings_cannot_exceed_the_bounds() {
    let mut config = GroupConfig::new(7);
    let defaults = config.clone();
    (config.groups_max, config.members_per_group_max) = (usize::MAX, usize::MAX);
    (config.parked_requests_max, config.state_bytes_max) = (usize::MAX, usize::MAX);
    config.session_timeout_max = Duration::MAX;
    assert_eq!(config.bounded(), defaults);
}
