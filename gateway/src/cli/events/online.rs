//! Reads the Kafka port, with librdkafka.

use std::time::Duration;

use pulsegate::data_dir;
use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_loadgen::topic_reader::{ReadError, TopicReader, content_type_of};
use rdkafka::message::Message;

use super::begin::Begin;
use super::printer::Printer;
use super::{EventsArguments, PrintError};
use crate::cli::Failure;

/// How long to wait for one record before looking around.
const WAIT: Duration = Duration::from_millis(200);
/// How often in a row no record may come although some are known to be there.
const WAITS_MAX: u32 = 100;
/// The same where the gateway answers other questions: then the rest was set aside as damaged, and no record is there.
const WAITS_AT_GAP_MAX: u32 = 25;

pub(super) fn print(
    arguments: &EventsArguments,
    mut printer: Printer,
) -> Result<Result<(), PrintError>, Failure> {
    let address = match &arguments.kafka {
        Some(address) => address.clone(),
        None => address_of_data_dir(arguments)?,
    };
    let mut reader =
        TopicReader::connect(&address, EVENTS_TOPIC, &arguments.settings).map_err(Failure::refused)?;
    let end = start(&mut reader, arguments.from).map_err(Failure::refused)?;
    Ok(if arguments.follow {
        follow(&mut reader, &mut printer)
    } else {
        read_to(&end, &mut reader, &mut printer)
    })
}

fn address_of_data_dir(arguments: &EventsArguments) -> Result<String, Failure> {
    let endpoints = data_dir::read_endpoints(&arguments.data_dir.data_dir);
    endpoints.map(|endpoints| endpoints.kafka.to_string()).map_err(|error| {
        Failure::refused(format!(
            "{error}, name its Kafka port with --kafka, or read its files with --offline"
        ))
    })
}

/// Begins where it is asked for, or as near as what is there allows. Returns the end of each partition by now.
fn start(reader: &mut TopicReader, from: Begin) -> Result<Vec<i64>, ReadError> {
    let (first, end) = (reader.first_offsets()?, reader.end_offsets()?);
    let offsets = match from {
        Begin::Start => first,
        Begin::End => end.clone(),
        Begin::Time(unix_us) => reader.offsets_at(i64::try_from(unix_us / 1_000).unwrap_or(i64::MAX))?,
        Begin::Offset(offset) => {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            first.iter().zip(&end).map(|(&first, &end)| offset.max(first).min(end)).collect()
        }
    };
    reader.start(offsets)?;
    Ok(end)
}

/// Prints what was read, whatever ended the reading.
fn read_to(end: &[i64], reader: &mut TopicReader, printer: &mut Printer) -> Result<(), PrintError> {
    let read = take_all(end, reader, printer);
    printer.print_gathered()?;
    read
}

fn take_all(end: &[i64], reader: &mut TopicReader, printer: &mut Printer) -> Result<(), PrintError> {
    let mut waits = 0;
    while !reader.has_reached(end) {
        waits = if take_next(reader, printer, WAIT)? { 0 } else { waits + 1 };
        if waits == WAITS_AT_GAP_MAX && reader.complaint().is_none() && reader.end_offsets().is_ok() {
            tell_of_gaps(end, reader);
            return Ok(());
        }
        if waits > WAITS_MAX {
            return Err(reader.unreachable().into());
        }
    }
    Ok(())
}

fn tell_of_gaps(end: &[i64], reader: &TopicReader) {
    for (partition, (next, end)) in reader.next_offsets().iter().zip(end).enumerate() {
        if next < end {
            eprintln!(
                "pulsegate: partition {partition}: nothing from offset {next} to its end {end}; look for \
                 gateway_log_damaged"
            );
        }
    }
}

/// Prints as events come; while the gateway is gone, waits for it to come back.
fn follow(reader: &mut TopicReader, printer: &mut Printer) -> Result<(), PrintError> {
    let mut has_complained = false;
    loop {
        if take_next(reader, printer, WAIT)? {
            has_complained = false;
            while take_next(reader, printer, Duration::ZERO)? {}
            printer.print_gathered()?;
        } else if let Some(complaint) = reader.complaint().filter(|_| !has_complained) {
            eprintln!("pulsegate: the gateway does not answer ({complaint}); waiting for it");
            has_complained = true;
        }
    }
}

/// Whether a record came.
fn take_next(reader: &mut TopicReader, printer: &mut Printer, wait: Duration) -> Result<bool, PrintError> {
    let Some(message) = reader.next(wait)? else { return Ok(false) };
    let (partition, offset) = (message.partition().unsigned_abs(), message.offset().unsigned_abs());
    printer.take((partition, offset), content_type_of(&message), message.payload().unwrap_or_default())?;
    Ok(true)
}
