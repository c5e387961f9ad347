//! Events that a sink will never send because retention was faster, on their way to being announced.
//!
//! Sinks are threads; events are made on the control thread. Here the counts wait in between, a number a sink, and the
//! control thread is woken.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::io::control_wake::ControlWake;

/// Losses that are not announced yet.
#[derive(Debug, Default)]
pub struct Losses {
    by_sink: Mutex<BTreeMap<String, u64>>,
    control: Option<ControlWake>,
}

impl Losses {
    /// None yet; `control` is woken for each.
    #[must_use]
    pub fn new(control: ControlWake) -> Self {
        Self { by_sink: Mutex::default(), control: Some(control) }
    }

    /// A sink has lost so many.
    pub fn add(&self, sink: &str, events: u64) {
        *self.by_sink.lock().entry(sink.to_owned()).or_default() += events;
        if let Some(control) = &self.control {
            control.wake();
        }
    }

    /// What is to be announced now: sink and count.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.by_sink.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_a_sink_add_up_until_they_are_taken() {
        let losses = Losses::default();
        losses.add("audit", 3);
        losses.add("audit", 4);
        losses.add("pager", 1);
        let taken: Vec<_> = losses.take().into_iter().collect();
        assert_eq!(taken, [("audit".to_owned(), 7), ("pager".to_owned(), 1)]);
        assert!(losses.take().is_empty());
    }
}
