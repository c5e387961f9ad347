//! All interleavings of the signal bit, under loom: `src/signal.rs` is compiled here a second time, against loom's
//! atomics.

#![expect(unreachable_pub, reason = "`src/signal.rs` is public in the gateway")]

mod sync {
    //! What `src/sync.rs` is in the gateway.
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
}

#[path = "../src/signal.rs"]
mod signal;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use signal::Signal;

/// Goal: a consumer that nobody wakes has missed nothing.
/// Method: two producers put one item each while the consumer makes one pass as `ControlSleep::begin_pass` does. If
/// the eventfd stands at zero in the end, the consumer would sleep for ever, so that pass must have seen both items.
/// Only the signal may order the items: everything else is relaxed.
#[test]
fn consumer_that_sleeps_on_has_seen_every_item() {
    loom::model(|| {
        let signal = Arc::new(Signal::new());
        let items = Arc::new(AtomicUsize::new(0));
        let eventfd = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let (signal, items, eventfd) = (signal.clone(), items.clone(), eventfd.clone());
                thread::spawn(move || {
                    items.fetch_add(1, Ordering::Relaxed);
                    if signal.raise() {
                        eventfd.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        eventfd.swap(0, Ordering::Relaxed);
        signal.lower();
        let seen = items.load(Ordering::Relaxed);
        for producer in producers {
            producer.join().expect("a producer does not panic");
        }
        let is_woken_again = eventfd.load(Ordering::Relaxed) > 0;
        assert!(is_woken_again || seen == 2, "it sleeps for ever on {} unseen items", 2 - seen);
    });
}

/// Goal: a burst costs one wake-up, not one an item.
#[test]
fn only_the_first_of_a_burst_wakes() {
    loom::model(|| {
        let signal = Signal::new();
        assert!(signal.raise());
        assert!(!signal.raise());
        assert!(signal.is_raised());
        signal.lower();
        assert!(signal.raise());
    });
}
