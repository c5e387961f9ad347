//! What this kernel gives, and what it refuses: said at start-up and by `pulsegate check`, with the reason why it
//! matters and how to mend it.
//!
//! Nothing here is guessed from version numbers where it can be tried: a ring is set up, options are set on a socket,
//! limits are read. Trying leaves nothing behind.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use io_uring::{IoUring, opcode};

use crate::io::limits;
use crate::io::socket::{SocketGroup, SocketGroupConfig};

/// Why io_uring cannot be used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoUringRefusal {
    /// `kernel.io_uring_disabled` forbids it.
    DisabledBySysctl {
        /// The setting: 1 forbids it to processes outside `kernel.io_uring_group`, 2 to everybody.
        setting: u32,
    },
    /// Set-up was forbidden although the setting allows it: a seccomp filter or a security module.
    Forbidden,
    /// The kernel has no io_uring, or a filter pretends so.
    NotBuilt,
    /// The kernel is too old for a feature that we need.
    TooOld {
        /// What is missing.
        missing: &'static str,
    },
    /// No memory, or the limit of locked memory is reached (kernels before 5.12).
    NoMemory,
    /// The limit of open files is reached.
    NoDescriptors,
    /// Something that has no name here.
    Other {
        /// The errno.
        errno: i32,
    },
}

impl fmt::Display for IoUringRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DisabledBySysctl { setting } => write!(formatter, "kernel.io_uring_disabled = {setting}"),
            Self::Forbidden => {
                formatter.write_str("a seccomp filter or a security module forbids it (EPERM)")
            }
            Self::NotBuilt => {
                formatter.write_str("this kernel has no io_uring, or a seccomp filter hides it (ENOSYS)")
            }
            Self::TooOld { missing } => write!(formatter, "this kernel lacks {missing}"),
            Self::NoMemory => formatter.write_str("no memory for the ring (ENOMEM)"),
            Self::NoDescriptors => formatter.write_str("too many open files"),
            Self::Other { errno } => write!(formatter, "{}", io::Error::from_raw_os_error(*errno)),
        }
    }
}

impl IoUringRefusal {
    /// How to mend it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::DisabledBySysctl { .. } => {
                "set it with `sysctl -w kernel.io_uring_disabled=0`, or set io = \"recvmmsg\""
            }
            Self::Forbidden => {
                "in a container, allow the io_uring_* system calls in its seccomp profile, or set io = \"recvmmsg\""
            }
            Self::NotBuilt | Self::TooOld { .. } => "run Linux 6.1 or later, or set io = \"recvmmsg\"",
            Self::NoMemory => "lower `buffers`, raise `ulimit -l`, or set io = \"recvmmsg\"",
            Self::NoDescriptors => "raise `ulimit -n`",
            Self::Other { .. } => "set io = \"recvmmsg\"",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => match read_number("/proc/sys/kernel/io_uring_disabled") {
                Some(setting @ 1..) => {
                    Self::DisabledBySysctl { setting: u32::try_from(setting).unwrap_or(2) }
                }
                _ => Self::Forbidden,
            },
            Some(libc::ENOSYS) => Self::NotBuilt,
            Some(libc::EINVAL) => Self::TooOld { missing: "IORING_SETUP_DEFER_TASKRUN (Linux 6.1)" },
            Some(libc::ENOMEM) => Self::NoMemory,
            Some(libc::EMFILE | libc::ENFILE) => Self::NoDescriptors,
            other => Self::Other { errno: other.unwrap_or(0) },
        }
    }
}

/// Sets up a ring as the receiver needs it, and checks that the kernel knows all its operations.
pub(super) fn open_ring(completion_entries: u32) -> Result<IoUring, IoUringRefusal> {
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(completion_entries)
        .setup_clamp()
        .dontfork()
        .build(limits::SUBMISSION_ENTRIES)
        .map_err(|error| IoUringRefusal::of(&error))?;
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        return Err(IoUringRefusal::TooOld { missing: "IORING_FEAT_EXT_ARG (Linux 5.11)" });
    }
    let mut known = io_uring::Probe::new();
    ring.submitter().register_probe(&mut known).map_err(|error| IoUringRefusal::of(&error))?;
    // Multishot receives (6.0) and provided buffer rings (5.19) cannot be asked for, but are older than the set-up
    // flag that was just accepted (6.1).
    for (code, missing) in [
        (opcode::RecvMsgMulti::CODE, "IORING_OP_RECVMSG"),
        (opcode::PollAdd::CODE, "IORING_OP_POLL_ADD"),
        (opcode::MsgRingData::CODE, "IORING_OP_MSG_RING"),
    ] {
        if !known.is_supported(code) {
            return Err(IoUringRefusal::TooOld { missing });
        }
    }
    Ok(ring)
}

/// Tries whether io_uring can be used here.
///
/// # Errors
/// Why not.
pub fn io_uring() -> Result<(), IoUringRefusal> {
    open_ring(limits::SUBMISSION_ENTRIES).map(drop)
}

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Works, but costs more or bears less than it could.
    Advice,
    /// Something that was asked for is not to be had; a replacement is used.
    Degraded,
    /// The gateway cannot run like this.
    Fatal,
}

/// One thing that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it.
    pub remedy: String,
}

/// What the probe is to look for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Sockets, and threads, that will be used.
    pub shard_count: usize,
    /// Receive buffer of each socket, in bytes.
    pub receive_buffer_bytes: usize,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kernel's release, as `uname -r` says it.
    pub kernel_release: String,
    /// Whether io_uring can be used.
    pub io_uring: Result<(), IoUringRefusal>,
    /// Receive buffer that a socket gets, of the one wanted.
    pub receive_buffer_bytes: usize,
    /// What is not as it should be, worst first.
    pub findings: Vec<Finding>,
}

/// Looks at the kernel and the limits of this process.
#[must_use]
pub fn report(wanted: &Wanted) -> Report {
    let mut findings = Vec::new();
    let io_uring = io_uring();
    if let Err(refusal) = io_uring {
        findings.push(Finding {
            severity: Severity::Degraded,
            what: format!("io_uring cannot be used: {refusal}"),
            why: "heartbeats are received through recvmmsg instead, at up to a fifth more processor time",
            remedy: refusal.remedy().to_owned(),
        });
    }
    let receive_buffer_bytes = probe_sockets(wanted, &mut findings);
    probe_limits(wanted, &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let kernel_release = read_text("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    Report { kernel_release, io_uring, receive_buffer_bytes, findings }
}

/// Binds sockets on loopback as the gateway would, and lets them go. Returns the receive buffer granted.
fn probe_sockets(wanted: &Wanted, findings: &mut Vec<Finding>) -> usize {
    let mut config = SocketGroupConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.receive_buffer_bytes = wanted.receive_buffer_bytes;
    config.shard_count = wanted.shard_count.clamp(2, limits::SHARDS_MAX);
    let group = match SocketGroup::bind(&config) {
        Ok(group) => group,
        Err(error) => {
            findings.push(Finding {
                severity: Severity::Fatal,
                what: format!("UDP sockets cannot be set up: {error}"),
                why: "heartbeats arrive over UDP, steered to their shard by a program on the socket group",
                remedy: "run Linux 4.5 or later, and allow setsockopt(SO_ATTACH_REUSEPORT_CBPF)".to_owned(),
            });
            return 0;
        }
    };
    if !group.glues_trains {
        findings.push(Finding {
            severity: Severity::Advice,
            what: "UDP_GRO cannot be switched on".to_owned(),
            why: "datagrams of one relay are received one by one instead of in trains",
            remedy: "run Linux 5.0 or later".to_owned(),
        });
    }
    if group.receive_buffer_bytes < wanted.receive_buffer_bytes {
        let granted = group.receive_buffer_bytes;
        let half = wanted.receive_buffer_bytes / 2;
        findings.push(Finding {
            severity: Severity::Advice,
            what: format!(
                "a socket's receive buffer is {granted} bytes instead of {}",
                wanted.receive_buffer_bytes
            ),
            why: "a burst that is longer than the buffer is lost in the kernel (and counted)",
            remedy: format!("`sysctl -w net.core.rmem_max={half}`, or grant CAP_NET_ADMIN"),
        });
    }
    group.receive_buffer_bytes
}

/// Compares the limits of this process with what the gateway needs.
fn probe_limits(wanted: &Wanted, findings: &mut Vec<Finding>) {
    let files_needed = (wanted.shard_count * DESCRIPTORS_PER_SHARD + DESCRIPTORS_OTHERWISE) as u64;
    if let Some(files) = soft_limit(libc::RLIMIT_NOFILE)
        && files < files_needed
    {
        findings.push(Finding {
            severity: Severity::Fatal,
            what: format!("only {files} open files are allowed, {files_needed} are needed"),
            why: "each shard needs a socket, a ring and an eventfd; the log and its readers need more",
            remedy: format!("`ulimit -n {files_needed}`, or LimitNOFILE= in the systemd unit"),
        });
    }
    // A ring's own memory is charged against locked memory only before Linux 5.12, where we refuse it anyway; buffers
    // are not locked at all. What remains is a limit so low that even the ring's registration may be refused.
    if let Some(locked) = soft_limit(libc::RLIMIT_MEMLOCK)
        && locked < LOCKED_BYTES_ADVISED
    {
        findings.push(Finding {
            severity: Severity::Advice,
            what: format!("only {locked} bytes of memory may be locked"),
            why: "some kernels charge rings against this limit and then refuse them",
            remedy: format!(
                "`ulimit -l {}`, or LimitMEMLOCK= in the systemd unit",
                LOCKED_BYTES_ADVISED / 1_024
            ),
        });
    }
}

/// Socket, ring, the ring's second descriptor, eventfd.
const DESCRIPTORS_PER_SHARD: usize = 4;
/// The log, its readers, the admin port, standard streams.
const DESCRIPTORS_OTHERWISE: usize = 256;
/// What Linux has allowed by default since 5.16.
const LOCKED_BYTES_ADVISED: u64 = 8 << 20;

fn soft_limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable and of the type that the call fills.
    let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
    (result == 0).then_some(limit.rlim_cur)
}

fn read_text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn read_number(path: &str) -> Option<u64> {
    read_text(path)?.parse().ok()
}
