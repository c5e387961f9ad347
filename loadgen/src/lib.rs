//! The load generator of Pulsegate: a simulated fleet that knows the truth about itself, and a judge.
//!
//! A [`fleet`] beats by a [`schedule`], through a [`network`] that loses, copies and delays, while a plan of
//! [`faults`] strikes it. [`ground_truth`] keeps what truly happened, and [`verify`] compares that with the events
//! that the gateway reported. All of these are pure: they are told the time and a seed, so the simulation of the engine
//! drives the same fleet without a socket.

pub mod clock;
pub mod compose;
pub mod faults;
pub mod fleet;
pub mod ground_truth;
pub mod moment;
pub mod network;
pub mod random;
pub mod schedule;
pub mod sender;
pub mod timeline;
pub mod verify;

pub use moment::Moment;
