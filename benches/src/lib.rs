//! Measurements of Pulsegate: the limit probe, the baselines beside it, and the parts that the benchmarks share.
//!
//! **Goal.** Say what one heartbeat costs the receiving core, as a ratio to the cheapest receive that this machine can
//! do, measured side by side in one run. **Not a goal.** Absolute rates: those belong to the machine, and on loopback
//! the sender's core does half of the kernel's work.
//!
//! ```text
//!   fleet ─▶ load (pre-built frames) ─▶ sender, core 0 ──loopback──▶ contender, core 1 ─▶ outcome ─▶ report
//! ```
//!
//! Every contender gets the same frames from the same sender at the same rate, and is charged the processor time of
//! its own thread. `src/bin/receive.rs` is the program; `benches/` holds the micro-benchmarks, which also run in a short
//! form under `cargo test`. Two other measurements: [`stream`], of the events, and [`detection`], of what the detectors
//! cost in time and false alarms, simulated.

pub mod contenders;
pub mod detection;
pub mod fleet;
pub mod load;
pub mod machine;
pub mod report;
pub mod round;
pub mod sender;
pub mod statistics;
pub mod stream;
