//! The names of the topics that the gateway writes. Consumers know them, so they never change.

/// All events, in order for each node.
pub const EVENTS_TOPIC: &str = "pulsegate.events";

/// The latest state of each node; a tombstone where it was forgotten.
pub const NODES_TOPIC: &str = "pulsegate.nodes";
