//! What the Kafka port may be bound to, and what secures it.
//!
//! ```text
//!   address       nobody logs in             logins without TLS              logins with TLS, or client certificates
//!   loopback      yes                        yes                             yes
//!   any other     only if asked for:         only if asked for:              yes
//!                 allow-unauthenticated-…    sasl.allow-passwords-in-clear
//! ```

use std::net::SocketAddr;

use super::raw::RawKafka;
use super::{Kafka, KafkaTls};

/// The port is reachable from a network, and not secured for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenKafka {
    /// Whoever reaches it reads everything.
    #[error(
        "config key `listen.kafka` = {0}: anybody who reaches this address could read all events; use a loopback \
         address, or let clients log in (`[kafka.tls]` with `[kafka.sasl]` or `client-authority`), or set \
         `kafka.allow-unauthenticated-network = true` if the network is yours"
    )]
    NoLogin(SocketAddr),
    /// Whoever listens on the way reads the passwords.
    #[error(
        "config key `listen.kafka` = {0}: `[kafka.sasl]` without `[kafka.tls]` sends passwords in clear over this \
         network; add `[kafka.tls]`, use a loopback address, or set `kafka.sasl.allow-passwords-in-clear = true`"
    )]
    ClearPasswords(SocketAddr),
}

pub(super) fn check_reach(address: SocketAddr, raw: &RawKafka) -> Result<(), OpenKafka> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let asks_certificate = raw.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
    match &raw.sasl {
        None if asks_certificate || raw.allow_unauthenticated_network => Ok(()),
        None => Err(OpenKafka::NoLogin(address)),
        Some(sasl) if raw.tls.is_some() || sasl.allow_passwords_in_clear => Ok(()),
        Some(_) => Err(OpenKafka::ClearPasswords(address)),
    }
}

pub(super) fn settings(raw: &RawKafka) -> Kafka {
    let tls = raw.tls.as_ref().map(|tls| KafkaTls {
        certificates: tls.certificates.clone(),
        key: tls.key.clone(),
        client_authority: tls.client_authority.clone(),
    });
    Kafka { tls, users: raw.sasl.as_ref().map(|sasl| sasl.users.clone()) }
}
