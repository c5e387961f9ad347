//! A disk whose power fails, or that flips bits.

use super::*;
use crate::testing::power::Random;

/// Goal: a commit that was answered is there after a power failure at any step, also one in the middle of a compaction.
/// Method: commits until the power fails at a random step; the disk forgets what was not synced; the store is opened
/// again and compared with what was answered.
#[test]
fn answered_commits_survive_a_power_failure_at_any_step() {
    const FAILURES: usize = 100;
    let mut random = Random(0x6f66_6673_6574);
    let directory = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let mut answered = [0_i64; 3];
    let mut at = 0;
    for failure in 0..FAILURES {
        run(async {
            let storage = Storage::Faulty(Arc::clone(&faults));
            let store = OffsetStore::open(directory.path(), storage, OnDamage::Refuse).await.unwrap();
            let mut store = store.with_compact_bytes(2_000);
            for (number, answered) in (0..).zip(&mut answered) {
                let found = store.fetch_one("a", &partition(number)).map_or(0, |found| found.offset);
                // One more may have been written and not answered.
                assert!(found >= *answered, "failure {failure}: {found} instead of {answered}");
                *answered = found;
            }
            faults.power.fail_after(random.below(40));
            let commits = async {
                loop {
                    at += 1;
                    let number = random.below(3);
                    commit(&mut store, "a", i32::try_from(number).unwrap(), at).await;
                    answered[usize::try_from(number).unwrap()] = at;
                }
            };
            let ended: Option<()> = faults.power.run_until_failure(commits).await;
            assert!(ended.is_none(), "it goes on until the power fails");
        });
        faults.power.forget(directory.path(), &mut random);
    }
    let generations = generation::list(directory.path()).unwrap();
    assert!(generations.last().unwrap() > &5, "compactions were among it: {generations:?}");
}

/// Goal: with quarantine a damaged commit costs that commit alone, and the copy outlives the next compaction.
#[test]
fn damaged_commit_is_set_aside_and_the_others_stay() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path()).await;
        let path = segment(&store);
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let second = crate::BatchHeader::parse(&bytes).unwrap().batch_bytes;
        bytes[second + 80] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let quarantine = directory.path().join("quarantine");
        let on_damage = OnDamage::Quarantine(quarantine.clone());
        let store = OffsetStore::open(directory.path(), Storage::Tokio, on_damage).await.unwrap();
        let offsets: Vec<i64> = table(&store).into_iter().map(|(_, _, offset)| offset.offset).collect();
        assert_eq!(offsets, [11, 30]);
        assert_eq!(store.recovery().partitions[0].untold.len(), 1);
        store.confirm_told().await.unwrap();
        let mut store = store.with_compact_bytes(1);
        commit(&mut store, "a", 1, 21).await;
        assert!(segment(&store) != path && quarantine.join("__offsets-0").read_dir().unwrap().count() == 1);
    });
}
