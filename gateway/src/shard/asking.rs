//! Between the engine's verdicts and the second opinion: who is to be asked, and who no longer.

use std::collections::HashMap;
use std::net::SocketAddr;

use pulsegate_codec::NodeId;
use pulsegate_engine::{Duration, SecondOpinion, Timestamp, Verdict, VerdictKind};

use crate::prober::{ProbeDesk, ProbeRequest, ProbeTarget};
use crate::second_opinion::{Inquiries, InquiryCounters, Question};

/// The ways in which a shard's silent nodes are asked.
#[derive(Debug, Default)]
pub struct Asking {
    /// Where nodes are, and who is pinged. `None`: nobody is asked.
    pub inquiries: Option<Inquiries>,
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
    pub(super) fn on_verdict(&mut self, verdict: &Verdict, now: Timestamp) {
        match verdict.kind {
            VerdictKind::Suspected => self.begin(verdict, now),
            VerdictKind::Forgotten => {
                if let Some(inquiries) = &mut self.inquiries {
                    inquiries.forget(verdict.node_id);
                }
            }
            _ => {
                if let Some(inquiries) = &mut self.inquiries {
                    inquiries.end(verdict.node_id);
                }
            }
        }
    }

    fn begin(&mut self, verdict: &Verdict, now: Timestamp) {
        let terms = &verdict.evidence.terms;
        let deadline = verdict.evidence.last_seen + terms.failed_timeout;
        let patience = terms.failed_timeout.saturating_sub(terms.suspect_timeout);
        let Some(inquiries) = &mut self.inquiries else { return };
        let mut is_asked = false;
        if self.pings {
            is_asked = inquiries.begin(verdict.node_id, now, deadline, patience);
        }
        let source = inquiries.address(verdict.node_id);
        if let (Some(desk), Some(facts), Some(source)) = (&self.desk, &verdict.facts, source)
            && let Some(target) = ProbeTarget::parse(&facts.probe)
        {
            is_asked = true;
            desk.post(ProbeRequest {
                node_id: verdict.node_id,
                target,
                source: source.ip(),
                time_left: deadline.since(now),
                patience,
                first_wait: Duration::ZERO,
            });
        }
        if is_asked && self.opinions.len() < OPINIONS_MAX {
            self.opinions.insert(verdict.node_id, SecondOpinion::Silent);
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

    pub(super) fn on_descriptor(&mut self, node_id: NodeId, source: Option<SocketAddr>) {
        if let (Some(inquiries), Some(source)) = (&mut self.inquiries, source) {
            inquiries.on_descriptor(node_id, source);
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
