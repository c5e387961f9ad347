//! Events in any number: nodes that beat over TCP, so that none is lost, each time in a greater incarnation.

use std::io::Write;
use std::net::TcpStream;

use pulsegate_codec::encode::Compression;
use pulsegate_codec::{BatchEncoder, Heartbeat, Incarnation, NodeDescriptor, NodeId, SenderId, Sequence};

use crate::harness::Gateway;

/// Timeouts that no test waits for: the only events are those that the fleet causes.
pub const QUIET: &str =
    "[detector]\ninterval-ms = 60_000\n[registry]\nnodes-max = 200_000\n[shards]\ncount = 1\n";

/// Nodes of one frame.
const NODES_PER_FRAME: usize = 50;

/// A connection to a gateway.
pub struct Fleet {
    stream: TcpStream,
    encoder: BatchEncoder,
    frames: u64,
}

impl Fleet {
    pub fn new(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(gateway.endpoints().heartbeats).unwrap();
        let encoder = BatchEncoder::new(SenderId::from_name("fleet"), Compression::Off);
        Self { stream, encoder, frames: 0 }
    }

    /// One event a node: it joins with incarnation 1, and restarts with each greater one.
    pub fn beat(&mut self, nodes: std::ops::Range<usize>, incarnation: u32) {
        let nodes: Vec<String> = nodes.map(|number| format!("node-{number}")).collect();
        for names in nodes.chunks(NODES_PER_FRAME) {
            if incarnation == 1 {
                // A node joins with its second heartbeat.
                self.send(names, Sequence(1), 1);
            }
            self.send(names, Sequence(2), incarnation);
        }
    }

    fn send(&mut self, names: &[String], sequence: Sequence, incarnation: u32) {
        for name in names {
            if sequence == Sequence(1) {
                self.encoder.descriptor(&NodeDescriptor { name, ..NodeDescriptor::default() });
            }
            self.encoder.heartbeat(Heartbeat {
                node_id: NodeId::from_name(name),
                sequence,
                incarnation: Incarnation(incarnation),
                ..Heartbeat::default()
            });
        }
        let mut frame = Vec::new();
        self.frames += 1;
        self.encoder.finish(self.frames, 0, &mut frame).unwrap();
        self.stream.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes()).unwrap();
        self.stream.write_all(&frame).unwrap();
    }
}
