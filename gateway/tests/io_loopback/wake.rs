//! Goal: an endless wait can always be interrupted, by any thread and by any other shard, and no wake is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use pulsegate::io::{ReceiverKind, WakeHandle};

use crate::support::{Bench, LOOPBACK_V4, for_each_kind, sender_to};

#[test]
fn any_thread_interrupts_an_endless_wait() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let handle = bench.receiver.wake_handle();
        let waker = std::thread::spawn(move || handle.wake());
        wait_for_wake(&mut bench);
        waker.join().unwrap();
    });
}

#[test]
fn wake_before_the_wait_is_not_lost() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        bench.receiver.wake_handle().wake();
        wait_for_wake(&mut bench);
        // Only once: the next wait sees nothing.
        bench.receiver.wait(Some(Duration::from_millis(20))).unwrap();
        let mut woken = bench.receiver.reap(|_| {}).unwrap().woken;
        assert!(!woken, "{kind}");
        // And it works again.
        bench.receiver.wake_handle().wake();
        bench.receiver.wait(None).unwrap();
        woken = bench.receiver.reap(|_| {}).unwrap().woken;
        assert!(woken, "{kind}");
    });
}

#[test]
fn wake_gets_through_constant_traffic() {
    for_each_kind(|kind| {
        let mut bench = Bench::new(kind, LOOPBACK_V4);
        let sender = sender_to(bench.address);
        for _ in 0..1_000 {
            sender.send(b"traffic").unwrap();
        }
        bench.receiver.wake_handle().wake();
        let (mut woken, mut datagrams) = (false, 0);
        while datagrams < 1_000 {
            bench.receiver.wait(None).unwrap();
            let reaped = bench.receiver.reap(|_| {}).unwrap();
            woken |= reaped.woken;
            datagrams += reaped.datagrams;
        }
        assert!(woken, "{kind}");
    });
}

/// Method: two shards on threads of their own pass one token back and forth. Each waits without a timeout, so one lost
/// wake would hang the test; the token's counter shows that none was invented either.
#[test]
fn shards_wake_each_other_in_every_combination() {
    for_each_kind(|first| {
        for_each_kind(|second| pass_token(first, second, 500));
    });
}

fn pass_token(first: ReceiverKind, second: ReceiverKind, rounds: u64) {
    let token = AtomicU64::new(0);
    let (first_sends, second_takes) = mpsc::channel::<WakeHandle>();
    let (second_sends, first_takes) = mpsc::channel::<WakeHandle>();
    std::thread::scope(|scope| {
        let token = &token;
        scope.spawn(move || play(first, 0, rounds, token, first_sends, first_takes));
        scope.spawn(move || play(second, 1, rounds, token, second_sends, second_takes));
    });
    assert_eq!(token.load(Ordering::Relaxed), 2 * rounds);
}

/// Takes the token when its count has our parity, adds one, and wakes the other.
fn play(
    kind: ReceiverKind,
    parity: u64,
    rounds: u64,
    token: &AtomicU64,
    tell: mpsc::Sender<WakeHandle>,
    hear: mpsc::Receiver<WakeHandle>,
) {
    let mut bench = Bench::new(kind, LOOPBACK_V4);
    tell.send(bench.receiver.wake_handle()).unwrap();
    let other = hear.recv().unwrap();
    loop {
        // Acquire and Release: the token stands for the queue that a worker would look into.
        let count = token.load(Ordering::Acquire);
        if count >= 2 * rounds {
            // Whoever saw the end first tells the other, and makes sure that the message leaves.
            bench.receiver.wake(&other);
            bench.receiver.wait(Some(Duration::ZERO)).unwrap();
            return;
        }
        if count % 2 == parity {
            token.store(count + 1, Ordering::Release);
            bench.receiver.wake(&other);
        }
        bench.receiver.wait(None).unwrap();
        bench.receiver.reap(|_| {}).unwrap();
    }
}

#[test]
fn handle_outlives_its_receiver() {
    for_each_kind(|kind| {
        let mut waker = Bench::new(kind, LOOPBACK_V4);
        let gone = Bench::new(kind, LOOPBACK_V4);
        let (handle, address) = (gone.receiver.wake_handle(), gone.address);
        drop(gone);
        // The port is free although the handle lives.
        std::net::UdpSocket::bind(address).unwrap();
        handle.wake();
        waker.receiver.wake(&handle);
        waker.receiver.wait(Some(Duration::from_millis(10))).unwrap();
        waker.receiver.reap(|_| {}).unwrap();
    });
}

fn wait_for_wake(bench: &mut Bench) {
    loop {
        bench.receiver.wait(None).unwrap();
        if bench.receiver.reap(|_| {}).unwrap().woken {
            return;
        }
    }
}
