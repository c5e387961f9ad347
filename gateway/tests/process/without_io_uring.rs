//! Where the kernel refuses io_uring, as the default profile of container engines makes it do: the same program under
//! a seccomp filter that denies it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::{Gateway, program};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Denies `io_uring_setup` with EPERM to the program and everything that it starts.
#[expect(unsafe_code, reason = "a filter must be installed between fork and exec")]
fn deny_io_uring(command: &mut Command) {
    let rules = BTreeMap::from([(libc::SYS_io_uring_setup, vec![])]);
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, deny, architecture)
        .and_then(TryInto::try_into)
        .unwrap();
    let install = move || apply_filter(&filter).map_err(io::Error::other);
    // SAFETY: the closure runs in the forked child before exec and makes two system calls; it allocates only if it fails.
    unsafe { command.pre_exec(install) };
}

/// Goal: the demo ends well, and says which receiver it used and why.
#[test]
fn demo_ends_well_and_says_why_it_used_recvmmsg() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("report.json");
    let mut command = program();
    command.args(["demo", "--nodes", "20000", "--seconds", "20", "--json"]).arg(&json);
    deny_io_uring(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("recvmmsg") && text.contains("seccomp"), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["receiver"], "recvmmsg");
    assert_eq!(report["failures_reported"], report["failures_injected"]);
    assert!(report["failures_injected"].as_u64().unwrap() >= 200, "{report}");
}

/// Goal: who demands io_uring is refused, with the key, the cause and the remedy.
#[test]
fn demanding_io_uring_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    std::fs::write(&config, "[shards]\nio = \"io_uring\"\n").unwrap();
    let mut command = program();
    command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(directory.path());
    deny_io_uring(&mut command);
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in ["shards.io", "io_uring", "seccomp", "recvmmsg"] {
        assert!(message.contains(part), "{message} does not say {part:?}");
    }
}

/// Goal: `auto` falls back, and status and log say so.
#[test]
fn auto_falls_back_and_tells() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    let listen = "[listen]\nheartbeats = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nkafka = \"127.0.0.1:0\"\n";
    std::fs::write(&config, format!("{}{listen}", crate::harness::FAST)).unwrap();
    let mut command = program();
    command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(directory.path());
    deny_io_uring(&mut command);
    let gateway = Gateway::spawn(directory.path(), &mut command);
    let status = gateway.status();
    assert_eq!(status["receiver"], "recvmmsg");
    assert!(status["receiver_reason"].as_str().unwrap().contains("seccomp"), "{status}");
    assert!(gateway.stop().success());
    let log = std::fs::read_to_string(directory.path().join("gateway.log")).unwrap();
    assert!(log.contains("recvmmsg") && log.contains("seccomp"), "{log}");
}
