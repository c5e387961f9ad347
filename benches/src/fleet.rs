//! The nodes that speak: ids as spread as hashes of names are, in an order that no cache can guess, always the same.

use pulsegate_codec::{Heartbeat, Incarnation, NodeId, NodeStatus, Sequence};
use pulsegate_engine::{Duration, EngineConfig, Profiles};

/// A fixed set of nodes.
#[derive(Clone, Debug)]
pub struct Fleet {
    ids: Vec<NodeId>,
}

impl Fleet {
    /// `node_count` nodes, the same for every call.
    #[must_use]
    pub fn new(node_count: usize) -> Self {
        // Mixed numbers are in no order that has to do with where a table puts them.
        let ids = (0..node_count as u64).map(|index| NodeId(mix(index))).collect();
        Self { ids }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.ids.len()
    }

    /// The nodes, in their fixed arbitrary order.
    #[must_use]
    pub fn ids(&self) -> &[NodeId] {
        &self.ids
    }

    /// The same nodes as groups of `group_size` that share a lane, in an arbitrary order of groups: what relays send.
    /// Nodes that fill no group are left out.
    #[must_use]
    pub fn groups(&self, group_size: usize) -> Vec<Vec<NodeId>> {
        let mut lanes: Vec<Vec<NodeId>> = vec![Vec::new(); pulsegate_codec::Lane::COUNT];
        for id in &self.ids {
            lanes[usize::from(id.lane().0)].push(*id);
        }
        let mut groups: Vec<Vec<NodeId>> =
            lanes.iter().flat_map(|lane| lane.chunks_exact(group_size).map(<[NodeId]>::to_vec)).collect();
        groups.sort_unstable_by_key(|group| mix(group[0].0));
        groups
    }
}

/// Of an engine that knows so many nodes, which beat every second and are judged as by default: suspect after three seconds,
/// failed after five.
#[must_use]
pub fn engine_config(node_count: usize) -> EngineConfig {
    EngineConfig {
        nodes_max: u32::try_from(node_count).expect("a shard's worth of nodes"),
        tick: Duration::from_millis(10),
        interval_ms: 1_000,
        interval_ms_min: 100,
        interval_ms_max: 60_000,
        profiles: Profiles::built_in(3, 5),
        forget_after: Duration::from_secs(3_600),
        stalled_after: Duration::ZERO,
        hash_seed: 0x5eed,
    }
}

/// What `id` says in its `sweep`th beat. The columns are as alike as they are in practice: ids are hashes, load and
/// progress are each node's own, while the nodes of a relay were started within seconds of each other and count alike.
#[must_use]
pub fn heartbeat(id: NodeId, sweep: u32) -> Heartbeat {
    let [low, high, ..] = mix(id.0).to_le_bytes();
    let noise = u32::from(low) | u32::from(high) << 8;
    Heartbeat {
        node_id: id,
        sequence: Sequence(sweep + 1),
        // Unix seconds at start, as WIRE.md advises: a lane is rolled out in one go, within 16 seconds.
        incarnation: Incarnation(1_760_000_000 + u32::from(id.lane().0) * 60 + noise % 16),
        load_permille: (noise ^ sweep.wrapping_mul(97)) % 1_000,
        progress: u64::from(sweep) * 1_000 + u64::from(noise),
        pending: 0,
        sent_offset_us: 0,
        status: NodeStatus::Ok,
    }
}

/// A bijection of 64-bit numbers that scatters neighbours (the finaliser of splitmix64, Steele et al. 2014).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_a_lane_and_hold_no_node_twice() {
        let fleet = Fleet::new(20_000);
        let groups = fleet.groups(32);
        assert!(groups.len() > 400, "{} groups", groups.len());
        assert!(groups.iter().all(|group| group.iter().all(|id| id.lane() == group[0].lane())));
        let mut ids: Vec<NodeId> = groups.into_iter().flatten().collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
