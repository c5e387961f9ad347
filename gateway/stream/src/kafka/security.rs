//! What stands between the port and the network: TLS (`tls.rs`) and logins (`users.rs`).
//!
//! Both are optional; who configures the server decides which network asks for which.

mod tls;
mod users;

pub use tls::{Tls, TlsFault};
pub use users::{Users, UsersFault};

use super::slots::Proof;

/// How the port is secured.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Encrypts every connection.
    pub tls: Option<Tls>,
    /// Who may log in; without them nobody has to.
    pub users: Option<Users>,
}

impl Security {
    /// What a connection proves by getting as far as its first answer.
    pub(super) fn proof(&self) -> Proof {
        let asks_certificate = self.tls.as_ref().is_some_and(Tls::asks_certificate);
        if self.users.is_some() || asks_certificate { Proof::Login } else { Proof::Cheap }
    }
}
