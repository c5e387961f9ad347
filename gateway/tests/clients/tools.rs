//! Apache Kafka's own tools: the judge of our files, and what an administrator asks a cluster.

use std::path::PathBuf;
use std::process::{Command, Output};

use pulsegate::gateway::EVENTS_TOPIC;

use crate::client::{Client, Mode, java, program, skip, why_no_java};
use crate::log::{CompactedStates, PARTITIONS, PreparedLog};

/// Runs a program to its end.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned());
    assert!(status.success(), "{command:?} ended with {status}:\n{stdout}\n{stderr}");
    stdout
}

fn has_java() -> bool {
    let missing = why_no_java();
    if let Some(reason) = missing {
        skip("java", reason);
    }
    missing.is_none()
}

/// Goal: the program that Apache Kafka's own developers look at segments with reads ours to the last byte, and counts as
/// many records as we wrote.
#[test]
fn dump_log_segments_finds_no_error() {
    if !has_java() {
        return;
    }
    let log = PreparedLog::open();
    let files = log.segment_files();
    assert!(files.len() > PARTITIONS as usize, "the log has segments to cross: {files:?}");
    let dump = dump_sound(&files);
    let of_events = log.expected.iter().filter(|record| dump.contains(&record.value)).count();
    assert_eq!(of_events, log.expected.len(), "every event is in the dump");
}

/// Goal: the same of the compacted topic, whose batches cover more offsets than they have records.
#[test]
fn dump_log_segments_finds_no_error_in_compacted_segments() {
    if !has_java() {
        return;
    }
    let states = CompactedStates::make();
    assert!(states.records_removed > 1_000, "{} records were taken out", states.records_removed);
    let dump = dump_sound(&states.files);
    let has_gaps = |line: &&str| {
        let field = |name: &str| -> Option<u64> { line.split_once(name)?.1.split(' ').next()?.parse().ok() };
        let (base, last, count) = (field("baseOffset: "), field("lastOffset: "), field("count: "));
        base.zip(last).zip(count).is_some_and(|((base, last), count)| last - base + 1 > count)
    };
    assert!(dump.lines().filter(has_gaps).count() > 0, "no batch has a gap:\n{dump}");
}

/// What `DumpLogSegments` prints of these files, which must be free of complaints.
fn dump_sound(files: &[PathBuf]) -> String {
    let list: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let mut command = java("DumpLogSegments");
    let dump = run(command.args(["--deep-iteration", "--print-data-log", "--files", &list.join(",")]));
    for sign in ["invalid bytes", "Mismatches", "isvalid: false", "Non-consecutive", "Exception"] {
        assert!(!dump.contains(sign), "{sign} in the dump:\n{dump}");
    }
    let batches = dump.lines().filter(|line| line.starts_with("baseOffset:")).count();
    let valid = dump.lines().filter(|line| line.contains("isvalid: true")).count();
    assert!(batches > 0 && batches == valid, "{valid} of {batches} batches are valid");
    dump
}

/// Goal: what administrators ask a Kafka cluster is answered, and truly.
#[test]
fn admin_tools_are_answered() {
    if !has_java() {
        return;
    }
    let log = PreparedLog::open();
    let server = log.gateway.endpoints().kafka.to_string();
    let tool = |class: &str, arguments: &[&str]| {
        run(java(class).args(["--bootstrap-server", &server]).args(arguments))
    };
    let topics = tool("TopicCommand", &["--describe"]);
    assert!(topics.contains(&format!("Topic: {EVENTS_TOPIC}\tPartitionCount: {PARTITIONS}")), "{topics}");
    let ends = tool("GetOffsetShell", &["--topic", EVENTS_TOPIC]);
    for partition in 0..PARTITIONS {
        let end = log.expected.iter().filter(|record| record.partition == partition).count();
        assert!(ends.contains(&format!("{EVENTS_TOPIC}:{partition}:{end}\n")), "{ends}");
    }
    let installed = Client::Java.find().unwrap();
    let mut reader = installed.start(&log.gateway, Mode::Group("watched"), 0).remove(0);
    reader.read_until_quiet();
    let groups = tool("consumer.group.ConsumerGroupCommand", &["--list"]);
    assert_eq!(groups.trim(), "watched");
    let members =
        tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", "watched", "--members"]);
    assert!(members.contains("console-consumer") && members.contains(" 3 "), "{members}");
    let state = tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", "watched", "--state"]);
    assert!(state.contains("Stable"), "{state}");
}

/// Goal: the lag of a consumer that is not there can be seen: its group is listed and described from its offsets alone.
#[test]
fn lag_of_a_group_without_members_is_shown() {
    if !has_java() {
        return;
    }
    let log = PreparedLog::open();
    let server = log.gateway.endpoints().kafka.to_string();
    let tool = |arguments: &[&str]| {
        let class = "consumer.group.ConsumerGroupCommand";
        run(java(class).args(["--bootstrap-server", &server]).args(arguments))
    };
    let reset = ["--reset-offsets", "--to-earliest", "--topic", EVENTS_TOPIC, "--execute"];
    tool(&[&["--group", "stopped"], &reset[..]].concat());
    assert_eq!(tool(&["--list"]).trim(), "stopped");
    let state = tool(&["--describe", "--group", "stopped", "--state"]);
    assert!(state.contains("Empty"), "{state}");
    let lags = tool(&["--describe", "--group", "stopped"]);
    let lag = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        // Group, topic, partition, offset, end, lag.
        (columns.first() == Some(&"stopped")).then(|| columns[5].parse::<usize>().unwrap())
    };
    assert_eq!(lags.lines().filter_map(lag).sum::<usize>(), log.expected.len(), "{lags}");
}

/// Goal: a new librdkafka lists all topics, too; its request for them is its own.
#[test]
fn confluent_kafka_lists_the_cluster() {
    let Some(installed) = Client::ConfluentKafka.find() else { return };
    let log = PreparedLog::open();
    let server = log.gateway.endpoints().kafka;
    let script = format!(
        "from confluent_kafka.admin import AdminClient\n\
         topics = AdminClient({{'bootstrap.servers': '{server}'}}).list_topics(timeout=10).topics\n\
         print({{name: len(topic.partitions) for name, topic in topics.items()}})"
    );
    let listing = run(installed.python().args(["-c", &script]));
    assert!(listing.contains(&format!("'{EVENTS_TOPIC}': {PARTITIONS}")), "{listing}");
}

/// Goal: `kcat -L` lists the topics with their partitions.
#[test]
fn kcat_lists_the_cluster() {
    if Client::Kcat.find().is_none() {
        return;
    }
    let log = PreparedLog::open();
    let listing = run(program("kcat").args(["-L", "-b", &log.gateway.endpoints().kafka.to_string()]));
    let expected = format!("topic \"{EVENTS_TOPIC}\" with {PARTITIONS} partitions");
    assert!(listing.contains(&expected) && listing.contains("1 brokers"), "{listing}");
}
