//! What administrators see of the groups: borrowed from the coordinator, not copied. All groups together are far larger
//! than any response may be, and many may ask at the same time.

use std::collections::BTreeMap;

use super::error::GroupErrorCode;
use super::limits::GROUP_ID_BYTES_MAX;
use super::member::Member;
use super::message::GroupState;
use super::state::Group;
use super::{Entry, GroupCoordinator};

/// One line of `ListGroups`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedGroup<'a> {
    /// Which one.
    pub group_id: &'a str,
    /// Empty if it never had a member.
    pub protocol_type: &'a str,
    /// At the moment.
    pub state: GroupState,
}

/// One group of `DescribeGroups`. A group that is not there is [`GroupState::Dead`], without an error, as in Kafka.
#[derive(Clone, Copy, Debug)]
pub struct DescribedGroup<'a> {
    /// Success or why not.
    pub error: GroupErrorCode,
    /// At the moment.
    pub state: GroupState,
    /// Empty if it never had a member.
    pub protocol_type: &'a str,
    /// Empty unless stable.
    pub protocol: &'a str,
    members: &'a BTreeMap<String, Member>,
}

/// One member of a described group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DescribedMember<'a> {
    /// Its id.
    pub member_id: &'a str,
    /// Set for a static member.
    pub group_instance_id: Option<&'a str>,
    /// As it called itself.
    pub client_id: &'a str,
    /// Where it came from.
    pub client_host: &'a str,
    /// For the chosen protocol; empty unless stable.
    pub metadata: &'a [u8],
    /// Empty unless stable.
    pub assignment: &'a [u8],
}

/// The protocol type of consumers: nobody else commits offsets.
const CONSUMER: &str = "consumer";

static NOBODY: BTreeMap<String, Member> = BTreeMap::new();

impl GroupCoordinator {
    /// The groups, by id.
    pub fn list(&self) -> impl ExactSizeIterator<Item = ListedGroup<'_>> {
        self.groups.iter().map(|(group_id, Entry { group, .. })| ListedGroup {
            group_id,
            protocol_type: group.protocol_type.as_deref().unwrap_or_default(),
            state: group.state,
        })
    }

    /// One group.
    #[must_use]
    pub fn describe(&self, group_id: &str) -> DescribedGroup<'_> {
        if !(1..=GROUP_ID_BYTES_MAX).contains(&group_id.len()) {
            return DescribedGroup { error: GroupErrorCode::InvalidGroupId, ..DescribedGroup::ABSENT };
        }
        self.groups.get(group_id).map_or(DescribedGroup::ABSENT, |entry| entry.group.describe())
    }
}

impl Group {
    /// What a rebalance may change is left out until it is over, as in Kafka.
    fn describe(&self) -> DescribedGroup<'_> {
        let is_stable = self.state == GroupState::Stable;
        DescribedGroup {
            error: GroupErrorCode::None,
            state: self.state,
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            protocol: self.protocol.as_deref().filter(|_| is_stable).unwrap_or_default(),
            members: &self.members,
        }
    }
}

impl<'a> ListedGroup<'a> {
    /// A group that the coordinator does not know, and whose offsets are kept.
    #[must_use]
    pub const fn without_members(group_id: &'a str) -> Self {
        Self { group_id, protocol_type: CONSUMER, state: GroupState::Empty }
    }
}

impl<'a> DescribedGroup<'a> {
    /// As [`ListedGroup::without_members`].
    pub const WITHOUT_MEMBERS: Self =
        Self { state: GroupState::Empty, protocol_type: CONSUMER, ..Self::ABSENT };

    /// A group that is not there.
    const ABSENT: Self = Self {
        error: GroupErrorCode::None,
        state: GroupState::Dead,
        protocol_type: "",
        protocol: "",
        members: &NOBODY,
    };

    /// Its members, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = DescribedMember<'a>> + use<'a> {
        let protocol = (self.state == GroupState::Stable).then_some(self.protocol);
        self.members.values().map(move |member| DescribedMember {
            member_id: &member.id,
            group_instance_id: member.instance_id.as_deref(),
            client_id: &member.client_id,
            client_host: &member.client_host,
            metadata: member.metadata(protocol).map_or(&[], |metadata| metadata),
            assignment: if protocol.is_some() { &member.assignment } else { &[] },
        })
    }
}
