//! A consumer on the Kafka port that notes when each event was decided, and when it arrived.

use std::thread::JoinHandle;
use std::time::Duration;

use pulsegate::io::Clock;
use pulsegate_codec::event::Event;
use pulsegate_loadgen::topic_reader::{ReadError, TopicReader, content_type_of};
use rdkafka::message::Message;

/// One event, in microseconds since the Unix epoch by the wall clock that both processes read.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// By the event.
    pub decided_us: u64,
    /// When this consumer had it.
    pub received_us: u64,
}

/// A consumer under way.
pub struct Watcher {
    thread: JoinHandle<Result<Vec<Seen>, ReadError>>,
}

/// How long no event may come before the watcher gives up.
const SILENCE_STEPS_MAX: u32 = 300;
const STEP: Duration = Duration::from_millis(100);

impl Watcher {
    /// Watches for `count` events of this type, from now on.
    ///
    /// # Errors
    /// If the port does not answer.
    pub fn start(kafka: &str, event_type: &'static str, count: usize) -> Result<Self, ReadError> {
        let mut reader = TopicReader::connect(kafka, pulsegate::gateway::EVENTS_TOPIC, &[])?;
        let end = reader.end_offsets()?;
        reader.start(end)?;
        Ok(Self { thread: std::thread::spawn(move || watch(&mut reader, event_type, count)) })
    }

    /// Waits until all have come.
    ///
    /// # Errors
    /// If they cannot be read, or do not come.
    ///
    /// # Panics
    /// If the watching thread did.
    pub fn finish(self) -> Result<Vec<Seen>, ReadError> {
        self.thread.join().expect("the watcher does not panic")
    }
}

fn watch(reader: &mut TopicReader, event_type: &str, count: usize) -> Result<Vec<Seen>, ReadError> {
    let clock = Clock::new();
    let mut seen = Vec::with_capacity(count);
    let mut silence_steps = 0;
    while seen.len() < count {
        let Some(message) = reader.next(STEP)? else {
            silence_steps += 1;
            if silence_steps > SILENCE_STEPS_MAX {
                return Err(reader.unreachable());
            }
            continue;
        };
        let received_us = clock.unix_us();
        silence_steps = 0;
        let event = Event::decode(content_type_of(&message), message.payload().unwrap_or_default());
        if let Some(event) = event.ok().filter(|event| event.event_type.word() == event_type) {
            seen.push(Seen { decided_us: event.decided_at_unix_us, received_us });
        }
    }
    Ok(seen)
}

/// The latencies in milliseconds, in ascending order.
#[must_use]
pub fn latencies_ms(seen: &[Seen]) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a few seconds")]
    let mut latencies: Vec<f64> =
        seen.iter().map(|seen| seen.received_us.saturating_sub(seen.decided_us) as f64 / 1_000.0).collect();
    latencies.sort_unstable_by(f64::total_cmp);
    latencies
}

/// The value below which this share of the ascending values lies.
#[must_use]
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a few thousand values"
    )]
    let index = (ascending.len() as f64 * share).ceil() as usize;
    ascending.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&values, share)), [50.0, 99.0, 100.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
