//! What the gateway's own trouble does to a deadline, the plain way: all pauses that there ever were are added up. And what an
//! answer to a probe does to it.

use pulsegate_codec::NodeId;
use pulsegate_engine::NodeState;
use pulsegate_engine::limits::DROP_TIMEOUT_FACTOR;

use crate::naive_detector::Naive;
use crate::oracle::{Oracle, whole};

/// The deadline of a node that was last heard then and may be silent for so long, in nanoseconds.
pub(crate) fn deadline(pauses: &[(u64, u64)], dropped_at: Option<u64>, last_seen: u64, silence: u64) -> u64 {
    let mut paused = 0;
    let mut counted_up_to = last_seen;
    for &(start, end) in pauses {
        paused += end.saturating_sub(start.max(counted_up_to));
        counted_up_to = counted_up_to.max(end);
    }
    let usual = last_seen + paused + silence;
    let Some(dropped_at) = dropped_at.filter(|&dropped_at| dropped_at > last_seen) else { return usual };
    let widest = last_seen + paused + silence * u64::from(DROP_TIMEOUT_FACTOR);
    usual.max(widest.min(dropped_at + silence))
}

impl Oracle {
    /// A probe was answered: while the node is suspect it stays so for as long as lies between its two deadlines.
    pub(crate) fn probe_answer(&mut self, id: NodeId, now: u64) {
        let Some(known) = self.nodes.get(&id).filter(|known| known.state == NodeState::Suspect) else {
            self.counted.probe_answers_ignored += 1;
            return;
        };
        self.counted.probe_answers_accepted += 1;
        let Naive { suspect_us, failed_us, .. } = self.timeouts(known);
        let span = (whole(failed_us.ceil()) - whole(suspect_us.ceil())) * 1_000;
        let span = span.max(u64::try_from(self.config.tick.as_nanos()).unwrap());
        let leeway = self.leeway(known);
        if let Some(known) = self.nodes.get_mut(&id) {
            // What it rests on may have changed by the time it matters.
            known.answer_leeway = known.answer_leeway.max(leeway);
            known.suspect_until = known.suspect_until.max(now + span);
        }
    }
}
