//! `pulsegate events`: prints the events of a gateway, read through its Kafka port as by any other client; or, after its
//! death, from its files.
//!
//! ```text
//!  online   the Kafka port (feature `kafka-client`) ─┐
//!                                                    ├─▶ Printer: what is asked for, in order of time ─▶ lines
//!  offline  the segment files ───────────────────────┘
//! ```

mod begin;
mod offline;
#[cfg(feature = "kafka-client")]
mod online;
mod printer;
mod words;

use std::io;
use std::process::ExitCode;

use super::{DataDirArgument, Failure};
use begin::Begin;
#[cfg(feature = "kafka-client")]
use online::print as print_online;
use printer::Printer;

#[derive(Debug, clap::Args)]
pub(super) struct EventsArguments {
    #[command(flatten)]
    data_dir: DataDirArgument,
    /// Kafka port of the gateway, HOST:PORT. Without it, the gateway that runs with the data directory is asked.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// A setting for librdkafka, NAME=VALUE, such as `security.protocol=sasl_plaintext`; TLS needs a program that was
    /// built with the feature `kafka-tls`. May be given several times.
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Read the files of the data directory instead: for a gateway that does not run any more.
    #[arg(long, conflicts_with_all = ["kafka", "settings"])]
    offline: bool,
    /// Go on printing events as they happen, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Where to begin: `start`, `end`, a time (`2026-11-24T06:00:00Z`), a while ago (`-10m`; s, m, h, d), or an offset
    /// (`1000`, in each partition).
    #[arg(long, value_name = "PLACE", default_value = "start", allow_hyphen_values = true)]
    from: Begin,
    /// Only events of this node: its name, or the 16 hexadecimal digits of its id.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Only events of this type, such as `failed`. May be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Print each event as it stands in the log: one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Print only the latest so many (of what is there now).
    #[arg(long, value_name = "COUNT", conflicts_with = "follow")]
    last: Option<usize>,
}

/// Why printing ended.
#[derive(Debug, thiserror::Error)]
enum PrintError {
    #[error("writing the output: {0}")]
    Output(#[from] io::Error),
    #[error("reading the event log: {0}")]
    Log(#[from] pulsegate_stream::FileError),
    #[cfg(feature = "kafka-client")]
    #[error(transparent)]
    Kafka(#[from] pulsegate_loadgen::topic_reader::ReadError),
}

pub(super) fn run(arguments: &EventsArguments) -> Result<ExitCode, Failure> {
    let printer = Printer::new(arguments);
    let printed = if arguments.offline {
        offline::print(arguments, printer)?
    } else {
        print_online(arguments, printer)?
    };
    match printed {
        // Whoever read our output has seen enough.
        Err(PrintError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::broke(error)),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(not(feature = "kafka-client"))]
fn print_online(_: &EventsArguments, _: Printer) -> Result<Result<(), PrintError>, Failure> {
    Err(Failure::refused(
        "this program was built without a Kafka client (the feature `kafka-client`); read the files of a data directory \
         with --offline, or the Kafka port with any Kafka client",
    ))
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
