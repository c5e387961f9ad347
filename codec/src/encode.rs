//! Builds frames: the sender's half of the wire.

use crate::batch::{Departure, Heartbeat, NodeDescriptor};
use crate::identity::SenderId;

/// Collects heartbeats of one lane (or of several, and says so) and writes them as one frame.
///
/// All buffers and the zstd context are reused from frame to frame.
#[derive(Debug)]
pub struct BatchEncoder {}

/// Whether to try zstd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Never.
    Off,
    /// Whenever it makes the frame smaller, at this zstd level.
    Zstd {
        /// zstd compression level, 1 to 19.
        level: i32,
    },
}

impl BatchEncoder {
    /// An empty encoder for frames of this sender.
    #[must_use]
    pub fn new(sender_id: SenderId, compression: Compression) -> Self {
        let _ = (sender_id, compression);
        Self {}
    }

    /// Changes the sender of the frames that follow (a generator that plays many relays keeps one encoder).
    pub fn set_sender(&mut self, sender_id: SenderId) {
        let _ = sender_id;
        todo!()
    }

    /// Adds a heartbeat.
    pub fn heartbeat(&mut self, heartbeat: Heartbeat) {
        let _ = heartbeat;
        todo!()
    }

    /// Adds a descriptor.
    pub fn descriptor(&mut self, descriptor: &NodeDescriptor<'_>) {
        let _ = descriptor;
        todo!()
    }

    /// Adds a departure.
    pub fn departure(&mut self, departure: Departure) {
        let _ = departure;
        todo!()
    }

    /// Writes everything added since the last `finish` as one frame into `frame` (cleared first) and empties the
    /// encoder. Sets the mixed-lanes flag by itself.
    ///
    /// # Errors
    /// [`EncodeError`] when the frame would break a bound; the encoder is empty then, too.
    pub fn finish(
        &mut self,
        sender_sequence: u64,
        sent_at_unix_us: u64,
        frame: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let _ = (sender_sequence, sent_at_unix_us, frame);
        todo!()
    }
}

/// Why a frame cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// Nothing was added.
    #[error("nothing to send: add a heartbeat, a descriptor or a departure first")]
    Empty,
    /// More heartbeats, descriptors or departures than [`crate::limits`] allows in one frame.
    #[error("too many elements for one frame: split the batch")]
    TooManyElements,
    /// A text is longer than [`crate::limits::NAME_BYTES_MAX`], or an empty name.
    #[error("a name, label or service is empty or longer than 255 bytes")]
    BadText,
    /// The payload is larger than a frame can carry.
    #[error("payload of {payload_bytes} bytes is above the bound: split the batch")]
    PayloadAboveBound {
        /// Bytes of the payload before compression.
        payload_bytes: usize,
    },
}
