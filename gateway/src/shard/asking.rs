//! Between the engine's verdicts and the second opinion: who is to be asked, and who no longer.

use std::collections::HashMap;
use std::net::SocketAddr;

use pulsegate_codec::NodeId;
use pulsegate_engine::{Duration, NodeState, SecondOpinion, Timestamp, Verdict, VerdictKind};

use crate::prober::{ProbeDesk, ProbeRequest, ProbeTarget};
use crate::second_opinion::{Addresses, Inquiries, InquiryCounters, Question};

/// The ways in which a shard's silent nodes are asked.
#[derive(Debug, Default)]
pub struct Asking {
    /// Who is pinged. `None`: nobody is asked.
    pub inquiries: Option<Inquiries>,
    /// Where nodes are. The shard makes room for them if anybody is asked.
    pub addresses: Addresses,
    /// Whether nodes are pinged.
    pub pings: bool,
    /// By what their descriptors name.
    pub desk: Option<ProbeDesk>,
    /// Of nodes that are asked in their present silence: whether they have answered.
    pub opinions: HashMap<NodeId, SecondOpinion>,
}

/// Nodes whose answers are remembered as evidence at most; of more, events do not say what they answered.
const OPINIONS_MAX: usize = 4_096;

impl Asking {
    /// `place_of` says which place the engine has given to a node.
    ///
    /// Maintenance suspends the asking, for nobody is judged then, and a node that is still suspect at its end is asked
    /// anew: no suspicion will be told of it again. What else is told of a node beside its state changes nothing.
    pub(super) fn on_verdict(
        &mut self,
        verdict: &Verdict,
        now: Timestamp,
        place_of: impl FnOnce(NodeId) -> Option<usize>,
    ) {
        let silent_since = match verdict.kind {
            VerdictKind::Suspected => verdict.evidence.last_seen,
            // The engine gives it all of its time again.
            VerdictKind::MaintenanceEnded { .. } if verdict.previous == NodeState::Suspect => {
                verdict.decided_at
            }
            VerdictKind::MaintenanceStarted { .. } => return self.end(verdict.node_id),
            kind if kind.is_condition() => return,
            _ => return self.end(verdict.node_id),
        };
        let place = place_of(verdict.node_id);
        let address = place.and_then(|place| self.addresses.of(place, verdict.node_id));
        self.begin(verdict, (address, silent_since), now);
    }

    fn end(&mut self, node_id: NodeId) {
        if let Some(inquiries) = &mut self.inquiries {
            inquiries.end(node_id);
        }
    }

    fn begin(
        &mut self,
        verdict: &Verdict,
        (address, silent_since): (Option<SocketAddr>, Timestamp),
        now: Timestamp,
    ) {
        let terms = &verdict.evidence.terms;
        let deadline = silent_since + terms.failed_timeout;
        let patience = terms.failed_timeout.saturating_sub(terms.suspect_timeout);
        let Some(inquiries) = &mut self.inquiries else { return };
        let mut is_asked = false;
        if self.pings {
            is_asked = inquiries.begin((verdict.node_id, address), now, deadline, patience);
        }
        if let (Some(desk), Some(facts), Some(address)) = (&self.desk, &verdict.facts, address)
            && let Some(target) = ProbeTarget::parse(&facts.probe)
        {
            is_asked = true;
            desk.post(ProbeRequest {
                node_id: verdict.node_id,
                target,
                source: address.ip(),
                time_left: deadline.since(now),
                patience,
                first_wait: Duration::ZERO,
            });
        }
        if is_asked && self.opinions.len() < OPINIONS_MAX {
            // What it answered before a maintenance it answered in this silence.
            self.opinions.entry(verdict.node_id).or_insert(SecondOpinion::Silent);
        }
    }

    /// The engine took an answer of this node.
    pub(super) fn note_answer(&mut self, node_id: NodeId) {
        if let Some(opinion) = self.opinions.get_mut(&node_id) {
            *opinion = SecondOpinion::Answered;
        }
    }

    /// What a node said in the silence that this verdict ends.
    pub(super) fn opinion_on(&mut self, node_id: NodeId, kind: VerdictKind) -> Option<SecondOpinion> {
        if kind == VerdictKind::Suspected || kind.is_condition() {
            return None;
        }
        let opinion = self.opinions.remove(&node_id)?;
        matches!(kind, VerdictKind::Failed | VerdictKind::Recovered | VerdictKind::Restarted)
            .then_some(opinion)
    }

    /// The answer gave the node more time: it is asked again in that time.
    pub(super) fn probe_again(&self, request: ProbeRequest) {
        if let Some(desk) = &self.desk {
            desk.post(request.again());
        }
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.inquiries.as_ref()?.next_due()
    }

    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Question> {
        self.inquiries.as_mut()?.take_due(now)
    }

    pub(super) fn counters(&self) -> InquiryCounters {
        self.inquiries.as_ref().map_or_else(InquiryCounters::default, |inquiries| *inquiries.counters())
    }
}
