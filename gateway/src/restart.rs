//! A gateway that starts knows whom the one before it knew.
//!
//! ```text
//!   pulsegate.nodes, pulsegate.events ──▶ told ─────┐
//!                                                   ├─▶ one record a node ─▶ its shard's engine
//!   snapshot/nodes ───────────────────▶ snapshot ───┘                     └─▶ publication (the zones' members)
//! ```
//!
//! **The log says who is known and where each stands**, because it is what the world was told: what the gateway had decided and
//! not yet published when it ended is decided again. A node that no log tells of was told to nobody; it joins when it is
//! heard, as any new one. **The snapshot says what no event does**: how long each node had been silent, its latest sequence, its
//! interval and profile now. Without it every node is as if just heard.
//!
//! The downtime counts for nobody: [`pulsegate_engine::Engine::restore`] says what a node has left. A goodbye that was
//! taken and not published is taken again; so nobody who left fails. One that its node has come back from since is not.
//!
//! Nothing that is missing or damaged stops a start: it is told in the log and in the metrics, and what can be read is taken.

pub mod gauges;
pub mod snapshot;
pub mod told;
pub mod writer;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use pulsegate_codec::event::{Event, EventId};
use pulsegate_codec::{NodeId, Sequence};
use pulsegate_engine::publication::KnownNode;
use pulsegate_engine::snapshot::NodeRecord;
use pulsegate_engine::verdict::NodeFacts;
use pulsegate_engine::{Duration, NodeState, Publication, Timestamp};
use pulsegate_stream::{EventLog, LogError, LogView, Record};

use crate::config::Config;
use crate::data_dir;
use crate::node_states::{self, tombstone_of_id};
use crate::publisher::EVENTS_PER_COMMIT_MAX;
use snapshot::Snapshot;
use told::{Told, ToldNodes};

/// A node that is known from an earlier run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoredNode {
    /// Where the world believes it to be, and what is left of its time.
    pub record: NodeRecord,
    /// What it told of itself.
    pub facts: Option<Arc<NodeFacts>>,
    /// Its round trip, by its own report.
    pub round_trip_us: u32,
    /// It said goodbye, and nobody was told.
    pub has_left: bool,
}

/// What is known from earlier runs.
#[derive(Debug, Default)]
pub struct Recovered {
    /// By shard, of the shards that there are now.
    pub shards: Vec<Vec<RestoredNode>>,
    /// How much of it there is.
    pub summary: Summary,
}

/// How a recovery went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Nodes that are known.
    pub nodes: u64,
    /// Of those, nodes that the snapshot did not have.
    pub without_snapshot: u64,
    /// Nodes of the snapshot that no log tells of: they join anew.
    pub untold: u64,
    /// Nodes for which there is no room any more.
    pub refused: u64,
    /// Records of the snapshot that were damaged or missing, and of the logs that could not be read.
    pub damaged: u64,
    /// The latest that is known of an earlier run, by the wall clock; 0 if there was none.
    pub latest_unix_us: u64,
    /// When the snapshot was taken; 0 if there is none.
    pub snapshot_unix_us: u64,
}

/// Reads what the data directory holds of earlier runs, and puts the states of nodes in order that these have left in
/// disorder. Blocks on the disk. `now_unix_us` is the time by the wall clock.
///
/// # Errors
/// When the states cannot be written.
pub async fn recover(
    config: &Config,
    events: &LogView,
    nodes: &mut EventLog,
    now_unix_us: u64,
) -> Result<Recovered, LogError> {
    let directory = data_dir::stream_dir(&config.data_dir);
    let snapshot = read_snapshot(&data_dir::snapshot_path(&config.data_dir));
    let mut told = ToldNodes::default();
    let mut read = told.read_states(&directory, &nodes.view());
    if told.misplaced.has_states() {
        let now_ms = i64::try_from(now_unix_us / 1_000).unwrap_or(i64::MAX);
        let keys = node_states::put_in_place(&directory, nodes, &told.misplaced, now_ms).await?;
        tracing::info!(keys, "there are more partitions than before: states of nodes were moved into theirs");
        told = ToldNodes::default();
        read = told.read_states(&directory, &nodes.view());
    }
    end_stale_ids(config, nodes, &told, now_unix_us).await?;
    if let Some(snapshot) = &snapshot {
        read = read.and(told.replay(&directory, events, &snapshot.header.event_offsets));
    }
    if let Err(error) = read {
        tracing::error!(%error, "what nodes were told to be cannot be read; going on with what was read before");
    }
    let shape = Shape { shards: config.shards.count, nodes_max: config.nodes_max_per_shard() as usize };
    let recovered = merge(told, snapshot, shape);
    tell(&recovered.summary);
    Ok(recovered)
}

/// Ends the keys that nodes had before they told their names, where an earlier run has not: it was killed just then, or
/// did not know of this.
async fn end_stale_ids(
    config: &Config,
    nodes: &mut EventLog,
    told: &ToldNodes,
    now_unix_us: u64,
) -> Result<(), LogError> {
    let tombstone = |(node_id, event_type, (epoch, gateway_sequence))| {
        let id = EventId { gateway: config.name.clone(), epoch, gateway_sequence };
        let event = Event { node_id: Some(node_id), ..Event::new(event_type, id, now_unix_us) };
        tombstone_of_id(&event, config.stream.values)
    };
    let tombstones: Vec<Record> = told.stale_ids().filter_map(tombstone).collect();
    if tombstones.is_empty() {
        return Ok(());
    }
    tracing::info!(
        nodes = tombstones.len(),
        "what was told of nodes under their ids ends: they have told their names"
    );
    for part in tombstones.chunks(EVENTS_PER_COMMIT_MAX) {
        nodes.append(part).await?;
    }
    nodes.sync().await
}

fn read_snapshot(path: &Path) -> Option<Snapshot> {
    match snapshot::read(path) {
        Ok(Some(snapshot)) => {
            let snapshot::Header { epoch, shards, records, .. } = snapshot.header;
            tracing::info!(epoch, shards, records, "snapshot read");
            if snapshot.damaged + snapshot.torn > 0 {
                tracing::error!(
                    file = %path.display(),
                    damaged = snapshot.damaged,
                    torn = snapshot.torn,
                    whole = snapshot.records.len(),
                    "the snapshot is damaged; going on with the records that are whole, and the log"
                );
            }
            Some(snapshot)
        }
        Ok(None) => None,
        Err(fault) => {
            tracing::error!(
                file = %path.display(),
                %fault,
                "the snapshot is ignored; going on with the log alone: silence begins anew for everybody"
            );
            None
        }
    }
}

fn tell(summary: &Summary) {
    if summary.refused > 0 {
        tracing::error!(
            nodes = summary.refused,
            "known nodes find no room and are forgotten without an event; raise `registry.nodes-max`"
        );
    }
    let Summary { nodes, without_snapshot, untold, damaged, .. } = *summary;
    tracing::info!(nodes, without_snapshot, untold, damaged, "nodes known from before");
}

/// How many shards there are, and how many nodes each has room for.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Shards.
    pub shards: usize,
    /// Nodes of a shard.
    pub nodes_max: usize,
}

/// Puts together what the logs and the snapshot say.
#[must_use]
pub fn merge(told: ToldNodes, snapshot: Option<Snapshot>, shape: Shape) -> Recovered {
    let mut summary =
        Summary { damaged: told.unreadable, latest_unix_us: told.latest_unix_us, ..Summary::default() };
    let (mut records, mut profiles) = (HashMap::new(), Vec::new());
    if let Some(Snapshot { header, records: of_snapshot, damaged, torn }) = snapshot {
        summary.damaged += damaged + torn;
        summary.snapshot_unix_us = header.taken_at_unix_us;
        summary.latest_unix_us = summary.latest_unix_us.max(header.taken_at_unix_us);
        records = of_snapshot.into_iter().map(|record| (record.node_id, record)).collect();
        profiles = header.profiles;
    }
    let mut shards: Vec<_> = (0..shape.shards).map(|_| Vec::new()).collect();
    for (node_id, told) in told.into_nodes() {
        let record = records.remove(&node_id);
        let shard = &mut shards[node_id.lane().shard(shape.shards)];
        if shard.len() >= shape.nodes_max {
            summary.refused += 1;
            continue;
        }
        summary.nodes += 1;
        summary.without_snapshot += u64::from(record.is_none());
        shard.push(restored(node_id, told, record.as_ref(), &profiles));
    }
    summary.untold = records.len() as u64;
    Recovered { shards, summary }
}

fn restored(node_id: NodeId, told: Told, record: Option<&NodeRecord>, profiles: &[String]) -> RestoredNode {
    let of_same_run = record.filter(|record| record.incarnation == told.incarnation);
    let has_left = told.state != NodeState::Left
        && record.is_some_and(|record| record.state == NodeState::Left && is_as_late(record, &told));
    let flag = |told: Option<bool>, of_record: fn(&NodeRecord) -> bool| {
        told.unwrap_or_else(|| of_same_run.is_some_and(of_record))
    };
    let restored = NodeRecord {
        node_id,
        silence: silence(&told, of_same_run),
        incarnation: told.incarnation,
        sequence: of_same_run.map_or(Sequence(0), |record| record.sequence).max(told.last_sequence),
        interval_ms: record.map_or(told.interval_ms, |record| record.interval_ms),
        event_sequence: told.event_sequence,
        state: told.state,
        is_degraded: flag(told.is_degraded, |record| record.is_degraded),
        is_stalled: flag(told.is_stalled, |record| record.is_stalled),
        profile: 0,
    };
    let profile = record.and_then(|record| profiles.get(usize::from(record.profile)));
    let facts = match (told.facts, profile) {
        (Some(facts), Some(profile)) if *facts.profile != **profile => {
            Some(Arc::new(NodeFacts { profile: profile.as_str().into(), ..(*facts).clone() }))
        }
        (facts, _) => facts,
    };
    RestoredNode { record: restored, facts, round_trip_us: told.round_trip_us, has_left }
}

/// Whether the record was made no earlier than what was told was decided: a node that said goodbye and is back has a record of
/// its goodbye until the next snapshot. Runs and sequences only grow, and a node is back by a heartbeat after its goodbye. Where
/// nothing was counted, what was told before the snapshot was begun is older; of the rest nobody knows, and the node is
/// judged by its silence.
fn is_as_late(record: &NodeRecord, told: &Told) -> bool {
    match record.incarnation.cmp(&told.incarnation) {
        Ordering::Equal if told.last_sequence == Sequence::UNCOUNTED => !told.is_after_snapshot,
        order => order.then(record.sequence.cmp(&told.last_sequence)).is_ge(),
    }
}

/// How long a node had been silent, as far as it is certain. A node that came back after the snapshot had not been.
fn silence(told: &Told, record: Option<&NodeRecord>) -> Duration {
    let of_record = record.map_or(Duration::ZERO, |record| record.silence);
    match told.state {
        NodeState::New | NodeState::Alive if told.is_after_snapshot => Duration::ZERO,
        NodeState::New | NodeState::Alive => of_record,
        NodeState::Suspect | NodeState::Failed | NodeState::Left => of_record.max(told.silence),
    }
}

impl Recovered {
    /// Lets publication know whom the world knows.
    pub fn introduce_to(&self, publication: &mut Publication, now: Timestamp) {
        for (shard, nodes) in self.shards.iter().enumerate() {
            for RestoredNode { record, facts, .. } in nodes {
                let NodeRecord { node_id, state, incarnation, event_sequence, .. } = *record;
                let facts = facts.clone();
                let known = KnownNode { shard, node_id, state, incarnation, event_sequence, facts };
                publication.on_known(known, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
