//! Unmodified Kafka clients of five families against the real gateway: every event once, and in order for each node.
//!
//! ```text
//!  load generator ──▶ gateway ──▶ data directory, kept     once for all tests
//!                                      │ copied
//!  client ◀── Kafka port ── gateway ◀──┘                   once a test
//!    └─ what it printed = what lies in the log?
//! ```
//!
//! Nothing of this needs to be there for the rest of the tests: a client that is not installed is skipped, and the
//! reason is printed. `.ci/fetch-clients` installs them all and tells which ones (`PULSEGATE_CLIENTS_REQUIRED`) must not
//! be skipped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod client;
#[path = "../process/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the process; not all of it is needed here")]
mod harness;
mod log;
mod member;
mod secured;
mod takeover;
mod tools;

use client::{Client, Mode};
use log::PreparedLog;

/// Goal: with all partitions assigned, the client reads exactly what lies in the log, and nothing twice.
fn reads_everything_assigned(client: Client) {
    let Some(installed) = client.find() else { return };
    let log = PreparedLog::open();
    let mut readers = installed.start(&log.gateway, Mode::Assign, 0);
    let mut read = Vec::new();
    for reader in &mut readers {
        reader.read_until_quiet();
        read.append(&mut reader.records);
    }
    log.assert_is(read, client);
}

/// Goal: a member of a group reads half, commits and leaves; the next one reads the rest and nothing twice.
fn reads_everything_in_a_group(client: Client) {
    let Some(installed) = client.find() else { return };
    let log = PreparedLog::open();
    let half = log.expected.len() / 2;
    let mut first = installed.start(&log.gateway, Mode::Group("readers"), half).remove(0);
    first.read_to_exit();
    assert_eq!(first.records.len(), half, "{} ends after what it was told to read", client.name());
    let mut second = installed.start(&log.gateway, Mode::Group("readers"), 0).remove(0);
    second.read_until_quiet();
    let mut read = std::mem::take(&mut first.records);
    read.append(&mut second.records);
    log.assert_is(read, client);
}

/// The tests of one client.
macro_rules! tests_of {
    ($module:ident, $client:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn assigned() {
                reads_everything_assigned($client);
            }

            #[test]
            fn in_a_group() {
                reads_everything_in_a_group($client);
            }

            #[test]
            fn takes_over_from_a_member_that_was_killed() {
                takeover::happens_within_the_session_timeout($client);
            }
        }
    };
}

tests_of!(kcat, Client::Kcat);
tests_of!(confluent_kafka, Client::ConfluentKafka);
tests_of!(kafka_python, Client::KafkaPython);
tests_of!(aiokafka, Client::Aiokafka);
tests_of!(kafkajs, Client::Kafkajs);
tests_of!(java, Client::Java);
