//! Watches the gateway from a thread of its own while the fleet beats: reads its events and asks for its
//! status.
//!
//! Events become small [`ObservedEvent`]s at once, so that a million of them fit in memory. The sending
//! thread looks at two counters for its progress display and shares nothing else with this one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use pulsegate_codec::NodeId;
use pulsegate_codec::event::{Event, EventType};

use crate::admin_client::{Status, fetch_status};
use crate::clock::Clock;
use crate::event_source::{EventSource, EventSourceError};
use crate::fleet::{Fleet, NodeIndex};
use crate::moment::{Duration, Moment};
use crate::verify::{EventKind, ObservedEvent, Outage};

/// What a watch has collected.
#[derive(Debug, Default)]
pub struct Watched {
    /// Events about nodes of the fleet, in the order of the log.
    pub events: Vec<ObservedEvent>,
    /// Events that bring a node into being that the fleet does not have.
    pub invented_nodes: u64,
    /// Other events that are not about the fleet: of an earlier fleet, of gateways and zones, of types
    /// unknown here.
    pub other_events: u64,
    /// Starts of a gateway.
    pub gateway_starts: u64,
    /// How long it had been away before each, if it told.
    pub outages: Vec<Outage>,
    /// The first and the last status within the steady part of the run.
    pub steady: Option<[TimedStatus; 2]>,
}

/// A status, and when it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimedStatus {
    /// When.
    pub at: Moment,
    /// What the gateway said.
    pub status: Status,
}

/// When to look and for how long.
#[derive(Clone, Copy, Debug)]
pub struct WatchPlan {
    /// Where to ask for the status.
    pub admin: SocketAddr,
    /// The steady part of the run begins …
    pub steady_from: Moment,
    /// … and ends.
    pub steady_until: Moment,
}

/// A watch that is under way.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    /// Taken by `finish`.
    thread: Option<JoinHandle<Result<Watched, EventSourceError>>>,
}

/// Relaxed everywhere: the counters are for display and the flag orders nothing; joining the thread orders
/// the rest.
#[derive(Debug, Default)]
struct Shared {
    is_ending: AtomicBool,
    events: AtomicU64,
    failures: AtomicU64,
}

impl Shared {
    fn count(&self, event: &Event) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(event.event_type == EventType::Failed), Ordering::Relaxed);
    }
}

const POLL_PAUSE: Duration = Duration::from_millis(100);
const STATUS_PAUSE: Duration = Duration::from_secs(1);

impl Watch {
    /// Begins to watch.
    #[must_use]
    pub fn start(plan: WatchPlan, source: EventSource, directory: Directory, clock: Clock) -> Self {
        let shared = Arc::new(Shared::default());
        let watcher = Watcher {
            plan,
            source,
            directory,
            clock,
            shared: Arc::clone(&shared),
            watched: Watched::default(),
        };
        Self { shared, thread: Some(std::thread::spawn(move || watcher.run())) }
    }

    /// Events of the fleet, and failures among them, that were read so far.
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        (self.shared.events.load(Ordering::Relaxed), self.shared.failures.load(Ordering::Relaxed))
    }

    /// Whether the watch ended by itself, which it does only for an error.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Reads what is there now, and ends.
    ///
    /// # Errors
    /// If events could not be read.
    ///
    /// # Panics
    /// If the watching thread did.
    pub fn finish(mut self) -> Result<Watched, EventSourceError> {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only this method takes it, and it takes the watch, too");
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// A run that ends early leaves no thread behind for long.
impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
    }
}

struct Watcher {
    plan: WatchPlan,
    source: EventSource,
    directory: Directory,
    clock: Clock,
    shared: Arc<Shared>,
    watched: Watched,
}

impl Watcher {
    fn run(mut self) -> Result<Watched, EventSourceError> {
        let mut status_due = self.plan.steady_from;
        loop {
            // Read first: what consumers could see when the end was called for is read before this ends.
            let is_ending = self.shared.is_ending.load(Ordering::Relaxed);
            if is_ending {
                self.read_to_end()?;
                return Ok(self.watched);
            }
            while self.poll()? {}
            let now = self.clock.now();
            if now >= status_due && now < self.plan.steady_until {
                status_due = now + STATUS_PAUSE;
                self.note_status(now);
            }
            self.clock.sleep(POLL_PAUSE);
        }
    }

    /// A status that cannot be had is no reason to stop: only figures depend on it.
    fn note_status(&mut self, at: Moment) {
        if let Ok(status) = fetch_status(self.plan.admin) {
            let status = TimedStatus { at, status };
            match &mut self.watched.steady {
                Some([_, last]) => *last = status,
                none => *none = Some([status.clone(), status]),
            }
        }
    }

    fn poll(&mut self) -> Result<bool, EventSourceError> {
        let Self { source, directory, clock, watched, shared, .. } = self;
        source.poll(|event| {
            shared.count(event);
            watched.note(event, directory, clock);
        })
    }

    fn read_to_end(&mut self) -> Result<(), EventSourceError> {
        let Self { source, directory, clock, watched, shared, .. } = self;
        source.read_to_end(|event| {
            shared.count(event);
            watched.note(event, directory, clock);
        })
    }
}

impl Watched {
    fn note_start(&mut self, event: &Event, clock: &Clock) {
        self.gateway_starts += 1;
        let until = clock.moment_of_unix_us(event.decided_at_unix_us);
        if let (Some(until), Some(pause_us)) = (until, event.pause_us) {
            let from = until.saturating_sub(Duration::from_micros(pause_us));
            self.outages.push(Outage { from, until });
        }
    }

    fn note(&mut self, event: &Event, directory: &Directory, clock: &Clock) {
        let Some(kind) = EventKind::from_word(event.event_type.word()) else {
            if event.event_type == EventType::GatewayStarted {
                self.note_start(event, clock);
            }
            self.other_events += 1;
            return;
        };
        let Some(decided_at) = clock.moment_of_unix_us(event.decided_at_unix_us) else {
            self.other_events += 1; // Decided before this run began.
            return;
        };
        let Some(node) = directory.find(event) else {
            let invents = matches!(kind, EventKind::Joined | EventKind::Restarted);
            self.invented_nodes += u64::from(invents);
            self.other_events += u64::from(!invents);
            return;
        };
        let lateness_us = event.lateness_us.map_or(u32::MAX, |us| u32::try_from(us).unwrap_or(u32::MAX - 1));
        self.events.push(ObservedEvent {
            decided_at,
            node,
            incarnation: event.incarnation.unwrap_or(0),
            event_sequence: event.event_sequence.unwrap_or(0),
            lateness_us,
            kind,
        });
    }
}

/// Finds a node by its id (every event has it), or by its name.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Sorted by id.
    nodes: Vec<(NodeId, NodeIndex)>,
}

impl Directory {
    /// The nodes of this fleet. Takes a while for a large one.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let indices = (0..fleet.node_count()).map(NodeIndex);
        let mut nodes: Vec<_> = indices.map(|node| (fleet.node_id(node), node)).collect();
        nodes.sort_unstable();
        Self { nodes }
    }

    fn find(&self, event: &Event) -> Option<NodeIndex> {
        let node_id = event.node_id.unwrap_or_else(|| NodeId::from_name(&event.node));
        let position = self.nodes.binary_search_by_key(&node_id, |&(node_id, _)| node_id).ok()?;
        Some(self.nodes[position].1)
    }
}

#[cfg(test)]
mod tests;
