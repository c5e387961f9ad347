//! Nothing but a login passes until there was one (KIP-43, KIP-152).
//!
//! ```text
//!   ApiVersions* ─▶ SaslHandshake v1 ─▶ SaslAuthenticate ─▶ open
//!                └▶ SaslHandshake v0 ─▶ the bare message ──▶ open
//! ```
//!
//! `ApiVersions` passes at any time before the message. Anything else closes the connection without an answer, and so
//! does a second login: there is no session here that would have to be renewed.

use super::api::{ApiKey, Frame, sasl};
use super::security::Users;
use super::wire::WireError;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    /// It has told no mechanism.
    Shut,
    /// It has, and the message comes in a request.
    Message,
    /// It has, and the message comes as it is.
    BareMessage,
    Open,
}

/// What becomes of a frame.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Passage {
    /// It is answered like any other.
    Through,
    /// The gate has answered.
    Answered(Vec<u8>),
    /// The same, and it is open from now on.
    LoggedIn(Vec<u8>),
    /// Told after a while, then the connection ends. Without bytes there is nothing to tell it with.
    Failed(Vec<u8>),
    /// The connection ends.
    Refused,
}

impl Gate {
    pub(super) const fn new(users: Option<&Users>) -> Self {
        if users.is_some() { Self::Shut } else { Self::Open }
    }

    pub(super) fn pass(&mut self, users: Option<&Users>, frame: &[u8]) -> Result<Passage, WireError> {
        let Some(users) = users.filter(|_| *self != Self::Open) else { return Ok(Passage::Through) };
        if *self == Self::BareMessage {
            // The response is as bare: a length of 0.
            let admitted = vec![0; 4];
            return Ok(self.decide(users.admit(frame), admitted, Vec::new()));
        }
        let (header, reader) = match Frame::read(frame)? {
            Frame::Request(header, reader) => (header, reader),
            Frame::UnknownApiVersions { .. } => return Ok(Passage::Through),
            Frame::Unknown => return Ok(Passage::Refused),
        };
        let mut writer = header.response();
        match (header.api.key, *self) {
            (ApiKey::ApiVersions, _) => Ok(Passage::Through),
            (ApiKey::SaslHandshake, Self::Shut) => {
                let is_known = sasl::read_handshake(reader)? == sasl::PLAIN;
                if is_known {
                    *self = if header.version == 0 { Self::BareMessage } else { Self::Message };
                }
                sasl::write_handshake(&mut writer, is_known);
                Ok(Passage::Answered(writer.finish()))
            }
            (ApiKey::SaslAuthenticate, Self::Message) => {
                let is_admitted = users.admit(sasl::read_authenticate(reader)?);
                sasl::write_authenticate(&mut writer, header.version, is_admitted);
                let response = writer.finish();
                Ok(self.decide(is_admitted, response.clone(), response))
            }
            _ => Ok(Passage::Refused),
        }
    }

    fn decide(&mut self, is_admitted: bool, admitted: Vec<u8>, refused: Vec<u8>) -> Passage {
        if is_admitted {
            *self = Self::Open;
            Passage::LoggedIn(admitted)
        } else {
            Passage::Failed(refused)
        }
    }
}
