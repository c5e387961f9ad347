//! A bad network between the fleet and the gateway: it loses, copies, swaps and delays datagrams.
//!
//! ```text
//!  send ──▶ lost?  copied?  each copy: overtaken by k others?  late by a random time?
//!                                  │                             │
//!                                  ▼                             ▼
//!                            held (until k more were sent     in flight (until its time) ──▶ deliver
//!                                  or too long)  ───────────────▲
//! ```
//!
//! The fate of a datagram follows from the seed and from its number alone, so a run can be repeated. What a
//! datagram is does not matter here: the generator passes frames, the simulation whatever it likes. A network
//! without faults hands everything through in order. Pure: it is told the time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::moment::{Duration, Moment, microseconds};
use crate::random::Random;

/// How bad the network is. Shares are from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct NetworkOptions {
    /// Share of datagrams that vanish.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplicate: f64,
    /// Share of datagrams (copies included) that are overtaken by [`NetworkOptions::reorder_by`] others.
    pub reorder: f64,
    /// How many datagrams overtake one.
    pub reorder_by: u32,
    /// Every copy is late by a random time below this.
    pub jitter: Duration,
    /// Seeds the fates.
    pub seed: u64,
}

/// Longest time that a datagram waits to be overtaken: traffic may end first.
pub const REORDER_HOLD_MAX: Duration = Duration::from_millis(500);

/// What the network did so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetworkCounters {
    /// Datagrams that were given to the network.
    pub sent: u64,
    /// Datagrams that vanished.
    pub lost: u64,
    /// Second copies that were made.
    pub duplicated: u64,
    /// Copies that were held to be overtaken.
    pub reordered: u64,
    /// Copies that came out.
    pub delivered: u64,
}

/// The network, and the datagrams in it.
#[derive(Clone, Debug)]
pub struct Network<Datagram> {
    options: NetworkOptions,
    random: Random,
    in_flight: BinaryHeap<InFlight<Datagram>>,
    held: Vec<Held<Datagram>>,
    counters: NetworkCounters,
    order_next: u64,
}

#[derive(Clone, Debug)]
struct InFlight<Datagram> {
    arrives: Moment,
    /// Breaks ties: what was sent first arrives first.
    order: u64,
    datagram: Datagram,
}

#[derive(Clone, Debug)]
struct Held<Datagram> {
    /// Let go when this many datagrams have been sent in all …
    until_sent: u64,
    /// … or at this moment.
    until: Moment,
    datagram: Datagram,
}

impl<Datagram: Clone> Network<Datagram> {
    /// A network with nothing in it.
    #[must_use]
    pub fn new(options: NetworkOptions) -> Self {
        let random = Random::for_purpose(options.seed, "network");
        let counters = NetworkCounters::default();
        Self { options, random, in_flight: BinaryHeap::new(), held: Vec::new(), counters, order_next: 0 }
    }

    /// Takes a datagram in. Gives it back if it is lost, so that the caller can count it and reuse its
    /// memory.
    pub fn send(&mut self, datagram: Datagram, now: Moment) -> Option<Datagram> {
        self.counters.sent += 1;
        // Drawn in this order for every datagram, needed or not: a fate depends on nothing but the number.
        let lost = self.random.chance(self.options.loss);
        let duplicated = self.random.chance(self.options.duplicate);
        let fates = [self.draw_fate(), self.draw_fate()];
        let refused = if lost {
            self.counters.lost += 1;
            Some(datagram)
        } else {
            if duplicated {
                self.counters.duplicated += 1;
                self.launch(datagram.clone(), fates[1], now);
            }
            self.launch(datagram, fates[0], now);
            None
        };
        self.release_overtaken(now);
        refused
    }

    /// Takes out the datagram that arrived first, of those that have arrived at `now`.
    pub fn deliver(&mut self, now: Moment) -> Option<Datagram> {
        self.release_overtaken(now);
        if self.in_flight.peek()?.arrives > now {
            return None;
        }
        self.counters.delivered += 1;
        self.in_flight.pop().map(|arrived| arrived.datagram)
    }

    /// When something may arrive next; `None` when the network is empty.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Moment> {
        let flying = self.in_flight.peek().map(|first| first.arrives);
        self.held.iter().map(|held| held.until).chain(flying).min()
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &NetworkCounters {
        &self.counters
    }

    fn draw_fate(&mut self) -> (bool, Duration) {
        let overtaken = self.random.chance(self.options.reorder);
        let jitter_us = self.random.below(microseconds(self.options.jitter));
        (overtaken, Duration::from_micros(jitter_us))
    }

    fn launch(&mut self, datagram: Datagram, (overtaken, late_by): (bool, Duration), now: Moment) {
        if overtaken {
            self.counters.reordered += 1;
            let until_sent = self.counters.sent + u64::from(self.options.reorder_by);
            self.held.push(Held { until_sent, until: now + REORDER_HOLD_MAX, datagram });
        } else {
            self.fly(datagram, now + late_by);
        }
    }

    fn fly(&mut self, datagram: Datagram, arrives: Moment) {
        self.in_flight.push(InFlight { arrives, order: self.order_next, datagram });
        self.order_next += 1;
    }

    fn release_overtaken(&mut self, now: Moment) {
        let mut index = 0;
        while let Some(held) = self.held.get(index) {
            if held.until_sent <= self.counters.sent || held.until <= now {
                let released = self.held.remove(index);
                self.fly(released.datagram, now);
            } else {
                index += 1;
            }
        }
    }
}

/// Soonest is greatest, for a heap that pops its greatest.
impl<Datagram> Ord for InFlight<Datagram> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.arrives, other.order).cmp(&(self.arrives, self.order))
    }
}

impl<Datagram> PartialOrd for InFlight<Datagram> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Datagram> PartialEq for InFlight<Datagram> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<Datagram> Eq for InFlight<Datagram> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends 0, 1, 2 … one a millisecond, reads after each, and returns what came out.
    fn pass(options: NetworkOptions, count: u64) -> (Vec<u64>, NetworkCounters) {
        let mut network = Network::new(options);
        let mut arrived = Vec::new();
        for number in 0..count {
            let now = Moment::from_milliseconds(number);
            network.send(number, now);
            arrived.extend(std::iter::from_fn(|| network.deliver(now)));
        }
        while let Some(now) = network.next_arrival() {
            arrived.extend(std::iter::from_fn(|| network.deliver(now)));
        }
        (arrived, *network.counters())
    }

    #[test]
    fn a_good_network_hands_everything_through_in_order() {
        let (arrived, counters) = pass(NetworkOptions::default(), 1_000);
        assert!(arrived.into_iter().eq(0..1_000));
        assert_eq!((counters.delivered, counters.lost), (1_000, 0));
    }

    proptest! {
        #[test]
        fn what_is_sent_is_lost_or_delivered_and_the_seed_decides(
            seed: u64, loss in 0.0..0.5, duplicate in 0.0..0.5,
            reorder in 0.0..0.5, reorder_by in 0_u32..10, jitter_ms in 0_u64..50
        ) {
            let jitter = Duration::from_millis(jitter_ms);
            let options = NetworkOptions { loss, duplicate, reorder, reorder_by, jitter, seed };
            let (mut arrived, counters) = pass(options, 300);
            prop_assert_eq!(&pass(options, 300).0, &arrived);
            prop_assert_eq!(arrived.len() as u64, counters.delivered);
            prop_assert_eq!(counters.delivered, counters.sent - counters.lost + counters.duplicated);
            arrived.sort_unstable();
            arrived.dedup();
            prop_assert_eq!(arrived.len() as u64, counters.sent - counters.lost);
        }
    }

    #[test]
    fn a_lost_datagram_comes_back_to_its_sender() {
        let mut network = Network::new(NetworkOptions { loss: 1.0, ..NetworkOptions::default() });
        assert_eq!(network.send("frame", Moment::ZERO), Some("frame"));
        assert_eq!(network.next_arrival(), None);
    }

    #[test]
    fn shares_are_met() {
        let options = NetworkOptions {
            loss: 0.1,
            duplicate: 0.05,
            reorder: 0.2,
            reorder_by: 3,
            ..NetworkOptions::default()
        };
        let (_, counters) = pass(options, 20_000);
        assert!((1_800..2_200).contains(&counters.lost), "{counters:?}");
        assert!((750..1_050).contains(&counters.duplicated), "{counters:?}");
        assert!((3_400..4_200).contains(&counters.reordered), "{counters:?}");
    }

    #[test]
    fn a_reordered_datagram_is_overtaken_by_so_many_others() {
        let mut network =
            Network::new(NetworkOptions { reorder: 1.0, reorder_by: 3, ..NetworkOptions::default() });
        network.send(0, Moment::ZERO);
        network.options.reorder = 0.0;
        for number in 1..=3 {
            assert!(network.send(number, Moment::ZERO).is_none());
        }
        let arrived: Vec<_> = std::iter::from_fn(|| network.deliver(Moment::ZERO)).collect();
        assert_eq!(arrived, [1, 2, 3, 0]);
    }

    #[test]
    fn a_held_datagram_arrives_when_traffic_ends() {
        let mut network =
            Network::new(NetworkOptions { reorder: 1.0, reorder_by: 3, ..NetworkOptions::default() });
        network.send(0, Moment::ZERO);
        assert_eq!(network.deliver(Moment::from_milliseconds(499)), None);
        assert_eq!(network.next_arrival(), Some(Moment::from_milliseconds(500)));
        assert_eq!(network.deliver(Moment::from_milliseconds(500)), Some(0));
    }

    #[test]
    fn jitter_delays_but_stays_below_its_bound() {
        let options = NetworkOptions { jitter: Duration::from_millis(20), ..NetworkOptions::default() };
        let mut network = Network::new(options);
        for number in 0..100 {
            network.send(number, Moment::ZERO);
        }
        let early = std::iter::from_fn(|| network.deliver(Moment::from_milliseconds(10))).count();
        assert!((30..70).contains(&early), "{early} of 100 in the first half");
        assert_eq!(
            early + std::iter::from_fn(|| network.deliver(Moment::from_milliseconds(20))).count(),
            100
        );
    }
}
