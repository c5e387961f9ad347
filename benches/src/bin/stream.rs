//! How long an event is under way, how many are written a second, and how fast they are served.
//!
//! `cargo run --release -p pulsegate-benches --bin stream -- [--nodes N] [--rounds R] [--jars DIR] [--out FILE]`

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use pulsegate_benches::machine::{Machine, load_average};
use pulsegate_benches::statistics::Spread;
use pulsegate_benches::stream::broker::Broker;
use pulsegate_benches::stream::gateway::{self, AS_GATEWAY, GatewayProcess};
use pulsegate_benches::stream::nodes::Nodes;
use pulsegate_benches::stream::serving::{Pass, read_all, why_no_kcat};
use pulsegate_benches::stream::watcher::{Watcher, latencies_ms, quantile};
use pulsegate_benches::stream::{pause, wait_for};

#[derive(Parser, Debug)]
#[command(about = "Measures the event stream of a gateway.")]
struct Options {
    /// Nodes that join at once, then fall silent at once: three events each.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    nodes: u32,
    /// How often kcat reads everything from each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Where `.ci/fetch-kafka` has put Apache Kafka.
    #[arg(long, default_value = "target/clients/kafka")]
    jars: PathBuf,
    /// Also write the report to this file.
    #[arg(long)]
    out: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == AS_GATEWAY) {
        return gateway::run(Path::new(arguments.get(2).ok_or("which data directory?")?));
    }
    let options = Options::parse();
    let mut report = Machine::here().to_string();
    writeln!(report, "load        {} before", load_average())?;
    report += &latency()?;
    let directory = tempfile::tempdir()?;
    // All nodes fail at once: the guard would hold that for a minute.
    let settings = format!(
        "[detector]\ninterval-ms = 1000\n[guard]\nenabled = false\n[registry]\nnodes-max = {}\n",
        options.nodes * 2
    );
    let gateway = GatewayProcess::start(directory.path(), &settings)?;
    report += &appended(&gateway, options.nodes)?;
    report += &served(&options, &gateway, directory.path())?;
    report += NOTES;
    print!("{report}");
    if let Some(path) = options.out {
        std::fs::write(&path, report)?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// Joins one by one: each is a verdict, a commit, and a fetch that was waiting for it.
fn latency() -> Result<String, Failure> {
    let mut text =
        "\nFrom verdict to consumer (event field to receipt by librdkafka), milliseconds\n\n".to_owned();
    writeln!(
        text,
        "{:<26}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "events a second, fsync", "events", "p50", "p99", "p99.9", "max"
    )?;
    for (rate, fsync) in [(100, "always"), (1_000, "always"), (100, "never"), (1_000, "never")] {
        let directory = tempfile::tempdir()?;
        // An interval so long that nobody falls silent meanwhile.
        let settings = format!(
            "[detector]\ninterval-ms = 60000\n[registry]\nnodes-max = 50_000\n[stream]\nfsync = \"{fsync}\"\n"
        );
        let gateway = GatewayProcess::start(directory.path(), &settings)?;
        let count = rate * LATENCY_SECONDS;
        let watcher = Watcher::start(&gateway.endpoints.kafka.to_string(), "joined", count as usize)?;
        let mut nodes = Nodes::new(&gateway.endpoints)?;
        for number in 0..count {
            nodes.join_one(number)?;
            pause(Duration::from_secs(1) / rate);
        }
        let latencies = latencies_ms(&watcher.finish()?);
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|share| quantile(&latencies, share));
        let what = format!("{rate} a second, {fsync}");
        writeln!(text, "{what:<26}{:>9}{p50:>9.2}{p99:>9.2}{p999:>9.2}{max:>9.2}", latencies.len())?;
        eprintln!("{what}: p50 {p50:.2}, p99 {p99:.2} ms");
    }
    Ok(text)
}

/// How long events come one by one, for each rate.
const LATENCY_SECONDS: u32 = 8;

/// Everybody joins at once, falls silent at once, fails at once.
fn appended(gateway: &GatewayProcess, count: u32) -> Result<String, Failure> {
    let mut text = format!("\n{count} nodes join, fall silent and fail at once; fsync always\n\n");
    writeln!(text, "{:<12}{:>16}{:>22}", "events", "events a second", "slowest event, ms")?;
    let kafka = gateway.endpoints.kafka.to_string();
    let watchers = ["joined", "suspected", "failed"]
        .map(|event_type| (event_type, Watcher::start(&kafka, event_type, count as usize)));
    let cpu_began = gateway.status().cpu_us;
    Nodes::new(&gateway.endpoints)?.join_many(count)?;
    for (event_type, watcher) in watchers {
        let seen = watcher?.finish()?;
        let first = seen.iter().map(|seen| seen.decided_us).min().unwrap_or(0);
        let last = seen.iter().map(|seen| seen.received_us).max().unwrap_or(0);
        let rate = f64::from(count) / Duration::from_micros(last.saturating_sub(first)).as_secs_f64();
        let slowest = quantile(&latencies_ms(&seen), 1.0);
        writeln!(text, "{event_type:<12}{rate:>16.0}{slowest:>22.1}")?;
        eprintln!("{event_type}: {rate:.0} a second");
    }
    wait_for("all is written", || (gateway.status().events_waiting == 0).then_some(()));
    let status = gateway.status();
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand events")]
    let cpu_an_event = (status.cpu_us - cpu_began) as f64 / status.events_published as f64;
    writeln!(
        text,
        "\nthe gateway's processor time, detection, log and three consumers together: {cpu_an_event:.1} us an event"
    )?;
    Ok(text)
}

/// kcat reads it all, in turn from the gateway and from Apache Kafka.
fn served(options: &Options, gateway: &GatewayProcess, directory: &Path) -> Result<String, Failure> {
    let mut text = "\nServed to kcat, from the first record to the last\n\n".to_owned();
    if let Some(reason) = why_no_kcat() {
        writeln!(text, "SKIPPED: {reason}")?;
        return Ok(text);
    }
    let kafka = gateway.endpoints.kafka.to_string();
    let count = gateway.status().events_published;
    let broker =
        Broker::start(&options.jars, directory).inspect_err(|reason| eprintln!("no broker: {reason}"));
    if let Ok(broker) = &broker {
        let copied = broker.copy_from(&kafka)?;
        if copied != count {
            return Err(format!("{copied} of {count} records were copied to the broker").into());
        }
    }
    let mut passes: [Vec<Pass>; 2] = Default::default();
    // The first pass of each warms caches and compilers, and does not count.
    for round in 0..=options.rounds {
        let of_gateway = read_all(&kafka, gateway.process_id(), count)?;
        let of_broker = match &broker {
            Ok(broker) => Some(read_all(&broker.address, broker.process_id(), count)?),
            Err(_) => None,
        };
        eprintln!("round {round}/{}: {of_gateway:?} {of_broker:?}", options.rounds);
        if round > 0 {
            passes[0].push(of_gateway);
            passes[1].extend(of_broker);
        }
    }
    writeln!(text, "{count} records, {} rounds, in turn; median (least - greatest)\n", options.rounds)?;
    writeln!(
        text,
        "{:<14}{:>34}{:>40}",
        "server", "records a second", "server's processor time, us a record"
    )?;
    for (name, passes) in ["gateway", "Apache Kafka"].into_iter().zip(&passes) {
        let rates = Spread::of(passes.iter().map(|pass| pass.records_a_second));
        let cpus = Spread::of(passes.iter().map(|pass| pass.server_cpu_us));
        if let (Some(rates), Some(cpus)) = (rates, cpus) {
            writeln!(text, "{name:<14}{:>34}{:>40}", format!("{rates:.0}"), format!("{cpus:.2}"))?;
        }
    }
    let ratios = passes[0]
        .iter()
        .zip(&passes[1])
        .map(|(ours, theirs)| ours.records_a_second / theirs.records_a_second);
    match (Spread::of(ratios), broker) {
        (Some(ratios), _) => {
            writeln!(text, "\ngateway over Apache Kafka, records a second, in the same round: {ratios:.2}")?
        }
        (None, Err(reason)) => writeln!(text, "\nSKIPPED Apache Kafka: {reason}")?,
        (None, Ok(_)) => {}
    }
    Ok(text)
}

const NOTES: &str = "
How to read it
- The way of one event: the shard's outbox, an eventfd, the control thread, one write and one fdatasync a partition,
  the wake-up of a parked fetch, a read of the file in another thread, loopback, librdkafka's thread, the consumer's.
  The lines without fsync tell how much of it is the disk. The rates are the sender's aim; its pauses are a little longer.
- Events a second at once are limited by one thread that names, encodes, writes and syncs in batches of at most 4096,
  and by the consumers on the same cores: count divided by the time from the first decision to the last receipt.
  Decisions of one kind are themselves spread over the time in which the nodes' heartbeats were sent.
- kcat's own work is most of a pass on both sides: it is one process that prints every record. It bounds what can be
  seen of the server; the server's processor time is what tells the two apart. Batches are as large as 4096 records
  on both sides, not compressed; both logs are in the page cache.
- Apache Kafka runs with a heap of 512 MB and its defaults; its first pass, when its code is not compiled yet, is not
  counted.
";
