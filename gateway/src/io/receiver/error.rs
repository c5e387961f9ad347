//! Why a receiver cannot be opened, or not used any more. Whatever a new attempt may mend is no error: it is counted
//! in [`crate::io::Reaped`] and tried again.

use crate::io::probe::IoUringRefusal;

/// Why a receiver cannot be opened or used any more.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The kernel gives no usable io_uring.
    #[error("io_uring cannot be used: {refusal}; {}", refusal.remedy())]
    Refused {
        /// Why.
        refusal: IoUringRefusal,
    },
    /// The configuration breaks a bound.
    #[error("receiver: {key} = {value} is out of bounds: must be {bound}")]
    BadConfig {
        /// Which setting.
        key: &'static str,
        /// What was asked for.
        value: u64,
        /// What is allowed.
        bound: &'static str,
    },
    /// Memory for the receive buffers cannot be had.
    #[error(
        "no address space for {bytes} bytes of receive buffers: lower `buffers` or raise the memory limit"
    )]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// A system call failed in a way that trying again does not mend.
    #[error("{call} failed: {source}; {remedy}")]
    Kernel {
        /// Which system call or operation.
        call: &'static str,
        /// What the kernel said.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// Receiving ended again and again without a datagram.
    #[error("receiving was restarted {restarts} times in a row without a datagram, last for: {source}")]
    Barren {
        /// How often.
        restarts: u32,
        /// The last cause.
        source: std::io::Error,
    },
}
