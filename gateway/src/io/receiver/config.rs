//! How a receiver is set up: the ways to receive, and the knobs that they share.

use std::fmt;
use std::time::Duration;

use crate::io::limits;
use crate::io::receiver::ReceiverError;

/// How datagrams are taken from the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ReceiverKind {
    /// Multishot `recvmsg` into provided buffers.
    IoUring,
    /// `ppoll`, then `recvmmsg`.
    Recvmmsg,
}

impl ReceiverKind {
    /// The word for configuration, metrics and messages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Recvmmsg => "recvmmsg",
        }
    }
}

impl fmt::Display for ReceiverKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.label())
    }
}

/// How a receiver is set up. The defaults and their reasons stand in [`limits`].
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// Buffers lent to the kernel; a power of two up to [`limits::BUFFERS_MAX`]. With too few, receiving pauses until
    /// the next turn; the datagrams wait in the socket. (`recvmmsg` uses [`limits::MESSAGES_PER_CALL`].)
    pub buffers: u16,
    /// Longest payload of one buffer. Must hold a whole train when the socket glues trains together.
    pub buffer_payload_bytes: u32,
    /// Completions worth waking for before `min_wait` has passed; 1 turns gathering off.
    pub batch: u32,
    /// How long datagrams may gather under load. Zero turns gathering off.
    pub min_wait: Duration,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            buffers: limits::BUFFERS_DEFAULT,
            buffer_payload_bytes: limits::BUFFER_PAYLOAD_BYTES_DEFAULT,
            batch: limits::BATCH_DEFAULT,
            min_wait: limits::MIN_WAIT_DEFAULT,
        }
    }
}

impl ReceiverConfig {
    pub(super) fn check(&self) -> Result<(), ReceiverError> {
        let bad = |key, value, bound| Err(ReceiverError::BadConfig { key, value, bound });
        if !self.buffers.is_power_of_two() || self.buffers > limits::BUFFERS_MAX {
            return bad("buffers", u64::from(self.buffers), "a power of two from 1 to 32768");
        }
        if !(limits::BUFFER_PAYLOAD_BYTES_MIN..=limits::BUFFER_PAYLOAD_BYTES_DEFAULT)
            .contains(&self.buffer_payload_bytes)
        {
            return bad("buffer_payload_bytes", u64::from(self.buffer_payload_bytes), "from 64 to 65536");
        }
        if !(1..=limits::BATCH_MAX).contains(&self.batch) {
            return bad("batch", u64::from(self.batch), "from 1 to 4096");
        }
        if self.min_wait > limits::MIN_WAIT_MAX {
            let value = u64::try_from(self.min_wait.as_millis()).unwrap_or(u64::MAX);
            return bad("min_wait_ms", value, "at most 100");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_out_of_bounds_names_key_value_and_bound() {
        let config = ReceiverConfig { buffers: 3, ..ReceiverConfig::default() };
        let message = config.check().unwrap_err().to_string();
        assert_eq!(message, "receiver: buffers = 3 is out of bounds: must be a power of two from 1 to 32768");
    }
}
