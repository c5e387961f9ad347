//! The atomics of our own lock-free code. `tests/loom_signal.rs` compiles that code against loom's instead.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
