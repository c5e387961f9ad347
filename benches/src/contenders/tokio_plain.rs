//! What a good programmer writes in an afternoon: a tokio socket, prost, a map, and a `DelayQueue` with one timer a
//! node that is reset by each heartbeat.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use pulsegate_codec::proto::HeartbeatBatch;
use pulsegate_codec::{FrameHeader, NodeId};
use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use crate::contenders::{Contender, ready_with_datagram, socket};
use crate::fleet::heartbeat;
use crate::load::{Load, SWEEPS_BEFORE};
use crate::round::{Outcome, Stage};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct TokioPlain;

struct Node {
    last_seen: Instant,
    sequence: u32,
    incarnation: u32,
    load_permille: u32,
    progress: u64,
    timer: Key,
}

struct State {
    nodes: HashMap<u64, Node>,
    timers: DelayQueue<u64>,
    timeout: Duration,
    accepted: u64,
}

impl State {
    fn new(load: &Load) -> Self {
        let timeout = Duration::from_millis(u64::from(load.interval_ms)) * 3;
        // Filled with a longer time to live than the measurement takes, so that nobody expires while being filled.
        let mut state = Self { nodes: HashMap::new(), timers: DelayQueue::new(), timeout, accepted: 0 };
        for NodeId(id) in &load.node_ids {
            let last = heartbeat(NodeId(*id), SWEEPS_BEFORE - 1);
            let timer = state.timers.insert(*id, timeout + Duration::from_secs(60));
            let node = Node {
                last_seen: Instant::now(),
                sequence: last.sequence.0,
                incarnation: last.incarnation.0,
                load_permille: 0,
                progress: 0,
                timer,
            };
            state.nodes.insert(*id, node);
        }
        state
    }

    fn on_datagram(&mut self, frame: &[u8]) {
        let Ok((header, payload)) = FrameHeader::parse(frame) else { return };
        let decompressed;
        let payload = if header.is_compressed() {
            let bytes_max = header.decompressed_bytes as usize;
            let Ok(bytes) = zstd::bulk::decompress(payload, bytes_max) else { return };
            decompressed = bytes;
            &decompressed[..]
        } else {
            payload
        };
        let Ok(batch) = HeartbeatBatch::decode(payload) else { return };
        let now = Instant::now();
        for (index, id) in batch.node_id.iter().enumerate() {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            let column = |column: &[u32]| column.get(index).copied().unwrap_or(0);
            let (sequence, incarnation) = (column(&batch.sequence), column(&batch.incarnation));
            if (incarnation, sequence) <= (node.incarnation, node.sequence) {
                continue;
            }
            node.last_seen = now;
            node.sequence = sequence;
            node.incarnation = incarnation;
            node.load_permille = column(&batch.load_permille);
            node.progress = batch.progress.get(index).copied().unwrap_or(0);
            self.timers.reset(&node.timer, self.timeout);
            self.accepted += 1;
        }
    }
}

impl Contender for TokioPlain {
    fn name(&self) -> &'static str {
        "tokio recv_from + prost + HashMap + DelayQueue"
    }

    fn receive(&self, stage: &Stage<'_>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (socket, address) = socket(false);
            socket.set_nonblocking(true).expect("a socket that does not block");
            let socket = tokio::net::UdpSocket::from_std(socket).expect("a socket for tokio");
            let mut state = State::new(stage.load);
            let mut buffer = vec![0; 65_536];
            let mut datagrams = 0;
            let _ = stage.ready.send(ready_with_datagram(address));
            let before = stage.clock.thread_cpu_time();
            loop {
                tokio::select! {
                    received = socket.recv_from(&mut buffer) => {
                        match received {
                            Ok((0, _source)) => break,
                            Ok((length, _source)) => {
                                datagrams += 1;
                                state.on_datagram(&buffer[..length]);
                            }
                            Err(error) => panic!("a socket that receives: {error}"),
                        }
                    }
                    Some(expired) = std::future::poll_fn(|context| state.timers.poll_expired(context)) => {
                        state.nodes.remove(expired.get_ref());
                    }
                }
            }
            let processor_time = stage.clock.thread_cpu_time() - before;
            Outcome { datagrams, heartbeats: state.accepted, processor_time, turns: 0, verdicts: 0 }
        })
    }
}
