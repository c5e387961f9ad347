//! The attacks, one after the other. Each ends its connections before the next begins, and knows what it must be counted as.

use std::io::{Read, Write};
use std::net::TcpStream;

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_loadgen::random::Random;
use pulsegate_stream::kafka::limits;

use super::Target;
use super::attacker::{
    APIS, Outcome, bytes, connect, frame, greedy_fetch, monstrous_bodies, provoke, response, source, string,
    with_length,
};
use crate::harness::eventually;

/// One kind of hostility.
pub struct Attack {
    pub name: &'static str,
    pub run: fn(&Target<'_>),
    /// What the limits allow this one to take of the gateway's memory, beyond its connections.
    pub memory_bytes: usize,
}

/// All of them; memory that one has taken may still be with the allocator in the next.
pub const ALL: [Attack; 7] = [
    Attack { name: "random frames", run: random_frames, memory_bytes: 0 },
    Attack { name: "monstrous numbers", run: monstrous_numbers, memory_bytes: 0 },
    Attack { name: "stalled requests", run: stalled_requests, memory_bytes: limits::FRAME_MEMORY_BYTES_MAX },
    Attack {
        name: "slow readers of records",
        run: slow_readers,
        memory_bytes: limits::FETCH_MEMORY_BYTES_MAX + limits::FETCH_BYTES_MAX,
    },
    Attack {
        name: "slow readers of groups",
        run: slow_readers_of_groups,
        memory_bytes: limits::RESPONSE_MEMORY_BYTES_MAX + 2 * limits::FRAME_BYTES_MAX,
    },
    Attack { name: "pipelined floods", run: pipelined_floods, memory_bytes: 0 },
    Attack { name: "waves of connections", run: waves_of_connections, memory_bytes: 0 },
];

/// Connections of an attack that wants all that there are, but for those of the bystanders and of the slow requests: it
/// is not to displace its own.
const CROWD: usize = limits::CONNECTIONS_MAX - CONNECTIONS_OF_OTHERS_MAX;
/// What others have meanwhile.
pub const CONNECTIONS_OF_OTHERS_MAX: usize = 30;
/// Of them, those that must have been given up for others before the attack is over: more than hold memory at a time.
const GIVEN_UP_MIN: u64 = 80;
const RANDOM_FRAMES: usize = 2_000;
const SLOW_REQUESTS: u64 = 20;
/// Of one wave, and of them all.
const WAVE: usize = 2_000;
const CONNECTIONS: usize = 10_000;

/// Sends each frame over a connection that has not been closed yet; as many as were closed must be counted as malformed.
fn provoke_all(target: &Target<'_>, frames: impl IntoIterator<Item = Vec<u8>>) -> [usize; 3] {
    let before = target.ended("malformed");
    let mut counts = [0; 3];
    let mut stream = None;
    for frame in frames {
        let mut connected = stream.take().unwrap_or_else(|| connect(source(2), target.kafka, None));
        let outcome = provoke(&mut connected, &frame);
        counts[outcome as usize] += 1;
        stream = (outcome == Outcome::Answered).then_some(connected);
    }
    target.expect_ended("malformed", before + counts[Outcome::Closed as usize] as u64);
    counts
}

/// Bytes without sense, behind a header of sense as often as not.
fn random_frames(target: &Target<'_>) {
    let mut random = Random::from_seed(target.seed);
    let frames = (0..RANDOM_FRAMES).map(|_| {
        let (key, version_min, version_max, _) = APIS[random.index(APIS.len())];
        let body: Vec<u8> = (0..random.below(200)).map(|_| random.next().to_le_bytes()[0]).collect();
        if random.chance(0.3) {
            return with_length(&body);
        }
        let version =
            version_min + i16::try_from(random.below(16)).unwrap() % (version_max - version_min + 2);
        frame(key, version, 7, &body)
    });
    let counts = provoke_all(target, frames.collect::<Vec<_>>());
    assert!(counts[Outcome::Closed as usize] > RANDOM_FRAMES / 2, "{counts:?}");
}

/// Every request in every version with claims that it cannot keep; requests and versions that there are not; lengths that
/// no request has.
fn monstrous_numbers(target: &Target<'_>) {
    let versions = APIS.iter().flat_map(|&(key, from, to, _)| (from..=to).map(move |version| (key, version)));
    let bodies = monstrous_bodies();
    let mut frames: Vec<_> = versions
        .flat_map(|(key, version)| bodies.iter().map(move |body| frame(key, version, 7, body)))
        .collect();
    for key in [-1, i16::MIN, 4, 5, 6, 7, 17, 19, 36, 61, 99, i16::MAX] {
        frames.push(frame(key, 0, 7, &[0; 32]));
    }
    for (key, _, version_max, _) in APIS {
        frames.push(frame(key, -1, 7, &[0; 32]));
        frames.push(frame(key, version_max + 1, 7, &[0; 32]));
    }
    let lengths = [0_u32, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1_048_577];
    let counts = provoke_all(target, lengths.map(|length| length.to_be_bytes().to_vec()));
    assert_eq!(counts[Outcome::Closed as usize], lengths.len(), "such a length is not waited for");
    let count = frames.len();
    let counts = provoke_all(target, frames);
    assert!(counts[Outcome::Closed as usize] > count * 9 / 10, "{counts:?} of {count}");
}

/// Requests that begin and do not go on: less than a length.
pub fn begin_slow_requests(target: &Target<'_>) -> Vec<TcpStream> {
    let begin = |_| {
        let mut stream = connect(source(9), target.kafka, None);
        stream.write_all(&[0, 0]).unwrap();
        stream
    };
    (0..SLOW_REQUESTS).map(begin).collect()
}

/// By now their time is over.
pub fn end_slow_requests(target: &Target<'_>, streams: Vec<TcpStream>) {
    eventually("slow requests were given up", || (target.ended("timed_out") >= SLOW_REQUESTS).then_some(()));
    drop(streams);
}

/// Requests of a megabyte that stop in the middle: each costs its connection soon, as others wait for the memory.
fn stalled_requests(target: &Target<'_>) {
    let before = target.ended("slow");
    let length = u32::try_from(limits::FRAME_BYTES_MAX).unwrap();
    let bytes = [&length.to_be_bytes()[..], &vec![0; limits::FRAME_BYTES_MAX * 2 / 3]].concat();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| (connect(source(3), target.kafka, None), 0_usize)).collect();
    for (stream, _) in &crowd {
        stream.set_nonblocking(true).unwrap();
    }
    eventually("stalled requests are given up for others", || {
        for (stream, sent) in &mut crowd {
            // One that was closed takes nothing more.
            *sent += stream.write(&bytes[*sent..]).unwrap_or(0);
        }
        (target.ended("slow") - before >= GIVEN_UP_MIN).then_some(())
    });
    drop(crowd);
}

/// All events, four times in a row, by clients that read nothing.
fn slow_readers(target: &Target<'_>) {
    let before = target.ended("slow");
    let fetches = greedy_fetch(EVENTS_TOPIC, 72).repeat(4);
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut stream = connect(source(4), target.kafka, Some(4_096));
        stream.write_all(&fetches).unwrap();
        crowd.push(stream);
    }
    eventually("slow readers are given up for others", || {
        (target.ended("slow") - before >= GIVEN_UP_MIN).then_some(())
    });
    drop(crowd);
}

/// A group whose description is large, and many who ask for it and read nothing.
fn slow_readers_of_groups(target: &Target<'_>) {
    let before = target.ended("starved");
    let mut leader = connect(source(5), target.kafka, None);
    let group = string(&format!("large-{}", target.seed));
    make_large_group(&mut leader, &group);
    let describe = frame(15, 0, 1, &[&1_i32.to_be_bytes()[..], &group].concat()).repeat(4);
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut stream = connect(source(6), target.kafka, Some(4_096));
        // Some are closed already while they still ask.
        let _ = stream.write_all(&describe);
        crowd.push(stream);
    }
    eventually("responses find no memory", || (target.ended("starved") - before >= 32).then_some(()));
}

/// Joins and syncs as the only member, with as large an assignment as a request can carry.
fn make_large_group(leader: &mut TcpStream, group: &[u8]) {
    let member = member_of(leader, group);
    let assignment = bytes(&vec![b'a'; limits::FRAME_BYTES_MAX * 3 / 4]);
    let sync = [
        group.to_vec(),
        1_i32.to_be_bytes().to_vec(),
        member.clone(),
        1_i32.to_be_bytes().to_vec(),
        member,
        assignment,
    ];
    leader.write_all(&frame(14, 0, 2, &sync.concat())).unwrap();
    let answer = response(leader).unwrap();
    assert_eq!(answer[4..6], [0, 0], "the assignment is taken");
}

/// The encoded id of the only member, as it joins (v0).
fn member_of(leader: &mut TcpStream, group: &[u8]) -> Vec<u8> {
    let protocols = [&1_i32.to_be_bytes()[..], &string("range"), &bytes(b"m")].concat();
    let join = [group.to_vec(), 30_000_i32.to_be_bytes().to_vec(), string(""), string("consumer"), protocols];
    leader.write_all(&frame(11, 0, 1, &join.concat())).unwrap();
    let answer = response(leader).unwrap();
    assert_eq!(answer[4..10], [0, 0, 0, 0, 0, 1], "the first generation: {answer:?}");
    // Correlation, error, generation, protocol, leader, which is the member.
    let leader_at = 10 + 2 + "range".len();
    let length = usize::from(u16::from_be_bytes([answer[leader_at], answer[leader_at + 1]]));
    answer[leader_at..leader_at + 2 + length].to_vec()
}

/// Thousands of requests at once: all answered, in order, by a gateway that reads no faster than it is read from.
fn pipelined_floods(target: &Target<'_>) {
    let count = 3_000;
    let mut requests = Vec::new();
    for number in 0..count {
        let (key, version, body) =
            if number % 2 == 0 { (18, 0, &[][..]) } else { (3, 1, &[0xff, 0xff, 0xff, 0xff][..]) };
        requests.extend(frame(key, version, number, body));
    }
    let flood = |_| {
        let (kafka, requests) = (target.kafka, requests.clone());
        std::thread::spawn(move || {
            let stream = connect(source(7), kafka, None);
            let mut writer = stream.try_clone().unwrap();
            let writing = std::thread::spawn(move || writer.write_all(&requests).unwrap());
            let mut reader = std::io::BufReader::new(stream);
            for number in 0..count {
                let mut length = [0; 4];
                reader.read_exact(&mut length).unwrap();
                let mut answer = vec![0; u32::from_be_bytes(length) as usize];
                reader.read_exact(&mut answer).unwrap();
                assert_eq!(answer[..4], number.to_be_bytes(), "answers come in the order of the requests");
            }
            writing.join().unwrap();
        })
    };
    let floods: Vec<_> = (0..16).map(flood).collect();
    floods.into_iter().for_each(|flood| flood.join().unwrap());
}

/// Ten thousand connections: each is taken or refused; a client from elsewhere is served in the middle of them.
fn waves_of_connections(target: &Target<'_>) {
    let counted = || target.ended("accepted") + target.ended("refused");
    let (before, displaced) = (counted(), target.ended("displaced"));
    let mut others = 0;
    for wave in 0..CONNECTIONS / WAVE {
        let last = u8::try_from(10 + wave % 3).unwrap();
        let crowd: Vec<_> = (0..WAVE).map(|_| connect(source(last), target.kafka, None)).collect();
        let mut other = connect(source(20), target.kafka, None);
        others += 1;
        assert_eq!(provoke(&mut other, &frame(18, 0, 1, &[])), Outcome::Answered, "wave {wave}");
        assert!(target.gateway.metric("pulsegate_kafka_connections") <= limits::CONNECTIONS_MAX as u64);
        drop(crowd);
    }
    let opened = (CONNECTIONS + others) as u64;
    eventually("all were taken or refused", || (counted() - before >= opened).then_some(()));
    assert_eq!(counted() - before, opened, "the consumer did not have to connect again");
    let displaced = target.ended("displaced") - displaced;
    assert!(displaced > opened / 2, "{displaced} of {opened} connections gave way to later ones");
}
