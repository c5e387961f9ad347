//! What a descriptor does: facts are stored, and the interval and the profile that the node is held to change.
//!
//! Facts are shared with the verdicts that carry them, so a changed descriptor makes a new copy and old verdicts
//! keep the old one. Senders repeat descriptors every minute; an unchanged one costs a comparison and nothing else.

use std::sync::Arc;

use pulsegate_codec::NodeDescriptor;

use super::Engine;
use crate::slot::SlotIndex;
use crate::verdict::NodeFacts;

impl Engine {
    pub(super) fn take_descriptor(&mut self, descriptor: &NodeDescriptor<'_>) {
        let Some(slot) = self.registry.find(descriptor.node_id()) else {
            self.counters.descriptors_refused += 1;
            return;
        };
        if !self.registry.facts(slot).is_some_and(|facts| is_same(facts, descriptor)) {
            self.store_descriptor(slot, descriptor);
        }
        // Measured anew each time, so it is no part of the facts: a change would make a copy of all of them.
        self.detection.set_round_trip(slot, descriptor.round_trip_time_us);
        // A shorter interval or distance may end the node's patience before its wheel entry comes up.
        let state = self.registry.state(slot).expect("the lookup found a known node");
        let look_by = self.look_by(slot, state, self.deadline(slot, state));
        self.arm_no_later(slot, look_by);
    }

    fn store_descriptor(&mut self, slot: SlotIndex, descriptor: &NodeDescriptor<'_>) {
        self.counters.descriptors_stored += 1;
        self.registry.set_facts(slot, Arc::new(facts_of(descriptor)));
        let interval_ms = self.config.interval_ms_for(descriptor.interval_ms);
        if descriptor.interval_ms != 0 && interval_ms != descriptor.interval_ms {
            self.counters.intervals_clamped += 1;
        }
        if interval_ms != self.registry.node(slot).interval_ms() {
            self.registry.node_mut(slot).set_interval_ms(interval_ms);
            self.detection.begin_anew(slot);
        }
        self.counters.profiles_unknown += u64::from(self.detection.describe(slot, descriptor));
    }
}

fn is_same(facts: &NodeFacts, descriptor: &NodeDescriptor<'_>) -> bool {
    let same_labels = facts.labels.len() == descriptor.labels.len()
        && facts
            .labels
            .iter()
            .zip(&descriptor.labels)
            .all(|((key, value), &(new_key, new_value))| **key == *new_key && **value == *new_value);
    let same_services = facts.services.len() == descriptor.services.len()
        && facts.services.iter().zip(&descriptor.services).all(|(service, &new)| **service == *new);
    same_labels
        && same_services
        && *facts.name == *descriptor.name
        && *facts.zone == *descriptor.zone
        && *facts.profile == *descriptor.profile
        && *facts.probe == *descriptor.probe
        && facts.interval_ms == descriptor.interval_ms
}

fn facts_of(descriptor: &NodeDescriptor<'_>) -> NodeFacts {
    NodeFacts {
        name: descriptor.name.into(),
        zone: descriptor.zone.into(),
        labels: descriptor.labels.iter().map(|&(key, value)| (key.into(), value.into())).collect(),
        interval_ms: descriptor.interval_ms,
        profile: descriptor.profile.into(),
        services: descriptor.services.iter().map(|&service| service.into()).collect(),
        probe: descriptor.probe.into(),
    }
}
