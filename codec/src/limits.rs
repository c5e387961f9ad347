//! Every bound of the wire, by name. A frame that exceeds one is rejected with the reason that names it.

/// Longest datagram that a sender builds: fits an Ethernet MTU of 1500 with IPv6, UDP and a tunnel header to spare.
pub const DATAGRAM_BYTES_DEFAULT: usize = 1400;

/// Longest frame that is accepted at all: what a UDP length field can carry.
pub const FRAME_BYTES_MAX: usize = 65_507;

/// Most bytes that a payload may decompress to. The header declares the size and is checked before any work.
pub const PAYLOAD_BYTES_MAX: usize = 65_536;

/// Most heartbeats in one frame.
pub const HEARTBEATS_PER_FRAME_MAX: usize = 4_096;

/// Most descriptors in one frame.
pub const DESCRIPTORS_PER_FRAME_MAX: usize = 1_024;

/// Most departures in one frame.
pub const DEPARTURES_PER_FRAME_MAX: usize = 4_096;

/// Longest node name, zone, profile, service, label key or label value, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Most labels of one node.
pub const LABELS_PER_NODE_MAX: usize = 32;

/// Most services of one node.
pub const SERVICES_PER_NODE_MAX: usize = 32;

// The smallest heartbeat is its 8-byte id, so the payload bound alone must allow a full frame of them.
const _: () = assert!(HEARTBEATS_PER_FRAME_MAX * 8 <= PAYLOAD_BYTES_MAX);
const _: () = assert!(DATAGRAM_BYTES_DEFAULT <= FRAME_BYTES_MAX);
