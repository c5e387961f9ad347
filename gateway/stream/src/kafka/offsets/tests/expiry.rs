//! How long offsets are kept, over restarts too.

use super::*;

#[test]
fn offsets_expire_when_their_group_had_no_members_for_the_retention() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = filled(directory.path()).await.with_retention_ms(7 * DAY_MS);
        let has_members = |group_id: &str| group_id == "a";
        assert_eq!(store.expire(NOW_MS, has_members).await.unwrap(), 0);
        assert_eq!(store.expire(NOW_MS + 7 * DAY_MS, has_members).await.unwrap(), 0);
        assert_eq!(store.expire(NOW_MS + 8 * DAY_MS, has_members).await.unwrap(), 1);
        assert_eq!(store.group_ids().collect::<Vec<_>>(), ["a"]);
        // The members went after the eighth day.
        assert_eq!(store.expire(NOW_MS + 15 * DAY_MS - 1, |_| false).await.unwrap(), 0);
        assert_eq!(store.expire(NOW_MS + 15 * DAY_MS, |_| false).await.unwrap(), 2);
        assert_eq!((store.entries(), store.held_bytes), (0, 0));
    });
}

#[test]
fn nothing_expires_before_members_had_time_to_come_back_after_a_restart() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        drop(filled(directory.path()).await);
        let mut store = open(directory.path()).await;
        let later_ms = NOW_MS + 100 * DAY_MS;
        assert_eq!(store.expire(later_ms, |_| false).await.unwrap(), 0);
        assert_eq!(store.expire(later_ms + limits::START_GRACE_MS - 1, |_| false).await.unwrap(), 0);
        assert_eq!(store.expire(later_ms + limits::START_GRACE_MS, |_| false).await.unwrap(), 3);
    });
}

/// Goal: a consumer that had nothing to commit for weeks, and is away when the gateway restarts, finds its offsets for
/// the retention after it was last there, and not for much longer. Method: the days of such a store, in which the gateway
/// looks every six hours.
#[test]
fn quiet_members_are_remembered_over_a_restart() {
    run(async {
        const HOUR_MS: i64 = 60 * 60 * 1_000;
        let directory = tempfile::tempdir().unwrap();
        let mut store = filled(directory.path()).await;
        let has_members = |group_id: &str| group_id == "a";
        let before = store.log_bytes;
        let last_seen_ms = NOW_MS + 20 * DAY_MS + 6 * HOUR_MS;
        let mut now_ms = NOW_MS;
        while now_ms < last_seen_ms {
            now_ms += 6 * HOUR_MS;
            store.expire(now_ms, has_members).await.unwrap();
        }
        assert_eq!(store.group_ids().collect::<Vec<_>>(), ["a"]);
        assert!(store.log_bytes - before < 2 * 22 * 200, "noted twice a day, one offset each time");
        drop(store);

        let mut store = open(directory.path()).await;
        assert_eq!(store.fetch_one("a", &partition(0)).unwrap().offset, 11);
        let nobody = |_: &str| false;
        store.expire(last_seen_ms + HOUR_MS, nobody).await.unwrap();
        store.expire(last_seen_ms + 7 * DAY_MS - 1, nobody).await.unwrap();
        assert_eq!(store.entries(), 2, "kept for the retention since the last member was seen");
        store.expire(last_seen_ms + 8 * DAY_MS, nobody).await.unwrap();
        assert_eq!(store.entries(), 0, "and a day longer at most");
    });
}

#[test]
fn activity_that_could_not_be_noted_is_noted_by_the_next_call() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::new(Faults::default());
        let storage = Storage::Faulty(Arc::clone(&faults));
        let mut store = OffsetStore::open(directory.path(), storage, OnDamage::Refuse).await.unwrap();
        commit(&mut store, "a", 0, 1).await;
        faults.arm(Fault::SyncFails);
        store.expire(NOW_MS + 2 * DAY_MS, |_| true).await.unwrap_err();
        store.expire(NOW_MS + 2 * DAY_MS, |_| true).await.unwrap();
        drop(store);
        let store = open(directory.path()).await;
        let noted_ms = store.fetch_one("a", &partition(0)).unwrap().commit_timestamp_ms;
        assert_eq!(noted_ms, NOW_MS + 2 * DAY_MS);
    });
}
