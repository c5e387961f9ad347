//! The settings of the coordinator, and their bounds.

use std::time::Duration;

use super::limits::{
    EMPTY_GROUP_RETENTION_DEFAULT, GROUPS_MAX, INITIAL_DELAY_DEFAULT, INITIAL_DELAY_MAX,
    MEMBERS_PER_GROUP_MAX, PARKED_REQUESTS_MAX, SESSION_TIMEOUT_MAX, SESSION_TIMEOUT_MIN, STATE_BYTES_MAX,
};

/// The settings of the coordinator. The counts can be made smaller than their bounds, not larger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupConfig {
    /// Makes member ids differ from those of other coordinators and earlier runs: take something random or the time.
    pub seed: u64,
    /// How long a new group waits for more members before its first generation. Zero: not at all.
    pub initial_delay: Duration,
    /// Shortest session timeout that a member may ask for.
    pub session_timeout_min: Duration,
    /// Longest session timeout that a member may ask for.
    pub session_timeout_max: Duration,
    /// How long a group without members is still known here.
    pub empty_group_retention: Duration,
    /// At most [`GROUPS_MAX`].
    pub groups_max: usize,
    /// At most [`MEMBERS_PER_GROUP_MAX`].
    pub members_per_group_max: usize,
    /// At most [`PARKED_REQUESTS_MAX`].
    pub parked_requests_max: usize,
    /// At most [`STATE_BYTES_MAX`].
    pub state_bytes_max: usize,
}

impl GroupConfig {
    /// The defaults.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            initial_delay: INITIAL_DELAY_DEFAULT,
            session_timeout_min: SESSION_TIMEOUT_MIN,
            session_timeout_max: SESSION_TIMEOUT_MAX,
            empty_group_retention: EMPTY_GROUP_RETENTION_DEFAULT,
            groups_max: GROUPS_MAX,
            members_per_group_max: MEMBERS_PER_GROUP_MAX,
            parked_requests_max: PARKED_REQUESTS_MAX,
            state_bytes_max: STATE_BYTES_MAX,
        }
    }

    /// Brings every setting within its bounds.
    pub(super) fn bounded(self) -> Self {
        Self {
            initial_delay: self.initial_delay.min(INITIAL_DELAY_MAX),
            session_timeout_max: self.session_timeout_max.min(SESSION_TIMEOUT_MAX),
            groups_max: self.groups_max.min(GROUPS_MAX),
            members_per_group_max: self.members_per_group_max.min(MEMBERS_PER_GROUP_MAX),
            parked_requests_max: self.parked_requests_max.min(PARKED_REQUESTS_MAX),
            state_bytes_max: self.state_bytes_max.min(STATE_BYTES_MAX),
            ..self
        }
    }
}
