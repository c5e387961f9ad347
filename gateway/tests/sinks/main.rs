//! Sinks of the real gateway against targets that fail: a mock cluster, a hostile HTTP endpoint, and a real Apache Kafka
//! broker behind a proxy that loses acknowledgements.
//!
//! The broker needs Java and the jars that `.ci/fetch-clients` puts into `target/clients` (or the folder that
//! `PULSEGATE_CLIENTS` names); without them its tests are skipped and say so. All else needs nothing.

#![cfg(feature = "kafka-client")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod broker;
mod endpoint;
mod fleet;
#[path = "../process/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the process; not all of it is needed here")]
mod harness;
mod judge;
mod mock_cluster;
mod proxy;
mod real_broker;
mod webhook;
mod webhook_tls;
