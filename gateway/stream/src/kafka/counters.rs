//! Numbers of the Kafka port, for whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the thread that serves, read by any.
#[derive(Debug, Default)]
pub struct KafkaCounters {
    /// Connections taken.
    pub connections_accepted: AtomicU64,
    /// Connections closed at once because there were too many.
    pub connections_refused: AtomicU64,
    /// Connections closed because others had more right to their place.
    pub connections_displaced: AtomicU64,
    /// Connections that came to no TLS session.
    pub handshakes_failed: AtomicU64,
    /// Logins with an unknown name or a wrong password.
    pub logins_failed: AtomicU64,
    /// Connections closed because nothing came, or a request or response was not finished in time.
    pub connections_timed_out: AtomicU64,
    /// Connections closed because they read or sent too slowly while others waited for the memory that they held.
    pub connections_slow: AtomicU64,
    /// Connections closed because there was no memory left for their request or its response.
    pub connections_starved: AtomicU64,
    /// Connections closed because of what they sent: no request, an unknown one, or one beyond its bounds.
    pub connections_malformed: AtomicU64,
    /// Connections at the moment.
    pub connections: AtomicU64,
    /// Requests understood.
    pub requests: AtomicU64,
    /// Bytes of record batches served.
    pub fetch_bytes: AtomicU64,
    /// Batches that could not be read or did not verify.
    pub read_failures: AtomicU64,
}

impl KafkaCounters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        // Relaxed: numbers by themselves, nothing is published by them.
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// Counts a connection as long as it lives.
#[derive(Debug)]
pub(super) struct Connected<'a>(&'a AtomicU64);

impl<'a> Connected<'a> {
    pub(super) fn new(connections: &'a AtomicU64) -> Self {
        KafkaCounters::add(connections, 1);
        Self(connections)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        // Relaxed: see `KafkaCounters::add`.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
