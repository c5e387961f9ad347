//! A gateway in a process of its own: this very program, started again.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pulsegate::config::Config;
use pulsegate::data_dir::{self, Endpoints};
use pulsegate_loadgen::admin_client::{Status, fetch_status};

use super::wait_for;

/// The argument that makes this program a gateway; the data directory follows.
pub const AS_GATEWAY: &str = "--as-gateway";

/// A gateway that runs; it ends with this.
pub struct GatewayProcess {
    child: Child,
    /// Where it can be reached.
    pub endpoints: Endpoints,
}

/// Runs a gateway on `data_dir`, with the configuration that lies there, until it is told to end.
///
/// # Errors
/// Whatever the gateway says.
pub fn run(data_dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(Some(&data_dir.join("config.toml")), Some(data_dir.to_path_buf()))?;
    Ok(pulsegate::gateway::run(&config)?)
}

impl GatewayProcess {
    /// Starts one with these settings (TOML) on free loopback ports.
    ///
    /// # Errors
    /// If the process cannot be started.
    ///
    /// # Panics
    /// If it is not ready within a minute.
    pub fn start(data_dir: &Path, settings: &str) -> std::io::Result<Self> {
        let free = "127.0.0.1:0";
        let listen = format!("[listen]\nheartbeats = \"{free}\"\nadmin = \"{free}\"\nkafka = \"{free}\"\n");
        std::fs::write(data_dir.join("config.toml"), format!("{settings}{listen}"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(AS_GATEWAY).arg(data_dir);
        pulsegate::io::child::end_with_parent(&mut command);
        let log = File::create(data_dir.join("gateway.log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let endpoints = wait_for("the gateway is ready", || data_dir::read_endpoints(data_dir).ok());
        Ok(Self { child, endpoints })
    }

    /// What it says of itself.
    ///
    /// # Panics
    /// If it does not answer: there is nothing to measure then.
    #[must_use]
    pub fn status(&self) -> Status {
        fetch_status(self.endpoints.admin).expect("the gateway runs until this is dropped")
    }

    /// Its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
