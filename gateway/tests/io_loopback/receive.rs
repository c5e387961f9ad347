//! Goal: what was sent is what is handed over, however it travelled.

use std::net::SocketAddr;
use std::time::Duration;

use pulsegate::io::{Clock, ReceiverConfig, ReceiverError, Wakeup};

use crate::support::{Bench, LOOPBACK_V4, LOOPBACK_V6, for_each_kind, send_train, sender_to};

#[test]
fn datagrams_arrive_whole_in_order_and_with_their_source() {
    for_each_kind(|kind| {
        for address in [LOOPBACK_V4, LOOPBACK_V6] {
            let mut bench = Bench::new(kind, address);
            let sender = sender_to(bench.address);
            let source = sender.local_addr().unwrap();
            let sent: Vec<Vec<u8>> = (0..500_usize).map(|index| payload(index, index % 1_400)).collect();
            for payload in &sent {
                sender.send(payload).unwrap();
            }
            let mut received = Vec::new();
            let total = bench.receive(500, |datagram| {
                assert_eq!((datagram.source, datagram.truncated), (source, false));
                received.push(datagram.payload.to_vec());
            });
            assert!(received == sent, "{kind} {address}");
            assert_eq!(total.payload_bytes, sent.iter().map(|payload| payload.len() as u64).sum::<u64>());
            assert_eq!(total.kernel_drops, 0);
        }
    });
}

#[test]
fn buffers_are_used_again_many_times_over() {
    for_each_kind(|kind| {
        let config = ReceiverConfig { buffers: 16, ..ReceiverConfig::default() };
        let mut bench = Bench::with(kind, LOOPBACK_V4, &config, |_| {});
        let sender = sender_to(bench.address);
        let mut expected = 0;
        for round in 0..50 {
            for index in 0..100 {
                sender.send(&payload(round * 100 + index, 64)).unwrap();
            }
            bench.receive(100, |datagram| {
                assert!(datagram.payload == payload(expected, 64), "datagram {expected}");
                expected += 1;
            });
        }
        assert_eq!(expected, 5_000);
    });
}

#[test]
fn train_is_handed_over_as_the_datagrams_it_was_sent_as() {
    for_each_kind(|kind| {
        for address in [LOOPBACK_V4, LOOPBACK_V6] {
            let mut bench = Bench::new(kind, address);
            let sender = sender_to(bench.address);
            // 40 whole segments and a shorter one; longer than any single datagram buffer of ordinary size.
            let train = payload(7, 40 * 1_200 + 345);
            send_train(&sender, bench.address, &train, 1_200);
            let mut received = Vec::new();
            let total = bench.receive(41, |datagram| received.push(datagram.payload.to_vec()));
            let sent: Vec<Vec<u8>> = train.chunks(1_200).map(<[u8]>::to_vec).collect();
            assert!(received == sent, "{kind} {address}");
            assert_eq!((total.datagrams, total.truncated), (41, 0));
            assert_eq!(total.buffers, 1, "the kernel glues trains on loopback");
        }
    });
}

#[test]
fn longest_possible_datagram_and_the_empty_one_arrive() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let sender = sender_to(bench.address);
        sender.send(&payload(1, 65_507)).unwrap();
        sender.send(&[]).unwrap();
        let mut lengths = Vec::new();
        bench.receive(2, |datagram| lengths.push((datagram.payload.len(), datagram.truncated)));
        assert_eq!(lengths, [(65_507, false), (0, false)]);
    });
}

#[test]
fn datagram_longer_than_a_buffer_is_marked_as_cut() {
    for_each_kind(|kind| {
        let config = ReceiverConfig { buffer_payload_bytes: 512, ..ReceiverConfig::default() };
        let mut bench = Bench::with(kind, LOOPBACK_V4, &config, |group| group.glue_trains = false);
        let sender = sender_to(bench.address);
        let long = payload(3, 1_000);
        for payload in [&long[..512], &long[..513], &long[..]] {
            sender.send(payload).unwrap();
        }
        let mut received = Vec::new();
        let total = bench.receive(3, |datagram| {
            assert!(datagram.payload == &long[..512]);
            received.push(datagram.truncated);
        });
        assert_eq!(received, [false, true, true]);
        assert_eq!(total.truncated, 2);
    });
}

#[test]
fn buffers_too_short_for_trains_are_refused_at_start() {
    for_each_kind(|kind| {
        let group = pulsegate::io::SocketGroupConfig::new(LOOPBACK_V4.parse::<SocketAddr>().unwrap());
        let socket = pulsegate::io::SocketGroup::bind(&group).unwrap().sockets.remove(0);
        let config = ReceiverConfig { buffer_payload_bytes: 2_048, ..ReceiverConfig::default() };
        let error = pulsegate::io::Receiver::open(kind, socket, &config).unwrap_err();
        assert!(matches!(error, ReceiverError::BadConfig { key: "buffer_payload_bytes", value: 2_048, .. }));
    });
}

#[test]
fn wait_ends_at_its_timeout_and_an_idle_receiver_uses_no_processor_time() {
    for_each_kind(|kind| {
        let clock = Clock::new();
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let (began, used_before) = (clock.now(), clock.thread_cpu_time());
        let mut woken_early = 0;
        // A signal may end a wait early; the harness sends none, but a debugger might.
        while clock.now().since(began) < Duration::from_millis(300) {
            let rest = Duration::from_millis(300) - clock.now().since(began);
            assert_eq!(bench.receiver.wait(Some(rest)).unwrap(), Wakeup::TimedOut);
            woken_early += 1;
        }
        let used = clock.thread_cpu_time() - used_before;
        assert!(used < Duration::from_millis(5), "{kind}: {used:?} in 300 ms");
        assert!(woken_early <= 10, "{kind}: waited {woken_early} times");
        assert_eq!(bench.receiver.wait(Some(Duration::ZERO)).unwrap(), Wakeup::TimedOut);
    });
}

#[test]
fn reap_without_wait_finds_nothing() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let reaped = bench.receiver.reap(|_| panic!("nothing was sent")).unwrap();
        assert_eq!(reaped.datagrams, 0);
    });
}

/// Bytes that tell which datagram they belong to and where in it they stand.
fn payload(index: usize, length: usize) -> Vec<u8> {
    (0..length).map(|position| (index.wrapping_mul(31) ^ position.wrapping_mul(7)).to_le_bytes()[0]).collect()
}
