//! What long lives have come to, in numbers: how much was covered, and that no way was left out.

use crate::told::Tally;

/// What worlds have seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lived {
    pub(crate) node_hours: f64,
    /// Of these, at each interval that there is.
    pub(crate) node_hours_at: [f64; 3],
    pub(crate) heartbeats: u64,
    /// Failures that engines decided on.
    pub(crate) failures: u64,
    /// Times that the gateway did not run, lost datagrams, or began anew.
    pub(crate) gateway_troubles: u64,
    pub(crate) told: Tally,
}

impl Lived {
    pub(crate) fn add(&mut self, other: &Self) {
        self.node_hours += other.node_hours;
        for (sum, hours) in self.node_hours_at.iter_mut().zip(other.node_hours_at) {
            *sum += hours;
        }
        self.heartbeats += other.heartbeats;
        self.failures += other.failures;
        self.gateway_troubles += other.gateway_troubles;
        self.told.add(&other.told);
    }

    pub(crate) fn has_seen_everything(&self) -> bool {
        self.failures > 1_000 && self.gateway_troubles > 100 && self.told.has_seen_everything()
    }
}
