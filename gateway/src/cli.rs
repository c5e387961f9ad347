//! The command line: one file a subcommand, and what they share.
//!
//! Exit status: 0 done, 1 failed while running, 2 refused at start (arguments, configuration, kernel), and for `demo`
//! 3 when it ran but the gateway's report was not the truth.

mod check;
#[cfg(feature = "kafka-client")]
mod demo;
mod events;
mod serve;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pulsegate::config::limits::defaults;
use tracing_subscriber::EnvFilter;

/// Refused at start.
const EXIT_REFUSED: u8 = 2;
/// The demo's verdict is not a true one.
#[cfg(feature = "kafka-client")]
const EXIT_UNTRUE: u8 = 3;

/// A heartbeat gateway: tells which of a million nodes are alive.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "kafka-client")]
    /// Start a gateway on loopback, run a simulated fleet against it, break some of it, and judge the gateway's report.
    Demo(demo::DemoArguments),
    /// Run the gateway until SIGINT or SIGTERM.
    Serve(serve::ServeArguments),
    /// Say what is wrong with this kernel, these limits and this configuration, and how to mend it; start nothing.
    Check(check::CheckArguments),
    /// Print the events of a gateway, read from its Kafka port.
    Events(events::EventsArguments),
}

/// Where a gateway keeps its data.
#[derive(Clone, Debug, clap::Args)]
struct DataDirArgument {
    /// Data directory of the gateway.
    #[arg(long, value_name = "DIR", default_value = defaults::DATA_DIR)]
    data_dir: PathBuf,
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        #[cfg(feature = "kafka-client")]
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("pulsegate: {}", failure.message);
            failure.code
        }
    }
}

/// How a command fails: what to print, what to exit with.
#[derive(Debug)]
struct Failure {
    message: String,
    code: ExitCode,
}

impl Failure {
    /// It never began.
    fn refused(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string(), code: ExitCode::from(EXIT_REFUSED) }
    }

    /// It broke while it ran.
    fn broke(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string(), code: ExitCode::FAILURE }
    }
}

/// Logs to standard error; `PULSEGATE_LOG` chooses the level, as in `debug` or `pulsegate=trace`.
fn start_logging() {
    let filter = EnvFilter::try_from_env("PULSEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_target(false)
        .init();
}
