//! The Kafka port of this gateway: the log as the publisher writes it, served on the control thread.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pulsegate_stream::kafka::group::GroupConfig;
use pulsegate_stream::kafka::offsets::{OFFSETS_TOPIC, OffsetStore};
use pulsegate_stream::kafka::{Advertised, Failure, KafkaConfig, KafkaCounters, KafkaServer, Security};
use pulsegate_stream::{Storage, Topics};

use super::GatewayError;
use super::damage::{self, LogDamage};
use crate::config::Config;
use crate::data_dir;
use crate::io::Clock;

/// The one broker that clients see.
const NODE_ID: i32 = 1;

/// The port that is served.
pub(super) struct Port {
    /// Where it was bound.
    pub(super) address: SocketAddr,
    /// What stands between it and the network.
    pub(super) security: Security,
    /// Its numbers.
    pub(super) counters: Arc<KafkaCounters>,
}

/// Opens the committed offsets. Returns also what is to be told of damage: that of the topics, and of the offsets.
pub(super) async fn open_offsets(
    config: &Config,
    storage: Storage,
    of_topics: &[LogDamage],
) -> Result<(OffsetStore, Vec<LogDamage>), GatewayError> {
    let directory = data_dir::groups_dir(&config.data_dir);
    let on_damage = damage::on_damage(config.stream.on_damage, &directory);
    let offsets = OffsetStore::open(&directory, storage, on_damage).await?;
    let damage = damage::tell(OFFSETS_TOPIC, offsets.recovery());
    Ok((offsets, [of_topics, &damage].concat()))
}

/// Makes the server.
pub(super) fn server(
    config: &Config,
    (topics, offsets): (Topics, OffsetStore),
    port: Port,
    clock: Clock,
) -> KafkaServer {
    let Port { address, security, counters } = port;
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
        security,
        counters,
        on_failure: Rc::new(|failure| match failure {
            Failure::Unserved { .. } | Failure::Login { .. } | Failure::Handshake { .. } => {
                tracing::warn!(reason = %failure, "a Kafka client was refused");
            }
            _ => tracing::error!(error = %failure, "a Kafka client was refused"),
        }),
    };
    KafkaServer::new(kafka, topics, offsets)
}
