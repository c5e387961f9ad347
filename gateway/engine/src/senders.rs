//! Who sent the heartbeats of a batch: evidence, never a reason to believe one.

use pulsegate_codec::SenderId;

/// The senders of a batch's heartbeats, one entry for heartbeats of one sender that stand together.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    /// Where the heartbeats of a sender end, and who that is.
    runs: Vec<(usize, SenderId)>,
}

impl Senders {
    /// Of nobody: for heartbeats whose senders are not known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { runs: Vec::new() }
    }

    /// The heartbeats from the last end up to this one, exclusive, are of this sender.
    pub fn extend_to(&mut self, end: usize, sender: SenderId) {
        match self.runs.last_mut() {
            Some((last_end, last)) if *last == sender => *last_end = end,
            _ => self.runs.push((end, sender)),
        }
    }

    /// Forgets all, for the next batch.
    pub fn clear(&mut self) {
        self.runs.clear();
    }

    /// Who sent the heartbeat at this position.
    #[must_use]
    pub fn of(&self, position: usize) -> Option<SenderId> {
        let run = self.runs.partition_point(|&(end, _)| end <= position);
        self.runs.get(run).map(|&(_, sender)| sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_heartbeat_has_the_sender_of_its_run() {
        let mut senders = Senders::default();
        assert_eq!(senders.of(0), None);
        for (end, sender) in [(2, 7), (2, 8), (5, 9), (6, 9), (7, 7)] {
            senders.extend_to(end, SenderId(sender));
        }
        let of_all: Vec<_> = (0..8).map(|position| senders.of(position).map(|sender| sender.0)).collect();
        assert_eq!(of_all, [Some(7), Some(7), Some(9), Some(9), Some(9), Some(9), Some(7), None]);
        senders.clear();
        assert_eq!(senders.of(0), None);
    }
}
