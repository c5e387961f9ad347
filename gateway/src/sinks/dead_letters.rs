//! Events that a target refused for good: one JSON object a line in `<data-dir>/sinks/<name>.dead.jsonl`.
//!
//! Each line says where the event stands in the log, what the target said, and the event itself, so that a person can
//! see why and send it again. A line is on disk before the cursor passes its event. The file is bounded; when it is full
//! the events are only counted (and still stand in the log, until retention). A person moves it away to make room.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use pulsegate_codec::event::rfc3339_from_unix_us;
use serde_json::{Value, json};

use super::committed::Lane;
use super::feed::Outgoing;

/// The file of one sink.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    bytes_max: u64,
}

/// What became of a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// It is on disk.
    Yes,
    /// The file is full.
    Full,
}

impl DeadLetters {
    /// The file at `path`, which may grow to `bytes_max`. Nothing is created before the first letter.
    #[must_use]
    pub(super) const fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max }
    }

    /// Where it is.
    #[must_use]
    pub(super) const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Writes one down.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(super) fn write(
        &self,
        unix_us: u64,
        lane: &Lane,
        outgoing: &Outgoing,
        answer: &str,
    ) -> io::Result<Written> {
        let mut line = serde_json::to_vec(&letter(unix_us, lane, outgoing, answer)).expect("it is JSON");
        line.push(b'\n');
        let mut file = File::options().create(true).append(true).open(&self.path)?;
        if file.metadata()?.len() + line.len() as u64 > self.bytes_max {
            return Ok(Written::Full);
        }
        file.write_all(&line)?;
        file.sync_all()?;
        Ok(Written::Yes)
    }
}

fn letter(unix_us: u64, lane: &Lane, outgoing: &Outgoing, answer: &str) -> Value {
    let record = &outgoing.record;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: serde_json::Map<String, Value> = record
        .headers
        .iter()
        .map(|header| {
            (header.name.to_string(), header.value.as_deref().map_or(Value::Null, |value| text(value).into()))
        })
        .collect();
    let value = record.value.as_deref().map(|value| {
        serde_json::from_slice(value).unwrap_or_else(|_| {
            // Not JSON: in hexadecimal digits, so that nothing is lost.
            Value::String(value.iter().map(|byte| format!("{byte:02x}")).collect())
        })
    });
    json!({
        "refused_at": rfc3339_from_unix_us(unix_us),
        "answer": answer,
        "topic": &*lane.topic,
        "partition": lane.partition,
        "offset": outgoing.offset,
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": value,
    })
}

#[cfg(test)]
mod tests {
    use pulsegate_stream::{Header, Record};

    use super::*;
    use crate::sinks::committed::Committed;

    #[test]
    fn letters_are_lines_of_json_until_the_file_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pager.dead.jsonl");
        let letters = DeadLetters::new(path.clone(), 300);
        let record = Record {
            timestamp_ms: 0,
            key: Some("node-1".into()),
            value: Some("{\"type\":\"failed\"}".into()),
            headers: vec![Header { name: "ce_id".into(), value: Some("gw/1/7".into()) }],
        };
        let committed = Committed::new(&[("events", 1)]);
        let lane = &committed.lanes()[0];
        let outgoing = Outgoing { lane: 0, offset: 41, record };
        let answers: Vec<Written> =
            (0..3).map(|_| letters.write(0, lane, &outgoing, "400 Bad Request").unwrap()).collect();
        assert_eq!(answers, [Written::Yes, Written::Full, Written::Full]);
        let text = std::fs::read_to_string(path).unwrap();
        let letter: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(letter["value"]["type"], "failed");
        assert_eq!(
            (letter["headers"]["ce_id"].as_str(), letter["offset"].as_u64()),
            (Some("gw/1/7"), Some(41))
        );
    }
}
