//! kill -9 at random points while events are written and Kafka clients read: nothing that anybody saw is taken back.
//!
//! ```text
//!  one round: start ─▶ look back ─▶ heartbeats of restarting nodes, a frame every few ms ─▶ kill -9 at a random moment
//!                                                                       └ now and then once more, while it starts again
//!
//!  all the time, across the kills, as threads of this test (readers.rs):
//!    assigned   reads all partitions; each offset once and in order
//!    member     reads in a group, record by record; commits every so often and remembers what was answered
//!    watcher    asks for the high watermarks, and how many events the gateway says are on disk
//!  all that they see goes into one ledger (ledger.rs), which knows what each offset has held and refuses any other.
//! ```
//!
//! A kill leaves what was written in the page cache, so this says nothing of a power failure: `power.rs` in the tests of
//! the log does.

mod ledger;
mod readers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Gateway, Relay, eventually, pause, quiet_addresses, serve};
use ledger::Ledger;
use pulsegate::data_dir;
use pulsegate::gateway::{EVENTS_TOPIC, NODES_TOPIC};
use pulsegate_codec::event::{Event, EventType};
use pulsegate_loadgen::topic_reader::TopicReader;
use pulsegate_stream::{LogReader, LogRecord};
use readers::{committed_offsets, read_as_member, read_assigned, settings, watch};

/// Kills while the gateway serves; `PULSEGATE_CRASH_POINTS` sets another number.
const POINTS_DEFAULT: u32 = 10;
/// `PULSEGATE_CRASH_SEED` sets another one.
const SEED_DEFAULT: u64 = 0x70_75_6c_73_65;

pub const PARTITIONS: usize = 3;
/// Nodes that restart all the time.
const NODES: usize = 60;
/// How much is read again after each kill, before the end of what was seen. All is, at the end.
const LOOK_BACK: i64 = 500;

/// Xorshift, by Marsaglia ("Xorshift RNGs", Journal of Statistical Software 8, 2003).
pub struct Random(u64);

impl Random {
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Where the gateway listens in each of its lives, so that clients find it again.
#[derive(Clone, Copy)]
pub struct Ports {
    pub kafka: SocketAddr,
    pub admin: SocketAddr,
}

impl Ports {
    fn find() -> Self {
        let [kafka, admin] = quiet_addresses();
        Self { kafka, admin }
    }

    fn command(self, data_dir: &Path) -> Command {
        let Self { kafka, admin } = self;
        serve(
            data_dir,
            &format!(
                "name = \"gw\"\n[stream]\npartitions = {PARTITIONS}\nsegment-bytes = 1_048_576\n\
                 [detector]\ninterval-ms = 1_000\n[guard]\nenabled = false\n[damping]\nenabled = false\n\
                 [correlation]\nlabels = []\n[registry]\nnodes-max = 1_000\n\
                 [listen]\nheartbeats = \"127.0.0.1:0\"\nkafka = \"{kafka}\"\nadmin = \"{admin}\"\n"
            ),
        )
    }
}

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Goal: after `kill -9` at any moment, each offset that a consumer saw holds the same record; what the gateway called
/// written is there; high watermarks never fall and offsets have no gap; a commit of offsets that was answered is
/// there; each node's events are in order and without a gap, and its state is that of its last event.
/// Method: see the picture above. At the end everything is read once more, through the port and from the files.
#[test]
fn killed_at_any_moment_it_takes_nothing_back_that_anybody_saw() {
    let points = number_from("PULSEGATE_CRASH_POINTS", POINTS_DEFAULT.into());
    let seed = number_from("PULSEGATE_CRASH_SEED", SEED_DEFAULT).max(1);
    println!("PULSEGATE_CRASH_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let ports = Ports::find();
    let ledger = Ledger::new(PARTITIONS);
    let is_over = AtomicBool::new(false);
    let mut random = Random(seed);
    let mut kills_in_start = 0;
    let gateway = std::thread::scope(|scope| {
        let mut gateway = Gateway::spawn(directory.path(), &mut ports.command(directory.path()));
        let end_readers = EndReaders(&is_over);
        let assigned = scope.spawn(|| read_assigned(ports, &ledger, &is_over));
        let member = scope.spawn(|| read_as_member(ports, seed, &ledger, &is_over));
        let watcher = scope.spawn(|| watch(ports, &ledger, &is_over));
        let mut relays = Relays { incarnation: 0 };
        for _ in 0..points {
            relays.beat_until_random_moment(&gateway, &mut random);
            gateway.kill();
            if random.below(3) == 0 {
                kill_in_start(&mut ports.command(directory.path()), &mut random);
                kills_in_start += 1;
            }
            gateway = Gateway::spawn(directory.path(), &mut ports.command(directory.path()));
            look_back(ports, &ledger, LOOK_BACK);
            let is_dead = assigned.is_finished() || member.is_finished() || watcher.is_finished();
            assert!(!is_dead, "a reader has found a fault");
        }
        look_back(ports, &ledger, i64::MAX);
        let ends = ledger.ends();
        eventually("the assigned reader has read all", || ledger.assigned_has_read(&ends).then_some(()));
        let mut before = ledger.member_is_at();
        while before != ends {
            before =
                eventually("the member reads on", || Some(ledger.member_is_at()).filter(|at| *at != before));
        }
        drop(end_readers);
        gateway
    });
    assert!(gateway.stop().success());
    let events = check_files(directory.path(), &ledger);
    println!(
        "{points} kills while events were written, {kills_in_start} more while starting: {events} events, {}",
        ledger.summary()
    );
    ledger.check_saw_much(points);
}

/// Ends the readers, also when the test fails: it would wait for them for ever.
struct EndReaders<'a>(&'a AtomicBool);

impl Drop for EndReaders<'_> {
    fn drop(&mut self) {
        // Relaxed: a hint, and the threads are joined.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Nodes that restart in every frame; their runs are counted over all lives of the gateway.
struct Relays {
    incarnation: u32,
}

impl Relays {
    /// Sends frames, each of which is as many events as nodes beat in it, until a random moment.
    fn beat_until_random_moment(&mut self, gateway: &Gateway, random: &mut Random) {
        let names: Vec<String> = (0..NODES).map(|number| format!("node-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut relay = Relay::new("relay", gateway);
        let per_frame = 1 + usize::try_from(random.below(20)).unwrap();
        let every = Duration::from_millis(1 + random.below(10));
        let mut left = Duration::from_millis(50 + random.below(650));
        // They join with their second heartbeat; before that a restart is nothing to tell.
        self.incarnation += 1;
        relay.set_incarnation(self.incarnation);
        names.chunks(20).for_each(|names| relay.introduce(names));
        names.chunks(20).for_each(|names| relay.beat(names));
        while left >= every {
            self.incarnation += 1;
            relay.set_incarnation(self.incarnation);
            let first = usize::try_from(random.below((NODES - per_frame) as u64)).unwrap();
            relay.introduce(&names[first..first + per_frame]);
            pause(every);
            left -= every;
        }
        pause(Duration::from_micros(random.below(3_000)));
    }
}

/// Starts a gateway and kills it before it is ready, or about then.
fn kill_in_start(command: &mut Command, random: &mut Random) {
    pulsegate::io::child::end_with_parent(command);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    pause(Duration::from_millis(random.below(120)));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Reads again what was seen: the last `records` of each partition, to the end of what is there now.
fn look_back(ports: Ports, ledger: &Ledger, records: i64) {
    let acknowledged = ledger.acknowledged_commits();
    let committed = committed_offsets(ports);
    for (partition, (committed, acknowledged)) in committed.iter().zip(&acknowledged).enumerate() {
        assert!(
            committed >= acknowledged,
            "partition {partition}: the group has committed {acknowledged} and finds {committed}"
        );
    }
    let seen = ledger.ends();
    let mut reader = TopicReader::connect(&ports.kafka.to_string(), EVENTS_TOPIC, &settings()).unwrap();
    assert_eq!(reader.first_offsets().unwrap(), [0; PARTITIONS], "no record goes by itself");
    let ends = reader.end_offsets().unwrap();
    ledger.see_high_watermarks(&seen, &ends);
    let starts: Vec<i64> = seen.iter().map(|seen| seen.saturating_sub(records).max(0)).collect();
    let mut next = starts.clone();
    reader.start(starts).unwrap();
    while !reader.has_reached(&ends) {
        let message = eventually("a record that was seen before", || {
            reader.next(Duration::from_millis(100)).unwrap().map(|message| message.detach())
        });
        ledger.see(&message, &mut next);
    }
}

/// Reads the files and judges the whole. Returns how many events there are.
fn check_files(data_dir: &Path, ledger: &Ledger) -> usize {
    let records = read_topic(data_dir, EVENTS_TOPIC);
    let event = |record: &LogRecord| Event::from_json(record.record.value.as_deref().unwrap()).unwrap();
    let events: Vec<(u32, Event)> = records.iter().map(|record| (record.partition, event(record))).collect();
    ledger.check_written(events.iter().map(|(_, event)| event));
    let mut last: BTreeMap<(&str, u32), (u64, u32)> = BTreeMap::new();
    let mut states: BTreeMap<&str, &Event> = BTreeMap::new();
    for (partition, event) in events.iter().filter(|(_, event)| !event.node.is_empty()) {
        let told = (event.epoch, event.event_sequence.unwrap());
        if let Some(before) = last.insert((&event.node, *partition), told) {
            assert!(
                told.0 >= before.0 && told.1 == before.1 + 1,
                "{}: event {told:?} follows {before:?}",
                event.node
            );
        }
        assert_ne!(event.event_type, EventType::Forgotten);
        states.insert(&event.node, event);
    }
    let mut latest: BTreeMap<String, Event> = BTreeMap::new();
    for record in &read_topic(data_dir, NODES_TOPIC) {
        let state = event(record);
        latest.insert(state.node.clone(), state);
    }
    assert_eq!(last.len(), states.len(), "all events of a node are in one partition");
    assert!(
        latest.iter().map(|(node, state)| (node.as_str(), state)).eq(states),
        "each node's state is its last event"
    );
    events.len()
}

fn read_topic(data_dir: &Path, topic: &str) -> Vec<LogRecord> {
    let mut reader = LogReader::new(&data_dir::stream_dir(data_dir), topic);
    let mut records = Vec::new();
    loop {
        let poll = reader.poll().unwrap();
        records.extend(poll.records);
        if !poll.has_more {
            return records;
        }
    }
}
