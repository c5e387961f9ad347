//! What an operator asks of publication while the gateway runs: silences, an end to holding, and what is held.
//!
//! ```text
//!   admin handler ──▶ [Desk] ── bounded queue ──▶ [Asks] ──▶ publisher, between two commits
//!        ▲                                                      │
//!        └───────────────── one answer an ask ◀─────────────────┘
//! ```
//!
//! Both ends are on the control thread; the queue is there because publication belongs to the publisher alone. An ask
//! whose asker has given up is dropped, not carried out: who was told "not done" can rely on it. So while the event log
//! cannot be written nothing is silenced or released, and the asker hears that after [`ANSWER_WAIT`].
//!
//! Maintenance is for the shards to keep, not for publication; it has a desk of its own, [`MaintenanceDesk`].

mod answers;
mod book;
mod delivery;
mod maintenance;

use pulsegate_engine::Duration;
use pulsegate_engine::publication::{Selector, SilenceId, TooManySilences};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

pub use answers::answer;
pub use book::{Entry, NODES_IN_BOOK_MAX};
pub use maintenance::{MaintenanceDesk, MaintenanceView, NodeRef, NotDone};

/// Most asks that wait for the publisher.
pub const ASKS_MAX: usize = 64;

/// Longest wait for an answer.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// One ask, and where its answer goes.
#[derive(Debug)]
pub enum Ask {
    /// Silence nodes for a time.
    Silence {
        /// Which.
        selector: Selector,
        /// How long.
        time: Duration,
        /// Why, in the operator's words.
        comment: String,
        /// The silence as it stands.
        answer: oneshot::Sender<Result<SilenceView, TooManySilences>>,
    },
    /// List all silences.
    Silences(oneshot::Sender<Vec<SilenceView>>),
    /// End one before its time; the answer is `false` if there is none of this name.
    EndSilence(SilenceId, oneshot::Sender<bool>),
    /// List what is held.
    Holds(oneshot::Sender<Vec<HoldView>>),
    /// Let go of one zone's failures, or of all that any guard holds. `None`: no node is in a zone of this name.
    Release(Option<String>, oneshot::Sender<Option<u64>>),
}

/// A silence, as the admin port shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SilenceView {
    /// Its name in this run of the gateway.
    pub id: u64,
    /// Which nodes, in the form in which it was asked for.
    #[serde(flatten)]
    pub selector: SelectorView,
    /// Why, in the operator's words.
    pub comment: String,
    /// When it began.
    pub from_unix_us: u64,
    /// When it ends.
    pub until_unix_us: u64,
    /// Verdicts that it kept from being published.
    pub silenced: u64,
}

/// Which nodes a silence is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectorView {
    /// The node of this name.
    Node(String),
    /// Those in this zone.
    Zone(String),
    /// Those with this label.
    Label {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
}

/// What a guard holds, as the admin port shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HoldView {
    /// `zone`, `shard` or `gateway`.
    pub scope: &'static str,
    /// The zone's name or the shard's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Nodes alive.
    pub alive: u32,
    /// Nodes suspect.
    pub suspect: u32,
    /// Nodes failed whose failure is still doubted or part of the doubt.
    pub failed: u32,
    /// Failures that are held.
    pub held: usize,
    /// When the first of them was held.
    pub since_unix_us: u64,
    /// When the guard lets go at the latest.
    pub until_unix_us: u64,
}

/// Why there is no answer. Nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unanswered {
    /// The queue is full.
    #[error("{ASKS_MAX} requests wait already; nothing was done, try again")]
    Busy,
    /// It took too long.
    #[error(
        "no answer within {} s, because the event log cannot be written or is slow (see the gateway's log); nothing \
         was done, try again",
        ANSWER_WAIT.as_secs()
    )]
    TooLate,
    /// The gateway stops.
    #[error("the gateway is stopping; nothing was done")]
    Stopping,
}

/// The askers' end. Clone it as you like.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Ask>);

/// The publisher's end.
#[derive(Debug)]
pub struct Asks(mpsc::Receiver<Ask>);

/// A desk, and what is asked there.
#[must_use]
pub fn desk() -> (Desk, Asks) {
    let (sender, receiver) = mpsc::channel(ASKS_MAX);
    (Desk(sender), Asks(receiver))
}

impl Desk {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When there is none; nothing was done then.
    pub async fn ask<Answer>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Answer>) -> Ask,
    ) -> Result<Answer, Unanswered> {
        let (sender, mut receiver) = oneshot::channel();
        self.0.try_send(ask(sender)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
            mpsc::error::TrySendError::Closed(_) => Unanswered::Stopping,
        })?;
        match tokio::time::timeout(ANSWER_WAIT, &mut receiver).await {
            Ok(answer) => answer.map_err(|_dropped| Unanswered::Stopping),
            Err(_elapsed) => {
                receiver.close();
                // It may have come at the last moment; then it was done.
                receiver.try_recv().map_err(|_none| Unanswered::TooLate)
            }
        }
    }
}

impl Asks {
    /// The next ask, if there is one.
    pub fn take(&mut self) -> Option<Ask> {
        self.0.try_recv().ok()
    }

    /// Waits for the next ask; `None` when nobody can ask any more.
    pub async fn next(&mut self) -> Option<Ask> {
        self.0.recv().await
    }
}
