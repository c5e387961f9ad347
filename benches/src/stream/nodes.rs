//! Nodes that join: two heartbeats each, then silence.

use std::net::UdpSocket;
use std::time::Duration;

use pulsegate::data_dir::Endpoints;
use pulsegate_codec::limits::DATAGRAM_BYTES_DEFAULT;
use pulsegate_codec::{
    BatchEncoder, Compression, Heartbeat, Incarnation, NodeDescriptor, NodeId, SenderId, Sequence,
};

use super::pause;

/// Sends heartbeats of nodes with numbers as names.
pub struct Nodes {
    socket: UdpSocket,
    encoder: BatchEncoder,
    frame: Vec<u8>,
    sender_sequence: u64,
}

/// After so many datagrams the gateway gets a moment, so that none is dropped.
const TRAIN: u64 = 32;

impl Nodes {
    /// A sender to this gateway.
    ///
    /// # Errors
    /// If there is no socket.
    pub fn new(endpoints: &Endpoints) -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(endpoints.heartbeats)?;
        let encoder = BatchEncoder::new(SenderId::from_name("bench"), Compression::Off);
        Ok(Self { socket, encoder, frame: Vec::new(), sender_sequence: 0 })
    }

    /// One node joins.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn join_one(&mut self, number: u32) -> std::io::Result<()> {
        for sequence in [1, 2] {
            self.add(number, sequence, sequence == 1);
            self.send()?;
        }
        Ok(())
    }

    /// Many nodes join at once, as fast as the gateway takes their datagrams.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn join_many(&mut self, count: u32) -> std::io::Result<()> {
        let mut numbers: Vec<u32> = (0..count).collect();
        // One lane a frame, as real senders have it.
        numbers.sort_by_cached_key(|&number| NodeId::from_name(&name(number)).0);
        for sequence in [1, 2] {
            let mut lane = None;
            for &number in &numbers {
                let node_lane = NodeId::from_name(&name(number)).0 >> 56;
                let is_full = self.encoder.frame_bytes_max() + NODE_BYTES_MAX > DATAGRAM_BYTES_DEFAULT;
                if lane.is_some_and(|lane| lane != node_lane || is_full) {
                    self.send()?;
                    if self.sender_sequence.is_multiple_of(TRAIN) {
                        pause(Duration::from_micros(500));
                    }
                }
                lane = Some(node_lane);
                self.add(number, sequence, sequence == 1);
            }
            self.send()?;
        }
        Ok(())
    }

    fn add(&mut self, number: u32, sequence: u32, introduces: bool) {
        let name = name(number);
        if introduces {
            self.encoder.descriptor(&NodeDescriptor {
                name: &name,
                zone: "zone-a",
                ..NodeDescriptor::default()
            });
        }
        self.encoder.heartbeat(Heartbeat {
            node_id: NodeId::from_name(&name),
            sequence: Sequence(sequence),
            incarnation: Incarnation(1),
            ..Heartbeat::default()
        });
    }

    fn send(&mut self) -> std::io::Result<()> {
        self.sender_sequence += 1;
        self.encoder.finish(self.sender_sequence, 0, &mut self.frame).map_err(std::io::Error::other)?;
        self.socket.send(&self.frame).map(|_| ())
    }
}

/// More than a heartbeat and a descriptor here take.
const NODE_BYTES_MAX: usize = 96;

fn name(number: u32) -> String {
    format!("node-{number:07}")
}
