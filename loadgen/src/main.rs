//! `pulsegate-loadgen`: a simulated fleet, or bad datagrams, against a running gateway.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use pulsegate_loadgen::blast::blast;
use pulsegate_loadgen::cli::{BlastArguments, Cli, Command, RunArguments};
use pulsegate_loadgen::progress::ProgressDisplay;
use pulsegate_loadgen::run;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => run_fleet(&arguments),
        Command::Blast(arguments) => send_bad_datagrams(&arguments),
    };
    result.unwrap_or_else(|message| {
        eprintln!("pulsegate-loadgen: {message}");
        ExitCode::from(2)
    })
}

/// Exit status 0 for a clean report, 1 for one that is not.
fn run_fleet(arguments: &RunArguments) -> Result<ExitCode, String> {
    let options = arguments.options().map_err(|error| error.to_string())?;
    let mut display = ProgressDisplay::new();
    let result = run(&options, &mut |progress| display.show(progress));
    drop(display);
    let report = result.map_err(|error| error.to_string())?;
    write_report(arguments.json.as_deref(), &report.to_string(), &report.to_json())?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn send_bad_datagrams(arguments: &BlastArguments) -> Result<ExitCode, String> {
    let report = blast(&arguments.options()).map_err(|error| error.to_string())?;
    write_report(arguments.json.as_deref(), &report.to_string(), &report.to_json())?;
    Ok(ExitCode::SUCCESS)
}

/// The text goes to standard output unless the JSON does.
fn write_report(json_file: Option<&Path>, text: &str, json: &str) -> Result<(), String> {
    match json_file {
        Some(file) if file == Path::new("-") => println!("{json}"),
        Some(file) => {
            println!("{text}");
            std::fs::write(file, json)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        None => println!("{text}"),
    }
    Ok(())
}
