//! Who must not be harmed: a fleet that beats and grows, a consumer that reads, and a look at the gateway's memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate::io::clock::Clock;
use pulsegate_codec::event::Event;
use pulsegate_loadgen::topic_reader::TopicReader;
use rdkafka::Message;

use crate::harness::{Gateway, Relay, pause, resident_bytes};

/// Nodes of the first moment, and of one relay.
const NODES: usize = 2_000;
const NODES_PER_RELAY: usize = 50;
/// Between two heartbeats of a node: a quarter of what the detector expects.
const BEAT_INTERVAL: Duration = Duration::from_millis(250);

/// Runs something over and over until it is told to stop.
pub struct Background<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Background<T> {
    fn new(mut state: T, mut step: impl FnMut(&mut T) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // Relaxed: nothing is published by it.
            while !stopped.load(Ordering::Relaxed) {
                step(&mut state);
            }
            state
        });
        Self { stop, thread }
    }

    /// What it has come to. Fails if it has failed.
    pub fn finish(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it did not fail")
    }
}

/// Nodes that beat, a few more each time, so that there are events to read.
pub struct Fleet {
    relays: Vec<(Relay, Vec<String>)>,
    pub nodes: usize,
    pub frames: u64,
    pub heartbeats: u64,
}

impl Fleet {
    pub fn start(gateway: &Gateway) -> Background<Self> {
        let new_relay: Vec<Relay> =
            (0..1_000).map(|number| Relay::new(&format!("relay-{number}"), gateway)).collect();
        let mut new_relay = new_relay.into_iter();
        let mut fleet = Self { relays: Vec::new(), nodes: 0, frames: 0, heartbeats: 0 };
        for _ in 0..NODES / NODES_PER_RELAY {
            fleet.grow(new_relay.next().unwrap(), NODES_PER_RELAY);
        }
        Background::new(fleet, move |fleet| {
            if let Some(relay) = new_relay.next() {
                fleet.grow(relay, 5);
            }
            for (relay, names) in &mut fleet.relays {
                relay.beat(&names.iter().map(String::as_str).collect::<Vec<_>>());
                fleet.frames += 1;
                fleet.heartbeats += names.len() as u64;
            }
            pause(BEAT_INTERVAL);
        })
    }

    fn grow(&mut self, mut relay: Relay, count: usize) {
        let names: Vec<String> =
            (self.nodes..self.nodes + count).map(|number| format!("node-{number}")).collect();
        relay.introduce(&names.iter().map(String::as_str).collect::<Vec<_>>());
        self.nodes += count;
        self.frames += 1;
        self.heartbeats += count as u64;
        self.relays.push((relay, names));
    }
}

/// A consumer that reads all events, each as soon as it can, and checks that none is missing.
pub struct Consumer {
    reader: TopicReader,
    next_offsets: Vec<i64>,
    pub events: Vec<Event>,
    pub late_us_max: u64,
}

impl Consumer {
    pub fn start(kafka: SocketAddr) -> Background<Self> {
        let mut reader = TopicReader::connect(&kafka.to_string(), EVENTS_TOPIC, &[]).unwrap();
        let next_offsets = vec![0; reader.next_offsets().len()];
        reader.start(next_offsets.clone()).unwrap();
        let consumer = Self { reader, next_offsets, events: Vec::new(), late_us_max: 0 };
        Background::new(consumer, |consumer| consumer.read(true))
    }

    /// Reads what is still there.
    pub fn read_to_end(&mut self) {
        let end_offsets = self.reader.end_offsets().unwrap();
        while !self.reader.has_reached(&end_offsets) {
            self.read(false);
        }
    }

    fn read(&mut self, judges_time: bool) {
        let Some(message) = self.reader.next(Duration::from_millis(50)).unwrap() else { return };
        let event = Event::from_json(message.payload().unwrap()).unwrap();
        let (partition, offset) = (message.partition(), message.offset());
        let next = &mut self.next_offsets[usize::try_from(partition).unwrap()];
        assert_eq!(offset, *next, "partition {partition}: each record once and in order");
        *next += 1;
        if judges_time {
            let late_us = Clock::new().unix_us().saturating_sub(event.decided_at_unix_us);
            self.late_us_max = self.late_us_max.max(late_us);
        }
        self.events.push(event);
    }
}

/// Watches the resident memory of a process, and that there is one.
pub struct MemoryWatch {
    peak_bytes: Arc<AtomicU64>,
}

impl MemoryWatch {
    pub fn start(process_id: u32) -> (Self, Background<()>) {
        let peak_bytes = Arc::new(AtomicU64::new(0));
        let peak = Arc::clone(&peak_bytes);
        let watching = Background::new((), move |()| {
            peak.fetch_max(resident_bytes(process_id), Ordering::Relaxed);
            pause(Duration::from_millis(10));
        });
        (Self { peak_bytes }, watching)
    }

    /// The most that was seen since the last call.
    pub fn take_peak(&self) -> u64 {
        self.peak_bytes.swap(0, Ordering::Relaxed)
    }
}
