//! The files that secure the Kafka port, read once at start: a change needs a restart.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pulsegate_stream::kafka::{Security, Tls, TlsFault, Users, UsersFault};

use crate::config::{Kafka, KafkaTls};

/// Longest of these files.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Permissions that somebody else than owner and group would have.
const OTHERS: u32 = 0o007;

/// A file that cannot be used. Says the key, the file, why and what to do; never what stands in the file.
#[derive(Debug, thiserror::Error)]
pub enum KafkaSecurityError {
    /// It cannot be read.
    #[error("config key `{key}` = {path:?}: cannot be read: {source}")]
    Unreadable {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds secrets, and anybody on this machine can have them.
    #[error("config key `{key}` = {path:?}: it is secret and others can reach it (mode {mode:03o}); run `chmod o= {}`", path.display())]
    OpenToOthers {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Certificates or key.
    #[error("config key `{key}` = {path:?}: {source}")]
    Tls {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsFault,
    },
    /// Users.
    #[error("config key `{key}` = {path:?}: {source}")]
    Users {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: UsersFault,
    },
}

const CERTIFICATES: &str = "kafka.tls.certificates";
const KEY: &str = "kafka.tls.key";
const CLIENT_AUTHORITY: &str = "kafka.tls.client-authority";
const USERS: &str = "kafka.sasl.users";

/// Reads and checks all of them.
///
/// # Errors
/// The first file that cannot be used.
pub fn load(config: &Kafka) -> Result<Security, KafkaSecurityError> {
    Ok(Security {
        tls: config.tls.as_ref().map(load_tls).transpose()?,
        users: config.users.as_deref().map(load_users).transpose()?,
    })
}

/// What it is in a few words, for `check` and the log.
#[must_use]
pub fn describe(security: &Security) -> String {
    let tls = match &security.tls {
        None => "not encrypted".to_owned(),
        Some(tls) if tls.asks_certificate() => "TLS with client certificates".to_owned(),
        Some(_) => "TLS".to_owned(),
    };
    match &security.users {
        None => format!("{tls}; no login"),
        Some(users) => format!("{tls}; {} users may log in (SASL/PLAIN)", users.count()),
    }
}

fn load_tls(config: &KafkaTls) -> Result<Tls, KafkaSecurityError> {
    let certificates = read(CERTIFICATES, &config.certificates)?;
    let key = read_secret(KEY, &config.key)?;
    let authority = config.client_authority.as_deref();
    let authority_text = authority.map(|path| read(CLIENT_AUTHORITY, path)).transpose()?;
    Tls::from_pem(&certificates, &key, authority_text.as_deref()).map_err(|source| {
        let (key, path) = match (&source, authority) {
            (TlsFault::Key(_) | TlsFault::Pair(_), _) => (KEY, config.key.as_path()),
            (TlsFault::Certificates(_) | TlsFault::NoCertificate, _) | (_, None) => {
                (CERTIFICATES, config.certificates.as_path())
            }
            (_, Some(path)) => (CLIENT_AUTHORITY, path),
        };
        KafkaSecurityError::Tls { key, path: path.to_path_buf(), source }
    })
}

fn load_users(path: &Path) -> Result<Users, KafkaSecurityError> {
    let text = read_secret(USERS, path)?;
    let unreadable = |_| KafkaSecurityError::Unreadable {
        key: USERS,
        path: path.to_path_buf(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"),
    };
    let text = String::from_utf8(text).map_err(unreadable)?;
    Users::parse(&text).map_err(|source| KafkaSecurityError::Users {
        key: USERS,
        path: path.to_path_buf(),
        source,
    })
}

fn read_secret(key: &'static str, path: &Path) -> Result<Vec<u8>, KafkaSecurityError> {
    let unreadable = |source| KafkaSecurityError::Unreadable { key, path: path.to_path_buf(), source };
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(KafkaSecurityError::OpenToOthers { key, path: path.to_path_buf(), mode });
    }
    read(key, path)
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, KafkaSecurityError> {
    let unreadable = |source| KafkaSecurityError::Unreadable { key, path: path.to_path_buf(), source };
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text));
    if read.map_err(unreadable)? as u64 > FILE_BYTES_MAX {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB")));
    }
    Ok(text)
}
