//! One member, and the ids that members get.

use std::time::Duration;

use bytes::Bytes;

use super::limits::{CLIENT_ID_BYTES_MAX, REBALANCE_TIMEOUT_MAX};
use super::message::{JoinRequest, JoinedMember, Protocol, RequestToken};

/// What a member waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parked {
    Nothing,
    Join(RequestToken),
    Sync(RequestToken),
}

/// One member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    /// Set for a static member.
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    pub(super) parked: Parked,
    /// When its session timer was last wound up. The timer stands still while a request is parked.
    pub(super) last_seen: Duration,
    /// It was told of a generation and has not asked for its assignment.
    pub(super) must_sync: bool,
    /// The client knows its id: if it does not, nobody can ever come back as this member.
    pub(super) knows_its_id: bool,
}

impl Member {
    /// A member whose join waits.
    pub(super) fn new(id: String, token: RequestToken, now: Duration, request: &JoinRequest) -> Self {
        let mut member = Self {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: cut(&request.client_id).to_owned(),
            client_host: cut(&request.client_host).to_owned(),
            session_timeout: Duration::ZERO,
            rebalance_timeout: Duration::ZERO,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            parked: Parked::Join(token),
            last_seen: now,
            must_sync: false,
            knows_its_id: !request.member_id.is_empty(),
        };
        member.update(request);
        member
    }

    /// Takes over what a later join says.
    pub(super) fn update(&mut self, request: &JoinRequest) {
        self.session_timeout = session_timeout(request);
        self.rebalance_timeout = match u64::try_from(request.rebalance_timeout_ms) {
            Ok(ms) if ms > 0 => Duration::from_millis(ms).min(REBALANCE_TIMEOUT_MAX),
            _ => self.session_timeout,
        };
        // Copied: a slice would keep the whole request alive.
        let copied = |protocol: &Protocol| Protocol {
            name: protocol.name.clone(),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        };
        self.protocols = request.protocols.iter().map(copied).collect();
    }

    pub(super) const fn is_joining(&self) -> bool {
        matches!(self.parked, Parked::Join(_))
    }

    pub(super) const fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|own| own.name == protocol)
    }

    /// When it counts as gone, if it is not heard of. Never while a request is parked.
    pub(super) fn session_deadline(&self) -> Option<Duration> {
        (self.parked == Parked::Nothing).then(|| self.last_seen.saturating_add(self.session_timeout))
    }

    /// Its connection died: the parked request is gone, and the session timer runs from now on.
    pub(super) fn forget_parked(&mut self, now: Duration) {
        self.parked = Parked::Nothing;
        self.last_seen = now;
        if !self.knows_its_id {
            self.session_timeout = Duration::ZERO;
        }
    }

    /// As the leader gets it.
    pub(super) fn as_joined(&self, protocol: Option<&str>) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol).cloned().unwrap_or_default(),
        }
    }

    /// For this protocol, if it has it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Option<&Bytes> {
        let own = self.protocols.iter().find(|own| Some(own.name.as_str()) == protocol);
        own.map(|own| &own.metadata)
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let protocols: usize = self.protocols.iter().map(|own| own.name.len() + own.metadata.len()).sum();
        let names = self.id.len() + self.client_id.len() + self.client_host.len();
        let instance = self.instance_id.as_ref().map_or(0, String::len);
        // The id once more: it is the key of the map as well.
        size_of::<Self>() + self.id.len() + names + instance + protocols + self.assignment.len()
    }
}

/// Its check is the caller's: what is no number of milliseconds is zero here, and so out of range.
pub(super) fn session_timeout(request: &JoinRequest) -> Duration {
    Duration::from_millis(u64::try_from(request.session_timeout_ms).unwrap_or(0))
}

/// Makes member ids, each one different.
#[derive(Debug)]
pub(super) struct MemberIds {
    seed: u64,
    count: u64,
}

impl MemberIds {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// An id that shows whose it is: the instance's or the client's name comes first, as in Kafka.
    pub(super) fn next(&mut self, request: &JoinRequest) -> String {
        self.count += 1;
        let name = request.group_instance_id.as_ref().unwrap_or(&request.client_id);
        format!("{}-{:016x}-{}", cut(name), self.seed, self.count)
    }
}

/// As much of a name as is kept.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(CLIENT_ID_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        let name = "ä".repeat(CLIENT_ID_BYTES_MAX);
        assert_eq!(cut(&name).len(), CLIENT_ID_BYTES_MAX);
        let name = format!("x{name}");
        assert_eq!(cut(&name).len(), CLIENT_ID_BYTES_MAX - 1);
        assert_eq!(cut("short"), "short");
    }
}
