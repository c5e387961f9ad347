//! `pulsegate serve`: the gateway itself.

use std::path::PathBuf;
use std::process::ExitCode;

use pulsegate::config::Config;
use pulsegate::gateway::{self, GatewayError};

use super::{Failure, start_logging};

#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Configuration file (TOML). Without one: loopback, UDP 7400 for heartbeats, TCP 7480 for the admin port.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the event log and the epoch live; overrides the file's `data-dir`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    let config =
        Config::load(arguments.config.as_deref(), arguments.data_dir.clone()).map_err(Failure::refused)?;
    start_logging();
    tracing::info!(?config, "effective configuration");
    gateway::run(&config).map_err(|error| match error {
        GatewayError::Receiver { .. } | GatewayError::ShardPanicked { .. } | GatewayError::Unpublished(_) => {
            Failure::broke(error)
        }
        refused => Failure::refused(refused),
    })?;
    Ok(ExitCode::SUCCESS)
}
