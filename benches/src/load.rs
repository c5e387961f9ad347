//! Frames, built before anything is measured, in one block of memory and in sending order.
//!
//! Each sweep lets every node of the fleet speak once, with sequences that grow from sweep to sweep: a frame that was
//! sent twice would be a duplicate, and duplicates are cheap to refuse.

use pulsegate_codec::{BatchEncoder, Compression, FrameHeader, NodeId, SenderId};

use crate::fleet::{Fleet, heartbeat};

/// Sweeps that a contender hears before the measurement, so that it knows every node and is in its steady state.
pub const SWEEPS_BEFORE: u32 = 3;

/// What is sent.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Heartbeats in a frame.
    pub heartbeats_per_frame: usize,
    /// Whether frames are compressed.
    pub compression: Compression,
    /// How many frames.
    pub frame_count: usize,
    /// Frames a second.
    pub frames_per_second: u32,
}

/// Pre-built frames and how fast they are sent.
#[derive(Debug)]
pub struct Load {
    /// As it was asked for.
    pub config: LoadConfig,
    /// Time in which every node speaks once, in milliseconds.
    pub interval_ms: u32,
    /// Nodes that speak.
    pub node_ids: Vec<NodeId>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    compressed_count: usize,
}

impl Load {
    /// Builds the frames.
    ///
    /// # Panics
    /// If the fleet is too small for one frame.
    #[must_use]
    pub fn build(fleet: &Fleet, config: &LoadConfig) -> Self {
        let groups = fleet.groups(config.heartbeats_per_frame);
        assert!(!groups.is_empty(), "too few nodes for a frame of {}", config.heartbeats_per_frame);
        let mut encoder = BatchEncoder::new(SenderId::from_name("relay"), config.compression);
        let (mut bytes, mut ends, mut frame) = (Vec::new(), Vec::new(), Vec::new());
        let mut compressed_count = 0;
        for index in 0..config.frame_count {
            let sweep = SWEEPS_BEFORE + u32::try_from(index / groups.len()).unwrap_or(u32::MAX);
            for id in &groups[index % groups.len()] {
                encoder.heartbeat(heartbeat(*id, sweep));
            }
            let sent_at_unix_us = 1_760_000_000_000_000 + index as u64;
            encoder.finish(index as u64 + 1, sent_at_unix_us, &mut frame).expect("a frame within the bounds");
            let (header, _payload) = FrameHeader::parse(&frame).expect("a frame that was just built");
            compressed_count += usize::from(header.is_compressed());
            bytes.extend_from_slice(&frame);
            ends.push(bytes.len());
        }
        let sweep_ms = groups.len() as u64 * 1_000 / u64::from(config.frames_per_second);
        let interval_ms = u32::try_from(sweep_ms).unwrap_or(u32::MAX).max(100);
        let node_ids = groups.into_iter().flatten().collect();
        Self { config: config.clone(), interval_ms, node_ids, bytes, ends, compressed_count }
    }

    /// The frames, in sending order.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| &self.bytes[start..end])
    }

    /// Heartbeats in all frames.
    #[must_use]
    pub fn heartbeat_count(&self) -> u64 {
        (self.config.frame_count * self.config.heartbeats_per_frame) as u64
    }

    /// Share of frames that zstd made enough smaller to be sent compressed.
    #[must_use]
    pub fn compressed_share(&self) -> f64 {
        self.compressed_count as f64 / self.ends.len() as f64
    }

    /// Bytes of a frame, on average.
    #[must_use]
    pub fn frame_bytes(&self) -> f64 {
        self.bytes.len() as f64 / self.ends.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::Decoder;

    use super::*;

    #[test]
    fn frames_decode_and_sequences_grow() {
        let fleet = Fleet::new(2_000);
        let config = LoadConfig {
            heartbeats_per_frame: 4,
            compression: Compression::Off,
            frame_count: 1_500,
            frames_per_second: 1_000,
        };
        let load = Load::build(&fleet, &config);
        let mut decoder = Decoder::new();
        let mut last = std::collections::HashMap::new();
        for frame in load.frames() {
            let batch = decoder.decode(frame).unwrap();
            assert!(!batch.header.mixes_lanes());
            for heartbeat in batch.heartbeats {
                let before = last.insert(heartbeat.node_id, heartbeat.sequence);
                assert!(before.is_none_or(|before| before < heartbeat.sequence));
            }
        }
        assert_eq!(last.len(), load.node_ids.len());
    }
}
