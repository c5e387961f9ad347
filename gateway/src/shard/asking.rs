//! Between the engine's verdicts and the second opinion: who is to be asked, and who no longer.

use std::net::SocketAddr;

use pulsegate_engine::{Duration, Timestamp, Verdict, VerdictKind};

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
}

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
        if self.pings {
            inquiries.begin(verdict.node_id, now, deadline, patience);
        }
        let source = inquiries.address(verdict.node_id);
        if let (Some(desk), Some(facts), Some(source)) = (&self.desk, &verdict.facts, source)
            && let Some(target) = ProbeTarget::parse(&facts.probe)
        {
            desk.post(ProbeRequest {
                node_id: verdict.node_id,
                target,
                source: source.ip(),
                time_left: deadline.since(now),
                patience,
                first_wait: Duration::ZERO,
            });
        }
    }

    /// The answer gave the node more time: it is asked again in that time.
    pub(super) fn probe_again(&self, request: ProbeRequest) {
        if let Some(desk) = &self.desk {
            desk.post(request.again());
        }
    }

    pub(super) fn on_descriptor(&mut self, node_id: pulsegate_codec::NodeId, source: Option<SocketAddr>) {
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
