//! What is refused, and whether the message says enough to mend it.

use super::*;

/// Goal: the message of a refused configuration contains every one of `expected`.
fn check_refused(text: &str, expected: &[&str]) {
    let error = Config::from_toml(text).expect_err("this configuration must be refused").to_string();
    for part in expected {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn defaults_are_right_and_loopback_only() {
    let config = Config::from_toml("").unwrap();
    assert!(config.listen.heartbeats.ip().is_loopback() && config.listen.admin.ip().is_loopback());
    assert_eq!(config.listen.heartbeats.port(), 7400);
    assert_eq!(config.detector.tick, Duration::from_millis(10));
    assert_eq!(config.shards.io, IoChoice::Auto);
}

#[test]
fn unknown_key_is_refused_by_name() {
    check_refused("[detector]\ninterval-seconds = 1", &["interval-seconds", "interval-ms"]);
}

#[test]
fn suspect_not_below_failed_is_refused() {
    check_refused(
        "[detector]\nsuspect-after-intervals = 5\nfailed-after-intervals = 5",
        &["detector.suspect-after-intervals", "= 5", "below", "detector.failed-after-intervals"],
    );
}

#[test]
fn tick_too_coarse_for_the_interval_is_refused() {
    check_refused(
        "[detector]\ntick-ms = 100\ninterval-ms = 200\ninterval-ms-min = 200",
        &["detector.tick-ms", "100", "detector.interval-ms-min", "40 ms"],
    );
}

#[test]
fn capacity_zero_is_refused_with_its_range() {
    check_refused("[registry]\nnodes-max = 0", &["registry.nodes-max", "= 0", "1 to 64000000"]);
}

#[test]
fn snapshots_out_of_range_are_refused() {
    check_refused("[restart]\nsnapshot-interval-s = 0", &["restart.snapshot-interval-s", "= 0", "1 to 3600"]);
    check_refused("[restart]\nsmear-ms = 60_001", &["restart.smear-ms", "60001", "0 to 60000"]);
}

#[test]
fn open_network_must_be_asked_for() {
    check_refused(
        "[listen]\nheartbeats = \"0.0.0.0:7400\"",
        &["listen.heartbeats", "allow-unauthenticated-network"],
    );
    let text = "[listen]\nheartbeats = \"[::]:7400\"\nallow-unauthenticated-network = true";
    assert!(Config::from_toml(text).is_ok());
}

#[test]
fn kafka_clients_must_be_told_an_address_that_they_can_reach() {
    let open = "kafka.allow-unauthenticated-network = true\n[listen]\nkafka = \"0.0.0.0:7492\"\n";
    check_refused(open, &["listen.kafka-advertised", "host:port"]);
    for bad in ["gateway", "gateway:0", "gateway:70000", ":7492", "a b:7492", "fd00::1:7492", "[gateway]:1"] {
        check_refused(&format!("{open}kafka-advertised = \"{bad}\""), &["listen.kafka-advertised", bad]);
    }
    let config = Config::from_toml(&format!("{open}kafka-advertised = \"[fd00::1]:9092\"")).unwrap();
    assert_eq!(config.listen.kafka_advertised, Some(("fd00::1".to_owned(), 9092)));
}

#[test]
fn kafka_port_on_a_network_must_be_secured_or_asked_for() {
    let listen = "[listen]\nkafka = \"192.0.2.1:7492\"\n";
    let tls = "[kafka.tls]\ncertificates = \"c\"\nkey = \"k\"\n";
    let sasl = "[kafka.sasl]\nusers = \"u\"\n";
    let no_login = &["listen.kafka", "192.0.2.1:7492", "kafka.allow-unauthenticated-network"];
    check_refused(listen, no_login);
    // The word for heartbeats is none for events.
    check_refused(&format!("{listen}allow-unauthenticated-network = true"), no_login);
    check_refused(&format!("{listen}{tls}"), no_login);
    let in_clear = &["listen.kafka", "192.0.2.1:7492", "kafka.sasl.allow-passwords-in-clear"];
    check_refused(&format!("{listen}{sasl}"), in_clear);
    for right in [
        format!("{listen}[kafka]\nallow-unauthenticated-network = true"),
        format!("{listen}{tls}client-authority = \"a\""),
        format!("{listen}{tls}{sasl}"),
        format!("{listen}{sasl}allow-passwords-in-clear = true"),
        format!("[listen]\nkafka = \"127.0.0.1:7492\"\n{sasl}"),
    ] {
        let checked = Config::from_toml(&right);
        assert!(checked.is_ok(), "{right}: {checked:?}");
    }
}

#[test]
fn interval_outside_its_own_bounds_is_refused() {
    check_refused(
        "[detector]\ninterval-ms = 1000\ninterval-ms-min = 2000",
        &["detector.interval-ms", "detector.interval-ms-min"],
    );
}

#[test]
fn forgetting_before_failing_is_refused() {
    check_refused(
        "[detector]\nforget-after-s = 60\ninterval-ms-max = 60000",
        &["detector.forget-after-s", "300 s"],
    );
}

#[test]
fn retention_below_one_segment_is_refused() {
    check_refused("[stream]\nretention-bytes = 1000", &["stream.retention-bytes", "stream.segment-bytes"]);
}

#[test]
fn shares_of_the_shards_cover_the_whole_capacity() {
    let config = Config::from_toml("[registry]\nnodes-max = 1000\n[shards]\ncount = 3").unwrap();
    assert!(u64::from(config.nodes_max_per_shard()) * 3 >= 1_000);
}

/// Goal: the annotated example tells the truth about the defaults.
#[test]
fn example_file_shows_the_defaults() {
    let text = include_str!("../../../tuning/pulsegate.toml");
    let (shown, defaults) = (Config::from_toml(text).unwrap(), Config::from_toml("").unwrap());
    assert_eq!(format!("{shown:#?}"), format!("{defaults:#?}"));
}
