//! What a shard makes of datagrams, mail and time, by hand and without a thread.

use pulsegate_codec::encode::{BatchEncoder, Compression};
use pulsegate_codec::{Incarnation, NodeDescriptor, NodeId, SenderId, Sequence};
use pulsegate_engine::{Profiles, VerdictKind};
use tokio::sync::oneshot;

use super::*;
use crate::io::WakeHandle;
use crate::second_opinion::Inquiries;

const NODES_MAX: u32 = 4;

/// How far time goes between two looks at what is due.
const STEP_MS: u64 = 100;

/// One shard that pings, whose nodes beat once a second and are suspect after three, failed after five.
struct Bench {
    shard: Shard,
    mailboxes: Arc<[Mailbox]>,
    outbox: Arc<Outbox>,
    now_ms: u64,
    told: Vec<(&'static str, u64)>,
}

impl Bench {
    fn new() -> Self {
        let mailboxes: Arc<[Mailbox]> = Arc::new([Mailbox::new(WakeHandle::new(None).unwrap())]);
        let outbox = Arc::new(Outbox::with_capacity(64));
        let config = EngineConfig {
            nodes_max: NODES_MAX,
            tick: Duration::from_millis(10),
            interval_ms: 1_000,
            interval_ms_min: 100,
            interval_ms_max: 60_000,
            profiles: Profiles::built_in(3, 5),
            forget_after: Duration::from_secs(600),
            stalled_after: Duration::ZERO,
            hash_seed: 7,
        };
        let shard = Shard::new(0, &config, Arc::clone(&mailboxes), Arc::clone(&outbox), Timestamp::ZERO)
            .with_second_opinion(Asking {
                inquiries: Some(Inquiries::default()),
                pings: true,
                ..Asking::default()
            });
        Self { shard, mailboxes, outbox, now_ms: 0, told: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_milliseconds(self.now_ms)
    }

    /// A frame with what `fill` puts into it arrives from the node's home.
    fn receive(&mut self, fill: impl FnOnce(&mut BatchEncoder)) {
        let mut encoder = BatchEncoder::new(SenderId(1), Compression::Off);
        fill(&mut encoder);
        let mut frame = Vec::new();
        encoder.finish(1, 1, &mut frame).unwrap();
        self.shard.on_datagram(&frame, false, home(), self.now());
        self.shard.end_batch(self.now());
    }

    fn beat(&mut self, name: &str, sequence: u32) {
        let heartbeat = Heartbeat {
            node_id: NodeId::from_name(name),
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
            ..Heartbeat::default()
        };
        self.receive(|encoder| encoder.heartbeat(heartbeat));
    }

    fn describe(&mut self, name: &str) {
        let descriptor = NodeDescriptor { name, ..NodeDescriptor::default() };
        self.receive(|encoder| encoder.descriptor(&descriptor));
    }

    /// A node that has joined and told where it is.
    fn join(&mut self, name: &str) {
        self.beat(name, 1);
        self.beat(name, 2);
        self.describe(name);
    }

    /// Lets time pass up to there; returns when somebody was asked. Answers come at once if there are any.
    fn run_until(&mut self, end_ms: u64, answers: bool) -> Vec<u64> {
        let mut asked = Vec::new();
        while self.now_ms < end_ms {
            self.now_ms += STEP_MS;
            let now = self.now();
            self.shard.gather_mail();
            self.shard.on_mail(now);
            self.shard.on_tick(now);
            self.shard.consider_verdicts(now);
            while let Some(question) = self.shard.take_question(now) {
                assert_eq!(question.address, home());
                asked.push(self.now_ms);
                if answers {
                    let pong = Ping::parse(&question.datagram).unwrap().pong().to_bytes();
                    self.shard.on_datagram(&pong, false, home(), now);
                }
            }
            self.shard.hand_over();
            while let Some(verdict) = self.outbox.take() {
                self.told.push((verdict.kind.label(), self.now_ms));
            }
        }
        asked
    }

    /// An operator orders maintenance until then, or ends it.
    fn order(&self, name: &str, until_ms: Option<u64>) {
        let (answer, _nobody_waits) = oneshot::channel();
        let order = NodesOrder {
            nodes: [NodeId::from_name(name)].into(),
            until: until_ms.map(Timestamp::from_milliseconds),
            answer,
        };
        self.mailboxes[0].offer(Parcel::Order(Box::new(order))).unwrap();
    }

    fn said(&self) -> Vec<&'static str> {
        self.told.iter().map(|&(word, _)| word).collect()
    }
}

fn home() -> SocketAddr {
    "10.0.0.7:4000".parse().unwrap()
}

/// Goal: a suspect node that answers is kept, also when an operator had it in maintenance meanwhile, whether that ends by time
/// or by hand: it is not asked in that time, asked again from its end on, and fails only when it answers no more.
#[test]
fn a_suspect_node_is_asked_again_when_its_maintenance_ends() {
    for by_hand in [false, true] {
        let mut bench = Bench::new();
        bench.join("node");
        assert!(!bench.run_until(6_000, true).is_empty());
        bench.order("node", Some(if by_hand { 600_000 } else { 60_000 }));
        assert!(bench.run_until(59_000, true).is_empty(), "nobody needs the answers");
        if by_hand {
            bench.order("node", None);
        }
        let asked = bench.run_until(120_000, true);
        assert!(asked.len() > 20, "{asked:?}");
        assert_eq!(bench.said(), ["joined", "suspected", "maintenance_started", "maintenance_ended"]);
        bench.run_until(130_000, false);
        assert_eq!(bench.said().last(), Some(&"failed"));
    }
}

/// Goal: what is told of a suspect node beside its state leaves its second opinion alone.
#[test]
fn a_condition_does_not_end_the_second_opinion() {
    let conditions = [
        VerdictKind::Conflict { senders: [None, None] },
        VerdictKind::Degraded,
        VerdictKind::Healthy,
        VerdictKind::Progressing { progress: 1, pending: 0 },
    ];
    for kind in conditions {
        let mut bench = Bench::new();
        bench.join("node");
        bench.run_until(2_900, true);
        bench.now_ms = 3_000;
        let now = bench.now();
        bench.shard.on_tick(now);
        bench.shard.consider_verdicts(now);
        assert!(bench.shard.take_question(now).is_some());
        let suspected = bench.shard.verdicts.as_slice().last().unwrap().clone();
        let told =
            pulsegate_engine::Verdict { kind, previous: pulsegate_engine::NodeState::Suspect, ..suspected };
        bench.shard.asking.on_verdict(&told, now, |_| None);
        assert!(!bench.run_until(4_900, true).is_empty(), "{kind:?}");
        bench.run_until(20_000, true);
        assert!(!bench.said().contains(&"failed"), "{kind:?}");
    }
}

/// Goal: nodes that the engine never knew, or dropped without a word, leave no address behind that keeps that of a new node out.
/// Method: ten times as many as there is room for.
#[test]
fn nodes_that_never_joined_take_no_addresses_from_those_that_do() {
    let mut bench = Bench::new();
    for number in 0..10 * NODES_MAX {
        bench.describe(&format!("stranger-{number}"));
        let name = format!("once-{number}");
        bench.beat(&name, 1);
        bench.describe(&name);
        bench.run_until(bench.now_ms + 6_000, true);
    }
    assert_eq!(bench.said(), [] as [&str; 0]);
    bench.join("node");
    let asked = bench.run_until(bench.now_ms + 6_000, true);
    assert!(!asked.is_empty());
    assert_eq!(bench.said(), ["joined", "suspected"]);
    assert_eq!(bench.shard.asking.counters().skipped_without_address, 0);
}
