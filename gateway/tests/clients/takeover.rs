//! Two members of a group share the partitions; one is killed, and the other takes over.
//!
//! The test introduces a few new nodes again and again, enough to reach every partition: a round. The member that prints
//! an event of the round holds its partition.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::client::{Client, Mode, SESSION_TIMEOUT_MS};
use crate::harness::{FAST, Gateway, Relay, pause};
use crate::log::{PARTITIONS, records};
use crate::member::Member;

/// Nodes of a round.
const ROUND_NODES: u32 = 12;
/// How long a member may take to print the events of a round.
const ROUND_TIME: Duration = Duration::from_millis(400);
/// Rounds until two members must share: their programs must start, and join one after the other.
const SHARE_ROUNDS_MAX: u32 = 100;
/// Beyond the session timeout: the member that is left must hear of it with its next heartbeat (three seconds, for some),
/// join again, ask for offsets and fetch.
const REJOIN_TIME: Duration = Duration::from_secs(6);

/// Goal: after SIGKILL of one of two members the other holds all partitions within the session timeout and the time to
/// join again; and together they have read every event, whatever else happened.
pub fn happens_within_the_session_timeout(client: Client) {
    let Some(installed) = client.find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), &format!("{FAST}[stream]\npartitions = {PARTITIONS}\n"));
    let mut rounds = Rounds { relay: Relay::new("relay", &gateway), count: 0 };
    let start = || installed.start(&gateway, Mode::Group("members"), 0).remove(0);
    let mut members = [start(), start()];

    let shared = (0..SHARE_ROUNDS_MAX).any(|_| {
        let name = rounds.next();
        let [first, second] = members.each_mut().map(|member| held(member, &name));
        first.is_disjoint(&second) && !first.is_empty() && !second.is_empty() && is_all(&first | &second)
    });
    assert!(shared, "{}: two members do not share {PARTITIONS} partitions", client.name());

    let [survivor, victim] = &mut members;
    victim.kill();
    let within = Duration::from_millis(SESSION_TIMEOUT_MS.into()) + REJOIN_TIME;
    let rounds_max = within.as_millis() / ROUND_TIME.as_millis();
    let taken_over_in = (1..=rounds_max).find(|_| {
        let name = rounds.next();
        is_all(held(survivor, &name))
    });
    let Some(rounds_needed) = taken_over_in else {
        panic!("{}: nobody took over within {within:?}", client.name());
    };
    println!("{}: took over in {rounds_needed} rounds of {ROUND_TIME:?}", client.name());

    survivor.take();
    let read: BTreeSet<_> = members
        .iter()
        .flat_map(|member| &member.records)
        .map(|record| (record.partition, record.offset))
        .collect();
    let last = rounds.name();
    let written = records(directory.path()).into_iter().filter(|record| !record.key.starts_with(&last));
    let unread: Vec<_> = written
        .map(|record| (record.partition, record.offset))
        .filter(|place| !read.contains(place) && place.1 < end_of(&read, place.0))
        .collect();
    assert_eq!(unread, [], "{}: events that no member has read", client.name());
}

struct Rounds {
    relay: Relay,
    count: u32,
}

impl Rounds {
    /// Introduces nodes with names of their own, waits until they can have been printed, and tells how they begin.
    fn next(&mut self) -> String {
        self.count += 1;
        let name = self.name();
        let names: Vec<_> = (0..ROUND_NODES).map(|node| format!("{name}{node}")).collect();
        // A node counts from its second heartbeat on.
        for _ in 0..2 {
            self.relay.introduce(&names.iter().map(String::as_str).collect::<Vec<_>>());
            pause(ROUND_TIME / 2);
        }
        name
    }

    fn name(&self) -> String {
        format!("round-{}-", self.count)
    }
}

/// The partitions of which the member has printed an event of this round.
fn held(member: &mut Member, round: &str) -> BTreeSet<u32> {
    member.take();
    let of_round = member.records.iter().filter(|record| record.key.starts_with(round));
    of_round.map(|record| record.partition).collect()
}

fn is_all(partitions: impl std::borrow::Borrow<BTreeSet<u32>>) -> bool {
    partitions.borrow().iter().copied().eq(0..PARTITIONS)
}

/// One more than the greatest offset that was read of this partition.
fn end_of(read: &BTreeSet<(u32, u64)>, partition: u32) -> u64 {
    read.range((partition, 0)..(partition + 1, 0)).next_back().map_or(0, |&(_, offset)| offset + 1)
}
