//! Memory that connections share: it comes back, and whoever sits on it loses it when others wait.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::kafka::memory::Memory;

/// A request of so many bytes that is no request in the end.
fn beginning(length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap();
    [&length.to_be_bytes()[..], &[0xff; limits::UNSHARED_BYTES_MAX]].concat()
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Goal: a large request waits for its share, is read when there is one, and gives it back; a small one never waits.
#[test]
fn a_large_request_waits_for_memory_and_gives_it_back() {
    with_port(config(), async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let rest = 1_000;
        let all_but_a_little = port.frame_memory.take(limits::FRAME_MEMORY_BYTES_MAX - rest + 1).await;
        let mut large = TcpStream::connect(port.address).await.unwrap();
        let frame = [&beginning(limits::UNSHARED_BYTES_MAX + rest)[..], &vec![0xff; rest]].concat();
        large.write_all(&frame).await.unwrap();
        let mut small = Client::connect(port.address).await;
        assert_eq!(small.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
        assert_eq!(port.counters.connections_malformed.load(Ordering::Relaxed), 0, "it waits");
        drop(all_but_a_little);
        assert_eq!(large.read(&mut [0]).await.unwrap_or(0), 0, "it was read, and is nonsense");
        assert_eq!(port.counters.connections_malformed.load(Ordering::Relaxed), 1);
        until(|| port.frame_memory.left_bytes() == limits::FRAME_MEMORY_BYTES_MAX).await;
    });
}

/// Goal: a request that stops in the middle stays for as long as nobody needs its memory, and goes when somebody does.
#[test]
fn who_stalls_keeps_memory_only_as_long_as_nobody_waits_for_it() {
    with_port(config(), async |port| {
        let mut stalled = TcpStream::connect(port.address).await.unwrap();
        stalled.write_all(&beginning(limits::FRAME_BYTES_MAX)).await.unwrap();
        until(|| port.frame_memory.left_bytes() < limits::FRAME_MEMORY_BYTES_MAX).await;
        tokio::time::sleep(limits::PROGRESS_INTERVAL * 3 / 2).await;
        assert_eq!(port.counters.connections.load(Ordering::Relaxed), 1, "nobody waits");
        drop(port.frame_memory.take(limits::FRAME_MEMORY_BYTES_MAX).await);
        assert_eq!(port.counters.connections_slow.load(Ordering::Relaxed), 1);
        assert_eq!(stalled.read(&mut [0]).await.unwrap_or(0), 0);
    });
}

/// Goal: a large response without memory for it is not sent, and a small one is.
#[test]
fn a_large_response_without_memory_costs_its_connection() {
    with_port(config(), async |port| {
        let taken = port.response_memory.take(limits::RESPONSE_MEMORY_BYTES_MAX).await;
        let mut client = Client::connect(port.address).await;
        // Every unknown topic is in the answer by its name.
        let metadata = |count: i32, name: &[u8]| {
            let mut body = vec![0, 3, 0, 1, 0, 0, 0, 5, 0xff, 0xff];
            body.extend(count.to_be_bytes());
            for number in 0..count {
                body.extend(u16::try_from(name.len() + 4).unwrap().to_be_bytes());
                body.extend(name);
                body.extend(number.to_be_bytes().map(|byte| byte & 0x7f));
            }
            [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
        };
        assert!(client.raw(&metadata(2, b"name")).await.is_some());
        let large = metadata(100, &[b'n'; 200]);
        assert!(client.raw(&large).await.is_none());
        assert_eq!(port.counters.connections_starved.load(Ordering::Relaxed), 1);
        drop(taken);
        let mut client = Client::connect(port.address).await;
        assert!(client.raw(&large).await.is_some());
        until(|| port.response_memory.left_bytes() == limits::RESPONSE_MEMORY_BYTES_MAX).await;
    });
}

#[test]
fn a_response_beyond_its_bound_is_cut_and_says_so() {
    let mut writer = wire::Writer::new(0, false, false);
    let part = vec![0; limits::RESPONSE_BYTES_MAX / 2];
    writer.bytes(&part);
    assert!(!writer.is_cut());
    writer.bytes(&part);
    writer.int8(1);
    assert!(writer.is_cut());
    assert!(writer.finish().len() <= limits::RESPONSE_BYTES_MAX);
}

/// A fetch that names partitions over and over costs its connection: it would have to be remembered while it waits.
#[test]
fn a_fetch_of_more_partitions_than_there_can_be_ends_its_connection() {
    with_port(config(), async |port| {
        let count = i32::try_from(limits::partitions_named_max(3)).unwrap();
        for (partitions, is_served) in [(count - 1, true), (count, false)] {
            let mut body = vec![0, 1, 0, 4, 0, 0, 0, 5, 0xff, 0xff];
            for number in [-1, 0, 0, 1_000] {
                body.extend(i32::to_be_bytes(number));
            }
            body.extend([0, 0, 0, 0, 1, 0, 1, b't']);
            body.extend(partitions.to_be_bytes());
            body.extend(vec![0; 16 * usize::try_from(partitions).unwrap()]);
            let frame = [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat();
            let mut client = Client::connect(port.address).await;
            assert_eq!(client.raw(&frame).await.is_some(), is_served, "{partitions} of {count}");
        }
    });
}

#[test]
fn a_share_is_given_in_turn_and_shrinks() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let memory = Memory::new(10);
        let mut share = memory.take(8).await;
        assert!(memory.try_take(3).is_none());
        share.shrink_to(5);
        assert_eq!((share.bytes(), memory.left_bytes()), (5, 5));
        drop((memory.try_take(5).unwrap(), share));
        assert_eq!(memory.left_bytes(), 10);
    });
}
