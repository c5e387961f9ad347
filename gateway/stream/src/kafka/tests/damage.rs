//! Bits flip in the files of a log that is being served.

use std::path::{Path, PathBuf};

use super::*;
use crate::record_batch::BatchHeader;

const RECORDS: u64 = 40;
const FLIPS: usize = 300;
const KAFKA_STORAGE_ERROR: i16 = 56;

/// Any state but zero, so that a failing run can be repeated.
const SEED: u64 = 0x7075_6c73_6567_6174;

/// Xorshift, by Marsaglia ("Xorshift RNGs", Journal of Statistical Software 8, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// Goal: a client is never given a byte that was not appended, whichever bit of the files flips; it is told that the
/// disk is at fault, and that is counted.
/// Method: one bit at a time at a random place; then a client reads from the start, and past each refusal from the next
/// offset on. Every batch that it gets is compared with what was served before the damage.
#[test]
fn flipped_bits_are_refused_and_counted_and_never_served() {
    println!("seed {SEED:#x}");
    with_port(LogConfig { segment_bytes: 1_024, ..config() }, async |mut port| {
        for number in 0..RECORDS {
            port.log.append(&records(number..number + 1)).await.unwrap();
        }
        let mut client = Client::connect(port.address).await;
        let (intact, refused) = read_through(&mut client).await;
        assert_eq!((intact.len() as u64, refused), (RECORDS, 0));
        let files = segment_files(&port.directory.path().join(format!("{TOPIC}-0")));
        assert!(files.len() > 2, "damage must strike sealed segments too");
        let mut random = Random(SEED);
        for _ in 0..FLIPS {
            let (path, content) = &files[random.below(files.len())];
            let mut damaged = content.clone();
            let (position, bit) = (random.below(damaged.len()), random.below(8));
            damaged[position] ^= 1 << bit;
            let place = format!("{}, byte {position}, bit {bit}", path.display());
            std::fs::write(path, &damaged).unwrap();
            let failures_before = port.counters.read_failures.load(Ordering::Relaxed);
            let (served, refused) = read_through(&mut client).await;
            let failures = port.counters.read_failures.load(Ordering::Relaxed) - failures_before;
            std::fs::write(path, content).unwrap();
            assert!(refused > 0, "not noticed: {place}");
            assert_eq!(failures, refused, "not counted: {place}");
            assert_eq!(served.len() as u64 + refused, RECORDS, "{place}");
            for (offset, batch) in served {
                let original = intact.iter().find(|(intact, _)| *intact == offset);
                assert_eq!(Some(&batch), original.map(|(_, batch)| batch), "served: {place}");
            }
        }
        // What was mended is served again: nothing was remembered of the damage.
        assert_eq!(read_through(&mut client).await, (intact, 0));
    });
}

/// All batches (there is one record in each), by their offset, and how many offsets were refused.
async fn read_through(client: &mut Client) -> (Vec<(u64, Vec<u8>)>, u64) {
    let (mut batches, mut refused, mut offset) = (Vec::new(), 0, 0);
    while offset < RECORDS {
        let fetched = client.fetch(11, TOPIC, 0, offset, 0, 1_000_000).await;
        if fetched.error != 0 {
            assert_eq!((fetched.error, fetched.batches.len()), (KAFKA_STORAGE_ERROR, 0));
            (offset, refused) = (offset + 1, refused + 1);
            continue;
        }
        let mut bytes = &fetched.batches[..];
        while !bytes.is_empty() {
            let header = BatchHeader::parse(bytes).unwrap();
            assert_eq!(header.base_offset, offset);
            batches.push((offset, bytes[..header.batch_bytes].to_vec()));
            bytes = &bytes[header.batch_bytes..];
            offset += 1;
        }
    }
    (batches, refused)
}

fn segment_files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.map(|path| (path.clone(), std::fs::read(path).unwrap()));
    // The active segment may be empty.
    let mut files: Vec<_> = files.filter(|(_, content)| !content.is_empty()).collect();
    files.sort();
    files
}
