//! zstd with reused contexts and a declared, capped size.
