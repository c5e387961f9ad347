//! Detection time and false alarms of each detector, simulated, with plots: what `docs/detection.md` shows.
//!
//! `cargo run --release -p pulsegate-benches --bin detection -- [--out docs/detection] [--check] [--quick N]`
//! or `… --bin detection -- --only "loss 30 %" same-dc --node-hours 100000` for one trial.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use pulsegate_benches::detection::figures::{self, Figure};
use pulsegate_benches::detection::trial::Trial;
use pulsegate_benches::detection::{contest, plots, scenario, timeline};

#[derive(Parser, Debug)]
#[command(about = "Simulates detection time and false alarms of each detector, and draws them.")]
struct Options {
    /// Folder of the figures and plots.
    #[arg(long, default_value = "docs/detection")]
    out: PathBuf,
    /// Write nothing; fail if the files are not what would be written.
    #[arg(long)]
    check: bool,
    /// Divide the simulated hours by this, for a quick look.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    quick: u32,
    /// Only one trial, for more hours than the plots need: a scenario by name, and a profile.
    #[arg(long, num_args = 2, value_names = ["SCENARIO", "PROFILE"])]
    only: Option<Vec<String>>,
    /// Node hours of that trial.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    node_hours: u32,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let options = Options::parse();
    if let Some([scenario, profile]) = options.only.as_deref() {
        let scenario = scenario::named(scenario).ok_or("no such scenario")?;
        let profiles = contest::profiles();
        let profile = profiles.iter().find(|known| *known.name == **profile).ok_or("no such profile")?;
        let trial = Trial::run(scenario, profile, options.node_hours, contest::SEED);
        println!("{}", Figure::of(scenario.name, profile.name.to_string(), profile, &trial).line());
        return Ok(ExitCode::SUCCESS);
    }
    let figures = contest::run(options.quick, |figure| {
        if !figure.profile.is_empty() {
            eprintln!("{}", figure.line());
        }
    });
    print_table(&figures);
    let files = [
        ("figures.csv", figures::to_csv(&figures)),
        ("trade-off.svg", plots::trade_off(&figures)),
        ("timeline.svg", plots::timeline(&timeline::run())),
    ];
    let mut is_same = true;
    for (name, text) in files {
        let path = options.out.join(name);
        if options.check {
            is_same &= is_as_written(&path, &text);
        } else {
            std::fs::write(&path, text)?;
            eprintln!("wrote {}", path.display());
        }
    }
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_as_written(path: &Path, text: &str) -> bool {
    let is_same = std::fs::read_to_string(path).is_ok_and(|written| written == text);
    eprintln!(
        "{} {}",
        path.display(),
        if is_same { "is up to date" } else { "DIFFERS: run without --check" }
    );
    is_same
}

/// The profiles as a table for the page: false failures a node-hour, and detection time in seconds, median and 99 %.
fn print_table(figures: &[Figure]) {
    let profiles = contest::profiles();
    let names: Vec<_> = profiles.iter().map(|profile| &*profile.name).collect();
    println!("| on this trace | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let mut scenarios: Vec<_> = figures.iter().map(|figure| figure.scenario.as_str()).collect();
    scenarios.dedup();
    for scenario in scenarios {
        let cells: Vec<_> = names
            .iter()
            .filter_map(|name| figures.iter().find(|own| own.scenario == scenario && own.profile == *name))
            .map(cell)
            .collect();
        println!("| {scenario} | {} |", cells.join(" | "));
    }
}

fn cell(figure: &Figure) -> String {
    let rate = figure.failures_per_node_hour();
    let rate = if figure.false_failures == 0 {
        "0".to_owned()
    } else if rate < 0.1 {
        format!("{rate:.3}")
    } else {
        format!("{rate:.1}")
    };
    let seconds = |milliseconds: u32| f64::from(milliseconds) / 1e3;
    format!("{rate} · {:.1} / {:.1} s", seconds(figure.detection_p50_ms), seconds(figure.detection_p99_ms))
}
