//! Pins the calling thread to one core, so that a shard keeps its caches.

use std::io;
use std::mem::{MaybeUninit, size_of};

/// Why a thread cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum AffinityError {
    /// No machine has such a core.
    #[error("core {core} is out of bounds: must be below {bound}")]
    OutOfBounds {
        /// The core asked for.
        core: usize,
        /// Cores that a set can name.
        bound: usize,
    },
    /// The kernel refused: the core does not exist, is offline, or is not in the process's cpuset.
    #[error("cannot pin to core {core}: {source}; choose one of the cores in `taskset -p 1` or `nproc`")]
    Refused {
        /// The core asked for.
        core: usize,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Pins the calling thread to `core`, counted from 0.
///
/// # Errors
/// [`AffinityError`]; the thread runs where it ran before.
pub fn pin_current_thread(core: usize) -> Result<(), AffinityError> {
    let bound = 8 * size_of::<libc::cpu_set_t>();
    if core >= bound {
        return Err(AffinityError::OutOfBounds { core, bound });
    }
    let set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all zeros are the empty set.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: the core is below the number of bits of a set, by the check above.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: `set` is readable for its size; 0 means the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 {
        Ok(())
    } else {
        Err(AffinityError::Refused { core, source: io::Error::last_os_error() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_runs_on_the_core_that_it_was_pinned_to() {
        // Method: in a thread of its own, so that the test harness stays where it is.
        std::thread::spawn(|| {
            pin_current_thread(0).unwrap();
            // SAFETY: no pointers are involved.
            assert_eq!(unsafe { libc::sched_getcpu() }, 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn core_that_does_not_exist_is_refused_by_number() {
        assert!(pin_current_thread(5_000).unwrap_err().to_string().starts_with("core 5000 is out of bounds"));
        assert!(pin_current_thread(1_023).unwrap_err().to_string().starts_with("cannot pin to core 1023"));
    }
}
