//! What a figure belongs to: the machine, the kernel, the commit, and how busy the machine was with other things.

use std::fmt;
use std::fs;
use std::process::Command;

/// Facts to print beside every figure.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `uname -r`.
    pub kernel: String,
    /// As the processor names itself.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Commit of the source tree, marked when it has changes.
    pub commit: String,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        Self {
            kernel: first_line("/proc/sys/kernel/osrelease"),
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            commit: commit(),
        }
    }
}

/// As the head of a report.
impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "processor   {}, {} cores", self.processor, self.cores)?;
        writeln!(formatter, "kernel      {}", self.kernel)?;
        writeln!(formatter, "commit      {}", self.commit)
    }
}

/// Load average of the last minute, and runnable threads: how quiet the machine is just now.
#[must_use]
pub fn load_average() -> String {
    first_line("/proc/loadavg")
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if !changes.is_empty() => format!("{commit} with uncommitted changes"),
        _ => commit,
    }
}
