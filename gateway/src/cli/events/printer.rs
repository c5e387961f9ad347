//! Chooses the events that are asked for, and prints them.
//!
//! Partitions are read one beside the other, so events arrive in order for each node but not over all of them. What
//! arrived together is printed in the order of time; `--last` keeps the latest of all.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Stdout, Write};

use pulsegate_codec::event::Event;

use super::EventsArguments;
use super::begin::Begin;
use super::words::in_words;

/// Most lines that are held back to bring them in order.
const GATHERED_LINES_MAX: usize = 10_000;

/// By time; then by place, so that no two are alike.
type Order = (u64, u32, u64);

/// Prints events to standard output.
pub(super) struct Printer {
    from: Begin,
    node: Option<String>,
    types: Vec<String>,
    is_json: bool,
    last: Option<usize>,
    gathered: BTreeMap<Order, String>,
    output: BufWriter<Stdout>,
}

impl Printer {
    pub(super) fn new(arguments: &EventsArguments) -> Self {
        Self {
            from: arguments.from,
            node: arguments.node.clone(),
            types: arguments.types.clone(),
            is_json: arguments.json,
            last: arguments.last,
            gathered: BTreeMap::new(),
            output: BufWriter::new(io::stdout()),
        }
    }

    /// Takes the value of a record. One that is no event is told on standard error.
    pub(super) fn take(
        &mut self,
        (partition, offset): (u32, u64),
        content_type: Option<&[u8]>,
        value: &[u8],
    ) -> io::Result<()> {
        let event = match Event::decode(content_type, value) {
            Ok(event) => event,
            Err(error) => {
                eprintln!("pulsegate: partition {partition}, offset {offset}: {error}");
                return Ok(());
            }
        };
        if !self.is_wanted(&event, offset) {
            return Ok(());
        }
        let line = if !self.is_json {
            in_words(&event)
        } else if value.starts_with(b"{") {
            // As it stands, with what this version does not know.
            String::from_utf8_lossy(value).into_owned()
        } else {
            String::from_utf8_lossy(&event.to_json()).into_owned()
        };
        self.gathered.insert((event.decided_at_unix_us, partition, offset), line);
        match self.last {
            Some(count) if self.gathered.len() > count => {
                self.gathered.pop_first();
                Ok(())
            }
            None if self.gathered.len() >= GATHERED_LINES_MAX => self.print_gathered(),
            _ => Ok(()),
        }
    }

    /// Prints what was taken: nothing more comes for now.
    pub(super) fn print_gathered(&mut self) -> io::Result<()> {
        while let Some((_, line)) = self.gathered.pop_first() {
            writeln!(self.output, "{line}")?;
        }
        self.output.flush()
    }

    fn is_wanted(&self, event: &Event, offset: u64) -> bool {
        let id = event.node_id.map(|id| id.to_string());
        let of_node = self.node.as_ref().is_none_or(|node| *node == event.node || Some(node) == id.as_ref());
        let word = event.event_type.word();
        let of_type = self.types.is_empty() || self.types.iter().any(|wanted| wanted == word);
        of_node && of_type && self.from.admits(offset, event.decided_at_unix_us)
    }
}
