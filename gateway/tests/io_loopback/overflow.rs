//! Goal: nothing is lost but what the kernel counts, and draining takes all that was there.

use std::time::Duration;

use pulsegate::io::ReceiverConfig;

use crate::support::{Bench, LOOPBACK_V4, for_each_kind, send_train, sender_to};

#[test]
fn drain_takes_everything_that_was_queued_when_it_began() {
    for_each_kind(|kind| {
        // More than buffers, so that a ring runs out of them on the way.
        let config = ReceiverConfig { buffers: 64, ..ReceiverConfig::default() };
        let mut bench = Bench::with(kind, LOOPBACK_V4, &config, |_| {});
        let sender = sender_to(bench.address);
        for round in 0..5 {
            for index in 0..1_000_u32 {
                sender.send(&index.to_le_bytes()).unwrap();
            }
            let mut next = 0_u32;
            let drained = bench.receiver.drain(|datagram| {
                assert_eq!(datagram.payload, next.to_le_bytes());
                next += 1;
            });
            assert_eq!(drained.unwrap().datagrams, 1_000, "{kind}, round {round}");
        }
        assert_eq!(bench.receiver.drain(|_| {}).unwrap().datagrams, 0);
    });
}

#[test]
fn drain_takes_what_was_frozen_before_it_and_what_came_since() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let sender = sender_to(bench.address);
        for _ in 0..50 {
            sender.send(b"before").unwrap();
        }
        bench.receiver.wait(None).unwrap();
        for _ in 0..50 {
            sender.send(b"after").unwrap();
        }
        assert_eq!(bench.receiver.drain(|_| {}).unwrap().datagrams, 100, "{kind}");
    });
}

#[test]
fn drain_ends_although_traffic_does_not() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let sender = sender_to(bench.address);
        sender.send(b"x").unwrap();
        // Method: each datagram taken sends the next, so the socket is never empty.
        let (mut taken, limit) = (0_u64, 1_000_000);
        bench
            .receiver
            .drain(|_| {
                taken += 1;
                if taken < limit {
                    sender.send(b"x").unwrap();
                }
            })
            .unwrap();
        assert!(taken < 10_000, "{kind}: {taken} datagrams for one that was queued");
    });
}

#[test]
fn trains_are_drained_too() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let sender = sender_to(bench.address);
        for _ in 0..20 {
            send_train(&sender, bench.address, &[7; 64 * 100], 100);
        }
        let drained = bench.receiver.drain(|datagram| assert_eq!(datagram.payload, [7; 100])).unwrap();
        assert_eq!(drained.datagrams, 20 * 64, "{kind}");
    });
}

#[test]
fn running_out_of_buffers_loses_nothing() {
    for_each_kind(|kind| {
        let config = ReceiverConfig { buffers: 2, ..ReceiverConfig::default() };
        let mut bench = Bench::with(kind, LOOPBACK_V4, &config, |_| {});
        let sender = sender_to(bench.address);
        for index in 0..300_u32 {
            sender.send(&index.to_le_bytes()).unwrap();
        }
        let mut next = 0_u32;
        let total = bench.receive(300, |datagram| {
            assert_eq!(datagram.payload, next.to_le_bytes());
            next += 1;
        });
        assert_eq!((total.datagrams, total.kernel_drops), (300, 0), "{kind}");
        if kind == pulsegate::io::ReceiverKind::IoUring {
            assert!(total.buffers_exhausted > 100, "{}", total.buffers_exhausted);
        }
    });
}

#[test]
fn what_the_socket_had_no_room_for_is_counted_to_the_last_datagram() {
    for_each_kind(|kind| {
        let mut bench = Bench::with(kind, LOOPBACK_V4, &ReceiverConfig::default(), |group| {
            group.receive_buffer_bytes = 16_384;
        });
        let sender = sender_to(bench.address);
        for _ in 0..1_000 {
            sender.send(&[1; 100]).unwrap();
        }
        let mut total = bench.receiver.drain(|_| {}).unwrap();
        assert!(total.datagrams < 1_000, "{kind}: the buffer was meant to overflow");
        assert_eq!(total.datagrams + total.kernel_drops, 1_000, "{kind}");

        // Once more: the counter is a total and keeps counting.
        for _ in 0..1_000 {
            sender.send(&[1; 100]).unwrap();
        }
        bench.receiver.wait(Some(Duration::from_secs(2))).unwrap();
        total.merge(&bench.receiver.drain(|_| {}).unwrap());
        assert_eq!(total.datagrams + total.kernel_drops, 2_000, "{kind}");
    });
}
