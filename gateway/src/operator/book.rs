//! Which nodes operators have put into maintenance, in a file of the data directory, so that a restart ends none of it.
//!
//! `maintenance.json` is replaced whole at each change, before the change is carried out. While the gateway runs each
//! maintenance ends by the monotonic clock, as it does in the engines; the dates of the file and of answers are worked out when
//! they are written, so setting the wall clock moves dates and ends nothing. Only a start has nothing but dates: then
//! no more time is left than was ordered, whatever the wall clock says. What is over is left out the next time
//! that the file is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulsegate_codec::NodeId;
use pulsegate_engine::limits::MAINTENANCE_MAX;
use pulsegate_engine::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::data_dir::{self, DataDirError};
use crate::io::clock::WallOffset;

/// Most nodes that operators can have in maintenance at a time.
pub const NODES_IN_BOOK_MAX: usize = 16_384;

// An engine can keep as many orders that wait for their nodes.
const _: () = assert!(NODES_IN_BOOK_MAX <= pulsegate_engine::limits::MAINTENANCE_ORDERS_WAITING_MAX);

/// One node's maintenance, with dates.
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

/// One node's maintenance in this run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// The node, as in [`Entry`].
    pub(super) node: String,
    /// How long it was to last when it was ordered.
    pub(super) length: Duration,
    /// When it ends: what the engines were told.
    pub(super) until: Timestamp,
    /// Why, in the operator's words.
    pub(super) reason: String,
}

/// All of them, by node.
pub(super) type HeldNodes = BTreeMap<NodeId, Held>;

impl Held {
    /// With the dates that this offset gives.
    pub(super) fn dated(&self, wall: WallOffset) -> Entry {
        let until_unix_us = wall.unix_us(self.until);
        let length_us = u64::try_from(self.length.as_micros()).unwrap_or(u64::MAX);
        Entry {
            node: self.node.clone(),
            from_unix_us: until_unix_us.saturating_sub(length_us),
            until_unix_us,
            reason: self.reason.clone(),
        }
    }

    /// What is left of an entry of an earlier run; `None` if it is over.
    fn of(entry: Entry, now: Timestamp, wall: WallOffset) -> Option<Self> {
        let length = Duration::from_micros(entry.until_unix_us.saturating_sub(entry.from_unix_us));
        let left = Duration::from_micros(entry.until_unix_us.saturating_sub(wall.unix_us(now)));
        // The wall clock may be years behind until somebody sets it.
        let left = left.min(length).min(MAINTENANCE_MAX);
        (!left.is_zero()).then(|| Self { node: entry.node, length, until: now + left, reason: entry.reason })
    }
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
    nodes: HeldNodes,
}

impl Book {
    /// Reads the file; without one the book is empty.
    ///
    /// # Errors
    /// When it cannot be read, or is not what this module writes.
    pub(super) fn open(data_dir: &Path, now: Timestamp, wall: WallOffset) -> Result<Self, DataDirError> {
        let path = data_dir.join("maintenance.json");
        let Some(text) = data_dir::read_optional(&path)? else {
            return Ok(Self { path, nodes: HeldNodes::new() });
        };
        let damaged = |reason: String| DataDirError::BadMaintenance { path: path.clone(), reason };
        let page: Page = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let mut nodes = HeldNodes::new();
        for (node_id, entry) in page.nodes {
            let node_id =
                node_id.parse().map_err(|error| damaged(format!("node id {node_id:?}: {error}")))?;
            if let Some(held) = Held::of(entry, now, wall) {
                nodes.insert(node_id, held);
            }
        }
        Ok(Self { path, nodes })
    }

    /// The maintenances that are not over.
    pub(super) fn in_force(&self, now: Timestamp) -> HeldNodes {
        let is_current = |(_, held): &(&NodeId, &Held)| held.until > now;
        self.nodes.iter().filter(is_current).map(|(&node_id, held)| (node_id, held.clone())).collect()
    }

    /// Writes these in place of what the book held. On disk when it returns; on failure the book is as before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn replace(&mut self, nodes: HeldNodes, wall: WallOffset) -> Result<(), DataDirError> {
        let dated = nodes.iter().map(|(node_id, held)| (node_id.to_string(), held.dated(wall))).collect();
        let text = serde_json::to_string_pretty(&Page { nodes: dated }).expect("texts and numbers are JSON");
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || data_dir::replace(&path, text.as_bytes())).await;
        written.expect("writing a file does not panic")?;
        self.nodes = nodes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(7);
    const MINUTE: Duration = Duration::from_secs(60);
    /// When the machine started, if its wall clock is right.
    const BOOT_UNIX_US: u64 = 1_800_000_000_000_000;

    fn wall(boot_unix_us: u64) -> WallOffset {
        WallOffset::from_unix_us_at_origin(boot_unix_us)
    }

    fn at(minutes: u32) -> Timestamp {
        Timestamp::ZERO + MINUTE * minutes
    }

    fn book(data_dir: &Path, now: Timestamp, wall: WallOffset) -> Book {
        Book::open(data_dir, now, wall).unwrap()
    }

    /// Ten minutes of maintenance from the first minute on are ordered under this clock.
    fn order(book: &mut Book, wall: WallOffset) {
        let held =
            Held { node: "db-1".to_owned(), length: MINUTE * 10, until: at(11), reason: "disks".to_owned() };
        replace(book, [(NODE, held)].into(), wall);
    }

    fn replace(book: &mut Book, nodes: HeldNodes, wall: WallOffset) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(book.replace(nodes, wall)).unwrap();
    }

    fn ends(book: &Book, now: Timestamp) -> Vec<Timestamp> {
        book.in_force(now).values().map(|held| held.until).collect()
    }

    #[test]
    fn what_is_left_of_an_order_holds_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        order(&mut book(directory.path(), at(0), wall(BOOT_UNIX_US)), wall(BOOT_UNIX_US));
        let again = book(directory.path(), at(4), wall(BOOT_UNIX_US));
        assert_eq!(ends(&again, at(4)), [at(11)]);
        let entry = again.in_force(at(4))[&NODE].dated(wall(BOOT_UNIX_US));
        let minute_us = 60_000_000;
        assert_eq!(
            (entry.from_unix_us, entry.until_unix_us),
            (BOOT_UNIX_US + minute_us, BOOT_UNIX_US + 11 * minute_us)
        );
        assert_eq!(ends(&book(directory.path(), at(11), wall(BOOT_UNIX_US)), at(11)), []);
    }

    /// Goal: a machine that starts with its clock in 1970 does not make a month of ten minutes.
    #[test]
    fn a_start_with_a_clock_that_is_behind_gives_no_more_time_than_was_ordered() {
        let directory = tempfile::tempdir().unwrap();
        order(&mut book(directory.path(), at(0), wall(BOOT_UNIX_US)), wall(BOOT_UNIX_US));
        let again = book(directory.path(), at(2), wall(0));
        assert_eq!(ends(&again, at(2)), [at(12)]);
    }

    /// Goal: a step of the wall clock while the gateway runs ends no maintenance and deletes none, also where it is taken back.
    /// Method: a day forward, a change to the book, and back; then a restart.
    #[test]
    fn a_step_of_the_wall_clock_moves_dates_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let ahead = wall(BOOT_UNIX_US + 86_400_000_000);
        let mut here = book(directory.path(), at(0), wall(BOOT_UNIX_US));
        order(&mut here, wall(BOOT_UNIX_US));
        let before = here.in_force(at(2));
        assert_eq!(before[&NODE].dated(ahead).until_unix_us, ahead.unix_us(at(11)));
        replace(&mut here, before, ahead);
        assert_eq!((ends(&here, at(10)), ends(&here, at(11))), (vec![at(11)], vec![]));
        let again = book(directory.path(), at(3), ahead);
        assert_eq!(ends(&again, at(3)), [at(11)]);
        let again = book(directory.path(), at(3), wall(BOOT_UNIX_US));
        assert_eq!(ends(&again, at(3)), [at(13)], "not for a day, though by its dates");
    }
}
