//! The program `pulsegate`. Everything it does is in the library; here stands what it can be asked for.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
