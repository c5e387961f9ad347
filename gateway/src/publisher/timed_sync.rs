//! When what was appended is synced, under a policy that syncs by the clock (`stream.fsync = { interval-ms = … }`).
//!
//! The moment is set by the first append after a sync and stays: neither more appends nor anything else that wakes the
//! publisher puts it off. So an event waits for its sync no longer than the interval, however busy the gateway is.

use pulsegate_engine::{Duration, Timestamp};
use pulsegate_stream::SyncPolicy;

/// The next sync by the clock.
#[derive(Debug)]
pub(super) struct TimedSync {
    /// `None`: each append is synced by itself, or none is.
    interval: Option<Duration>,
    due: Option<Timestamp>,
}

impl TimedSync {
    pub(super) fn new(policy: SyncPolicy) -> Self {
        let interval = match policy {
            SyncPolicy::IntervalMs(interval_ms) => Some(Duration::from_millis(interval_ms.get().into())),
            SyncPolicy::Always | SyncPolicy::Never => None,
        };
        Self { interval, due: None }
    }

    /// Something was appended.
    pub(super) fn on_append(&mut self, now: Timestamp) {
        if let Some(interval) = self.interval {
            self.due.get_or_insert(now + interval);
        }
    }

    /// A sync begins, which is for all that was appended.
    pub(super) fn on_sync(&mut self) {
        self.due = None;
    }

    /// When to sync. `None`: nothing waits for it.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn appends_that_never_end_do_not_put_a_sync_off() {
        let mut sync = TimedSync::new(SyncPolicy::IntervalMs(1_000.try_into().unwrap()));
        let mut synced = Vec::new();
        for millis in (0..10_000).step_by(300) {
            if sync.is_due(at_ms(millis)) {
                sync.on_sync();
                synced.push(millis);
            }
            sync.on_append(at_ms(millis));
        }
        assert_eq!(synced, [1_200, 2_400, 3_600, 4_800, 6_000, 7_200, 8_400, 9_600]);
    }

    #[test]
    fn nothing_is_due_before_an_append_nor_where_the_clock_does_not_decide() {
        let mut sync = TimedSync::new(SyncPolicy::IntervalMs(5.try_into().unwrap()));
        assert_eq!(sync.due(), None);
        sync.on_append(at_ms(10));
        assert_eq!(
            (sync.due(), sync.is_due(at_ms(14)), sync.is_due(at_ms(15))),
            (Some(at_ms(15)), false, true)
        );
        for policy in [SyncPolicy::Always, SyncPolicy::Never] {
            let mut sync = TimedSync::new(policy);
            sync.on_append(at_ms(10));
            assert_eq!(sync.due(), None);
        }
    }
}
