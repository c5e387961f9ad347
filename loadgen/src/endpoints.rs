//! Where a running gateway can be reached: the file `endpoints.json` in its data directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The addresses of a gateway. The file holds more, which is not needed here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Endpoints {
    /// UDP, heartbeats.
    pub heartbeats: SocketAddr,
    /// TCP, metrics and status.
    pub admin: SocketAddr,
    /// TCP, Kafka clients.
    pub kafka: SocketAddr,
}

/// No gateway has written its addresses there.
#[derive(Debug, thiserror::Error)]
#[error("{}: no gateway runs with this data directory ({source}); start it, or give its addresses instead", path.display())]
pub struct NotRunning {
    path: PathBuf,
    source: std::io::Error,
}

/// Reads the file.
///
/// # Errors
/// [`NotRunning`].
pub fn read_endpoints(data_dir: &Path) -> Result<Endpoints, NotRunning> {
    let path = data_dir.join("endpoints.json");
    let read = std::fs::read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?));
    read.map_err(|source| NotRunning { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_and_their_absence_is_told() {
        let data_dir = tempfile::tempdir().unwrap();
        let text = read_endpoints(data_dir.path()).unwrap_err().to_string();
        assert!(text.contains("endpoints.json: no gateway runs"), "{text}");
        let json = r#"{"heartbeats":"127.0.0.1:1","admin":"127.0.0.1:2","kafka":"[::1]:3","epoch":7}"#;
        std::fs::write(data_dir.path().join("endpoints.json"), json).unwrap();
        assert_eq!(read_endpoints(data_dir.path()).unwrap().kafka, "[::1]:3".parse().unwrap());
    }
}
