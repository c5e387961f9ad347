//! The metrics of sinks, one label set a sink.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::as_float;
use crate::io::Clock;
use crate::sinks::progress::SinkProgress;

pub(super) fn copy(sink: &SinkProgress) {
    // Relaxed: see `SinkProgress`.
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let name = || sink.name.clone();
    gauge!("pulsegate_sink_lag_events", "sink" => name()).set(as_float(sink.lag_events()));
    let lag_ms = sink.lag_ms(Clock::new().unix_us() / 1_000);
    gauge!("pulsegate_sink_lag_seconds", "sink" => name()).set(as_float(lag_ms) / 1_000.0);
    counter!("pulsegate_sink_delivered_total", "sink" => name()).absolute(read(&sink.delivered));
    counter!("pulsegate_sink_filtered_total", "sink" => name()).absolute(read(&sink.filtered));
    counter!("pulsegate_sink_retries_total", "sink" => name()).absolute(read(&sink.retries));
    for (outcome, number) in
        [("written", &sink.dead_letters_written), ("unwritten", &sink.dead_letters_unwritten)]
    {
        counter!("pulsegate_sink_dead_letters_total", "sink" => name(), "outcome" => outcome)
            .absolute(read(number));
    }
    counter!("pulsegate_sink_producers_replaced_total", "sink" => name())
        .absolute(read(&sink.producers_replaced));
    counter!("pulsegate_sink_lost_to_retention_total", "sink" => name())
        .absolute(read(&sink.lost_to_retention));
    counter!("pulsegate_sink_cpu_us_total", "sink" => name()).absolute(read(&sink.cpu_us));
}

pub(super) fn describe() {
    describe_gauge!("pulsegate_sink_lag_events", "Events on disk that the sink's target has not taken.");
    describe_gauge!("pulsegate_sink_lag_seconds", "Age of the oldest event that is under way to the target.");
    describe_counter!("pulsegate_sink_delivered_total", "Events that the target has acknowledged.");
    describe_counter!("pulsegate_sink_filtered_total", "Events that the sink is told not to send.");
    describe_counter!(
        "pulsegate_sink_retries_total",
        "Requests tried again (webhook), or records handed to a new producer (Kafka)."
    );
    describe_counter!(
        "pulsegate_sink_dead_letters_total",
        "Events that the target refused for good, by whether the dead-letter file took them."
    );
    describe_counter!("pulsegate_sink_producers_replaced_total", "Kafka producers given up and made anew.");
    describe_counter!(
        "pulsegate_sink_lost_to_retention_total",
        "Events that retention removed before they were sent: lost to the target."
    );
    describe_counter!(
        "pulsegate_sink_cpu_us_total",
        "CPU time of the sink's threads in microseconds, without librdkafka's own."
    );
}
