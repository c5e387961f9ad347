//! A simulated fleet: nodes, the relays that speak for them, and the batches in which they do.
//!
//! ```text
//!  relay-000 ── lane 00 ── batch 0: node-000017 node-000105 …      a batch is one frame an interval
//!            │          └─ batch 1: …                              (two or more when it does not fit)
//!            ├─ lane 01 ── batch 2: …
//!            …
//!  relay-001 ── lane 00 ── batch 612: …
//! ```
//!
//! A relay groups its nodes by lane, so that every frame goes whole to one shard, and splits a lane evenly
//! into batches of at most so many nodes. With `mix_lanes` it takes its nodes as they come.
//!
//! A node keeps its incarnation and its sequence here, so a heartbeat that gets lost later has used its
//! number, as in life. The fleet does not know when anybody beats ([`crate::schedule`]) and what becomes of
//! it ([`crate::network`]). Pure: no clock, no socket; 24 bytes a node.

use pulsegate_codec::{
    Departure, DepartureReason, Heartbeat, Incarnation, Lane, NodeDescriptor, NodeId, NodeStatus, Sequence,
};

mod index;
mod shape;

pub use index::{BatchIndex, NodeIndex, RelayIndex};
pub use shape::{FleetShape, NODES_PER_RACK, zone_of};

/// What a fleet looks like.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// How many nodes. At least 1.
    pub nodes: u32,
    /// How many relays speak for them. At least 1.
    pub relays: u32,
    /// Most nodes in one batch. At least 1.
    pub batch_nodes: u32,
    /// How many zones. At least 1.
    pub zones: u32,
    /// The interval that descriptors tell, in milliseconds.
    pub interval_ms: u32,
    /// Whether relays put nodes of several lanes into one frame.
    pub mix_lanes: bool,
    /// The incarnation of every node at start.
    pub first_incarnation: Incarnation,
    /// With how many of its first heartbeats (and of those after a restart or a move) a node sends its
    /// descriptor.
    pub described_beats: u8,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            nodes: 1_000,
            relays: 1,
            batch_nodes: 64,
            zones: 3,
            interval_ms: 1_000,
            mix_lanes: false,
            first_incarnation: Incarnation(1),
            described_beats: 1,
        }
    }
}

/// What a node is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Beats.
    Running,
    /// Does not beat, but answers pings.
    Mute,
    /// Killed or paused: nobody outside can tell which.
    Silent,
    /// Said goodbye.
    Left,
}

/// One heartbeat of one node, before it is put into a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beat {
    /// The node's id.
    pub node_id: NodeId,
    /// Whose.
    pub node: NodeIndex,
    /// Which run of the node.
    pub incarnation: Incarnation,
    /// Which heartbeat of that run, from 1.
    pub sequence: Sequence,
    /// Whether the node's descriptor goes with it.
    pub described: bool,
    /// What the node says of itself.
    pub status: NodeStatus,
}

impl Beat {
    /// The heartbeat as the codec takes it.
    #[must_use]
    pub fn heartbeat(&self, sent_offset_us: u32) -> Heartbeat {
        // Load wanders from beat to beat but stays two bytes long on the wire: equal batches make frames of
        // equal size, which UDP_SEGMENT needs. Without a progress counter, 64 nodes fit a frame whatever
        // their offsets.
        let wander = (self.node_id.0 ^ u64::from(self.sequence.0)) % 768;
        Heartbeat {
            node_id: self.node_id,
            progress: 0,
            sequence: self.sequence,
            incarnation: self.incarnation,
            sent_offset_us,
            load_permille: 128 + u32::try_from(wander).expect("below 768"),
            pending: 0,
            status: self.status,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    node_id: NodeId,
    incarnation: Incarnation,
    sequence: Sequence,
    batch: BatchIndex,
    condition: Condition,
    status: NodeStatus,
    descriptors_due: u8,
}

const _: () = assert!(size_of::<Node>() == 24);

/// The nodes that one relay puts into one frame.
#[derive(Clone, Debug)]
pub struct FleetBatch {
    /// Who sends it.
    pub relay: RelayIndex,
    /// Batches of one group belong to one relay and one lane (one relay, if lanes are mixed) and beat
    /// together.
    pub group: u32,
    nodes: Vec<NodeIndex>,
}

/// The fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    options: FleetOptions,
    nodes: Vec<Node>,
    batches: Vec<FleetBatch>,
    /// First batch of each group, and one more entry for the end.
    group_starts: Vec<u32>,
}

impl Fleet {
    /// A fleet with every node running and none heard of.
    ///
    /// # Panics
    /// If an option breaks its rule.
    #[must_use]
    pub fn new(options: FleetOptions) -> Self {
        assert!(options.nodes > 0 && options.relays > 0, "a fleet has nodes and relays");
        assert!(options.batch_nodes > 0 && options.zones > 0, "batches and zones are not empty");
        let nodes = (0..options.nodes)
            .map(|index| Node {
                node_id: NodeId::from_name(&NodeIndex(index).name()),
                incarnation: options.first_incarnation,
                sequence: Sequence(0),
                batch: BatchIndex(0),
                condition: Condition::Running,
                status: NodeStatus::Ok,
                descriptors_due: options.described_beats,
            })
            .collect();
        let mut fleet = Self { options, nodes, batches: Vec::new(), group_starts: vec![0] };
        fleet.form_batches();
        fleet
    }

    /// Gives every node its relay (neighbours share one) and its batch.
    fn form_batches(&mut self) {
        let mut members: Vec<Vec<NodeIndex>> = vec![Vec::new(); self.group_count()];
        for index in 0..self.options.nodes {
            let relay = u64::from(index) * u64::from(self.options.relays) / u64::from(self.options.nodes);
            let relay = RelayIndex(u32::try_from(relay).expect("below the number of relays"));
            members[self.group_of(NodeIndex(index), relay)].push(NodeIndex(index));
        }
        for (group, nodes) in (0_u32..).zip(&members) {
            let frames = nodes.len().div_ceil(self.options.batch_nodes as usize).max(1);
            let relay = RelayIndex(if self.options.mix_lanes { group } else { group / LANES });
            for nodes in nodes.chunks(nodes.len().div_ceil(frames).max(1)) {
                let batch = BatchIndex(u32::try_from(self.batches.len()).expect("fewer batches than nodes"));
                for node in nodes {
                    self.nodes[node.slot()].batch = batch;
                }
                self.batches.push(FleetBatch { relay, group, nodes: nodes.to_vec() });
            }
            self.group_starts.push(u32::try_from(self.batches.len()).expect("fewer batches than nodes"));
        }
    }

    fn group_count(&self) -> usize {
        let relays = self.options.relays as usize;
        if self.options.mix_lanes { relays } else { relays * LANES as usize }
    }

    fn group_of(&self, node: NodeIndex, relay: RelayIndex) -> usize {
        if self.options.mix_lanes {
            return relay.0 as usize;
        }
        relay.0 as usize * LANES as usize + usize::from(self.lane(node).0)
    }

    /// How many of what it has.
    #[must_use]
    pub const fn shape(&self) -> FleetShape {
        let FleetOptions { nodes, relays, zones, .. } = self.options;
        FleetShape { nodes, relays, zones }
    }

    /// How the fleet was made.
    #[must_use]
    pub const fn options(&self) -> &FleetOptions {
        &self.options
    }

    /// How many nodes there are, whatever they do.
    #[must_use]
    pub const fn node_count(&self) -> u32 {
        self.options.nodes
    }

    /// All batches; [`BatchIndex`] counts them in this order.
    #[must_use]
    pub fn batches(&self) -> &[FleetBatch] {
        &self.batches
    }

    /// A node's id on the wire.
    #[must_use]
    pub fn node_id(&self, node: NodeIndex) -> NodeId {
        self.nodes[node.slot()].node_id
    }

    /// A node's lane.
    #[must_use]
    pub fn lane(&self, node: NodeIndex) -> Lane {
        self.node_id(node).lane()
    }

    /// Which run of the node this is.
    #[must_use]
    pub fn incarnation(&self, node: NodeIndex) -> Incarnation {
        self.nodes[node.slot()].incarnation
    }

    /// What a node is doing.
    #[must_use]
    pub fn condition(&self, node: NodeIndex) -> Condition {
        self.nodes[node.slot()].condition
    }

    /// The relay that speaks for a node now.
    #[must_use]
    pub fn relay(&self, node: NodeIndex) -> RelayIndex {
        self.batches[self.nodes[node.slot()].batch.0 as usize].relay
    }

    /// Lets every running node of the batch beat once, and appends the beats.
    pub fn beat(&mut self, batch: BatchIndex, beats: &mut Vec<Beat>) {
        for &index in &self.batches[batch.0 as usize].nodes {
            let node = &mut self.nodes[index.slot()];
            if node.condition != Condition::Running {
                continue;
            }
            node.sequence = Sequence(node.sequence.0 + 1);
            let described = node.descriptors_due > 0;
            node.descriptors_due = node.descriptors_due.saturating_sub(1);
            beats.push(Beat {
                node_id: node.node_id,
                node: index,
                incarnation: node.incarnation,
                sequence: node.sequence,
                described,
                status: node.status,
            });
        }
    }

    /// The next beat of every node of the batch carries its descriptor (senders repeat it every minute).
    pub fn describe_again(&mut self, batch: BatchIndex) {
        for index in &self.batches[batch.0 as usize].nodes {
            let node = &mut self.nodes[index.slot()];
            node.descriptors_due = node.descriptors_due.max(1);
        }
    }

    /// Kills or pauses a node: it stops beating.
    pub fn silence(&mut self, node: NodeIndex) {
        self.nodes[node.slot()].condition = Condition::Silent;
    }

    /// Stops a node's heartbeats; it still answers pings.
    pub fn mute(&mut self, node: NodeIndex) {
        self.nodes[node.slot()].condition = Condition::Mute;
    }

    /// What the node says of itself from its next beat on.
    pub fn set_status(&mut self, node: NodeIndex, status: NodeStatus) {
        self.nodes[node.slot()].status = status;
    }

    /// Ends a pause: the node goes on where it stopped, in the same incarnation.
    pub fn resume(&mut self, node: NodeIndex) {
        self.nodes[node.slot()].condition = Condition::Running;
    }

    /// Starts a node anew, in a greater incarnation, whatever it did before.
    pub fn restart(&mut self, node: NodeIndex) {
        let node = &mut self.nodes[node.slot()];
        node.incarnation = Incarnation(node.incarnation.0 + 1);
        node.sequence = Sequence(0);
        node.condition = Condition::Running;
        node.status = NodeStatus::Ok;
        node.descriptors_due = self.options.described_beats;
    }

    /// Lets a node say goodbye: it beats no more, and the departure is to be sent.
    pub fn leave(&mut self, node: NodeIndex, reason: DepartureReason) -> Departure {
        let node = &mut self.nodes[node.slot()];
        node.condition = Condition::Left;
        Departure {
            node_id: node.node_id,
            incarnation: node.incarnation,
            sequence: node.sequence,
            reason,
            expected_return_ms: 0,
        }
    }

    /// Lets another relay speak for a node from its next beat on, in that relay's emptiest batch of the
    /// node's lane.
    ///
    /// False, and nothing changed, if the relay speaks for the node already or sends no batch of that lane.
    pub fn move_to(&mut self, node: NodeIndex, relay: RelayIndex) -> bool {
        let group = self.group_of(node, relay);
        let candidates = self.group_starts[group]..self.group_starts[group + 1];
        let Some(target) = candidates.min_by_key(|&batch| self.batches[batch as usize].nodes.len()) else {
            return false;
        };
        if self.relay(node) == relay {
            return false;
        }
        let source = self.nodes[node.slot()].batch.0 as usize;
        self.batches[source].nodes.retain(|&member| member != node);
        self.batches[target as usize].nodes.push(node);
        let described_beats = self.options.described_beats;
        let moved = &mut self.nodes[node.slot()];
        moved.batch = BatchIndex(target);
        moved.descriptors_due = described_beats;
        true
    }

    /// Builds a node's descriptor and hands it to `use_descriptor`: name, zone, labels `rack` and `relay`,
    /// interval.
    pub fn describe<Output>(
        &self,
        node: NodeIndex,
        use_descriptor: impl FnOnce(&NodeDescriptor<'_>) -> Output,
    ) -> Output {
        let rack = node.0 / NODES_PER_RACK;
        let (name, rack_name) = (node.name(), format!("rack-{rack:05}"));
        let (zone, relay) = (format!("zone-{}", zone_of(node, self.options.zones)), self.relay(node).name());
        use_descriptor(&NodeDescriptor {
            name: &name,
            zone: &zone,
            labels: vec![("rack", &rack_name), ("relay", &relay)],
            interval_ms: self.options.interval_ms,
            profile: "",
            ..NodeDescriptor::default()
        })
    }
}

const LANES: u32 = 256;
const _: () = assert!(LANES as usize == Lane::COUNT);

#[cfg(test)]
mod tests;
