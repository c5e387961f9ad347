//! The power fails at any step: what was shown or acknowledged is there when it is back, at its offset.

use std::cell::RefCell;
use std::sync::Arc;

use super::*;
use crate::testing::Faults;
use crate::testing::power::Random;

const FAILURES: u64 = 200;
const SEED: u64 = 0x7077_7266_6c72;

/// Goal: neither a record that the view has shown nor one whose append has returned is lost or moved by a power failure,
/// and nobody is ever shown another record at the same offset.
/// Method: appends of random sizes until the power fails, at a random step; what the view then shows is remembered; the
/// disk forgets; the log is opened again and compared.
#[test]
fn power_failure_takes_nothing_back_that_was_shown() {
    println!("seed {SEED:#x}");
    let mut random = Random(SEED);
    let directory = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 2_048, partition_count: 2, ..config() };
    let faults = Arc::new(Faults::default());
    // By partition, what was promised; and how many records were begun.
    let mut promised: [Vec<Record>; 2] = Default::default();
    let (mut number, mut torn, mut kept) = (0, 0, 0);
    for failure in 0..FAILURES {
        run(async {
            let storage = Storage::Faulty(Arc::clone(&faults));
            let (mut log, report) = EventLog::open(directory.path(), config.clone(), storage).await.unwrap();
            torn += report.cut_tails().count();
            let found = read_all(directory.path());
            for (partition, promised) in (0..).zip(&mut promised) {
                let found = found.iter().filter(|found| found.partition == partition);
                let found: Vec<Record> = found.map(|found| found.record.clone()).collect();
                assert!(found.starts_with(promised), "failure {failure}, partition {partition}");
                kept += found.len() - promised.len();
                *promised = found;
            }
            let view = log.view();
            faults.power.fail_after(random.below(30));
            let appended = RefCell::new(promised.clone());
            let appends = async {
                loop {
                    let batch = records(number..number + 1 + random.below(12));
                    number += batch.len() as u64;
                    for record in &batch {
                        let partition = log.partition_of(record) as usize;
                        appended.borrow_mut()[partition].push(record.clone());
                    }
                    log.append(&batch).await.unwrap();
                    for (partition, appended) in (0..).zip(&*appended.borrow()) {
                        assert_eq!(log.committed_offset(partition), appended.len() as u64);
                    }
                }
            };
            assert!(
                faults.power.run_until_failure(appends).await.is_none(),
                "it goes on until the power fails"
            );
            promised = appended.into_inner();
            for (partition, promised) in (0..).zip(&mut promised) {
                promised.truncate(usize::try_from(view.range(partition).unwrap().end).unwrap());
            }
        });
        faults.power.forget(directory.path(), &mut random);
    }
    println!("{number} records, {torn} tails cut, {kept} records found that nobody had been told of");
    assert!(torn > 20 && kept > 0, "{torn} {kept}");
}
