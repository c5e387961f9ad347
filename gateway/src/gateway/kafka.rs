//! The Kafka port of this gateway: the log as the publisher writes it, served on the control thread.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pulsegate_stream::kafka::group::GroupConfig;
use pulsegate_stream::kafka::offsets::OffsetStore;
use pulsegate_stream::kafka::{Advertised, KafkaConfig, KafkaCounters, KafkaServer};
use pulsegate_stream::{LogView, Storage};

use super::GatewayError;
use crate::config::Config;
use crate::data_dir;
use crate::io::Clock;

/// The one broker that clients see.
const NODE_ID: i32 = 1;

/// Opens the committed offsets and makes the server; `address` is where its port was bound.
pub(super) async fn server(
    config: &Config,
    storage: Storage,
    view: Rc<LogView>,
    address: SocketAddr,
    clock: Clock,
    counters: Arc<KafkaCounters>,
) -> Result<KafkaServer, GatewayError> {
    let offsets = OffsetStore::open(&data_dir::groups_dir(&config.data_dir), storage).await?;
    let (host, port) = match &config.listen.kafka_advertised {
        Some((host, port)) => (host.clone(), *port),
        None => (address.ip().to_string(), address.port()),
    };
    let advertised = Advertised { host, port, node_id: NODE_ID, cluster_id: config.name.clone() };
    let started = clock.now();
    let kafka = KafkaConfig {
        advertised,
        groups: GroupConfig::new(clock.unix_us()),
        clock: Rc::new(move || {
            let since_us = u64::try_from(clock.now().since(started).as_micros()).unwrap_or(u64::MAX);
            Duration::from_micros(since_us)
        }),
        unix_ms: Rc::new(move || i64::try_from(clock.unix_us() / 1_000).unwrap_or(i64::MAX)),
        counters,
        on_failure: Rc::new(|failure| tracing::error!(error = %failure, "a Kafka client was refused")),
    };
    Ok(KafkaServer::new(kafka, view, offsets))
}
