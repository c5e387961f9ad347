//! The durable event log of Pulsegate: segment files of Kafka record batches v2, one writer, any number of readers.
//!
//! ```text
//! <directory>/
//!   pulsegate.events.lock                    held by the one writer of this topic; topics may share a directory
//!   pulsegate.events-0/                      a partition; records with equal keys share one
//!     00000000000000000000.log               a sealed segment, named by the offset of its first record
//!     00000000000000052113.log               the active segment: batches are appended here
//!   pulsegate.events-1/
//!     …
//! ```
//!
//! [`EventLog`] appends records: one batch a partition and append, written and synced before the append returns (group
//! commit). [`LogReader`] follows the files from any process. The files are exactly what the Kafka protocol serves and
//! what Kafka's own tools read.
//!
//! The invariants: a record that was committed is there after a crash, or the log refuses to open and says which file
//! is damaged, or sets the damage aside and says so ([`OnDamage`]); a torn tail is cut and reported; offsets are never
//! used for two committed records, and have no gap except where compaction took records out ([`Cleanup::Compact`]) or
//! damage was set aside.
//!
//! [`LogView`] shows what is committed to whoever runs on the writer's thread; [`kafka`] serves it to Kafka clients.
//!
//! This crate knows nothing of nodes and reads no clock: records bring their timestamps. There is no compression here.

pub mod kafka;
pub mod limits;

mod compaction;
mod error;
mod log;
mod partition;
mod partition_log;
mod quarantine;
mod reader;
mod record;
mod record_batch;
mod recovery;
mod segment;
mod storage;
mod varint;
mod view;

#[cfg(test)]
mod testing;

pub use error::{AppendFailure, Corruption, FileError, IoFailure, LogError, PartitionFailure};
pub use log::{Appended, Cleanup, EventLog, LogConfig, OnDamage, SyncPolicy};
pub use partition::{murmur2, partition_of_key};
pub use partition_log::{AppendedPartition, Maintained, Retention};
pub use quarantine::{Gap, SetAside};
pub use reader::{LogReader, LogRecord, Poll};
pub use record::{Header, Record};
pub use record_batch::{BatchFault, BatchHeader, decode_batch, encode_batch};
pub use recovery::{CutTail, RecoveredPartition, RecoveryReport};
pub use segment::create_directory;
pub use storage::Storage;
pub use view::{LogView, PlanFault, ReadFault, ReadPlan, TimePlan, Topics};
