//! The event's JSON, record and protobuf twin.

use super::*;
use proptest::prelude::*;

fn event_id() -> EventId {
    EventId { gateway: "gw-1".into(), epoch: 3, gateway_sequence: 1042 }
}

fn failed_event() -> Event {
    Event {
        node: "node-7".into(),
        node_id: Some(NodeId(0x00ff_0000_1234_abcd)),
        zone: "eu-1a".into(),
        labels: BTreeMap::from([("rack".into(), "r12".into()), ("role".into(), "db \"hot\"".into())]),
        incarnation: Some(17),
        event_sequence: Some(4),
        shard: Some(1),
        previous: Some("suspect".into()),
        last_seen_unix_us: Some(1_795_499_996_995_000),
        deadline_unix_us: Some(1_795_499_999_995_000),
        lateness_us: Some(5_000),
        silence_us: Some(3_005_000),
        interval_ms: Some(1_000),
        suspect_timeout_ms: Some(2_000),
        failed_timeout_ms: Some(3_000),
        detector: Some("fixed".into()),
        last_sequence: Some(88_123),
        intervals_missed: Some(3),
        ..Event::new(EventType::Failed, event_id(), 1_795_500_000_000_000)
    }
}

/// Every field present, whether or not they make sense together.
fn full_event() -> Event {
    Event {
        reason: Some("maintenance".into()),
        expected_return_ms: Some(600_000),
        state: Some("failed".into()),
        cause_id: "gw-1/3/1041".into(),
        dimension: "rack".into(),
        value: "r12".into(),
        count: Some(40),
        members: Some(41),
        held_us: Some(1),
        profile: "wan".into(),
        mean_us: Some(1_000_100),
        deviation_us: Some(100_000),
        phi_threshold_milli: Some(8_000),
        round_trip_time_us: Some(80_000),
        progress: Some(u64::MAX),
        pending: Some(3),
        flap_count: Some(4),
        pause_us: Some(10_000_000),
        dropped: Some(5),
        sources: vec!["00ff00001234abcd".into(), "00ff00001234abce".into()],
        probe: Some("silent".into()),
        sink: "central".into(),
        topic: "pulsegate.events".into(),
        partition: Some(3),
        first_offset: Some(70),
        next_offset: Some(70),
        bytes: Some(70),
        ..failed_event()
    }
}

#[test]
fn json_is_the_golden_one() {
    let golden = concat!(
        r#"{"type":"failed","node":"node-7","node_id":"00ff00001234abcd","zone":"eu-1a","#,
        r#""labels":{"rack":"r12","role":"db \"hot\""},"incarnation":17,"event_sequence":4,"gateway":"gw-1","#,
        r#""epoch":3,"gateway_sequence":1042,"shard":1,"previous":"suspect","#,
        r#""decided_at_unix_us":1795500000000000,"last_seen_unix_us":1795499996995000,"#,
        r#""deadline_unix_us":1795499999995000,"lateness_us":5000,"silence_us":3005000,"interval_ms":1000,"#,
        r#""suspect_timeout_ms":2000,"failed_timeout_ms":3000,"detector":"fixed","last_sequence":88123,"#,
        r#""intervals_missed":3}"#
    );
    assert_eq!(String::from_utf8(failed_event().to_json()).unwrap(), golden);
    assert_eq!(Event::from_json(golden.as_bytes()).unwrap(), failed_event());
}

#[test]
fn fields_without_meaning_are_absent() {
    let event = Event::new(EventType::GatewayStarted, event_id(), 5);
    let json = String::from_utf8(event.to_json()).unwrap();
    let golden = concat!(
        r#"{"type":"gateway_started","gateway":"gw-1","epoch":3,"gateway_sequence":1042,"#,
        r#""decided_at_unix_us":5}"#
    );
    assert_eq!(json, golden);
    assert_eq!(Event::from_json(json.as_bytes()).unwrap(), event);
}

#[test]
fn reader_accepts_what_a_later_version_adds() {
    let json = concat!(
        r#"{"type":"zone_degraded","zone":"eu-1a","gateway":"gw-1","epoch":3,"gateway_sequence":1,"#,
        r#""decided_at_unix_us":5,"phi_milli":8000,"nested":{"a":[1]}}"#
    );
    let event = Event::from_json(json.as_bytes()).unwrap();
    assert_eq!(event.event_type, EventType::Other("zone_degraded".into()));
    assert_eq!(event.subject(), "eu-1a");
    assert_eq!(event.event_type.cloud_events_type(), "io.pulsegate.zone.degraded.v1");
}

#[test]
fn reader_refuses_what_is_not_an_event() {
    for json in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"type":"failed"}"#,
        r#"{"type":7,"gateway":"g","epoch":1,"gateway_sequence":1,"decided_at_unix_us":5}"#,
        r#"{"type":"failed","node_id":"ff","gateway":"g","epoch":1,"gateway_sequence":1,"decided_at_unix_us":5}"#,
        r#"{"type":"failed","gateway":"g","epoch":-1,"gateway_sequence":1,"decided_at_unix_us":5}"#,
        r#"{"type":"failed","gateway":"g","epoch":1.5,"gateway_sequence":1,"decided_at_unix_us":5}"#,
    ] {
        let error = Event::from_json(json.as_bytes()).expect_err(json);
        assert!(error.to_string().starts_with("not an event: "), "{error}");
    }
}

#[test]
fn record_carries_cloud_events_headers() {
    let record = failed_event().to_record(ValueFormat::Json);
    let headers: Vec<(&str, &str)> =
        record.headers.iter().map(|(name, value)| (*name, std::str::from_utf8(value).unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("ce_specversion", "1.0"),
            ("ce_type", "io.pulsegate.node.failed.v1"),
            ("ce_source", "/gateways/gw-1"),
            ("ce_id", "gw-1/3/1042"),
            ("ce_time", "2026-11-24T06:00:00.000000Z"),
            ("ce_subject", "node-7"),
            ("content-type", "application/json"),
        ]
    );
    assert_eq!(record.key, "node-7");
    assert_eq!(record.value, failed_event().to_json());
    assert_eq!(record.timestamp_ms, 1_795_500_000_000);
    assert_eq!(record.headers[3].1, event_id().to_string());
}

#[test]
fn each_known_type_has_its_own_word_and_cloud_events_type() {
    let mut words = std::collections::BTreeSet::new();
    for event_type in EventType::KNOWN {
        assert_eq!(EventType::from_word(event_type.word()), event_type);
        assert!(words.insert(event_type.cloud_events_type()));
    }
    assert_eq!(EventType::Joined.cloud_events_type(), "io.pulsegate.node.joined.v1");
    assert_eq!(EventType::GatewayStopped.cloud_events_type(), "io.pulsegate.gateway.stopped.v1");
}

/// The fields of `message Event` in the file, in order: name, and type without `optional`.
fn proto_fields() -> Vec<(String, String)> {
    let file = include_str!("../../proto/pulsegate/v1/event.proto");
    let body = file.split_once("message Event {").unwrap().1.split_once("\n}").unwrap().0;
    let statements = body.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.is_empty());
    statements
        .map(|statement| {
            let (declaration, _number) = statement.split_once(" = ").unwrap();
            let (kind, name) = declaration.rsplit_once(' ').unwrap();
            (name.to_owned(), kind.trim_start_matches("optional ").to_owned())
        })
        .collect()
}

#[test]
fn protobuf_schema_has_the_fields_of_the_json() {
    // Goal: neither schema can gain, lose or rename a field alone. Method: the field names of the .proto text against
    // the keys of an event that has every field, in order, with the type of each value.
    let json: serde_json::Value = serde_json::from_slice(&full_event().to_json()).unwrap();
    let keys_in_order = String::from_utf8(full_event().to_json()).unwrap();
    let mut position = 0;
    for (name, kind) in proto_fields() {
        let value = json.get(&name).unwrap_or_else(|| panic!("{name} is in event.proto and not in the JSON"));
        let matches = match kind.as_str() {
            "string" => value.is_string(),
            "uint32" | "uint64" => value.is_u64(),
            "map<string, string>" => value.is_object(),
            "repeated string" => value.is_array(),
            _ => false,
        };
        assert!(matches, "{name} is {kind} in event.proto and {value} in the JSON");
        let found = keys_in_order.find(&format!("\"{name}\":")).unwrap();
        assert!(found > position, "{name} stands in another order");
        position = found;
    }
    assert_eq!(proto_fields().len(), json.as_object().unwrap().len());
}

#[test]
fn protobuf_twin_holds_an_event() {
    // Goal: the generated type is usable and its numbers stand: one event, as bytes that another language reads.
    let event = crate::proto::Event {
        r#type: "failed".into(),
        node: "node-7".into(),
        gateway: "gw-1".into(),
        epoch: 3,
        incarnation: Some(17),
        ..Default::default()
    };
    let bytes = prost::Message::encode_to_vec(&event);
    assert_eq!(bytes, b"\x0a\x06failed\x12\x06node-7\x30\x11\x42\x04gw-1\x48\x03");
}

#[test]
fn both_forms_tell_the_same_and_the_content_type_says_which_it_is() {
    for event in [full_event(), failed_event(), Event::new(EventType::GatewayStarted, event_id(), 5)] {
        for format in [ValueFormat::Json, ValueFormat::Protobuf] {
            let record = event.to_record(format);
            let content_type = record.headers.iter().find(|(name, _)| *name == "content-type").unwrap();
            assert_eq!(Event::decode(Some(&content_type.1), &record.value).unwrap(), event);
        }
        assert_eq!(Event::decode(None, &event.to_json()).unwrap(), event);
    }
    let text = Event::decode(Some(b"text/plain"), b"").unwrap_err().to_string();
    assert!(text.contains("text/plain") && text.contains("application/protobuf"), "{text}");
    assert!(Event::decode(Some(b"application/json; charset=utf-8"), &failed_event().to_json()).is_ok());
    assert!(matches!(Event::from_protobuf(b""), Err(EventError::Incomplete)));
    let named = crate::proto::Event { r#type: "failed".into(), gateway: "g".into(), ..Default::default() };
    let bad_id = crate::proto::Event { node_id: "+0ff00001234abcd".into(), ..named };
    let bytes = prost::Message::encode_to_vec(&bad_id);
    assert!(Event::from_protobuf(&bytes).unwrap_err().to_string().contains("+0ff"));
}

#[test]
fn groups_are_named_by_what_they_share() {
    let event = Event {
        dimension: "rack".into(),
        value: "r12".into(),
        ..Event::new(EventType::GroupFailed, event_id(), 5)
    };
    assert_eq!(event.subject(), "rack=r12");
    assert_eq!(event.event_type.cloud_events_type(), "io.pulsegate.group.failed.v1");
}

proptest! {
    #[test]
    fn json_round_trips(
        node in "\\PC{0,20}", zone in ".{0,8}", key in ".{0,8}", word in "[a-z_]{1,12}",
        id in any::<Option<u64>>(), numbers in any::<(u64, u64, u64, Option<u64>, Option<u32>)>(),
    ) {
        let event_id = EventId { gateway: node.clone(), epoch: numbers.0, gateway_sequence: numbers.1 };
        let event = Event {
            node,
            node_id: id.map(NodeId),
            labels: BTreeMap::from([(key, zone.clone())]),
            zone,
            silence_us: numbers.3,
            incarnation: numbers.4,
            previous: Some(word.clone().into()),
            ..Event::new(EventType::from_word(&word), event_id, numbers.2)
        };
        let from_protobuf = Event::from_protobuf(&event.to_protobuf());
        prop_assert_eq!(from_protobuf.ok(), (!event.gateway.is_empty()).then(|| event.clone()));
        prop_assert_eq!(Event::from_json(&event.to_json()).unwrap(), event);
    }

    #[test]
    fn reader_survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Event::from_json(&bytes), Event::from_protobuf(&bytes));
    }
}
