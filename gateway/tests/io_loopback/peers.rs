//! A real worker whose nodes are heard by way of another thread, which is played by the test.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pulsegate::counters::{Cell, CounterPage};
use pulsegate::handoff::{Mailbox, Parcel};
use pulsegate::io::control_wake::ControlWake;
use pulsegate::io::{Clock, ReceiverKind};
use pulsegate::outbox::Outbox;
use pulsegate::peers::Peers;
use pulsegate::shard::Shard;
use pulsegate::worker::{Worker, WorkerShared};
use pulsegate_codec::{Heartbeat, NodeId, SenderId, Sequence};
use pulsegate_engine::verdict::VerdictKind;
use pulsegate_engine::{Duration, EngineConfig, Profiles, Timestamp};

use crate::support::{Bench, LOOPBACK_V4, for_each_kind};

const INTERVAL_MS: u32 = 200;
/// Three intervals.
const SUSPECT_TIMEOUT: Duration = Duration::from_millis(600);

fn engine_config() -> EngineConfig {
    EngineConfig {
        nodes_max: 16,
        tick: Duration::from_millis(10),
        interval_ms: INTERVAL_MS,
        interval_ms_min: INTERVAL_MS,
        interval_ms_max: INTERVAL_MS,
        profiles: Profiles::built_in(3, 5),
        forget_after: Duration::from_secs(3_600),
        stalled_after: Duration::ZERO,
        hash_seed: 1,
    }
}

/// For how long a node that is heard by way of the other thread twice, and then no more, may be silent until it is
/// suspect, if `trouble` befalls that thread meanwhile, again and again. Tried anew when the machine let this thread wait.
fn patience(kind: ReceiverKind, trouble: impl Fn(&Peers, Timestamp)) -> Duration {
    (0..20).find_map(|_| patience_unless_paused(kind, &trouble)).expect("one quiet second")
}

fn patience_unless_paused(kind: ReceiverKind, trouble: impl Fn(&Peers, Timestamp)) -> Option<Duration> {
    let clock = Clock::new();
    let bench = Bench::new(kind, LOOPBACK_V4);
    let handle = || bench.receiver.wake_handle();
    let mailboxes: Arc<[Mailbox]> = Arc::new([Mailbox::new(handle()), Mailbox::new(handle())]);
    let [relay, own] = Peers::of(2).try_into().unwrap();
    let outbox = Arc::new(Outbox::default());
    let page = Arc::new(CounterPage::default());
    let control = ControlWake::new().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let shard = Shard::new(1, &engine_config(), Arc::clone(&mailboxes), Arc::clone(&outbox), clock.now());
    let shared = WorkerShared { page: Arc::clone(&page), control, stop, peers: own };
    let mut worker = Worker::new(shard, bench.receiver, clock, shared);

    for sequence in [Sequence(1), Sequence(2)] {
        let heartbeat = Heartbeat { node_id: NodeId(u64::MAX), sequence, ..Heartbeat::default() };
        assert!(mailboxes[1].post(Parcel::Heartbeat(heartbeat, SenderId::from_name("relay"))));
        relay.note_handoff(1, false);
    }
    mailboxes[1].owner().wake();
    let ends_by = clock.now() + Duration::from_secs(20);
    while clock.now() < ends_by {
        trouble(&relay, clock.now());
        worker.turn().unwrap();
        let verdict = std::iter::from_fn(|| outbox.take()).find(|it| it.kind == VerdictKind::Suspected);
        if let Some(verdict) = verdict {
            let patience = verdict.evidence.deadline.unwrap().since(verdict.evidence.last_seen);
            return (page.read(Cell::Pauses) == 0).then_some(patience);
        }
    }
    panic!("a silent node was never suspect");
}

/// Goal: a node whose heartbeats come by way of another thread is not held to its usual timeout while that thread does not
/// run, or loses datagrams; to twice the timeout it is.
#[test]
fn trouble_of_the_thread_in_the_middle_is_nobodys_silence() {
    for_each_kind(|kind| {
        assert_eq!(patience(kind, |_, _| {}), SUSPECT_TIMEOUT);
        let is_stopped = |relay: &Peers, _| relay.note_due(Some(Timestamp::ZERO));
        assert_eq!(patience(kind, is_stopped), SUSPECT_TIMEOUT * 2);
        let loses = |relay: &Peers, _| relay.note_drops();
        assert_eq!(patience(kind, loses), SUSPECT_TIMEOUT * 2);
        let runs = |relay: &Peers, now: Timestamp| relay.note_due(Some(now + SUSPECT_TIMEOUT * 4));
        assert_eq!(patience(kind, runs), SUSPECT_TIMEOUT);
    });
}
