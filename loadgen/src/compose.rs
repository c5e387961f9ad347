//! From beats to datagrams: frames of the wire, each with a note of whom it speaks for.
//!
//! A batch becomes one frame, or several if descriptors make it too long for a datagram. Datagrams are
//! recycled: after the first second of a run nothing is allocated a heartbeat.

use pulsegate_codec::encode::{BatchEncoder, Compression};
use pulsegate_codec::limits::DATAGRAM_BYTES_DEFAULT;
use pulsegate_codec::{Departure, NodeStatus, SenderId};

use crate::fleet::{Beat, Fleet, NodeIndex, RelayIndex};
use crate::ground_truth::Sign;
use crate::limits::SPARE_DATAGRAMS_MAX;
use crate::moment::{Moment, microseconds};

/// One frame, ready to be sent.
#[derive(Clone, Debug, Default)]
pub struct Datagram {
    /// The frame.
    pub bytes: Vec<u8>,
    /// Whom it speaks for, in the frame's order.
    pub signs: Vec<Sign>,
    /// Who sends it.
    pub relay: RelayIndex,
    /// Frames of one class may travel in one train: the lane, or [`MIXED_LANES_CLASS`].
    pub train_class: u16,
}

/// The class of frames that mix lanes: the gateway forwards their heartbeats anyway.
pub const MIXED_LANES_CLASS: u16 = 256;

/// Longest heartbeat on the wire: the id, and seven varints.
const HEARTBEAT_BYTES_MAX: usize = 64;

/// Moment of a frame, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct SentAt {
    /// On the run's clock.
    pub moment: Moment,
    /// Microseconds since the Unix epoch.
    pub unix_us: u64,
}

/// Builds datagrams for all relays.
#[derive(Debug)]
pub struct Composer {
    encoder: BatchEncoder,
    relays: Vec<RelaySender>,
    spare: Vec<Datagram>,
}

#[derive(Debug)]
struct RelaySender {
    sender_id: SenderId,
    /// Of the next frame, from 1.
    sequence_next: u64,
}

impl Composer {
    /// A composer for this many relays.
    #[must_use]
    pub fn new(relays: u32, compression: Compression) -> Self {
        let relays = (0..relays)
            .map(|relay| RelaySender { sender_id: RelayIndex(relay).sender_id(), sequence_next: 1 });
        let encoder = BatchEncoder::new(RelayIndex(0).sender_id(), compression);
        Self { encoder, relays: relays.collect(), spare: Vec::new() }
    }

    /// Appends the datagrams that carry these beats of one batch, which were meant to be sent at `intended`.
    pub fn beats(
        &mut self,
        fleet: &Fleet,
        relay: RelayIndex,
        beats: &[Beat],
        intended: Moment,
        sent_at: SentAt,
        datagrams: &mut Vec<Datagram>,
    ) {
        let late_us = microseconds(sent_at.moment.since(intended));
        let sent_offset_us = u32::try_from(late_us).unwrap_or(u32::MAX);
        let mut datagram = self.empty_datagram(relay);
        for beat in beats {
            let heartbeat = beat.heartbeat(sent_offset_us);
            let has_room = self.encoder.has_room_for_heartbeat(&heartbeat, DATAGRAM_BYTES_DEFAULT)
                && (!beat.described || self.has_room_for_descriptor(fleet, beat.node));
            if !has_room && !self.encoder.is_empty() {
                self.finish(datagram, sent_at, datagrams);
                datagram = self.empty_datagram(relay);
            }
            self.encoder.heartbeat(heartbeat);
            if beat.described {
                fleet.describe(beat.node, |descriptor| self.encoder.descriptor(descriptor));
            }
            let Beat { node, incarnation, sequence, .. } = *beat;
            let degraded = beat.status == NodeStatus::Degraded;
            datagram.signs.push(Sign { node, incarnation, sequence, departs: false, degraded });
        }
        if beats.is_empty() {
            self.recycle(datagram);
        } else {
            self.finish(datagram, sent_at, datagrams);
        }
    }

    /// Appends the datagram with which a node says goodbye.
    pub fn departure(
        &mut self,
        node: NodeIndex,
        relay: RelayIndex,
        departure: Departure,
        sent_at: SentAt,
        datagrams: &mut Vec<Datagram>,
    ) {
        let mut datagram = self.empty_datagram(relay);
        let Departure { incarnation, sequence, .. } = departure;
        datagram.signs.push(Sign { node, incarnation, sequence, departs: true, degraded: false });
        self.encoder.departure(departure);
        self.finish(datagram, sent_at, datagrams);
    }

    /// Takes a datagram back whose memory may be used again.
    pub fn recycle(&mut self, mut datagram: Datagram) {
        if self.spare.len() < SPARE_DATAGRAMS_MAX {
            datagram.signs.clear();
            self.spare.push(datagram);
        }
    }

    fn empty_datagram(&mut self, relay: RelayIndex) -> Datagram {
        let mut datagram = self.spare.pop().unwrap_or_default();
        datagram.relay = relay;
        datagram
    }

    fn has_room_for_descriptor(&self, fleet: &Fleet, node: NodeIndex) -> bool {
        let limit = DATAGRAM_BYTES_DEFAULT - HEARTBEAT_BYTES_MAX;
        fleet.describe(node, |descriptor| self.encoder.has_room_for_descriptor(descriptor, limit))
    }

    fn finish(&mut self, mut datagram: Datagram, sent_at: SentAt, datagrams: &mut Vec<Datagram>) {
        let relay = &mut self.relays[datagram.relay.0 as usize];
        self.encoder.set_sender(relay.sender_id);
        self.encoder
            .finish(relay.sequence_next, sent_at.unix_us, &mut datagram.bytes)
            .expect("a frame within the datagram's bound is within the wire's bounds");
        relay.sequence_next += 1;
        assert!(datagram.bytes.len() <= DATAGRAM_BYTES_DEFAULT, "there was room for all of it");
        datagram.train_class = train_class(&datagram.bytes);
        datagrams.push(datagram);
    }
}

/// Reads flags and lane of a frame of ours.
fn train_class(frame: &[u8]) -> u16 {
    use pulsegate_codec::frame::{FLAG_MIXED_LANES, LANE_OFFSET};
    const FLAGS_OFFSET: usize = 3;
    let is_mixed = frame[FLAGS_OFFSET] & FLAG_MIXED_LANES != 0;
    if is_mixed { MIXED_LANES_CLASS } else { u16::from(frame[LANE_OFFSET]) }
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::{Decoder, DepartureReason};

    use super::*;
    use crate::fleet::{BatchIndex, FleetOptions};

    const SENT_AT: SentAt =
        SentAt { moment: Moment::from_milliseconds(1_002), unix_us: 1_764_000_000_000_000 };

    fn compose_all(fleet: &mut Fleet, composer: &mut Composer) -> Vec<Datagram> {
        let mut datagrams = Vec::new();
        for index in 0..fleet.batches().len() {
            let mut beats = Vec::new();
            fleet.beat(BatchIndex(u32::try_from(index).unwrap()), &mut beats);
            let relay = fleet.batches()[index].relay;
            let intended = Moment::from_milliseconds(1_000);
            composer.beats(fleet, relay, &beats, intended, SENT_AT, &mut datagrams);
        }
        datagrams
    }

    /// Decodes every datagram, checks it against its note, and returns the numbers of heartbeats and
    /// descriptors.
    fn decode_all(fleet: &Fleet, datagrams: &[Datagram]) -> (usize, usize) {
        let mut decoder = Decoder::new();
        let (mut heartbeats, mut descriptors) = (0, 0);
        for datagram in datagrams {
            assert!(datagram.bytes.len() <= DATAGRAM_BYTES_DEFAULT);
            let batch = decoder.decode(&datagram.bytes).unwrap();
            assert_eq!(batch.sender_id, datagram.relay.sender_id());
            assert_eq!(batch.heartbeats.len(), datagram.signs.len());
            for (heartbeat, sign) in batch.heartbeats.iter().zip(&datagram.signs) {
                assert_eq!(heartbeat.node_id, fleet.node_id(sign.node));
                assert_eq!((heartbeat.sequence, heartbeat.incarnation), (sign.sequence, sign.incarnation));
                assert_eq!(heartbeat.sent_offset_us, 2_000);
                let is_pure = u16::from(heartbeat.node_id.lane().0) == datagram.train_class;
                assert!(is_pure || datagram.train_class == MIXED_LANES_CLASS);
            }
            heartbeats += batch.heartbeats.len();
            descriptors += batch.descriptors().count();
        }
        (heartbeats, descriptors)
    }

    #[test]
    fn every_beat_is_in_one_frame_and_first_frames_describe() {
        for (mix_lanes, compression) in
            [(false, Compression::Off), (true, Compression::Off), (false, Compression::Zstd { level: 1 })]
        {
            let mut fleet =
                Fleet::new(FleetOptions { nodes: 3_000, mix_lanes, relays: 2, ..Default::default() });
            let mut composer = Composer::new(2, compression);
            let first = compose_all(&mut fleet, &mut composer);
            assert_eq!(decode_all(&fleet, &first), (3_000, 3_000));
            assert!(first.iter().all(|datagram| mix_lanes == (datagram.train_class == MIXED_LANES_CLASS)));
            let second = compose_all(&mut fleet, &mut composer);
            assert_eq!(decode_all(&fleet, &second), (3_000, 0));
            assert_eq!(second.len(), fleet.batches().len(), "one frame a batch once descriptors are out");
        }
    }

    #[test]
    fn equal_batches_make_frames_of_equal_size() {
        let mut fleet = Fleet::new(FleetOptions { nodes: 40_000, described_beats: 0, ..Default::default() });
        let mut composer = Composer::new(1, Compression::Off);
        let datagrams = compose_all(&mut fleet, &mut composer);
        let equal = datagrams
            .windows(2)
            .filter(|pair| pair[0].signs.len() == pair[1].signs.len())
            .all(|pair| pair[0].bytes.len().abs_diff(pair[1].bytes.len()) <= 1);
        assert!(equal, "only the frame's own counter may be a byte longer");
    }

    #[test]
    fn a_full_batch_fits_one_frame_however_late_it_is() {
        let mut fleet = Fleet::new(FleetOptions {
            nodes: 64,
            mix_lanes: true,
            described_beats: 0,
            first_incarnation: pulsegate_codec::Incarnation(1_800_000_000),
            ..Default::default()
        });
        let mut composer = Composer::new(1, Compression::Off);
        let (mut beats, mut datagrams) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            beats.clear();
            fleet.beat(BatchIndex(0), &mut beats);
        }
        composer.beats(&fleet, RelayIndex(0), &beats, Moment::ZERO, SENT_AT, &mut datagrams);
        assert_eq!((datagrams.len(), datagrams[0].signs.len()), (1, 64));
    }

    #[test]
    fn a_goodbye_is_a_frame_of_its_own() {
        let mut fleet = Fleet::new(FleetOptions { nodes: 10, ..FleetOptions::default() });
        let mut composer = Composer::new(1, Compression::Off);
        let node = NodeIndex(4);
        let departure = fleet.leave(node, DepartureReason::ScaleDown);
        let mut datagrams = Vec::new();
        composer.departure(node, RelayIndex(0), departure, SENT_AT, &mut datagrams);
        assert_eq!(datagrams[0].train_class, u16::from(fleet.lane(node).0));
        assert!(datagrams[0].signs[0].departs);
        let mut decoder = Decoder::new();
        let batch = decoder.decode(&datagrams[0].bytes).unwrap();
        assert_eq!(batch.departures().collect::<Vec<_>>(), [departure]);
    }
}
