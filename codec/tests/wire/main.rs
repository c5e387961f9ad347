//! The wire, tested from outside: against prost, against bytes that were written down once, and against bytes that no
//! sender would send.
//!
//! `BLESS=1 cargo test -p pulsegate-codec --test wire` writes the golden vectors and the fuzz corpus anew. Do that only
//! when the wire is meant to change, and read the difference.

mod agreement;
mod corpus;
mod frames;
mod golden;
mod hostile;
mod reference;
mod round_trip;
mod wild_writer;

use std::path::{Path, PathBuf};

/// A path in the workspace.
fn workspace_path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// Whether this run writes files that others compare with.
fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}
