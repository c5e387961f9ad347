//! The gateway's decoder and engine behind tokio-uring's `recv_from`, with 64 receives in flight: what that runtime's
//! receive path costs, everything else being equal. (No tick is ever passed here; the gateway's figure includes its ticks.)

use std::cell::RefCell;
use std::rc::Rc;

use pulsegate_codec::{BatchEncoder, Compression, Decoder, SenderId};
use pulsegate_engine::{Engine, Verdicts};

use crate::contenders::gateway::{engine_config, epoch};
use crate::contenders::{Contender, RECEIVES_MAX, ready_with_datagram, socket};
use crate::fleet::heartbeat;
use crate::load::{Load, SWEEPS_BEFORE};
use crate::round::{Outcome, Stage};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct TokioUring;

struct State {
    decoder: Decoder,
    engine: Engine,
    verdicts: Verdicts,
    datagrams: u64,
}

impl State {
    fn new(load: &Load, clock: pulsegate::io::Clock) -> Self {
        let now = clock.now();
        let mut state = Self {
            decoder: Decoder::new(),
            engine: Engine::new(&engine_config(load), epoch(load, now)),
            verdicts: Verdicts::with_capacity(4_096),
            datagrams: 0,
        };
        // Every node is known and alive. The wheel is not ticked here, so when they spoke does not matter.
        let mut encoder = BatchEncoder::new(SenderId::from_name("relay"), Compression::Off);
        let mut frame = Vec::new();
        for sweep in SWEEPS_BEFORE - 2..SWEEPS_BEFORE {
            for piece in load.node_ids.chunks(1_024) {
                for id in piece {
                    encoder.heartbeat(heartbeat(*id, sweep));
                }
                encoder.finish(1, 0, &mut frame).expect("a frame within the bounds");
                let batch = state.decoder.decode(&frame).expect("a frame that decodes");
                state.engine.on_heartbeats(batch.heartbeats, now, &mut state.verdicts);
                drop(state.verdicts.drain(state.verdicts.as_slice().len()));
            }
        }
        state
    }

    fn on_datagram(&mut self, frame: &[u8], clock: pulsegate::io::Clock) {
        self.datagrams += 1;
        let Ok(batch) = self.decoder.decode(frame) else { return };
        self.engine.on_heartbeats(batch.heartbeats, clock.now(), &mut self.verdicts);
    }
}

impl Contender for TokioUring {
    fn name(&self) -> &'static str {
        "tokio-uring recv_from, 64 in flight + our decoder and engine"
    }

    fn receive(&self, stage: &Stage<'_>) -> Outcome {
        tokio_uring::start(async {
            let (socket, address) = socket(false);
            let socket = Rc::new(tokio_uring::net::UdpSocket::from_std(socket));
            let clock = stage.clock;
            let state = Rc::new(RefCell::new(State::new(stage.load, clock)));
            let accepted_before = state.borrow().engine.counters().heartbeats_accepted;
            let _ = stage.ready.send(ready_with_datagram(address));
            let before = clock.thread_cpu_time();
            let tasks: Vec<_> = (0..RECEIVES_MAX)
                .map(|_| {
                    let (socket, state) = (Rc::clone(&socket), Rc::clone(&state));
                    tokio_uring::spawn(async move {
                        let mut buffer = Vec::with_capacity(65_536);
                        loop {
                            let (received, filled) = socket.recv_from(buffer).await;
                            buffer = filled;
                            match received {
                                Ok((0, _source)) => break,
                                Ok((length, _source)) => {
                                    state.borrow_mut().on_datagram(&buffer[..length], clock);
                                }
                                Err(error) => panic!("a socket that receives: {error}"),
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                let _ = task.await;
            }
            let processor_time = clock.thread_cpu_time() - before;
            let state = state.borrow();
            let heartbeats = state.engine.counters().heartbeats_accepted - accepted_before;
            Outcome { datagrams: state.datagrams, heartbeats, processor_time, turns: 0, verdicts: 0 }
        })
    }
}
