//! What became of the verdicts: each ends in exactly one of these counters, or still waits.

/// Numbers that only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PublicationCounters {
    /// Verdicts taken.
    pub taken: u64,
    /// Verdicts published.
    pub published: u64,
    /// Verdicts that came to nothing while they were held, or told nothing that the world did not know.
    pub cancelled: u64,
    /// Verdicts on nodes that flap.
    pub damped: u64,
    /// Verdicts on nodes that are silenced.
    pub silenced: u64,
    /// Events that told where a node stands after a suppression.
    pub caught_up: u64,
    /// Verdicts that were held back by a guard, whatever became of them.
    pub held: u64,
    /// Verdicts that were let out without regard to the rate, because no more could be held.
    pub released_at_once: u64,
    /// Failures that waited for their suspicion to settle.
    pub settled: u64,
    /// Times that a node began to flap.
    pub flapping: u64,
    /// Incidents told.
    pub groups_failed: u64,
    /// Times that a guard began to hold.
    pub guards_held: u64,
    /// Label values that found no room, so that nothing is correlated over them.
    pub groups_refused: u64,
}

/// What waits at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Failures that a guard holds.
    pub held: usize,
    /// Failures and catching up that wait for their turn.
    pub releasing: usize,
    /// Of these, what only catches up and is no verdict of its own.
    pub catching_up: usize,
    /// Failures whose suspicion is too young.
    pub settling: usize,
    /// Nodes that flap.
    pub flapping: usize,
    /// Nodes of which something was silenced.
    pub silenced: usize,
    /// Guards that hold.
    pub guards: usize,
    /// Nodes that are known.
    pub nodes: usize,
}

impl Waiting {
    /// Verdicts that were taken and are not accounted for yet.
    #[must_use]
    pub const fn verdicts(&self) -> usize {
        self.held + self.releasing + self.settling - self.catching_up
    }
}
