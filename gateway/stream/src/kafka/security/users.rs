//! Who may log in by SASL/PLAIN (RFC 4616), without keeping a password.
//!
//! A user is kept as the SHA-256 of `name NUL password`. A login is hashed and compared with all of them in constant
//! time: how long it takes tells neither whether the name exists nor how much of a password was right. It is no
//! password hash: it hides passwords from logs and dumps of settings, while the file itself must be kept from others.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Most users of a file.
const USERS_MAX: usize = 1_024;

/// Longest name and longest password, in bytes.
const TEXT_BYTES_MAX: usize = 255;

/// Why a list of users is refused. Tells the line, never what stands in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UsersFault {
    /// Not `name:password`.
    #[error("line {0} is not `name:password`, each of 1 to {TEXT_BYTES_MAX} bytes")]
    Malformed(usize),
    /// A name that was there before.
    #[error("line {0} names a user for the second time")]
    Repeated(usize),
    /// Nobody could log in.
    #[error("there is no user in it; one a line, as `name:password`")]
    Nobody,
    /// More than anybody needs.
    #[error("there are more than {USERS_MAX} users in it")]
    TooMany,
}

/// Who may log in.
#[derive(Clone)]
pub struct Users {
    digests: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Users").field("count", &self.digests.len()).finish_non_exhaustive()
    }
}

impl Users {
    /// From lines of `name:password`; the password is all after the first colon. Empty lines and those that begin with
    /// `#` mean nothing.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, UsersFault> {
        let (mut names, mut digests) = (Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fits = |text: &str| (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains('\0');
            let user = line.split_once(':').filter(|(name, password)| fits(name) && fits(password));
            let (name, password) = user.ok_or(UsersFault::Malformed(index + 1))?;
            if names.contains(&name) {
                return Err(UsersFault::Repeated(index + 1));
            }
            names.push(name);
            digests.push(digest(name.as_bytes(), password.as_bytes()));
            if digests.len() > USERS_MAX {
                return Err(UsersFault::TooMany);
            }
        }
        if digests.is_empty() { Err(UsersFault::Nobody) } else { Ok(Self { digests }) }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.digests.len()
    }

    /// Whether this is a PLAIN message, `[who to act as] NUL name NUL password`, of one of them. Nobody acts for another.
    pub(in crate::kafka) fn admit(&self, message: &[u8]) -> bool {
        let mut parts = message.split(|byte| *byte == 0);
        let (Some(acts_as), Some(name), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        if !acts_as.is_empty() && acts_as != name {
            return false;
        }
        let asked = digest(name, password);
        let found = self.digests.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&asked));
        found.into()
    }
}

fn digest(name: &[u8], password: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(name).chain_update([0]).chain_update(password).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_of_a_user_admits() {
        let users = Users::parse("# readers\nreader:s:ecret\n\nother:word\n").unwrap();
        for (message, admits) in [
            (&b"\0reader\0s:ecret"[..], true),
            (b"reader\0reader\0s:ecret", true),
            (b"other\0reader\0s:ecret", false),
            (b"\0reader\0word", false),
            (b"\0reader\0s:ecre", false),
            (b"\0reader\0s:ecret\0", false),
            (b"\0reader", false),
            (b"\0\0", false),
            (b"", false),
        ] {
            assert_eq!(users.admit(message), admits, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn a_wrong_file_is_refused_by_line_and_without_what_stands_there() {
        for (text, fault) in [
            ("", UsersFault::Nobody),
            ("# nobody\n", UsersFault::Nobody),
            ("a:b\nhunter2\n", UsersFault::Malformed(2)),
            ("a:\n", UsersFault::Malformed(1)),
            (":hunter2", UsersFault::Malformed(1)),
            ("a:hunter2\na:c", UsersFault::Repeated(2)),
        ] {
            let found = Users::parse(text).unwrap_err();
            assert_eq!(found, fault);
            assert!(!found.to_string().contains("hunter2"));
        }
        assert!(!format!("{:?}", Users::parse("a:hunter2")).contains("hunter2"));
    }
}
