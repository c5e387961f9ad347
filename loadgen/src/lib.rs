//! The load generator of Pulsegate: a simulated fleet that knows the truth about itself, and a judge.
//!
//! A [`fleet`] beats by a [`schedule`], through a [`network`] that loses, copies and delays. All three are pure:
//! they are told the time and a seed, so the simulation of the engine drives the same fleet without a socket.

pub mod fleet;
pub mod moment;
pub mod network;
pub mod random;
pub mod schedule;

pub use moment::Moment;
