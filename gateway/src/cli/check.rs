//! `pulsegate check`: what the kernel gives, what it refuses, and what to do; without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use pulsegate::config::Config;
use pulsegate::gateway;
use pulsegate::io::probe::{self, Severity};

use super::{EXIT_REFUSED, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// Configuration file to check as well.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let config = Config::load(arguments.config.as_deref(), None).map_err(Failure::refused)?;
    println!("configuration  right");
    println!("shards         {}", config.shards.count);
    println!("nodes          at most {}", config.nodes_max);
    let detector = &config.detector;
    let seconds = |intervals: u32| f64::from(intervals) * f64::from(detector.interval_ms) / 1_000.0;
    println!(
        "detector       fixed: at an interval of {} ms suspect after {:.1} s, failed after {:.1} s, at most {} ms late",
        detector.interval_ms,
        seconds(detector.suspect_after_intervals),
        seconds(detector.failed_after_intervals),
        detector.tick.as_millis(),
    );
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
