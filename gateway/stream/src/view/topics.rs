//! The topics of one gateway: a few views under their names, and the wait for a commit of any of them.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use super::LogView;

/// What a server shows. There are a few, so a name is looked for from the first one on.
#[derive(Clone, Debug)]
pub struct Topics {
    views: Vec<Rc<LogView>>,
}

impl Topics {
    /// A set of topics.
    ///
    /// # Panics
    /// If two of them have the same name.
    #[must_use]
    pub fn new(views: Vec<Rc<LogView>>) -> Self {
        for (index, view) in views.iter().enumerate() {
            let is_new = views[..index].iter().all(|other| other.topic() != view.topic());
            assert!(is_new, "topic {} is there twice", view.topic());
        }
        Self { views }
    }

    /// The topic of this name.
    #[must_use]
    pub fn find(&self, topic: &str) -> Option<&LogView> {
        self.iter().find(|view| view.topic() == topic)
    }

    /// All topics, in the order in which they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &LogView> {
        self.views.iter().map(|view| &**view)
    }

    /// Partitions of all topics together.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.iter().map(|view| view.partition_count() as usize).sum()
    }

    /// Resolves at the next commit to any topic. Take it before looking at the ranges, or a commit may be missed: it
    /// counts from this call on, not from the first poll.
    pub fn next_commit(&self) -> impl Future<Output = ()> {
        let mut commits: Vec<_> = self.iter().map(|view| Box::pin(view.next_commit())).collect();
        poll_fn(move |context| {
            // All are polled, so that each knows whom to wake.
            let ready = commits.iter_mut().filter_map(|commit| match commit.as_mut().poll(context) {
                Poll::Ready(()) => Some(()),
                Poll::Pending => None,
            });
            if ready.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

impl From<Rc<LogView>> for Topics {
    fn from(view: Rc<LogView>) -> Self {
        Self::new(vec![view])
    }
}
