//! A disk whose power fails at a chosen step, and that then has forgotten what was not synced.
//!
//! A step is a write or a sync. From the chosen one on, no step ends any more: whoever waits for it is dropped by the
//! test, as a process is by a power failure. Then [`Power::forget`] makes of the files what such a disk may show: all
//! that was synced, and of the rest a beginning, perhaps with zeros behind it.

use std::collections::HashMap;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Mutex;
use std::task::Poll;

/// Xorshift, by Marsaglia ("Xorshift RNGs", Journal of Statistical Software 8, 2003).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[derive(Debug, Default)]
pub(crate) struct Power {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Steps until it fails; `None`: it does not.
    steps_left: Option<u64>,
    has_failed: bool,
    /// Lengths that are on the disk, by inode.
    synced: HashMap<u64, u64>,
}

impl Power {
    /// Lets so many steps succeed.
    pub(crate) fn fail_after(&self, steps: u64) {
        self.state.lock().unwrap().steps_left = Some(steps);
    }

    /// Comes before each step.
    pub(crate) async fn step(&self) {
        let has_failed = {
            let state = &mut *self.state.lock().unwrap();
            match &mut state.steps_left {
                None => {}
                Some(0) => state.has_failed = true,
                Some(steps) => *steps -= 1,
            }
            state.has_failed
        };
        if has_failed {
            std::future::pending().await
        }
    }

    /// Runs something until the power fails, and drops it there. The blocking pool, which makes new files, gets its
    /// turns. Returns what it returned, if it ended before.
    pub(crate) async fn run_until_failure<F: Future>(&self, running: F) -> Option<F::Output> {
        let mut running = std::pin::pin!(running);
        loop {
            match poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await {
                Poll::Ready(output) => return Some(output),
                Poll::Pending if self.state.lock().unwrap().has_failed => return None,
                Poll::Pending => tokio::task::spawn_blocking(|| ()).await.unwrap(),
            }
        }
    }

    /// All of the file is on the disk.
    pub(crate) fn note_synced(&self, file: &File) {
        let metadata = file.metadata().unwrap();
        self.state.lock().unwrap().synced.insert(metadata.ino(), metadata.len());
    }

    /// What the disk shows when the power is back. All of it counts as synced then: opening a log syncs it.
    pub(crate) fn forget(&self, directory: &Path, random: &mut Random) {
        {
            let mut state = self.state.lock().unwrap();
            (state.steps_left, state.has_failed) = (None, false);
        }
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.forget(&path, random);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                let file = File::options().read(true).write(true).open(&path).unwrap();
                self.forget_unsynced(&file, random);
                self.note_synced(&file);
            }
        }
    }

    fn forget_unsynced(&self, file: &File, random: &mut Random) {
        let metadata = file.metadata().unwrap();
        let synced = self.state.lock().unwrap().synced.get(&metadata.ino()).copied().unwrap_or(0);
        // Opening may have cut it since.
        let synced = synced.min(metadata.len());
        let unsynced = metadata.len() - synced;
        let kept = synced + if random.below(3) == 0 { unsynced } else { random.below(unsynced + 1) };
        if random.below(2) == 0 {
            file.set_len(kept).unwrap();
        } else {
            let zeros = vec![0; usize::try_from(metadata.len() - kept).unwrap()];
            file.write_all_at(&zeros, kept).unwrap();
        }
    }
}
