//! What was found damaged in the logs when they were opened, and what was done about it: in the gateway's own log at
//! once, and as events until they are on disk.

use std::path::Path;

use pulsegate_stream::{CutTail, Gap, OnDamage, RecoveryReport, SetAside};

use crate::config::DamagePolicy;

/// Offsets of one partition that are gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogDamage {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offsets, and how many bytes were set aside.
    pub gap: Gap,
}

/// What the log in this directory is to do about damage.
pub(super) fn on_damage(policy: DamagePolicy, directory: &Path) -> OnDamage {
    match policy {
        DamagePolicy::Refuse => OnDamage::Refuse,
        DamagePolicy::Quarantine => OnDamage::Quarantine(directory.join("quarantine")),
    }
}

/// Logs what opening a topic has found. Returns the damage that no event has told yet.
pub(super) fn tell(topic: &str, recovery: &RecoveryReport) -> Vec<LogDamage> {
    let records: u64 =
        recovery.partitions.iter().map(|partition| partition.next_offset - partition.start_offset).sum();
    tracing::info!(partitions = recovery.partitions.len(), records, topic, "log opened");
    recovery.cut_tails().for_each(tell_cut);
    let mut untold = Vec::new();
    for partition in &recovery.partitions {
        partition
            .set_aside
            .iter()
            .for_each(|set_aside| tell_set_aside(topic, partition.partition, set_aside));
        let damage =
            |gap: &Gap| LogDamage { topic: topic.to_owned(), partition: partition.partition, gap: *gap };
        untold.extend(partition.untold.iter().map(damage));
    }
    untold
}

fn tell_cut(cut: &CutTail) {
    tracing::warn!(
        file = %cut.file.display(),
        position = cut.position,
        bytes = cut.bytes,
        fault = %cut.fault,
        "the last append had not been finished when the gateway ended; its remains were cut off"
    );
}

fn tell_set_aside(topic: &str, partition: u32, set_aside: &SetAside) {
    let SetAside { corruption, copy, offsets, bytes } = set_aside;
    tracing::error!(
        topic,
        partition,
        file = %corruption.file.display(),
        position = corruption.position,
        fault = %corruption.fault,
        first_offset = offsets.start,
        next_offset = offsets.end,
        bytes,
        copy = %copy.as_deref().unwrap_or(Path::new("none, the file was missing")).display(),
        "the log was damaged; what was damaged was set aside, and consumers do not get it any more"
    );
}
