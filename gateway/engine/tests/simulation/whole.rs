//! A whole gateway without its edges: two shards and publication, each with its judge.

use std::time::Duration;

use pulsegate_codec::{Departure, Heartbeat, NodeDescriptor, NodeId};
use pulsegate_engine::publication::{KnownNode, PublicationConfig};
use pulsegate_engine::{EngineConfig, Timestamp, Verdict};

use crate::restarted::Remembered;
use crate::shard::Shard;
use crate::told::Told;

pub(crate) const SHARDS: usize = 2;

/// The gateway. Times in nanoseconds.
pub(crate) struct Gateway {
    config: EngineConfig,
    pub(crate) shards: [Shard; SHARDS],
    pub(crate) told: Told,
    now: u64,
    /// Verdicts of the latest call, for a judge who knows the truth.
    pub(crate) latest: Vec<Verdict>,
}

/// What the next run is told, by shard.
pub(crate) type Snapshot = [Vec<Remembered>; SHARDS];

impl Gateway {
    pub(crate) fn new(config: &EngineConfig, publication: &PublicationConfig, start: u64) -> Self {
        Self {
            config: config.clone(),
            shards: [Shard::new(config, start), Shard::new(config, start)],
            told: Told::new(publication, SHARDS, Timestamp::from_nanoseconds(start)),
            now: start,
            latest: Vec::new(),
        }
    }

    /// Which shard a node belongs to.
    pub(crate) fn shard_of(id: NodeId) -> usize {
        usize::from(id.lane().0) % SHARDS
    }

    fn next_deadline(&self) -> Option<u64> {
        let engines = self.shards.iter().filter_map(|shard| shard.engine.next_deadline());
        engines.chain(self.told.publication.next_deadline()).min().map(Timestamp::as_nanoseconds)
    }

    /// Does whatever is due before this moment, each when it is due.
    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(next) = self.next_deadline().filter(|&next| next < end) {
            self.now = self.now.max(next);
            self.do_what_is_due();
        }
        for shard in &mut self.shards {
            shard.has_waited_until(end);
        }
        self.now = self.now.max(end);
    }

    /// Runs until nothing is left to do. Returns when that was.
    pub(crate) fn run_to_rest(&mut self) -> u64 {
        while let Some(next) = self.next_deadline() {
            self.run_until(next + 1);
        }
        self.now
    }

    fn do_what_is_due(&mut self) {
        let now = Timestamp::from_nanoseconds(self.now);
        for number in 0..SHARDS {
            if self.shards[number].engine.next_deadline().is_some_and(|next| next <= now) {
                let verdicts = self.shards[number].tick(self.now);
                self.tell(number, verdicts);
            }
        }
        if self.told.publication.next_deadline().is_some_and(|next| next <= now) {
            self.told.tick(now);
        }
    }

    fn tell(&mut self, shard: usize, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            self.latest.push(verdict.clone());
            self.told.verdict(shard, verdict, Timestamp::from_nanoseconds(self.now));
        }
    }

    /// Heartbeats that arrived together, now.
    pub(crate) fn heartbeats(&mut self, heartbeats: &[Vec<Heartbeat>; SHARDS]) {
        for (number, heartbeats) in heartbeats.iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            let verdicts = self.shards[number].heartbeats(heartbeats, self.now);
            self.tell(number, verdicts);
        }
    }

    pub(crate) fn departure(&mut self, departure: Departure) {
        let number = Self::shard_of(departure.node_id);
        let verdicts = self.shards[number].departure(departure, self.now);
        self.tell(number, verdicts);
    }

    pub(crate) fn maintenance(&mut self, id: NodeId, until: Option<u64>) {
        let number = Self::shard_of(id);
        let verdicts = self.shards[number].maintenance(id, until, self.now);
        self.tell(number, verdicts);
    }

    pub(crate) fn descriptor(&mut self, descriptor: &NodeDescriptor<'_>) {
        self.shards[Self::shard_of(descriptor.node_id())].descriptor(descriptor, self.now);
    }

    pub(crate) fn probe_answer(&mut self, id: NodeId) {
        self.shards[Self::shard_of(id)].probe_answer(id, self.now);
    }

    /// It did not run for so long, up to this moment. The caller hands it what arrived meanwhile, and lets it run on.
    pub(crate) fn wake(&mut self, asleep: Duration, now: u64) {
        self.now = now;
        self.told.longest_stall = self.told.longest_stall.max(asleep);
        for shard in &mut self.shards {
            shard.wake(now);
            shard.pause(u64::try_from(asleep.as_nanos()).unwrap(), now);
        }
    }

    /// The kernel had to drop datagrams.
    pub(crate) fn drops(&mut self) {
        for shard in &mut self.shards {
            shard.drops(self.now);
        }
    }

    /// What it would know after a restart.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.do_what_is_due();
        [self.shards[0].snapshot(self.now), self.shards[1].snapshot(self.now)]
    }

    /// It begins anew with what it remembers, after a downtime.
    pub(crate) fn restart(&mut self, snapshot: &Snapshot, smear: Duration, now: u64) {
        self.now = now;
        for (shard, remembered) in self.shards.iter_mut().zip(snapshot) {
            *shard = Shard::restarted(&self.config, remembered, smear, now);
        }
        let known = snapshot.iter().enumerate().flat_map(|(shard, nodes)| {
            nodes.iter().map(move |(record, facts)| KnownNode {
                shard,
                node_id: record.node_id,
                state: record.state,
                incarnation: record.incarnation,
                event_sequence: 0,
                facts: facts.clone(),
            })
        });
        self.told.restart(known, Timestamp::from_nanoseconds(now));
    }

    /// Compares everything.
    pub(crate) fn check(&mut self) {
        for shard in &mut self.shards {
            shard.catch_up_with_all();
            shard.engine.check_invariants();
        }
        self.told.now = Timestamp::from_nanoseconds(self.now);
        self.told.check();
    }
}
