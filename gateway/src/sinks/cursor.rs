//! Where a sink stands, on disk: `<data-dir>/sinks/<name>.json`.
//!
//! ```text
//!   {"sink":"audit","log":"5f0c…","offsets":{"pulsegate.events":[120,98,133,101]}}
//! ```
//!
//! The offset of each partition is that of the first record that is not known to have arrived; a sink that starts sends
//! from there on. The file is written beside its place, forced to disk and renamed, about once a second or each thousand
//! events, and at the stop; so after a crash some records are sent again, and none is left out.
//!
//! It names the log it belongs to: offsets mean nothing in another one, so a cursor of another log is refused, in words,
//! rather than taken for the place where to go on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulsegate_engine::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

use super::committed::Lane;
use crate::data_dir::{self, DataDirError};

/// Longest time that a moved cursor stays in memory only.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Most events by which the cursor on disk stays behind.
pub const SAVE_EVENTS: u64 = 1_000;

/// Why a cursor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// Not a cursor.
    #[error(
        "{}: this is no cursor of a sink ({reason}); remove the file to let the sink begin where `from` says",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A cursor of another log.
    #[error(
        "{}: the cursor of sink {sink} belongs to another event log ({found}) than the one of this data directory \
         ({expected}), so its offsets mean nothing here; remove the file to let the sink begin where `from` says",
        path.display()
    )]
    OtherLog {
        /// The file.
        path: PathBuf,
        /// The sink.
        sink: String,
        /// Identity in the file.
        found: String,
        /// Identity of the log.
        expected: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    sink: String,
    log: String,
    offsets: BTreeMap<String, Vec<u64>>,
}

/// The cursor of one sink.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    contents: Contents,
    /// Partitions that the file knew, by topic.
    known: BTreeMap<String, usize>,
    saved_at: Timestamp,
    unsaved_events: u64,
}

impl Cursor {
    /// Reads the cursor of a sink, or begins one if there is none.
    ///
    /// # Errors
    /// If the file cannot be read, is no cursor, or belongs to another log.
    pub fn open(directory: &Path, sink: &str, log: &str, now: Timestamp) -> Result<Self, CursorError> {
        let path = directory.join(format!("{sink}.json"));
        let contents = match data_dir::read_optional(&path)? {
            None => Contents { sink: sink.to_owned(), log: log.to_owned(), offsets: BTreeMap::new() },
            Some(text) => serde_json::from_slice::<Contents>(&text)
                .map_err(|error| CursorError::Unreadable { path: path.clone(), reason: error.to_string() })?,
        };
        if contents.log != log {
            let (sink, expected) = (sink.to_owned(), log.to_owned());
            return Err(CursorError::OtherLog { path, sink, found: contents.log, expected });
        }
        let known = contents.offsets.iter().map(|(topic, offsets)| (topic.clone(), offsets.len())).collect();
        Ok(Self { path, contents, known, saved_at: now, unsaved_events: 0 })
    }

    /// Where the sink stands in this lane; `None` if it has never been there.
    #[must_use]
    pub fn offset(&self, lane: &Lane) -> Option<u64> {
        let is_known = self.known.get(&*lane.topic).is_some_and(|count| (lane.partition as usize) < *count);
        let offsets = self.contents.offsets.get(&*lane.topic)?;
        offsets.get(lane.partition as usize).copied().filter(|_| is_known)
    }

    /// Whether the sink has ever read this topic.
    #[must_use]
    pub fn knows(&self, topic: &str) -> bool {
        self.known.contains_key(topic)
    }

    /// Moves; `events` of them have arrived since. Saves when it is time.
    ///
    /// # Errors
    /// If it should be saved and cannot; it is tried again at the next move.
    pub fn advance(
        &mut self,
        lane: &Lane,
        offset: u64,
        events: u64,
        now: Timestamp,
    ) -> Result<(), DataDirError> {
        self.place(lane, offset);
        self.unsaved_events += events;
        self.save_if_due(now)
    }

    /// Puts the cursor somewhere.
    pub fn place(&mut self, lane: &Lane, offset: u64) {
        let offsets = self.contents.offsets.entry(lane.topic.to_string()).or_default();
        let partition = lane.partition as usize;
        if offsets.len() <= partition {
            offsets.resize(partition + 1, 0);
        }
        if offsets[partition] != offset {
            offsets[partition] = offset;
            self.unsaved_events = self.unsaved_events.max(1);
        }
    }

    /// From now on each place that was given counts as known.
    pub fn keep_places(&mut self) {
        let counts = self.contents.offsets.iter().map(|(topic, offsets)| (topic.clone(), offsets.len()));
        self.known = counts.collect();
    }

    /// Saves if something moved and it is time.
    ///
    /// # Errors
    /// If it cannot be saved.
    pub fn save_if_due(&mut self, now: Timestamp) -> Result<(), DataDirError> {
        let is_old = now.since(self.saved_at) >= SAVE_INTERVAL;
        if self.unsaved_events == 0 || (!is_old && self.unsaved_events < SAVE_EVENTS) {
            return Ok(());
        }
        // Also after a failure: a disk that refuses is not asked again at every event.
        self.saved_at = now;
        self.save()
    }

    /// Saves.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn save(&mut self) -> Result<(), DataDirError> {
        let text = serde_json::to_vec(&self.contents).expect("names and numbers are JSON");
        data_dir::replace(&self.path, &text)?;
        self.unsaved_events = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::committed::Committed;

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_milliseconds(milliseconds)
    }

    fn on_disk(directory: &Path, lane: &Lane) -> Option<u64> {
        Cursor::open(directory, "audit", "log-1", at(0)).unwrap().offset(lane)
    }

    #[test]
    fn saved_once_a_second_or_each_thousand_events() {
        let directory = tempfile::tempdir().unwrap();
        let committed = Committed::new(&[("events", 2)]);
        let lane = &committed.lanes()[1];
        let mut cursor = Cursor::open(directory.path(), "audit", "log-1", at(0)).unwrap();
        assert_eq!((cursor.offset(lane), cursor.knows("events")), (None, false));
        cursor.advance(lane, 10, 10, at(500)).unwrap();
        assert_eq!(on_disk(directory.path(), lane), None);
        cursor.advance(lane, 20, 10, at(1_000)).unwrap();
        assert_eq!(on_disk(directory.path(), lane), Some(20));
        cursor.advance(lane, 1_020, 1_000, at(1_001)).unwrap();
        assert_eq!(on_disk(directory.path(), lane), Some(1_020));
        cursor.place(lane, 1_021);
        cursor.save().unwrap();
        assert_eq!(on_disk(directory.path(), lane), Some(1_021));
    }

    #[test]
    fn cursor_of_another_log_is_refused_in_words() {
        let directory = tempfile::tempdir().unwrap();
        Cursor::open(directory.path(), "audit", "log-1", at(0)).unwrap().save().unwrap();
        let message = Cursor::open(directory.path(), "audit", "log-2", at(0)).unwrap_err().to_string();
        for part in ["audit.json", "log-1", "log-2", "remove the file"] {
            assert!(message.contains(part), "{message}");
        }
        std::fs::write(directory.path().join("audit.json"), "{\"sink\":\"aud").unwrap();
        let message = Cursor::open(directory.path(), "audit", "log-1", at(0)).unwrap_err().to_string();
        assert!(message.contains("no cursor") && message.contains("remove the file"), "{message}");
    }
}
