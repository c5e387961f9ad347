//! What each detector costs: how late it finds the dead, and how often it accuses the living, on the same traces.
//!
//! ```text
//!   scenario (jitter, loss, bursts, pauses, a wide-area path) ─▶ trace of one node ─▶ engine, one profile ─▶ trial
//!   trials ─▶ figures (CSV) ─▶ plots (SVG)                     the same seed for every profile
//! ```
//!
//! The engine is the one that the gateway runs, on a virtual clock; a node beats once a second for an hour and dies at
//! a random moment. What comes out depends on nothing but the code: the same bytes on each machine, so the committed
//! figures can be checked. `src/bin/detection.rs` is the program, `docs/detection.md` the page that shows what it found.

pub mod contest;
pub mod figures;
pub mod plots;
pub mod scenario;
pub mod svg;
pub mod timeline;
pub mod trial;
