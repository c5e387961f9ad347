//! What is refused for being too much.

use super::limits::GROUP_OVERHEAD_BYTES;
use super::*;

#[test]
fn what_exceeds_a_bound_is_refused_and_the_rest_of_the_commit_is_taken() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path()).await;
        store.entries_max = 2;
        let with_metadata = |bytes: usize| CommittedOffset { metadata: "m".repeat(bytes), ..offset(1) };
        let topic = |bytes: usize| TopicPartition { topic: "t".repeat(bytes), partition: 0 };
        let commits = vec![
            (partition(0), with_metadata(METADATA_BYTES_MAX + 1)),
            (partition(0), with_metadata(METADATA_BYTES_MAX)),
            (topic(TOPIC_BYTES_MAX + 1), offset(1)),
            (topic(0), offset(1)),
            (partition(-1), offset(1)),
            (partition(1), CommittedOffset { offset: -1, ..offset(1) }),
            (topic(TOPIC_BYTES_MAX), offset(1)),
            (partition(2), offset(1)),
        ];
        let results = store.commit("g", commits).await.unwrap();
        let codes: Vec<i16> =
            results.iter().map(|result| result.map_or_else(OffsetRefusal::code, |()| 0)).collect();
        assert_eq!(codes, [12, 0, 42, 42, 42, 42, 0, 14]);
        for group_id in [String::new(), "g".repeat(GROUP_ID_BYTES_MAX + 1)] {
            let results = store.commit(&group_id, vec![(partition(0), offset(1))]).await.unwrap();
            assert_eq!(results, [Err(OffsetRefusal::Invalid)]);
        }
        // What is there can be replaced in a full store.
        commit(&mut store, "g", 0, 2).await;
        assert_eq!(store.entries(), 2);
    });
}

/// Goal: groups of one offset each count with what a group takes in memory, which is far more than the offset.
#[test]
fn groups_count_as_what_they_take() {
    run(async {
        const GROUPS_MAX: usize = 10;
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path()).await;
        let group_id = |number: usize| format!("{number:0width$}", width = GROUP_ID_BYTES_MAX);
        let bytes = |offset: &CommittedOffset| {
            GROUP_OVERHEAD_BYTES + GROUP_ID_BYTES_MAX + entry_bytes(&partition(0), offset)
        };
        store.state_bytes_max = GROUPS_MAX * bytes(&offset(1));
        for number in 0..GROUPS_MAX {
            commit(&mut store, &group_id(number), 0, 1).await;
        }
        assert_eq!(store.held_bytes, store.state_bytes_max);
        for (group_id, number) in [(group_id(GROUPS_MAX), 0), (group_id(0), 1)] {
            let results = store.commit(&group_id, vec![(partition(number), offset(1))]).await.unwrap();
            assert_eq!(results, [Err(OffsetRefusal::Full)]);
        }
        // Whoever is known goes on, as long as it takes no more than before.
        commit(&mut store, &group_id(0), 0, 2).await;
        let longer = CommittedOffset { metadata: "longer than before".to_owned(), ..offset(3) };
        let results = store.commit(&group_id(0), vec![(partition(0), longer)]).await.unwrap();
        assert_eq!(results, [Err(OffsetRefusal::Full)]);
        store.delete_group(&group_id(0), NOW_MS).await.unwrap();
        // The group counts once, however many offsets it has.
        let many = (0..9).map(|number| (partition(number), offset(1))).collect();
        assert!(store.commit(&group_id(0), many).await.unwrap().iter().any(Result::is_ok));
        let held_bytes = store.held_bytes;
        drop(store);
        let mut store = open(directory.path()).await;
        assert_eq!(store.held_bytes, held_bytes);
        for number in 0..GROUPS_MAX {
            store.delete_group(&group_id(number), NOW_MS).await.unwrap();
        }
        assert_eq!((store.held_bytes, store.entries()), (0, 0));
    });
}
