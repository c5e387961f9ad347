//! The limit: receive and drop, with our own receiver. Whatever else a gateway does comes on top of this.

use pulsegate::io::{Receiver, ReceiverConfig, ReceiverKind};

use crate::contenders::{Contender, socket};
use crate::round::{Outcome, Ready, Stage};

/// A receiver that drops everything.
#[derive(Clone, Debug)]
pub struct Bare {
    /// For the report.
    pub name: &'static str,
    /// Which way to receive.
    pub kind: ReceiverKind,
    /// How.
    pub config: ReceiverConfig,
}

impl Contender for Bare {
    fn name(&self) -> &'static str {
        self.name
    }

    fn receive(&self, stage: &Stage<'_>) -> Outcome {
        let (socket, address) = socket(true);
        let mut receiver = Receiver::open(self.kind, socket, &self.config).expect("a receiver");
        let handle = receiver.wake_handle();
        let _ = stage.ready.send(Ready { address, nudge: Box::new(move || handle.wake()) });
        let (mut datagrams, mut turns, mut bytes) = (0, 0, 0);
        let before = stage.clock.thread_cpu_time();
        while !stage.is_over() {
            receiver.wait(None).expect("a working receiver");
            let reaped = receiver.reap(|datagram| bytes += datagram.payload.len() as u64);
            datagrams += reaped.expect("a working receiver").datagrams;
            turns += 1;
        }
        datagrams += receiver
            .drain(|datagram| bytes += datagram.payload.len() as u64)
            .expect("a working receiver")
            .datagrams;
        let processor_time = stage.clock.thread_cpu_time() - before;
        std::hint::black_box(bytes);
        Outcome { datagrams, heartbeats: 0, processor_time, turns, verdicts: 0 }
    }
}
