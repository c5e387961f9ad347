//! `/metrics`: the counter pages in the Prometheus text format, through the `metrics` crate.
//!
//! Nothing is counted here. At each scrape the numbers of all shards are copied into a recorder of this module's own,
//! so two gateways in one process (a test) do not mix, and a gateway that nobody scrapes pays nothing.

mod restart;
mod sinks;

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Label, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use pulsegate_codec::RejectReason;

use crate::counters::{Cell, CounterPage, DEFINITIONS, Kind};
use crate::io::Clock;
use crate::status::{Observed, PUBLICATION_METRICS};

/// Renders the numbers of one gateway.
pub struct MetricsPage {
    recorder: PrometheusRecorder,
    observed: Observed,
}

impl std::fmt::Debug for MetricsPage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MetricsPage").finish_non_exhaustive()
    }
}

impl MetricsPage {
    /// A page for this gateway.
    #[must_use]
    pub fn new(observed: Observed) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        Self { recorder, observed }
    }

    /// The text. `cpu_us` is the CPU time of the process.
    #[must_use]
    pub fn render(&self, cpu_us: u64) -> String {
        metrics::with_local_recorder(&self.recorder, || {
            for named in self.observed.pages.iter() {
                copy_shard(&named.shard, &named.page);
            }
            self.copy_gateway(cpu_us);
        });
        self.recorder.handle().render()
    }

    fn copy_gateway(&self, cpu_us: u64) {
        let stream = &self.observed.stream;
        // Relaxed: see `StreamGauges`.
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        counter!("pulsegate_events_published_total").absolute(read(&stream.events_published));
        counter!("pulsegate_stream_appended_bytes_total").absolute(read(&stream.bytes_appended));
        counter!("pulsegate_stream_commits_total", "outcome" => "done").absolute(read(&stream.commits));
        counter!("pulsegate_stream_commits_total", "outcome" => "failed")
            .absolute(read(&stream.commits_failed));
        counter!("pulsegate_stream_records_retired_total").absolute(read(&stream.records_retired));
        counter!("pulsegate_stream_damaged_parts_total").absolute(read(&stream.log_damages));
        self.copy_kafka();
        self.copy_probes();
        self.observed.sinks.iter().for_each(|sink| sinks::copy(sink));
        restart::copy(&self.observed.restart, Clock::new().unix_us());
        self.copy_publication();
        gauge!("pulsegate_events_waiting").set(as_float(self.observed.events_waiting()));
        gauge!("pulsegate_publish_latency_us_max").set(as_float(read(&stream.publish_latency_us_max)));
        counter!("process_cpu_us_total").absolute(cpu_us);
        let facts = &self.observed.facts;
        gauge!(
            "pulsegate_info",
            "gateway" => facts.gateway.clone(),
            "version" => env!("CARGO_PKG_VERSION"),
            "receiver" => facts.receiver,
        )
        .set(1.0);
        gauge!("pulsegate_epoch").set(as_float(facts.epoch));
    }
}

impl MetricsPage {
    fn copy_publication(&self) {
        for ((name, outcome, _), number) in
            PUBLICATION_METRICS.into_iter().zip(&self.observed.stream.publication)
        {
            // Relaxed: see `StreamGauges`.
            let value = number.load(Ordering::Relaxed);
            let mut labels = Vec::new();
            if !outcome.is_empty() {
                labels.push(Label::from_static_parts("outcome", outcome));
            }
            if name.ends_with("_total") {
                counter!(name, labels).absolute(value);
            } else {
                gauge!(name, labels).set(as_float(value));
            }
        }
    }

    fn copy_probes(&self) {
        let probes = &self.observed.probes;
        for (outcome, number) in [
            ("tried", &probes.tries),
            ("answered", &probes.answers),
            ("skipped_for_load", &probes.skipped_for_load),
            ("refused_target", &probes.refused_target),
        ] {
            // Relaxed: see `ProbeCounters`.
            counter!("pulsegate_probes_total", "outcome" => outcome).absolute(number.load(Ordering::Relaxed));
        }
    }

    fn copy_kafka(&self) {
        let kafka = &self.observed.kafka;
        // Relaxed: see `KafkaCounters`.
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        for (outcome, number) in [
            ("accepted", &kafka.connections_accepted),
            ("refused", &kafka.connections_refused),
            ("displaced", &kafka.connections_displaced),
            ("handshake_failed", &kafka.handshakes_failed),
            ("login_failed", &kafka.logins_failed),
            ("timed_out", &kafka.connections_timed_out),
            ("slow", &kafka.connections_slow),
            ("starved", &kafka.connections_starved),
            ("malformed", &kafka.connections_malformed),
        ] {
            counter!("pulsegate_kafka_connections_total", "outcome" => outcome).absolute(read(number));
        }
        gauge!("pulsegate_kafka_connections").set(as_float(read(&kafka.connections)));
        counter!("pulsegate_kafka_requests_total").absolute(read(&kafka.requests));
        counter!("pulsegate_kafka_fetch_bytes_total").absolute(read(&kafka.fetch_bytes));
        counter!("pulsegate_kafka_read_failures_total").absolute(read(&kafka.read_failures));
    }
}

fn describe_kafka() {
    describe_counter!(
        "pulsegate_kafka_connections_total",
        "Connections of Kafka clients, by what came of them; all but the refused ones were accepted before."
    );
    describe_gauge!("pulsegate_kafka_connections", "Connections of Kafka clients at the moment.");
    describe_counter!("pulsegate_kafka_requests_total", "Requests of Kafka clients that were answered.");
    describe_counter!(
        "pulsegate_kafka_fetch_bytes_total",
        "Bytes of record batches served to Kafka clients."
    );
    describe_counter!(
        "pulsegate_kafka_read_failures_total",
        "Batches that could not be served because the disk failed or they are damaged."
    );
}

fn copy_shard(shard: &str, page: &CounterPage) {
    for (cell, definition) in Cell::ALL.into_iter().zip(DEFINITIONS) {
        let mut labels = vec![Label::new("shard", shard.to_owned())];
        if !definition.label.0.is_empty() {
            labels.push(Label::from_static_parts(definition.label.0, definition.label.1));
        }
        match definition.kind {
            Kind::Counter => counter!(definition.name, labels).absolute(page.read(cell)),
            Kind::Gauge => gauge!(definition.name, labels).set(as_float(page.read(cell))),
        }
    }
    for reason in RejectReason::ALL {
        counter!("pulsegate_frames_rejected_total", "shard" => shard.to_owned(), "reason" => reason.label())
            .absolute(page.read_rejected(reason));
    }
}

fn describe() {
    for definition in DEFINITIONS {
        match definition.kind {
            Kind::Counter => describe_counter!(definition.name, definition.help),
            Kind::Gauge => describe_gauge!(definition.name, definition.help),
        }
    }
    describe_counter!(
        "pulsegate_frames_rejected_total",
        "Frames refused, by the one reason that names each."
    );
    describe_counter!("pulsegate_events_published_total", "Events on disk.");
    describe_counter!("pulsegate_stream_appended_bytes_total", "Bytes of record batches written.");
    describe_counter!(
        "pulsegate_stream_commits_total",
        "Group commits, by outcome; a failed one is tried again."
    );
    describe_counter!("pulsegate_stream_records_retired_total", "Records removed by retention.");
    describe_counter!(
        "pulsegate_stream_damaged_parts_total",
        "Parts of the logs that were found damaged at start and set aside."
    );
    describe_kafka();
    describe_counter!("pulsegate_probes_total", "Probes that descriptors name, by what came of them.");
    sinks::describe();
    restart::describe();
    for (name, _, help) in PUBLICATION_METRICS.into_iter().filter(|(_, _, help)| !help.is_empty()) {
        if name.ends_with("_total") {
            describe_counter!(name, help);
        } else {
            describe_gauge!(name, help);
        }
    }
    describe_gauge!("pulsegate_events_waiting", "Verdicts whose events are not on disk yet.");
    describe_gauge!("pulsegate_publish_latency_us_max", "Longest time from a verdict to its event on disk.");
    describe_counter!("process_cpu_us_total", "CPU time of the process in microseconds.");
    describe_gauge!("pulsegate_info", "Always 1; the labels say what runs.");
    describe_gauge!("pulsegate_epoch", "The run of the gateway; one more at every start.");
}

#[expect(clippy::cast_precision_loss, reason = "the text format has floats only; counts stay below 2^53")]
const fn as_float(value: u64) -> f64 {
    value as f64
}
