//! Goal: sockets are bound as asked, never shared with a stranger, and steered by lane.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use pulsegate::io::socket::{SocketError, SocketGroup, SocketGroupConfig};
use pulsegate::io::{Receiver, ReceiverConfig, probe};
use pulsegate_codec::Lane;
use pulsegate_codec::frame::LANE_OFFSET;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{LOOPBACK_V4, LOOPBACK_V6, for_each_kind, sender_to};

fn group(address: &str, shard_count: usize) -> Result<SocketGroup, SocketError> {
    let mut config = SocketGroupConfig::new(address.parse::<SocketAddr>().unwrap());
    config.shard_count = shard_count;
    SocketGroup::bind(&config)
}

#[test]
fn every_lane_reaches_the_shard_that_owns_it() {
    for_each_kind(|kind| {
        for (address, shard_count) in [(LOOPBACK_V4, 2), (LOOPBACK_V4, 3), (LOOPBACK_V6, 3)] {
            let group = group(address, shard_count).unwrap();
            // Several senders: without the program the kernel would spread them by their ports.
            let senders: Vec<UdpSocket> = (0..4).map(|_| sender_to(group.local_address)).collect();
            for lane in 0..=255_u8 {
                let mut frame = [0xee_u8; 16];
                frame[LANE_OFFSET] = lane;
                senders[usize::from(lane) % senders.len()].send(&frame).unwrap();
            }
            let mut received = 0;
            for (shard, socket) in group.sockets.into_iter().enumerate() {
                let mut receiver = Receiver::open(kind, socket, &ReceiverConfig::default()).unwrap();
                let drained = receiver.drain(|datagram| {
                    let lane = Lane(datagram.payload[LANE_OFFSET]);
                    assert_eq!(lane.shard(shard_count), shard, "{lane:?} of {shard_count}");
                });
                received += drained.unwrap().datagrams;
            }
            assert_eq!(received, 256, "{kind} {address} {shard_count}");
        }
    });
}

#[test]
fn datagram_without_a_lane_goes_to_the_first_shard() {
    let group = group(LOOPBACK_V4, 3).unwrap();
    let sender = sender_to(group.local_address);
    sender.send(b"PG").unwrap();
    group.sockets[0].set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(group.sockets[0].recv(&mut buffer).unwrap(), 2);
}

#[test]
fn sockets_of_a_group_share_the_port_that_the_kernel_chose() {
    let group = group(LOOPBACK_V4, 3).unwrap();
    assert_ne!(group.local_address.port(), 0);
    for socket in &group.sockets {
        assert_eq!(socket.local_addr().unwrap(), group.local_address);
    }
    assert!(group.glues_trains);
    assert!(group.receive_buffer_bytes > 0);
}

/// Method: the port is held by another socket with SO_REUSEPORT set, as a second gateway's would be.
#[test]
fn port_of_somebody_else_is_refused_even_if_it_may_be_shared() {
    for shard_count in [1, 2] {
        let other = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        other.set_reuse_port(true).unwrap();
        other.bind(&LOOPBACK_V4.parse::<SocketAddr>().unwrap().into()).unwrap();
        let address = other.local_addr().unwrap().as_socket().unwrap().to_string();
        let error = group(&address, shard_count).unwrap_err();
        assert!(matches!(error, SocketError::PortInUse { .. }), "{error}");
        assert!(error.to_string().starts_with("port in use"), "{error}");
    }
}

#[test]
fn two_groups_do_not_share_a_port() {
    for shard_count in [1, 2] {
        let first = group(LOOPBACK_V4, 2).unwrap();
        let error = group(&first.local_address.to_string(), shard_count).unwrap_err();
        assert!(matches!(error, SocketError::PortInUse { .. }), "{error}");
    }
}

#[test]
fn ipv6_socket_leaves_ipv4_to_others() {
    let any = group("[::]:0", 1).unwrap();
    let same_port = format!("0.0.0.0:{}", any.local_address.port());
    group(&same_port, 1).unwrap();
}

#[test]
fn foreign_address_and_bad_shard_count_are_named() {
    let error = group("192.0.2.1:7400", 1).unwrap_err();
    assert!(matches!(error, SocketError::NoSuchAddress { .. }), "{error}");
    for shard_count in [0, 257] {
        let error = group(LOOPBACK_V4, shard_count).unwrap_err();
        assert!(matches!(error, SocketError::BadShardCount { .. }), "{error}");
    }
}

#[test]
fn receive_buffer_is_as_large_as_asked_or_the_report_says_so() {
    let wanted = probe::Wanted { shard_count: 2, receive_buffer_bytes: 8 << 20 };
    let report = probe::report(&wanted);
    let said = report.findings.iter().any(|finding| finding.what.contains("receive buffer"));
    assert_eq!(report.receive_buffer_bytes < wanted.receive_buffer_bytes, said);
    assert_eq!(report.io_uring, probe::io_uring());
}

#[test]
fn report_names_a_shortage_and_how_to_mend_it() {
    // Method: more shards than open files are allowed.
    let report = probe::report(&probe::Wanted { shard_count: 1 << 40, receive_buffer_bytes: 1 << 16 });
    let finding = report.findings.iter().find(|finding| finding.what.contains("open files")).unwrap();
    assert_eq!(finding.severity, probe::Severity::Fatal);
    assert!(finding.remedy.contains("ulimit -n"), "{}", finding.remedy);
}

#[test]
fn socket_of_a_receiver_can_answer() {
    for_each_kind(|kind| {
        let mut group = group(LOOPBACK_V4, 1).unwrap();
        let receiver = Receiver::open(kind, group.sockets.remove(0), &ReceiverConfig::default()).unwrap();
        let sender = sender_to(group.local_address);
        sender.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        assert!(receiver.socket().as_raw_fd() >= 0);
        receiver.socket().send_to(b"ack", sender.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(sender.recv(&mut buffer).unwrap(), 3);
    });
}
