//! `pulsegate events` against a running gateway, and after its end.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_codec::event::Event;
use pulsegate_loadgen::topic_reader::TopicReader;

use crate::harness::{FAST, Gateway, Relay, eventually, pause, program, sum_of_metric};

const NODES: [&str; 6] = ["node-0", "node-1", "node-2", "node-3", "node-4", "node-5"];

/// Runs `events` on this data directory.
fn events(data_dir: &Path, arguments: &[&str]) -> Output {
    program().arg("events").arg("--data-dir").arg(data_dir).args(arguments).output().unwrap()
}

/// The same; it must succeed.
fn lines(data_dir: &Path, arguments: &[&str]) -> Vec<String> {
    let output = events(data_dir, arguments);
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && stderr.is_empty(), "{arguments:?}: {} {stderr}", output.status);
    stdout.lines().map(str::to_owned).collect()
}

/// A gateway whose nodes have joined, fallen silent and failed: three events each, beside that of its own start. Without a
/// guard, which would doubt that all of them did.
fn gateway_with_events(data_dir: &Path) -> Gateway {
    let gateway = Gateway::start(data_dir, &format!("{FAST}[guard]\nenabled = false\n"));
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&NODES);
    relay.beat(&NODES);
    eventually("all have failed", || (gateway.status()["nodes"]["failed"] == NODES.len()).then_some(()));
    eventually("all is written", || (gateway.number("events_waiting") == 0).then_some(()));
    gateway
}

#[test]
fn what_is_asked_for_is_printed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with_events(directory.path());
    let lines = |arguments: &[&str]| lines(directory.path(), arguments);
    let all = lines(&["--json"]);
    let read: Vec<_> = all.iter().map(|line| Event::from_json(line.as_bytes()).unwrap()).collect();
    let mut expected = gateway.events();
    expected.sort_by_key(|event| event.gateway_sequence);
    let mut sorted = read.clone();
    sorted.sort_by_key(|event| event.gateway_sequence);
    assert_eq!(sorted, expected);
    assert!(read.is_sorted_by_key(|event| event.decided_at_unix_us), "in the order of time");

    assert_eq!(lines(&["--type", "failed"]).len(), NODES.len());
    assert_eq!(lines(&["--type", "failed", "--type", "joined", "--node", "node-3"]).len(), 2);
    assert_eq!(lines(&["--json", "--last", "5"]), all[all.len() - 5..]);
    assert_eq!(lines(&["--from", "-1h"]).len(), all.len());
    assert_eq!(lines(&["--from", "end"]), [] as [&str; 0]);
    assert_eq!(lines(&["--from", "2100-01-01T00:00:00Z"]), [] as [&str; 0]);
    let first_of_each_partition = all.len() - lines(&["--from", "1"]).len();
    assert!((1..=4).contains(&first_of_each_partition), "{first_of_each_partition}");
    let kafka = gateway.endpoints().kafka.to_string();
    assert_eq!(lines(&["--json", "--kafka", &kafka, "-X", "fetch.max.bytes=1000000"]), all);
}

/// Goal: the program's own client logs in where logins are asked for, and reads nothing without one.
#[test]
fn a_login_is_asked_for_and_given() {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    let mut file = std::fs::File::create(&users).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    file.write_all(b"reader:right\n").unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[kafka.sasl]\nusers = {users:?}\n"));
    Relay::new("relay", &gateway).introduce(&["node-1"]);
    eventually("it has started, for all to see", || (!gateway.events().is_empty()).then_some(()));

    let login = |password: &str| {
        let settings = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.username=reader"];
        let password = format!("sasl.password={password}");
        let settings = settings.into_iter().chain([&*password]);
        let arguments: Vec<_> = settings.flat_map(|setting| ["-X", setting]).map(str::to_owned).collect();
        let mut command = program();
        command.args(["events", "--type", "gateway_started", "--data-dir"]).arg(directory.path());
        command.args(arguments).output().unwrap()
    };
    let read = login("right");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(read.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    for refused in [login("wrong"), events(directory.path(), &[])] {
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        let complaint = String::from_utf8(refused.stderr).unwrap();
        assert!(complaint.contains(&gateway.endpoints().kafka.to_string()), "{complaint}");
    }
    let page = gateway.get("/metrics");
    let failed_logins = page.lines().filter(|line| line.contains("outcome=\"login_failed\""));
    assert!(sum_of_metric(&failed_logins.collect::<String>(), "pulsegate_kafka_connections_total") > 0);
}

#[test]
fn follow_prints_what_happens() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), FAST);
    let mut command = program();
    command.args(["events", "--follow", "--json", "--type", "joined", "--data-dir"]).arg(directory.path());
    pulsegate::io::child::end_with_parent(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&["node-1"]);
    relay.beat(&["node-1"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(Event::from_json(line.as_bytes()).unwrap().node, "node-1");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Goal: whoever follows a gateway that is killed, and starts again at the same address, is told every event once.
#[test]
fn follow_goes_on_when_the_gateway_starts_again() {
    let directory = tempfile::tempdir().unwrap();
    let kafka = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = directory.path().join("fixed.toml");
    let listen =
        format!("[listen]\nheartbeats = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nkafka = \"{kafka}\"\n");
    std::fs::write(&config, format!("{FAST}{listen}")).unwrap();
    let start = || {
        let mut command = program();
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(directory.path());
        Gateway::spawn(directory.path(), &mut command)
    };
    let first = start();
    let mut command = program();
    command.args([
        "events",
        "--follow",
        "--from",
        "start",
        "--json",
        "--type",
        "gateway_started",
        "--data-dir",
    ]);
    pulsegate::io::child::end_with_parent(command.arg(directory.path()));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next_epoch = || Event::from_json(lines.next().unwrap().unwrap().as_bytes()).unwrap().epoch;
    assert_eq!(next_epoch(), 1);
    first.kill();
    let second = start();
    assert_eq!(next_epoch(), 2);
    assert!(second.stop().success());
    let _third = start();
    assert_eq!(next_epoch(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn of_a_gateway_that_is_gone_the_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with_events(directory.path());
    let online = lines(directory.path(), &[]);
    let killed_port = gateway.endpoints().kafka.to_string();
    gateway.kill();
    assert_eq!(lines(directory.path(), &["--offline"]), online);

    // What SIGKILL leaves behind names a port at which nobody answers.
    let told = |arguments: &[&str]| {
        let output = events(directory.path(), arguments);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let text = told(&[]);
    assert!(text.contains(&killed_port) && text.contains("is the gateway running"), "{text}");
    std::fs::remove_file(directory.path().join("endpoints.json")).unwrap();
    let text = told(&[]);
    assert!(text.contains("no gateway runs") && text.contains("--offline"), "{text}");
}

/// Goal: a reader that is overtaken by retention is told so, and what is still there is printed from its first event on.
#[test]
fn what_retention_removed_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let small = "[stream]\npartitions = 1\nsegment-bytes = 1_048_576\nretention-bytes = 1_048_576\n";
    let gateway = Gateway::start(directory.path(), &format!("{FAST}{small}"));
    let names: Vec<String> = (0..3_000).map(|number| format!("node-{number:04}")).collect();
    let mut relay = Relay::new("relay", &gateway);
    for _ in 0..2 {
        for names in names.chunks(20) {
            relay.introduce(&names.iter().map(String::as_str).collect::<Vec<_>>());
            pause(Duration::from_millis(1));
        }
    }
    eventually("segments were removed", || {
        (gateway.metric("pulsegate_stream_records_retired_total") > 0).then_some(())
    });
    let kafka = gateway.endpoints().kafka.to_string();
    let mut reader = TopicReader::connect(&kafka, EVENTS_TOPIC, &[]).unwrap();
    let first = reader.first_offsets().unwrap();
    assert!(first[0] > 0, "{first:?}");
    reader.start(vec![0]).unwrap();
    let failure = eventually("an error", || reader.next(Duration::from_millis(100)).err()).to_string();
    assert!(failure.contains("retention removed") && failure.contains("offset 0 on"), "{failure}");
    assert!(!lines(directory.path(), &["--last", "1"]).is_empty());
}

/// Goal: with a timed sync, events that never end do not keep those before them from being shown.
#[test]
fn events_are_synced_by_the_clock_while_more_come() {
    let directory = tempfile::tempdir().unwrap();
    let settings = "[detector]\ninterval-ms = 10_000\n[damping]\nenabled = false\n[registry]\nnodes-max = 1_000\n\
         [stream]\nfsync = { interval-ms = 1_000 }\n";
    let gateway = Gateway::start(directory.path(), settings);
    let reader = TopicReader::connect(&gateway.endpoints().kafka.to_string(), EVENTS_TOPIC, &[]).unwrap();
    let mut relay = Relay::new("relay", &gateway);
    relay.introduce(&["node-0"]);
    let mut incarnation = 0;
    eventually("what was written is shown, while the node restarts", || {
        pause(Duration::from_millis(50));
        incarnation += 1;
        relay.set_incarnation(incarnation);
        relay.beat(&["node-0"]);
        (reader.end_offsets().unwrap().iter().sum::<i64>() > 2).then_some(())
    });
}
