//! What a wrong configuration looks like to the person who wrote it: refused at start, by key, with status 2.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::harness::program;

/// Runs `serve` with this configuration, which must be refused.
fn serve(settings: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    std::fs::write(&config, settings).unwrap();
    let mut command = program();
    command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(directory.path().join("data"));
    command.output().unwrap()
}

/// Goal: refused with status 2, and the message holds every one of `expected`.
fn check_refused(settings: &str, expected: &[&str]) -> String {
    let output = serve(settings);
    let message = String::from_utf8(output.stderr).unwrap();
    let last = message.lines().rfind(|line| line.starts_with("pulsegate:")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in expected {
        assert!(message.contains(part), "the message does not say {part:?}: {last}");
    }
    last.to_owned()
}

#[test]
fn unknown_key() {
    check_refused("[shards]\ncores = 2\n", &["cores", "expected one of", "count"]);
}

#[test]
fn suspect_not_before_failed() {
    check_refused(
        "[detector]\nsuspect-after-intervals = 5\nfailed-after-intervals = 4\n",
        &["detector.suspect-after-intervals", "= 5", "= 4", "lower the first or raise the second"],
    );
}

#[test]
fn tick_too_coarse_for_the_interval() {
    check_refused(
        "[detector]\ntick-ms = 50\ninterval-ms = 100\n",
        &["detector.tick-ms", "= 50", "20 ms or less"],
    );
}

#[test]
fn capacity_zero() {
    check_refused("[registry]\nnodes-max = 0\n", &["registry.nodes-max", "= 0", "1 to 64000000"]);
}

#[test]
fn heartbeat_port_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings =
        format!("[listen]\nheartbeats = \"{address}\"\nadmin = \"127.0.0.1:0\"\nkafka = \"127.0.0.1:0\"\n");
    check_refused(&settings, &["listen.heartbeats", "port in use", &address]);
}

#[test]
fn admin_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = format!("[listen]\nheartbeats = \"127.0.0.1:0\"\nadmin = \"{address}\"\n");
    check_refused(&settings, &["listen.admin", &address, "choose a free port"]);
}

#[test]
fn kafka_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "\"127.0.0.1:0\"";
    let settings = format!("[listen]\nheartbeats = {free}\nadmin = {free}\nkafka = \"{address}\"\n");
    check_refused(&settings, &["listen.kafka", &address, "choose a free port"]);
}

/// Goal: a file that secures the Kafka port and cannot be used is told with its key, its path and a remedy, and nothing
/// that stands in it.
#[test]
fn files_that_secure_the_kafka_port() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let open = write("open-users", "reader:hunter2\n", 0o644);
    check_refused(
        &format!("[kafka.sasl]\nusers = {open:?}\n"),
        &["kafka.sasl.users", &open, "644", "chmod o="],
    );
    let wrong = write("wrong-users", "reader hunter2\n", 0o600);
    let message = check_refused(
        &format!("[kafka.sasl]\nusers = {wrong:?}\n"),
        &["kafka.sasl.users", &wrong, "line 1", "name:password"],
    );
    assert!(!message.contains("hunter2"), "{message}");
    let empty = write("empty", "", 0o600);
    check_refused(
        &format!("[kafka.tls]\ncertificates = {empty:?}\nkey = {empty:?}\n"),
        &["kafka.tls.certificates", &empty, "no certificate"],
    );
    check_refused(
        "[kafka.tls]\ncertificates = \"/nowhere/chain.pem\"\nkey = \"/nowhere/key.pem\"\n",
        &["kafka.tls.certificates", "/nowhere/chain.pem", "cannot be read"],
    );
}

#[test]
fn two_gateways_with_one_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = crate::harness::Gateway::start(directory.path(), crate::harness::FAST);
    let second = program()
        .args(["serve", "--config"])
        .arg(directory.path().join("config.toml"))
        .arg("--data-dir")
        .arg(directory.path())
        .output()
        .unwrap();
    let message = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{message}");
    assert!(message.contains("held by another writer"), "{message}");
    assert_eq!(gateway.number("epoch"), 1, "a start that was refused begins no epoch");
    assert!(gateway.stop().success());
}

#[test]
fn configuration_that_is_not_there() {
    let output = program().args(["check", "--config", "/nowhere/pulsegate.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nowhere/pulsegate.toml"));
}
