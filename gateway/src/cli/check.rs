//! `pulsegate check`: what the kernel gives, what it refuses, and what to do; without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use pulsegate::config::Config;
use pulsegate::gateway;
use pulsegate::io::probe::{self, Severity};
use pulsegate::kafka_security;
use pulsegate_engine::detector::{Observation, Rhythm};

use super::{EXIT_REFUSED, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// Configuration file to check as well.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What each profile means in seconds, for a node whose interval is the default one.
fn print_profiles(config: &Config) {
    let (detector, profiles) = (&config.detector, &config.profiles);
    println!(
        "profiles       seconds of silence until suspect and failed, at an interval of {} ms, at most {} ms late:",
        detector.interval_ms,
        detector.tick.as_millis(),
    );
    println!(
        "               {:16} {:8} {:>15} {:>15} {:>15}",
        "", "detector", "steady", "10 % jitter", "unknown yet"
    );
    for profile in profiles.detectors() {
        let unknown =
            Observation { interval_ms: detector.interval_ms, round_trip_us: 0, rhythm: Rhythm::UNKNOWN };
        let columns = [
            profile.steady(detector.interval_ms, 0.0),
            profile.steady(detector.interval_ms, 0.1),
            profile.timeouts(&unknown),
        ]
        .map(|timeouts| {
            format!("{:.2} / {:.2}", timeouts.suspect.as_secs_f64(), timeouts.failed.as_secs_f64())
        });
        let [steady, jittery, unknown] = columns;
        let (name, method) = (&profile.profile().name, profile.profile().method.label());
        println!("               {name:16} {method:8} {steady:>15} {jittery:>15} {unknown:>15}");
    }
    let default = profiles.detector(profiles.default_index()).profile();
    println!("               {} by default; {} rules give others", default.name, profiles.rules().len());
}

pub(super) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let config = Config::load(arguments.config.as_deref(), None).map_err(Failure::refused)?;
    println!("configuration  right");
    let security = kafka_security::load(&config.kafka).map_err(Failure::refused)?;
    println!("Kafka port     {}: {}", config.listen.kafka, kafka_security::describe(&security));
    println!("shards         {}", config.shards.count);
    println!("nodes          at most {}", config.nodes_max);
    print_profiles(&config);
    let report = probe::report(&gateway::wanted(&config));
    println!("kernel         {}", report.kernel_release);
    println!("socket buffer  {} bytes a shard", report.receive_buffer_bytes);
    let chosen = gateway::choose_receiver(config.shards.io, &report);
    match &chosen {
        Ok((kind, reason)) => println!("receiver       {kind}: {reason}"),
        Err(error) => println!("receiver       none: {error}"),
    }
    for finding in &report.findings {
        println!(
            "\nfound          {}\n  matters      {}\n  remedy       {}",
            finding.what, finding.why, finding.remedy
        );
    }
    if report.findings.is_empty() {
        println!("\nNothing is in the way.");
    }
    let fatal = report.findings.iter().any(|finding| finding.severity == Severity::Fatal);
    Ok(if chosen.is_err() || fatal { ExitCode::from(EXIT_REFUSED) } else { ExitCode::SUCCESS })
}
