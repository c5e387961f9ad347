//! What consumers read, in all its forms: the JSON that the codec writes, `event.proto`, the JSON Schema, and the page
//! `docs/stream.md`. None of them can gain, lose or rename a field or a type alone.

mod validator;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pulsegate_codec::NodeId;
use pulsegate_codec::event::{Event, EventId, EventType};
use serde_json::{Value, json};

use validator::{validate, validate_definition};

fn workspace_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between two marks, the first of their kind.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, behind) = text.split_once(start).unwrap_or_else(|| panic!("{start:?} is missing"));
    behind.split_once(end).unwrap_or_else(|| panic!("{end:?} is missing behind {start:?}")).0
}

fn schema() -> Value {
    serde_json::from_str(&workspace_file("codec/schema/event.schema.json")).expect("the schema is JSON")
}

/// One field of `message Event`: its comment and its kind, without `optional`.
struct ProtoField {
    comment: String,
    kind: String,
}

fn proto_fields() -> BTreeMap<String, ProtoField> {
    let text = workspace_file("codec/proto/pulsegate/v1/event.proto");
    let body = between(&text, "message Event {", "\n}");
    let mut comment: Vec<&str> = Vec::new();
    let mut fields = BTreeMap::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(words) = line.strip_prefix("// ") {
            comment.push(words);
        } else {
            let (declaration, _number) =
                line.split_once(" = ").expect("a field is a declaration, an equals sign and a number");
            let (kind, name) = declaration.rsplit_once(' ').expect("a declaration is a kind and a name");
            let kind = kind.trim_start_matches("optional ").to_owned();
            let comment = std::mem::take(&mut comment).join(" ");
            fields.insert(name.to_owned(), ProtoField { comment, kind });
        }
    }
    fields
}

/// An event with the fields that every event of this type has.
fn bare_event(event_type: EventType) -> Event {
    let id = EventId { gateway: "gw-1".into(), epoch: 1, gateway_sequence: 1 };
    let mut event = Event::new(event_type.clone(), id, 0);
    match event_type.entity_and_change().0 {
        "node" => {
            event.node = "n".into();
            event.node_id = Some(NodeId(u64::MAX));
            event.event_sequence = Some(1);
        }
        "zone" => event.zone = "z".into(),
        "group" => {
            event.dimension = "rack".into();
            event.cause_id = "gw-1/1/1".into();
            (event.count, event.members) = (Some(0), Some(u32::MAX));
        }
        _ => {}
    }
    event
}

/// Every field present, each at its greatest, whether or not they make sense together.
fn full_event(event_type: EventType) -> Event {
    let id = EventId { gateway: "ürgent \"1\"".into(), epoch: u64::MAX, gateway_sequence: u64::MAX };
    let (small, big) = (Some(u32::MAX), Some(u64::MAX));
    let id_text = "00ff00001234abcd".to_owned();
    Event {
        node: "node-7".into(),
        node_id: Some(NodeId(7)),
        zone: "eu-1a".into(),
        labels: BTreeMap::from([("rack".into(), "r12".into()), ("canary".into(), String::new())]),
        incarnation: small,
        event_sequence: small,
        shard: small,
        previous: Some("suspect".into()),
        last_seen_unix_us: big,
        deadline_unix_us: big,
        lateness_us: big,
        silence_us: big,
        interval_ms: small,
        suspect_timeout_ms: big,
        failed_timeout_ms: big,
        detector: Some("phi".into()),
        last_sequence: small,
        intervals_missed: small,
        reason: Some("scale_down".into()),
        expected_return_ms: big,
        state: Some("failed".into()),
        cause_id: "gw-1/3/1041".into(),
        dimension: "rack".into(),
        value: "r12".into(),
        count: small,
        members: small,
        held_us: big,
        profile: "wan".into(),
        mean_us: big,
        deviation_us: big,
        phi_threshold_milli: small,
        round_trip_time_us: small,
        progress: big,
        pending: small,
        flap_count: small,
        pause_us: big,
        dropped: big,
        sources: vec![id_text.clone(), id_text],
        probe: Some("silent".into()),
        sink: "central".into(),
        topic: "pulsegate.events".into(),
        partition: small,
        first_offset: big,
        next_offset: big,
        bytes: big,
        ..Event::new(event_type, id, u64::MAX)
    }
}

fn as_value(event: &Event) -> Value {
    serde_json::from_slice(&event.to_json()).expect("the codec writes JSON")
}

#[test]
fn each_type_of_event_fits_the_schema_in_both_forms() {
    let schema = schema();
    for event_type in EventType::KNOWN {
        for event in [bare_event(event_type.clone()), full_event(event_type)] {
            validate(&schema, &as_value(&event)).unwrap();
            let twin = Event::from_protobuf(&event.to_protobuf()).unwrap();
            assert_eq!(as_value(&twin), as_value(&event));
        }
    }
    let later = EventType::from_word("gateway_enlightened");
    validate(&schema, &as_value(&bare_event(later))).expect("types of later versions fit");
    let mut later = as_value(&full_event(EventType::Failed));
    later["added_by_a_later_version"] = json!({"nested": [null]});
    validate(&schema, &later).expect("fields of later versions fit");
}

#[test]
fn schema_refuses_what_is_no_event() {
    // Goal: the schema says something about each field. Method: each field of a full event in turn gets values that no
    // field may have; each field that an event must have is taken away.
    let schema = schema();
    let good = as_value(&full_event(EventType::Failed));
    for name in good.as_object().unwrap().keys() {
        for bad in
            [json!(null), json!(""), json!(true), json!(-1), json!(1.5), json!([]), json!({}), json!([1])]
        {
            let mut event = good.clone();
            event[name] = bad.clone();
            assert!(validate(&schema, &event).is_err(), "{name} may be {bad}");
        }
    }
    for event_type in EventType::KNOWN {
        let bare = as_value(&bare_event(event_type));
        for name in bare.as_object().unwrap().keys() {
            let mut event = bare.clone();
            event.as_object_mut().unwrap().remove(name);
            assert!(validate(&schema, &event).is_err(), "{bare} may lack {name}");
        }
    }
    for bad in [json!(null), json!([]), json!({})] {
        assert!(validate(&schema, &bad).is_err(), "an event may be {bad}");
    }
}

#[test]
fn schema_has_the_fields_of_the_protobuf_with_their_comments() {
    let schema = schema();
    let properties = schema["properties"].as_object().unwrap();
    let fields = proto_fields();
    let names = |map: Vec<&String>| map.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(properties.keys().collect()), names(fields.keys().collect()));
    assert_eq!(
        names(fields.keys().collect()),
        names(as_value(&full_event(EventType::Failed)).as_object().unwrap().keys().collect())
    );
    for (name, field) in fields {
        let property = &properties[&name];
        assert_eq!(property["description"], field.comment, "{name}");
        assert!(property["title"].as_str().is_some_and(|title| !title.is_empty()), "{name}");
        let reference = property["$ref"].as_str().unwrap_or_default();
        match field.kind.as_str() {
            "uint32" | "uint64" => assert_eq!(reference, format!("#/$defs/{}", field.kind), "{name}"),
            "string" if name == "type" => {}
            "string" => {
                assert!(["#/$defs/text", "#/$defs/word", "#/$defs/identity"].contains(&reference), "{name}");
            }
            "map<string, string>" => assert_eq!(property["type"], "object", "{name}"),
            "repeated string" => assert_eq!(property["type"], "array", "{name}"),
            other => panic!("{name} is {other}: say here what that is in JSON"),
        }
    }
}

#[test]
fn types_are_the_same_everywhere() {
    let schema = schema();
    let known: Vec<&str> = EventType::KNOWN.iter().map(EventType::word).collect();
    let branches = schema["$defs"]["known_type"]["oneOf"].as_array().unwrap();
    let in_schema: Vec<&str> = branches.iter().map(|branch| branch["const"].as_str().unwrap()).collect();
    assert_eq!(in_schema, known);
    assert!(branches.iter().all(|branch| branch["description"].is_string()));
    assert!(validate_definition(&schema, "known_type", &json!("gateway_enlightened")).is_err());

    let comment = &proto_fields()["type"].comment;
    let list = between(comment, "One word: ", ". ");
    assert_eq!(list.split(", ").collect::<Vec<_>>(), known);
}

#[test]
fn page_for_consumers_names_every_type_and_field_and_its_examples_are_events() {
    // Goal: the page cannot fall behind the schema. Method: a row of a table names each type and each field; what is
    // fenced as JSON is an event a line, and is what the codec would write for it.
    let page = workspace_file("docs/stream.md");
    let fields = between(&page, "## Fields", "\n## ");
    let types = between(&page, "## Event types", "\n## ");
    let rows = |section: &str| -> Vec<String> {
        let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        names.map(|(name, _)| name.to_owned()).collect()
    };
    let mut types = rows(types);
    let mut known: Vec<String> = EventType::KNOWN.iter().map(|known| known.word().to_owned()).collect();
    types.sort();
    known.sort();
    assert_eq!(types, known);
    let mut fields = rows(fields);
    fields.sort();
    assert_eq!(fields, proto_fields().into_keys().collect::<Vec<_>>());

    let schema = schema();
    let blocks = page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let examples: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(examples.len() > 5);
    for example in examples {
        let event = Event::from_json(example.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(event.to_json()).unwrap(), example);
        validate(&schema, &as_value(&event)).unwrap();
    }
}
