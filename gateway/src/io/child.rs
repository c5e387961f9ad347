//! A child process that does not outlive its parent, and that can be asked to stop.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Has the kernel end the child when the thread that starts it ends (PR_SET_PDEATHSIG), so that a demo that is killed
/// leaves no gateway behind.
pub fn end_with_parent(command: &mut Command) {
    let before_exec = || {
        // SAFETY: no pointers are involved; the call only notes a signal number.
        let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the closure runs in the forked child and makes one async-signal-safe call; it allocates nothing.
    unsafe { command.pre_exec(before_exec) };
}

/// Sends SIGTERM.
///
/// # Errors
/// When the child is gone.
pub fn ask_to_stop(child: &Child) -> io::Result<()> {
    let process_id = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    // SAFETY: no pointers are involved; the child has not been waited for, so its id is still its own.
    let result = unsafe { libc::kill(process_id, libc::SIGTERM) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
