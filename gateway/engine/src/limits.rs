//! Every bound of the engine, by name, and the relations between them.

/// Most nodes of one shard: a wheel entry names a node by its slot in 32 bits, with room to spare.
pub const NODES_PER_SHARD_MAX: u32 = 1 << 26;

/// Most wheel entries that one call of `on_tick` looks at, so that live heartbeats never wait long behind a storm.
pub const WHEEL_ENTRIES_PER_CALL_MAX: usize = 8_192;
