//! The Kafka face of the log: what a Kafka client needs of a broker to read it.

pub mod group;
pub mod offsets;
