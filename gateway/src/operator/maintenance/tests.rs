//! The desk with two shards that are played by the test, and mailboxes that can be full.

use super::*;
use crate::handoff::Parcel;
use crate::io::WakeHandle;

const PATIENCE: Duration = Duration::from_millis(60);
/// Looks for an order, a millisecond apart, before a test has failed.
const LOOKS_MAX: u32 = 5_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// A node of each shard.
const NODES: [NodeRef; 2] = [NodeRef::Id(NodeId(1)), NodeRef::Id(NodeId(0x0100_0000_0000_0001))];

struct Bench {
    desk: Arc<MaintenanceDesk>,
    mailboxes: Arc<[Mailbox]>,
    directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let mailbox = |_| Mailbox::new(WakeHandle::new(None).unwrap());
        let mailboxes: Arc<[_]> = (0..2).map(mailbox).collect();
        let directory = tempfile::tempdir().unwrap();
        let desk = opened(directory.path(), &mailboxes).await;
        Self { desk, mailboxes, directory }
    }

    /// Leaves no room in the mailbox of this shard.
    fn fill(&self, shard: usize) {
        while self.mailboxes[shard].post(Parcel::Snapshot(0)) {}
    }

    /// The shard takes what it has and answers; returns the orders that it took: how many nodes, and whether they begin.
    fn take(&self, shard: usize) -> Vec<(usize, bool)> {
        let parcels = std::iter::from_fn(|| self.mailboxes[shard].take());
        let orders = parcels.filter_map(|parcel| match parcel {
            Parcel::Order(order) => {
                let _ = order.answer.send(vec![true; order.nodes.len()]);
                Some((order.nodes.len(), order.until.is_some()))
            }
            _ => None,
        });
        orders.collect()
    }

    /// The same as soon as there is an order.
    async fn take_at_last(&self, shard: usize) -> Vec<(usize, bool)> {
        for _look in 0..LOOKS_MAX {
            let orders = self.take(shard);
            if !orders.is_empty() {
                return orders;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("no order came to shard {shard}");
    }

    /// Both shards take orders until nobody is left who asks.
    async fn serve(&self) {
        loop {
            self.take(0);
            self.take(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What the list shows, which is what a start would find in the book.
    async fn listed(&self) -> usize {
        let listed = self.desk.list().await;
        let clock = Clock::new();
        let book = Book::open(self.directory.path(), clock.now(), clock.wall_offset()).unwrap();
        assert_eq!(book.in_force(clock.now()).len(), listed.len());
        listed.len()
    }

    async fn begun(&self) {
        tokio::select! {
            begun = self.desk.begin(&NODES, HOUR, "disks") => assert_eq!(begun.unwrap().len(), 2),
            () = self.serve() => unreachable!("it serves for ever"),
        }
        assert_eq!(self.listed().await, 2);
    }
}

async fn opened(data_dir: &Path, mailboxes: &Arc<[Mailbox]>) -> Arc<MaintenanceDesk> {
    MaintenanceDesk::with_patience(data_dir, Arc::clone(mailboxes), Clock::new(), PATIENCE).await.unwrap()
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

/// Goal: where a shard has no room for its part, "nothing was done" is true of the other shard, too, and of the book: for an
/// order, and for the end of one.
#[test]
fn a_change_that_one_shard_has_no_room_for_is_refused_whole() {
    run(async {
        let bench = Bench::new().await;
        bench.fill(1);
        let refused = bench.desk.begin(&NODES, HOUR, "").await;
        assert!(matches!(refused, Err(NotDone::Busy { shard: 1 })), "{refused:?}");
        assert_eq!((bench.take(0), bench.take(1), bench.listed().await), (vec![], vec![], 0));

        bench.begun().await;
        bench.fill(1);
        let refused = bench.desk.end(&NODES).await;
        assert!(matches!(refused, Err(NotDone::Busy { shard: 1 })), "{refused:?}");
        assert_eq!((bench.take(0), bench.take(1), bench.listed().await), (vec![], vec![], 2));
    });
}

/// Goal: where the room is gone after the book was written, the asker is told that the change is on its way, the list says so,
/// and it arrives; until then no other change is made, and says so truly. Method: the mailbox fills while the book is
/// written.
#[test]
fn a_change_that_the_book_took_arrives_however_long_a_shard_takes() {
    run(async {
        let bench = Bench::new().await;
        let (on_its_way, ()) = tokio::join!(bench.desk.begin(&NODES, HOUR, ""), async { bench.fill(1) });
        assert!(matches!(on_its_way, Err(NotDone::Unanswered)), "{on_its_way:?}");
        assert_eq!((bench.take(0), bench.listed().await), (vec![(1, true)], 2));

        let waits = bench.desk.end(&NODES).await;
        assert!(matches!(waits, Err(NotDone::Queued)), "{waits:?}");
        assert_eq!((bench.take(0), bench.listed().await), (vec![], 2));

        assert_eq!(bench.take(1), []);
        assert_eq!(bench.take_at_last(1).await, [(1, true)]);
        let ended = tokio::select! {
            ended = bench.desk.end(&NODES) => ended.unwrap(),
            () = bench.serve() => unreachable!("it serves for ever"),
        };
        assert_eq!((ended, bench.listed().await), (vec![true, true], 0));
    });
}

/// Goal: an asker who leaves while the book is written does not leave a book that no shard has heard of.
#[test]
fn a_change_whose_asker_is_gone_is_carried_out() {
    run(async {
        let bench = Bench::new().await;
        tokio::select! {
            biased;
            begun = bench.desk.begin(&NODES, HOUR, "") => panic!("it takes longer than one look: {begun:?}"),
            () = std::future::ready(()) => {}
        }
        for shard in [0, 1] {
            assert_eq!(bench.take_at_last(shard).await, [(1, true)]);
        }
        assert_eq!(bench.listed().await, 2);
    });
}

/// Goal: what the book holds is ordered again at the next start, also of a shard that has no room at first.
#[test]
fn a_start_orders_again_what_the_book_holds() {
    run(async {
        let bench = Bench::new().await;
        bench.begun().await;
        bench.fill(1);
        let again = opened(bench.directory.path(), &bench.mailboxes).await;
        assert_eq!((bench.take(0), bench.take(1), again.list().await.len()), (vec![(1, true)], vec![], 2));
        assert_eq!(bench.take_at_last(1).await, [(1, true)]);
    });
}
