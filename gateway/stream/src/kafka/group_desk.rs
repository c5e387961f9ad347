//! Where requests about groups wait: the coordinator, its clock, and who is told when it answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::sync::{Notify, oneshot};

use super::group::{GroupCoordinator, GroupRequest, GroupResponse, RequestToken};
use super::server::ServerClock;

/// The coordinator and those who wait for it.
pub(super) struct GroupDesk {
    coordinator: RefCell<GroupCoordinator>,
    clock: ServerClock,
    waiting: RefCell<BTreeMap<RequestToken, oneshot::Sender<GroupResponse>>>,
    next_token: Cell<u64>,
    /// The next deadline may have changed.
    changed: Notify,
}

/// Forgets a request whose connection ends while it waits.
struct Waiting<'a> {
    desk: &'a GroupDesk,
    token: RequestToken,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.desk.waiting.borrow_mut().remove(&self.token).is_some() {
            self.desk.coordinator.borrow_mut().forget(self.token);
            self.desk.changed.notify_one();
        }
    }
}

impl GroupDesk {
    pub(super) fn new(coordinator: GroupCoordinator, clock: ServerClock) -> Self {
        Self {
            coordinator: RefCell::new(coordinator),
            clock,
            waiting: RefCell::default(),
            next_token: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// The answer, at once or when other members have come. `None`: the coordinator has given the request up.
    pub(super) async fn ask(&self, request: GroupRequest) -> Option<GroupResponse> {
        let token = RequestToken(self.next_token.get());
        self.next_token.set(token.0 + 1);
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(token, sender);
        let _waiting = Waiting { desk: self, token };
        let answers = self.coordinator.borrow_mut().handle((self.clock)(), token, request);
        self.tell(answers);
        receiver.await.ok()
    }

    /// Looks at the groups, between two requests.
    pub(super) fn look<T>(&self, look: impl FnOnce(&GroupCoordinator) -> T) -> T {
        look(&self.coordinator.borrow())
    }

    /// Whether the group has members.
    pub(super) fn has_members(&self, group_id: &str) -> bool {
        self.coordinator.borrow().has_members(group_id)
    }

    fn tell(&self, answers: Vec<(RequestToken, GroupResponse)>) {
        for (token, response) in answers {
            if let Some(sender) = self.waiting.borrow_mut().remove(&token) {
                // The receiver is gone if its connection is.
                let _ = sender.send(response);
            }
        }
        self.changed.notify_one();
    }

    /// Ends sessions and rebalances in time. Runs as long as the server.
    pub(super) async fn run_timer(&self) {
        loop {
            let deadline = self.coordinator.borrow().next_deadline();
            let now = (self.clock)();
            match deadline {
                Some(deadline) if deadline <= now => {
                    let answers = self.coordinator.borrow_mut().on_time(now);
                    self.tell(answers);
                }
                Some(deadline) => {
                    // Woken or not, the next round looks again.
                    let _ = tokio::time::timeout(deadline - now, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }
}
