//! The webhook sink: CloudEvents over HTTP, each tried until the endpoint takes it or refuses it for good.
//!
//! ```text
//!   worker 0: lanes 0, 2 ─▶ gather ─▶ POST ─┬─ 2xx ───────────────────▶ window ─▶ cursor
//!   worker 1: lanes 1, 3 …                  ├─ this event is refused ─▶ dead letter
//!                                           └─ anything else ─▶ wait, longer each time, and POST again
//! ```
//!
//! A worker is a thread with some of the partitions and one request under way, so the events of a node arrive in order.
//! Waits grow from `retry-ms-min` to `retry-ms-max` with jitter, so that many gateways do not come back at once; an
//! endpoint that says `Retry-After` is not asked before. `answer.rs` says which answer means what.
//!
//! Delivery is at least once: an event whose answer was lost is sent again, with the same `ce-id`.

mod answer;
mod backoff;
mod client;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::dead_letters::DeadLetters;
use super::feed::{Feed, Outgoing, SinkShared};
use super::{SinkError, bury, dead_letters};
use crate::config::sinks::WebhookSink;
use answer::Answer;
use backoff::Backoff;
use client::Client;
use request::event_word;

/// Longest sleep: the cursor is saved in this rhythm.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Failures in a row of which one is logged.
const FAILURES_PER_LOG_LINE: u64 = 20;

/// Starts the threads of a sink. The endpoint need not be there.
pub(super) fn start(
    config: &WebhookSink,
    shared: &Arc<SinkShared>,
    lanes: &[usize],
) -> Result<Vec<JoinHandle<()>>, SinkError> {
    let client = Client::open(config)?;
    let workers = config.workers.min(lanes.len());
    let mut threads = Vec::with_capacity(workers);
    for number in 0..workers {
        let lanes: Vec<usize> = lanes.iter().copied().skip(number).step_by(workers).collect();
        let seed = shared.clock.unix_us() ^ ((number as u64) << 56);
        let worker = Worker {
            config: config.clone(),
            feed: Feed::new(Arc::clone(shared), &lanes),
            letters: dead_letters(&shared.log_directory, &config.name, config.dead_letter_bytes_max),
            client: client.clone(),
            waiting: VecDeque::new(),
            backoff: Backoff::new(config.retry_min, config.retry_max, seed),
            cpu_us: 0,
        };
        let thread = std::thread::Builder::new().name(format!("sink-{}-{number}", config.name));
        let thread = thread.spawn(move || worker.run());
        threads.push(thread.map_err(|source| SinkError::Thread { sink: config.name.clone(), source })?);
    }
    Ok(threads)
}

/// One thread.
struct Worker {
    config: WebhookSink,
    feed: Feed,
    letters: DeadLetters,
    client: Client,
    /// Read and not yet sent.
    waiting: VecDeque<Outgoing>,
    backoff: Backoff,
    /// Processor time told so far.
    cpu_us: u64,
}

/// How a delivery ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delivery {
    /// The events are dealt with.
    Done,
    /// The gateway stops; they are sent after the next start.
    Stopped,
}

impl Worker {
    fn run(mut self) {
        let mut rings = 0;
        loop {
            if self.waiting.is_empty() {
                let found = self.feed.next();
                self.waiting.extend(found);
            }
            let events = self.gather();
            if self.deliver(&events) == Delivery::Stopped {
                break;
            }
            self.feed.settle();
            self.tell_cpu();
            if self.feed.is_at_end() {
                break;
            }
            if self.waiting.is_empty() && events.is_empty() {
                rings = self.feed.shared().committed.wait(rings, IDLE_WAIT).rings;
            }
        }
        self.feed.settle_for_good();
    }

    fn tell_cpu(&mut self) {
        let shared = self.feed.shared();
        let cpu_us = u64::try_from(shared.clock.thread_cpu_time().as_micros()).unwrap_or(u64::MAX);
        // Relaxed: see `SinkProgress`.
        shared.progress.cpu_us.fetch_add(cpu_us - self.cpu_us, Ordering::Relaxed);
        self.cpu_us = cpu_us;
    }

    /// Takes the events of the next request; those that nobody wants are passed over.
    fn gather(&mut self) -> Vec<Outgoing> {
        let mut events = Vec::new();
        let mut bytes = 0;
        while events.len() < self.config.batch_events_max && bytes < request::BATCH_BYTES_MAX {
            let Some(outgoing) = self.waiting.pop_front() else { break };
            self.feed.sent(&outgoing);
            if self.is_wanted(&outgoing) {
                bytes += outgoing.record.value.as_ref().map_or(0, |value| value.len());
                events.push(outgoing);
            } else {
                self.feed.finished(outgoing.lane, outgoing.offset);
                self.feed.shared().progress.count(|progress| &progress.filtered, 1);
            }
        }
        events
    }

    fn is_wanted(&self, outgoing: &Outgoing) -> bool {
        let types = &self.config.types;
        types.is_empty()
            || event_word(&outgoing.record)
                .is_some_and(|word| types.iter().any(|event_type| event_type.word() == word))
    }

    /// Sends until all of them are taken or refused for good.
    fn deliver(&mut self, events: &[Outgoing]) -> Delivery {
        if events.is_empty() {
            return Delivery::Done;
        }
        let mut attempts = 0_u64;
        self.backoff.reset();
        loop {
            attempts += 1;
            let (reason, not_before) = match self.client.post(events) {
                Answer::Taken => {
                    self.finish(events);
                    self.feed.shared().progress.count(|progress| &progress.delivered, events.len() as u64);
                    return Delivery::Done;
                }
                // One of them may be at fault: each for itself.
                Answer::Refused(_) if events.len() > 1 => return self.deliver_one_by_one(events),
                Answer::Refused(reason) => {
                    self.give_up(events, &reason);
                    return Delivery::Done;
                }
                Answer::Later { reason, not_before } => (reason, not_before),
            };
            if self.config.attempts_max.is_some_and(|attempts_max| attempts >= attempts_max) {
                self.give_up(events, &format!("given up after {attempts} tries, the last: {reason}"));
                return Delivery::Done;
            }
            if attempts % FAILURES_PER_LOG_LINE == 1 {
                let sink = self.config.name.as_str();
                tracing::warn!(sink, attempts, reason, "the endpoint takes no events; they wait in the log");
            }
            self.feed.shared().progress.count(|progress| &progress.retries, 1);
            let wait = self.backoff.next_wait().max(not_before.unwrap_or_default());
            if self.is_stopping_within(wait) {
                return Delivery::Stopped;
            }
        }
    }

    fn deliver_one_by_one(&mut self, events: &[Outgoing]) -> Delivery {
        for event in events {
            if self.deliver(std::slice::from_ref(event)) == Delivery::Stopped {
                return Delivery::Stopped;
            }
        }
        Delivery::Done
    }

    fn finish(&mut self, events: &[Outgoing]) {
        for event in events {
            self.feed.finished(event.lane, event.offset);
        }
    }

    fn give_up(&mut self, events: &[Outgoing], reason: &str) {
        for event in events {
            bury(self.feed.shared(), &self.letters, event, reason);
        }
        self.finish(events);
    }

    /// Waits, in steps in which the cursor is saved. True when the time that a stop leaves is over.
    fn is_stopping_within(&mut self, wait: Duration) -> bool {
        let until = self.feed.shared().clock.now() + wait;
        loop {
            self.feed.settle();
            if self.feed.is_at_end() {
                return true;
            }
            let now = self.feed.shared().clock.now();
            if now >= until {
                return false;
            }
            let mut step = until.since(now).min(IDLE_WAIT);
            if let Some(stop_at) = self.feed.stop_at() {
                // The bell does not ring again: look at the clock.
                step = step.min(stop_at.since(now)).max(STOP_STEP);
                self.client.pause(step);
            } else {
                self.feed.shared().committed.is_stopping_within(step);
            }
        }
    }
}

/// Shortest look at the clock while the gateway stops.
const STOP_STEP: Duration = Duration::from_millis(5);
