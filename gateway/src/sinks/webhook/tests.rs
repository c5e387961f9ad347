//! The pure parts: how events look in a request, what an answer means, how waits grow.

use std::time::Duration;

use pulsegate_codec::event::{Event, EventId, EventType};
use pulsegate_stream::{Header, Record};
use serde_json::Value;

use super::answer::{Answer, of_status};
use super::backoff::Backoff;
use super::request::{batch, binary_headers, event_word, structured};
use crate::sinks::feed::Outgoing;

fn record(event_type: EventType, node: &str) -> Record {
    let id = EventId { gateway: "gw".to_owned(), epoch: 3, gateway_sequence: 1_042 };
    let mut event = Event::new(event_type, id, 1_795_500_000_000_000);
    event.node = node.to_owned();
    Record::from(event.to_record(pulsegate_codec::event::ValueFormat::Json))
}

#[test]
fn binary_mode_has_attributes_as_headers() {
    let headers = binary_headers(&record(EventType::Failed, "nöde \"7\"%"));
    let header =
        |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!(header("ce-specversion"), Some("1.0"));
    assert_eq!(header("ce-type"), Some("io.pulsegate.node.failed.v1"));
    assert_eq!(header("ce-id"), Some("gw/3/1042"));
    assert_eq!(header("ce-subject"), Some("n%C3%B6de%20%227%22%25"));
    assert_eq!(header("content-type"), Some("application/json"));
}

#[test]
fn structured_and_batch_modes_are_json() {
    let node = "nöde \"7\"";
    let events: Vec<Outgoing> =
        (0..2).map(|offset| Outgoing { lane: 0, offset, record: record(EventType::Failed, node) }).collect();
    let parsed: Vec<Value> = serde_json::from_slice(&batch(&events)).unwrap();
    assert_eq!(parsed.len(), 2);
    for event in &parsed {
        assert_eq!((event["subject"].as_str(), event["data"]["node"].as_str()), (Some(node), Some(node)));
        assert_eq!(
            (event["id"].as_str(), event["datacontenttype"].as_str()),
            (Some("gw/3/1042"), Some("application/json"))
        );
    }
}

#[test]
fn data_that_is_no_json_is_base64_and_no_data_is_none() {
    let header =
        |name: &'static str, value: &'static str| Header { name: name.into(), value: Some(value.into()) };
    let headers = vec![header("ce_id", "x"), header("content-type", "application/protobuf")];
    for (value, expected) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
    {
        let record =
            Record { timestamp_ms: 0, key: None, value: Some(value.into()), headers: headers.clone() };
        let mut body = Vec::new();
        structured(&record, &mut body);
        let parsed: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed["data_base64"], expected);
    }
    let mut body = Vec::new();
    structured(&Record { timestamp_ms: 0, key: None, value: None, headers }, &mut body);
    assert_eq!(body, b"{\"id\":\"x\",\"datacontenttype\":\"application/protobuf\"}");
}

#[test]
fn every_type_is_known_by_its_word() {
    for event_type in EventType::KNOWN {
        assert_eq!(event_word(&record(event_type.clone(), "n")).as_deref(), Some(event_type.word()));
    }
}

#[test]
fn answers_mean_taken_refused_or_later() {
    let of = |status| of_status(status, String::new(), None, 0);
    for status in [200, 202, 204] {
        assert_eq!(of(status), Answer::Taken, "{status}");
    }
    for status in [400, 405, 409, 410, 413, 415, 422] {
        assert!(matches!(of(status), Answer::Refused(_)), "{status}");
    }
    for status in [301, 307, 401, 403, 404, 407, 408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(matches!(of(status), Answer::Later { .. }), "{status}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_and_bounded() {
    let wait = |text: &str| match of_status(429, String::new(), Some(text), 784_111_770_000_000) {
        Answer::Later { not_before, .. } => not_before,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(" 17 "), Some(Duration::from_secs(17)));
    // The example of RFC 9110; it is 08:49:30.
    assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
    assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(wait("99999999"), Some(super::answer::RETRY_AFTER_MAX));
    assert_eq!(wait("soon"), None);
}

#[test]
fn waits_double_up_to_the_longest_and_differ() {
    let (shortest, longest) = (Duration::from_millis(200), Duration::from_secs(1));
    let mut backoff = Backoff::new(shortest, longest, 7);
    let waits: Vec<Duration> = (0..6).map(|_| backoff.next_wait()).collect();
    for (wait, full_ms) in waits.iter().zip([200, 400, 800, 1_000, 1_000, 1_000]) {
        let full = Duration::from_millis(full_ms);
        assert!(*wait >= full / 2 && *wait <= full, "{waits:?}");
    }
    let other: Vec<Duration> = {
        let mut backoff = Backoff::new(shortest, longest, 8);
        (0..6).map(|_| backoff.next_wait()).collect()
    };
    assert_ne!(waits, other);
    backoff.reset();
    assert!(backoff.next_wait() <= shortest);
}
