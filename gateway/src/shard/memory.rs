//! What a shard takes over from the run before, and what it gives away for the next one (`restart.rs`).

use pulsegate_codec::{Departure, DepartureReason};
use pulsegate_engine::snapshot::RECORD_BYTES;
use pulsegate_engine::{Duration, Timestamp};

use super::Shard;
use crate::restart::RestoredNode;
use crate::restart::writer::{Piece, SnapshotDesk};

/// Slots of the registry that are looked through for a snapshot in one turn: some 100 us.
pub const SNAPSHOT_SLOTS_PER_TURN: usize = 4_096;

/// A shard's part in the snapshot that is being taken.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Where pieces go. `None`: no snapshots are taken.
    desk: Option<SnapshotDesk>,
    /// Which snapshot is under way, and where in the table the next piece begins.
    under_way: Option<(u64, usize)>,
}

impl Shard {
    /// The same shard, which gives its part of snapshots to this desk.
    #[must_use]
    pub fn with_memory(self, desk: SnapshotDesk) -> Self {
        Self { memory: Memory { desk: Some(desk), under_way: None }, ..self }
    }

    /// Takes over nodes that are known from an earlier run. To be called before anything is received.
    pub fn restore(&mut self, nodes: Vec<RestoredNode>, smear: Duration, now: Timestamp) {
        for RestoredNode { record, facts, round_trip_us, has_left } in nodes {
            if self.engine.restore(&record, facts.as_ref(), round_trip_us, smear) && has_left {
                let departure = Departure {
                    node_id: record.node_id,
                    incarnation: record.incarnation,
                    sequence: record.sequence,
                    // The goodbye itself is gone.
                    reason: DepartureReason::Unspecified,
                    expected_return_ms: 0,
                };
                self.engine.on_departure(departure, now, &mut self.verdicts);
            }
        }
    }

    /// A snapshot begins; one that is under way was given up.
    pub(super) fn begin_snapshot(&mut self, number: u64) {
        self.memory.under_way = Some((number, 0));
    }

    /// Whether a snapshot wants another turn soon.
    #[must_use]
    pub fn is_taking_snapshot(&self) -> bool {
        self.memory.under_way.is_some()
    }

    /// Gives the next piece of the snapshot that is under way, if there is room for one.
    pub fn take_snapshot_piece(&mut self) {
        let Memory { desk: Some(desk), under_way: under_way @ Some(_) } = &mut self.memory else { return };
        let Some((number, position)) = *under_way else { return };
        if desk.is_full() {
            return;
        }
        let mut bytes = Vec::with_capacity(SNAPSHOT_SLOTS_PER_TURN * RECORD_BYTES);
        let next = self.engine.snapshot_piece(position, SNAPSHOT_SLOTS_PER_TURN, |record| {
            bytes.extend_from_slice(&record.encode());
        });
        // Another shard may have taken the room meanwhile: the same piece is made again.
        if desk.post(Piece { number, bytes, is_last: next.is_none() }).is_ok() {
            *under_way = next.map(|position| (number, position));
        }
    }
}
