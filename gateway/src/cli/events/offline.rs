//! Reads the segment files. Beside a running gateway it may see what is not committed yet.

use std::time::Duration;

use pulsegate::data_dir::stream_dir;
use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_stream::LogReader;

use super::begin::Begin;
use super::printer::Printer;
use super::{EventsArguments, PrintError};
use crate::cli::Failure;

/// How often the files are looked at with `--follow`.
const FOLLOW_POLL_INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn print(
    arguments: &EventsArguments,
    mut printer: Printer,
) -> Result<Result<(), PrintError>, Failure> {
    let directory = stream_dir(&arguments.data_dir.data_dir);
    if !directory.is_dir() && !arguments.follow {
        return Err(Failure::refused(format!(
            "--data-dir {}: there is no event log ({} does not exist); is it the `data-dir` of the gateway?",
            arguments.data_dir.data_dir.display(),
            directory.display(),
        )));
    }
    let mut reader = LogReader::new(&directory, EVENTS_TOPIC);
    Ok(read(arguments, &mut reader, &mut printer))
}

fn read(
    arguments: &EventsArguments,
    reader: &mut LogReader,
    printer: &mut Printer,
) -> Result<(), PrintError> {
    if arguments.from == Begin::End {
        reader.skip_to_end()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    loop {
        let poll = reader.poll()?;
        if poll.skipped_records > 0 {
            eprintln!("pulsegate: {} events had been removed by retention", poll.skipped_records);
        }
        for record in &poll.records {
            let value = record.record.value.as_deref().unwrap_or_default();
            let content_type = record.record.header("content-type").map(|header| &**header);
            printer.take((record.partition, record.offset), content_type, value)?;
        }
        if poll.has_more {
            continue;
        }
        printer.print_gathered()?;
        if !arguments.follow {
            return Ok(());
        }
        runtime.block_on(tokio::time::sleep(FOLLOW_POLL_INTERVAL));
    }
}
