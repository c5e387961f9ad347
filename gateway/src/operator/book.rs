//! Which nodes operators have put into maintenance, in a file of the data directory, so that a restart ends none of it.
//!
//! `maintenance.json` is replaced whole at each change, before the change is carried out. Times are wall-clock times: the
//! file outlives the process. What is over is left out the next time that the file is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulsegate_codec::NodeId;
use serde::{Deserialize, Serialize};

use crate::data_dir::{self, DataDirError};

/// Most nodes that operators can have in maintenance at a time.
pub const NODES_IN_BOOK_MAX: usize = 16_384;

// An engine can keep as many orders that wait for their nodes.
const _: () = assert!(NODES_IN_BOOK_MAX <= pulsegate_engine::limits::MAINTENANCE_ORDERS_WAITING_MAX);

/// One node's maintenance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The node's name, or the 16 hexadecimal digits of its id where that is how it was named.
    pub node: String,
    /// When it began.
    pub from_unix_us: u64,
    /// When it ends.
    pub until_unix_us: u64,
    /// Why, in the operator's words.
    pub reason: String,
}

/// All of them, as the file has them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Page {
    nodes: BTreeMap<String, Entry>,
}

/// The file, and what it holds.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    entries: BTreeMap<NodeId, Entry>,
}

impl Book {
    /// Reads the file; without one the book is empty.
    ///
    /// # Errors
    /// When it cannot be read, or is not what this module writes.
    pub(super) fn open(data_dir: &Path) -> Result<Self, DataDirError> {
        let path = data_dir.join("maintenance.json");
        let Some(text) = data_dir::read_optional(&path)? else {
            return Ok(Self { path, entries: BTreeMap::new() });
        };
        let damaged = |reason: String| DataDirError::BadMaintenance { path: path.clone(), reason };
        let page: Page = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let mut entries = BTreeMap::new();
        for (node_id, entry) in page.nodes {
            let node_id =
                node_id.parse().map_err(|error| damaged(format!("node id {node_id:?}: {error}")))?;
            entries.insert(node_id, entry);
        }
        Ok(Self { path, entries })
    }

    /// The maintenances that are not over.
    pub(super) fn entries(&self, now_unix_us: u64) -> BTreeMap<NodeId, Entry> {
        let is_current = |(_, entry): &(&NodeId, &Entry)| entry.until_unix_us > now_unix_us;
        self.entries.iter().filter(is_current).map(|(&node_id, entry)| (node_id, entry.clone())).collect()
    }

    /// Writes these in place of what the book held. On disk when it returns; on failure the book is as before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn replace(&mut self, entries: BTreeMap<NodeId, Entry>) -> Result<(), DataDirError> {
        let nodes = entries.iter().map(|(node_id, entry)| (node_id.to_string(), entry.clone())).collect();
        let text = serde_json::to_string_pretty(&Page { nodes }).expect("texts and numbers are JSON");
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || data_dir::replace(&path, text.as_bytes())).await;
        written.expect("writing a file does not panic")?;
        self.entries = entries;
        Ok(())
    }
}
