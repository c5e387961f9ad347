//! `pulsegate events`: prints the event log, from the files, beside the gateway or without it.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pulsegate::data_dir::stream_dir;
use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_codec::event::{Event, rfc3339_from_unix_us};
use pulsegate_stream::{LogReader, LogRecord};

use super::{DataDirArgument, Failure};

/// How often the files are looked at with `--follow`.
const FOLLOW_POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(super) struct EventsArguments {
    #[command(flatten)]
    data_dir: DataDirArgument,
    /// Go on printing events as they are written, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Where to begin: with the oldest event, or with those to come.
    #[arg(long, value_enum, default_value_t = Begin::Start)]
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
    /// Print only the last so many (of what is there now).
    #[arg(long, value_name = "COUNT", conflicts_with = "follow")]
    last: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Begin {
    Start,
    End,
}

pub(super) fn run(arguments: &EventsArguments) -> Result<ExitCode, Failure> {
    let directory = stream_dir(&arguments.data_dir.data_dir);
    if !directory.is_dir() && !arguments.follow {
        return Err(Failure::refused(format!(
            "--data-dir {}: there is no event log ({} does not exist); is it the `data-dir` of the gateway?",
            arguments.data_dir.data_dir.display(),
            directory.display(),
        )));
    }
    match print(arguments, &directory) {
        // Whoever read our output has seen enough.
        Err(PrintError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::broke(error)),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

#[derive(Debug, thiserror::Error)]
enum PrintError {
    #[error("writing the output: {0}")]
    Output(#[from] io::Error),
    #[error("reading the event log: {0}")]
    Log(#[from] pulsegate_stream::FileError),
}

fn print(arguments: &EventsArguments, directory: &Path) -> Result<(), PrintError> {
    let mut reader = LogReader::new(directory, EVENTS_TOPIC);
    if arguments.from == Begin::End {
        reader.skip_to_end()?;
    }
    let mut output = BufWriter::new(io::stdout().lock());
    let mut last = VecDeque::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    loop {
        let mut poll = reader.poll()?;
        if poll.skipped_records > 0 {
            eprintln!("pulsegate: {} events had been removed by retention", poll.skipped_records);
        }
        // Partitions are read one after the other; within what one poll brought, tell the events in order of time.
        poll.records.sort_by_key(|record| record.record.timestamp_ms);
        for record in &poll.records {
            let Some(line) = line_of(arguments, record) else { continue };
            match arguments.last {
                None => writeln!(output, "{line}")?,
                Some(count) => {
                    last.push_back(line);
                    if last.len() > count {
                        last.pop_front();
                    }
                }
            }
        }
        if poll.has_more {
            continue;
        }
        for line in last.drain(..) {
            writeln!(output, "{line}")?;
        }
        output.flush()?;
        if !arguments.follow {
            return Ok(());
        }
        runtime.block_on(tokio::time::sleep(FOLLOW_POLL_INTERVAL));
    }
}

/// The line to print; `None` when the event is not asked for.
fn line_of(arguments: &EventsArguments, record: &LogRecord) -> Option<String> {
    let value = record.record.value.as_deref()?;
    let event = match Event::from_json(value) {
        Ok(event) => event,
        Err(error) => {
            let (partition, offset) = (record.partition, record.offset);
            eprintln!("pulsegate: partition {partition}, offset {offset}: {error}");
            return None;
        }
    };
    let id = event.node_id.map(|id| id.to_string());
    let of_node = arguments.node.as_ref().is_none_or(|node| *node == event.node || Some(node) == id.as_ref());
    let of_type =
        arguments.types.is_empty() || arguments.types.iter().any(|word| word == event.event_type.word());
    if !of_node || !of_type {
        return None;
    }
    if arguments.json {
        return Some(String::from_utf8_lossy(value).into_owned());
    }
    Some(in_words(&event))
}

/// An event in one line for people.
fn in_words(event: &Event) -> String {
    let mut line = format!(
        "{}  {:<15}  {}",
        rfc3339_from_unix_us(event.decided_at_unix_us),
        event.event_type.word(),
        event.subject(),
    );
    if !event.zone.is_empty() {
        line += &format!("  zone {}", event.zone);
    }
    if let Some(previous) = &event.previous {
        line += &format!("  was {previous}");
    }
    if let Some(silence_us) = event.silence_us {
        line += &format!("  silent {:.3} s", seconds(silence_us));
    }
    if let Some(lateness_us) = event.lateness_us {
        line += &format!("  {:.1} ms after the deadline", seconds(lateness_us) * 1_000.0);
    }
    if let Some(incarnation) = event.incarnation {
        line += &format!("  incarnation {incarnation}");
    }
    if let Some(reason) = &event.reason {
        line += &format!("  reason {reason}");
    }
    line
}

#[expect(clippy::cast_precision_loss, reason = "for people: microseconds of any silence fit 2^53")]
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000_000.0
}
