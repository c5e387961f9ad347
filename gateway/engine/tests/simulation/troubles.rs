//! What goes wrong in a long life: to nodes, to racks and zones, to the gateway, and what operators do about it.

use std::time::Duration;

use pulsegate_codec::{Departure, DepartureReason, NodeStatus};
use pulsegate_engine::publication::Selector;
use pulsegate_engine::{NodeState, Timestamp};
use pulsegate_loadgen::fleet::{BatchIndex, Condition, NODES_PER_RACK, NodeIndex, zone_of};

use crate::years::{Datagram, NODES, Outage, World, ZONES, nanoseconds};

impl World {
    /// One thing that goes wrong, or right again.
    pub(crate) fn strike(&mut self) {
        self.end_outages();
        self.answer_probes();
        let node = self.any_node();
        match self.random.below(1_000) {
            0..250 => self.strike_node(node),
            250..600 => self.mend_node(node),
            600..700 => {
                let batch = self.random.index(self.fleet.batches().len());
                self.fleet.describe_again(BatchIndex(u32::try_from(batch).unwrap()));
            }
            700..720 => {
                let length = self.random_part_of(self.interval * 20);
                let until = nanoseconds(self.now + length);
                let until = self.random.chance(0.7).then_some(until);
                self.gateway.maintenance(self.fleet.node_id(node), until);
            }
            720..800 => {
                let is_degraded = self.random.chance(0.5);
                let status = if is_degraded { NodeStatus::Degraded } else { NodeStatus::Ok };
                self.fleet.set_status(node, status);
            }
            800..900 => self.frozen[node.slot()] = self.random.chance(0.3),
            900..930 => self.flap(node),
            930..945 => self.strike_rack(node),
            945..950 => self.strike_zone(node),
            950..970 => self.silence_some(node),
            970..974 => {
                let now = Timestamp::from_nanoseconds(nanoseconds(self.now));
                self.gateway.told.release(now);
            }
            974..990 if self.doom.is_none() && self.listens_since + self.interval * 4 < self.now => {
                self.strike_gateway();
            }
            _ => self.gateway.check(),
        }
    }

    fn any_node(&mut self) -> NodeIndex {
        NodeIndex(u32::try_from(self.random.below(NODES.into())).unwrap())
    }

    fn strike_node(&mut self, node: NodeIndex) {
        if self.fleet.condition(node) != Condition::Running {
            return;
        }
        match self.random.below(10) {
            0..4 => self.fleet.silence(node),
            4..6 => self.fleet.mute(node),
            6..8 => self.start(node, true),
            _ => {
                let reason = if self.random.chance(0.5) {
                    DepartureReason::Shutdown
                } else {
                    DepartureReason::Maintenance
                };
                let back_in = self.random_part_of(self.interval * 20);
                let departure = Departure {
                    expected_return_ms: u64::try_from(back_in.as_millis()).unwrap(),
                    ..self.fleet.leave(node, reason)
                };
                // Twice, as a careful sender does.
                for _ in 0..2 {
                    self.send(Datagram { departure: Some(departure), ..Datagram::default() });
                }
            }
        }
    }

    fn mend_node(&mut self, node: NodeIndex) {
        match self.fleet.condition(node) {
            Condition::Running => {}
            Condition::Left => self.start(node, true),
            Condition::Mute | Condition::Silent => {
                let restarts = self.random.chance(0.5);
                self.start(node, restarts);
            }
        }
    }

    /// One that restarts all the time.
    fn flap(&mut self, node: NodeIndex) {
        // The same few, so that it adds up.
        let node = NodeIndex(node.0 % 3);
        if self.fleet.condition(node) == Condition::Running {
            self.start(node, true);
        }
    }

    fn fell(&mut self, nodes: Vec<NodeIndex>) {
        let is_running = |node: &NodeIndex| self.fleet.condition(*node) == Condition::Running;
        let nodes: Vec<_> = nodes.into_iter().filter(is_running).collect();
        for &node in &nodes {
            self.fleet.silence(node);
        }
        let until = self.now + self.random_part_of(self.interval * 20);
        let restarts = self.random.chance(0.5);
        self.outages.push(Outage { nodes, until, restarts });
    }

    fn strike_rack(&mut self, node: NodeIndex) {
        let rack = node.0 / NODES_PER_RACK * NODES_PER_RACK;
        self.fell((rack..rack + NODES_PER_RACK).map(NodeIndex).collect());
    }

    /// All of a zone, or six in ten.
    fn strike_zone(&mut self, node: NodeIndex) {
        let zone = zone_of(node, ZONES);
        let is_whole = self.random.chance(0.5);
        let is_struck = |node: &NodeIndex| zone_of(*node, ZONES) == zone && (is_whole || node.0 % 10 < 6);
        self.fell((0..NODES).map(NodeIndex).filter(is_struck).collect());
    }

    fn end_outages(&mut self) {
        let now = self.now;
        while let Some(position) = self.outages.iter().position(|outage| outage.until <= now) {
            let outage = self.outages.swap_remove(position);
            for node in outage.nodes {
                if self.fleet.condition(node) == Condition::Silent {
                    self.start(node, outage.restarts);
                }
            }
        }
    }

    /// Suspect nodes are asked, and whose host runs answers.
    fn answer_probes(&mut self) {
        for _ in 0..10 {
            let node = self.any_node();
            let id = self.fleet.node_id(node);
            let is_there = matches!(self.fleet.condition(node), Condition::Running | Condition::Mute);
            let engine = &self.gateway.shards[crate::whole::Gateway::shard_of(id)].engine;
            let is_suspect = engine.node(id).is_some_and(|node| node.state == NodeState::Suspect);
            if is_there && (is_suspect || self.random.chance(0.01)) {
                self.gateway.probe_answer(id);
            }
        }
    }

    /// Not again before everybody was heard: who is not heard between two pauses has nobody to blame but the gateway.
    fn strike_gateway(&mut self) {
        self.trouble_began = self.now;
        self.count_trouble();
        match self.random.below(4) {
            0 | 1 => self.pause_gateway(),
            2 => {
                let share = if self.random.chance(0.5) { 0.5 } else { 0.0 };
                self.overflow(self.interval, share);
            }
            _ => {
                let age = self.random_part_of(self.interval);
                self.doom = Some((self.now + age, self.gateway.snapshot()));
            }
        }
        self.listens_since = self.now;
    }

    /// The gateway is stopped, or starved, or its machine sleeps.
    fn pause_gateway(&mut self) {
        let length = self.random_part_of(self.interval * 12) + Duration::from_millis(1);
        match self.random.below(3) {
            // Everything waits in the socket.
            0 => {
                self.pass_without_gateway(length, true);
                self.wake_gateway(length, 1.0);
            }
            // The socket overflows: the oldest are there, or the latest, at any rate not all.
            1 => {
                self.pass_without_gateway(length, true);
                self.wake_gateway(length, 0.5);
            }
            // Nobody listens.
            _ => {
                self.pass_without_gateway(length, false);
                self.wake_gateway(length, 1.0);
            }
        }
    }

    fn silence_some(&mut self, node: NodeIndex) {
        let zone = format!("zone-{}", zone_of(node, ZONES));
        let rack = format!("rack-{:05}", node.0 / NODES_PER_RACK);
        let selector = match self.random.below(4) {
            0 => Selector::Zone(zone.into()),
            1 => Selector::Label { key: "rack".into(), value: rack.into() },
            _ => Selector::Node(node.name().into()),
        };
        let now = nanoseconds(self.now);
        let length = self.random_part_of(self.interval * 30);
        let until = now + u64::try_from(length.as_nanos()).unwrap();
        let [now, until] = [now, until].map(Timestamp::from_nanoseconds);
        self.gateway.told.silence(selector, until, now);
    }
}
