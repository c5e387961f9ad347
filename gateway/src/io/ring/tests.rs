//! Goal: the paths that this machine's kernel does not take by itself.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::io::clock::Clock;
use crate::io::socket::{SocketGroup, SocketGroupConfig};

/// A ring on a loopback address; `None`, with the reason printed, where the kernel refuses io_uring.
fn ring(config: &ReceiverConfig) -> Option<(Ring, SocketAddr)> {
    let mut group = SocketGroup::bind(&SocketGroupConfig::new(([127, 0, 0, 1], 0).into())).unwrap();
    match Ring::open(group.sockets.remove(0), config) {
        Ok(ring) => Some((ring, group.local_address)),
        Err(ReceiverError::Refused { refusal }) => {
            println!("skipped: {refusal}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn reap_all(ring: &mut Ring) -> Reaped {
    let mut reaped = Reaped::default();
    ring.reap(&mut reaped, &mut |_| {}).unwrap();
    reaped
}

/// Method: as on a kernel before 6.12, which does not know `min_wait_usec`.
#[test]
fn gathering_by_hand_waits_like_the_kernel() {
    let Some((mut ring, address)) = ring(&ReceiverConfig::default()) else { return };
    ring.min_wait_in_kernel = false;
    let clock = Clock::new();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();

    let began = clock.now();
    assert_eq!(ring.wait(Some(Duration::from_millis(30))).unwrap(), Wakeup::TimedOut);
    assert!(clock.now().since(began) >= Duration::from_millis(30));

    sender.send_to(b"one", address).unwrap();
    assert_eq!(ring.wait(None).unwrap(), Wakeup::Ready);
    assert_eq!(reap_all(&mut ring).datagrams, 1);

    // Idle for longer than the gathering time: the next datagram wakes at once, long before the timeout.
    let handle = std::thread::spawn(move || {
        let mut report = [0; 1];
        let _ = sender.set_read_timeout(Some(Duration::from_millis(50)));
        let _ = sender.recv(&mut report);
        sender.send_to(b"two", address).unwrap();
    });
    assert_eq!(ring.wait(Some(Duration::from_secs(20))).unwrap(), Wakeup::Ready);
    assert_eq!(reap_all(&mut ring).datagrams, 1);
    handle.join().unwrap();
}

/// Goal: who waits for ever sleeps until something comes, instead of coming back empty-handed every `min_wait`.
#[test]
fn endless_wait_sleeps_until_something_comes() {
    let Some((mut ring, address)) = ring(&ReceiverConfig::default()) else { return };
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let handle = std::thread::spawn(move || {
        // Nobody answers: this is a wait of a hundred times `min_wait`.
        let _ = sender.recv(&mut [0; 1]);
        sender.send_to(b"late", address).unwrap();
    });
    assert_eq!(ring.wait(None).unwrap(), Wakeup::Ready);
    assert_eq!(reap_all(&mut ring).datagrams, 1);
    handle.join().unwrap();
}

#[test]
fn wake_that_the_ring_does_not_take_goes_through_the_eventfd() {
    let Some((mut sender, _)) = ring(&ReceiverConfig::default()) else { return };
    // Method: an eventfd where a ring should be, which the kernel refuses as a target (EBADFD).
    let not_a_ring = crate::io::descriptor::new_eventfd().unwrap();
    let handle = WakeHandle::new(Some(not_a_ring)).unwrap();
    sender.wake(&handle);
    sender.wait(Some(Duration::from_millis(100))).unwrap();
    reap_all(&mut sender);
    let mut count = [0; 8];
    let eventfd = handle.eventfd().try_clone_to_owned().unwrap();
    std::io::Read::read_exact(&mut std::fs::File::from(eventfd), &mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 1);
}

#[test]
fn neighbours_are_remembered_once_each() {
    let Some((mut sender, _)) = ring(&ReceiverConfig::default()) else { return };
    let Some((mut target, _)) = ring(&ReceiverConfig::default()) else { return };
    let handle = target.wake_handle();
    for _ in 0..3 {
        sender.wake(&handle);
        sender.wait(Some(Duration::ZERO)).unwrap();
        target.wait(None).unwrap();
        assert!(reap_all(&mut target).woken);
    }
    assert_eq!(sender.neighbours.len(), 1);
}

/// Method: without gathering, two datagrams sent one after the other are two waits.
#[test]
fn batch_of_one_turns_gathering_off() {
    let config = ReceiverConfig { batch: 1, ..ReceiverConfig::default() };
    let Some((mut ring, address)) = ring(&config) else { return };
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..2 {
        sender.send_to(b"x", address).unwrap();
        assert_eq!(ring.wait(None).unwrap(), Wakeup::Ready);
        assert_eq!(reap_all(&mut ring).datagrams, 1);
    }
}

#[test]
fn completion_queue_has_room_for_every_buffer_twice() {
    assert!(completion_entries(limits::BUFFERS_MAX) >= 2 * u32::from(limits::BUFFERS_MAX));
}
