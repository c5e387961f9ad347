//! What is refused of a sink's table, and whether the message says enough to mend it.

use super::*;
use crate::config::Config;

/// Goal: the message of a refused configuration contains every one of `expected`.
fn check_refused(text: &str, expected: &[&str]) {
    let error = Config::from_toml(text).expect_err("this configuration must be refused").to_string();
    for part in expected {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

fn kafka(keys: &str) -> String {
    format!("[sinks.kafka.audit]\nbootstrap-servers = \"broker:9092\"\n{keys}\n")
}

fn webhook(keys: &str) -> String {
    format!("[sinks.webhook.pager]\nurl = \"https://pager.example/hook\"\n{keys}\n")
}

#[cfg(feature = "kafka-client")]
#[test]
fn kafka_sink_has_sane_defaults() {
    let sinks = Config::from_toml(&kafka("")).unwrap().sinks;
    let sink = &sinks.kafka[0];
    assert_eq!(sink.topics, [("pulsegate.events".to_owned(), "pulsegate.events".to_owned())]);
    assert_eq!(
        (sink.from, sink.in_flight_max, sink.linger),
        (Begin::Beginning, 10_000, Duration::from_millis(5))
    );
}

#[cfg(feature = "kafka-client")]
#[test]
fn what_correctness_needs_cannot_be_changed() {
    for property in ["acks", "enable.idempotence", "message.timeout.ms", "partitioner", "retries"] {
        let text = kafka(&format!("properties = {{ \"{property}\" = 1 }}"));
        check_refused(&text, &["sinks.kafka.audit.properties", property, "= 1", "left out"]);
        let text = kafka(&format!("property-files = {{ \"{property}\" = \"/x\" }}"));
        check_refused(&text, &["sinks.kafka.audit.property-files", property, "left out"]);
    }
    let text = kafka("properties = { \"compression.type\" = \"lz4\", \"socket.keepalive.enable\" = true }");
    let sinks = Config::from_toml(&text).unwrap().sinks;
    assert_eq!(sinks.kafka[0].properties.0["socket.keepalive.enable"], "true");
}

#[cfg(feature = "kafka-client")]
#[test]
fn kafka_sink_is_refused_by_key_value_and_range() {
    check_refused("[sinks.kafka.audit]\n", &["sinks.kafka.audit.bootstrap-servers", "host:port"]);
    check_refused(&kafka("in-flight-max = 0"), &["sinks.kafka.audit.in-flight-max", "= 0", "1 to 100000"]);
    check_refused(&kafka("linger-ms = 5000"), &["sinks.kafka.audit.linger-ms", "= 5000", "0 to 1000"]);
    check_refused(&kafka("events-topic = \"a b\""), &["sinks.kafka.audit.events-topic", "a b", "249"]);
    check_refused(&kafka("brokers = 1"), &["brokers", "bootstrap-servers"]);
    check_refused(&kafka("from = \"middle\""), &["middle", "beginning", "end"]);
}

#[test]
fn names_are_files_and_labels_and_so_unique() {
    check_refused("[sinks.webhook.\"a/b\"]\nurl = \"http://h\"\n", &["sinks.webhook.a/b", "a-z"]);
    let both = format!("{}[sinks.kafka.pager]\n", webhook(""));
    check_refused(&both, &["sinks.kafka.pager", "sinks.webhook.pager", "a name of its own"]);
}

#[test]
fn webhook_is_refused_by_key_value_and_range() {
    for url in ["", "pager.example", "ftp://pager.example", "http://", "http:///x", "http://a b/"] {
        let text = format!("[sinks.webhook.pager]\nurl = \"{url}\"\n");
        check_refused(&text, &["sinks.webhook.pager.url", url, "http://"]);
    }
    check_refused(
        &webhook("types = [\"failed\", \"dead\"]"),
        &["sinks.webhook.pager.types", "dead", "recovered"],
    );
    check_refused(&webhook("workers = 65"), &["sinks.webhook.pager.workers", "= 65", "1 to 64"]);
    check_refused(&webhook("timeout-ms = 1"), &["sinks.webhook.pager.timeout-ms", "= 1", "100 to 120000"]);
    check_refused(
        &webhook("retry-ms-min = 5000\nretry-ms-max = 1000"),
        &["sinks.webhook.pager.retry-ms-max", "= 1000", "sinks.webhook.pager.retry-ms-min", "= 5000"],
    );
    check_refused(
        &webhook("batch-events-max = 10"),
        &["sinks.webhook.pager.batch-events-max", "= 10", "sinks.webhook.pager.mode", "batch"],
    );
    check_refused(
        &webhook("authorization-file = \"/f\"\nauthorization-env = \"TOKEN\""),
        &["sinks.webhook.pager.authorization-env", "TOKEN", "authorization-file"],
    );
    check_refused(&webhook("headers = { \"ce-id\" = \"x\" }"), &["sinks.webhook.pager.headers", "ce-id"]);
}

/// Goal: no message and no log shows what may be secret.
#[test]
fn secrets_are_not_shown() {
    let refused = "[sinks.webhook.pager]\nurl = \"https://user:hunter2@pager.example/\"\n";
    let message = Config::from_toml(refused).unwrap_err().to_string();
    assert!(!message.contains("hunter2") && message.contains("authorization-file"), "{message}");
    let config = Config::from_toml(&webhook("headers = { \"X-Token\" = \"hunter2\" }")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let properties = kafka("properties = { \"sasl.password\" = \"hunter2\" }");
    if cfg!(feature = "kafka-client") {
        assert!(!format!("{:?}", Config::from_toml(&properties).unwrap()).contains("hunter2"));
    }
}

/// Goal: the annotated example of both tables is right, key by key. Method: lines that begin with `#` and no space after
/// it are the example.
#[test]
fn example_tables_are_accepted() {
    let text = include_str!("../../../../tuning/pulsegate.toml");
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    let example: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
    let sinks = Config::from_toml(&example.join("\n")).unwrap().sinks;
    assert_eq!((sinks.kafka.len(), sinks.webhook.len()), (1, 1));
}
