//! What follows from a node's number alone: its rack and its zone.

use super::NodeIndex;

/// Nodes of one rack share a label; racks are spread over the zones.
pub const NODES_PER_RACK: u32 = 40;

/// The zone of a node, by number, of so many.
#[must_use]
pub const fn zone_of(node: NodeIndex, zones: u32) -> u32 {
    node.0 / NODES_PER_RACK % zones
}

/// How many of what a fleet has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FleetShape {
    /// Nodes.
    pub nodes: u32,
    /// Relays that speak for them.
    pub relays: u32,
    /// Zones.
    pub zones: u32,
}
