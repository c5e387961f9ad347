//! `pulsegate demo`: the whole system in one command, judged.
//!
//! A gateway runs as a child process with a data directory of its own, so that what is judged is the program that is
//! shipped, and its CPU time is its own. The load generator runs in this process. Nothing is left behind unless
//! something went wrong or `--keep` asks for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use pulsegate::data_dir::{self, Endpoints};
use pulsegate::io::child;
use pulsegate_loadgen::{ProgressDisplay, Report, RunOptions};

use super::{EXIT_UNTRUE, Failure};

/// How long the gateway may take to start or stop, and how often it is looked at.
const CHILD_WAIT_STEPS_MAX: u32 = 1_500;
const CHILD_WAIT_STEP: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// Nodes of the simulated fleet.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    nodes: u32,
    /// How long the fleet beats, in seconds.
    #[arg(long, value_name = "S", default_value_t = 30)]
    seconds: u64,
    /// Write the report as JSON as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Time between two heartbeats of a node, in milliseconds. Suspect after three, failed after five.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    interval_ms: u32,
    #[command(flatten)]
    faults: pulsegate_loadgen::cli::FaultArguments,
    /// Decides who is struck by what, and when.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How the gateway receives.
    #[arg(long, value_parser = ["auto", "io_uring", "recvmmsg"], default_value = "auto")]
    io: String,
    /// Keep the gateway's data directory, and say where it is.
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(arguments: &DemoArguments) -> Result<ExitCode, Failure> {
    let directory = tempfile::Builder::new().prefix("pulsegate-demo-").tempdir().map_err(Failure::broke)?;
    let result = demo(arguments, directory.path());
    let is_clean = matches!(result, Ok(code) if code == ExitCode::SUCCESS);
    if arguments.keep || !is_clean {
        let path = directory.keep();
        eprintln!(
            "The gateway's log (gateway.log), its configuration and its events are in {}",
            path.display()
        );
        eprintln!("Its events: pulsegate events --offline --data-dir {}", path.display());
    }
    result
}

fn demo(arguments: &DemoArguments, directory: &Path) -> Result<ExitCode, Failure> {
    fs::write(directory.join("config.toml"), configuration(arguments)).map_err(Failure::broke)?;
    let mut gateway = Gateway::start(directory)?;
    println!(
        "A gateway runs on {} (UDP). {} nodes beat every {} ms for {} s; some of them will be struck.",
        gateway.endpoints.heartbeats, arguments.nodes, arguments.interval_ms, arguments.seconds
    );
    let options = RunOptions {
        gateway: gateway.endpoints.heartbeats,
        admin: gateway.endpoints.admin,
        kafka: gateway.endpoints.kafka,
        nodes: arguments.nodes,
        seconds: arguments.seconds,
        interval_ms: arguments.interval_ms,
        seed: arguments.seed,
        faults: arguments.faults.options(),
        ..RunOptions::default()
    };
    let mut display = ProgressDisplay::new();
    let report = pulsegate_loadgen::run(&options, &mut |progress| display.show(progress));
    drop(display);
    let report = report.map_err(Failure::refused)?;
    let stopped = gateway.stop()?;
    tell(arguments, &report)?;
    if !stopped.success() {
        return Err(Failure::broke(format!("the gateway did not stop in good order: {stopped}")));
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNTRUE) })
}

/// Free loopback ports, room for the fleet, and timeouts that fit its interval.
fn configuration(arguments: &DemoArguments) -> String {
    let interval_ms = arguments.interval_ms;
    let nodes_max = u64::from(arguments.nodes) + u64::from(arguments.nodes / 4) + 1_000;
    format!(
        "name = \"demo\"\n\
         [listen]\nheartbeats = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nkafka = \"127.0.0.1:0\"\n\
         [shards]\nio = \"{}\"\n\
         [detector]\ninterval-ms = {interval_ms}\n\
         [registry]\nnodes-max = {nodes_max}\n",
        arguments.io
    )
}

fn tell(arguments: &DemoArguments, report: &Report) -> Result<(), Failure> {
    println!("\n{report}");
    if let Some(path) = &arguments.json {
        fs::write(path, report.to_json())
            .map_err(|error| Failure::broke(format!("--json {}: {error}", path.display())))?;
    }
    Ok(())
}

/// The gateway under test; ends with the demo, however that ends.
struct Gateway {
    child: Child,
    endpoints: Endpoints,
}

impl Gateway {
    fn start(directory: &Path) -> Result<Self, Failure> {
        let log_path = directory.join("gateway.log");
        let log = File::create(&log_path).map_err(Failure::broke)?;
        let program = std::env::current_exe().map_err(Failure::broke)?;
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(directory.join("config.toml"));
        command.arg("--data-dir").arg(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        child::end_with_parent(&mut command);
        let mut child = command.spawn().map_err(Failure::broke)?;
        for _ in 0..CHILD_WAIT_STEPS_MAX {
            if let Ok(endpoints) = data_dir::read_endpoints(directory) {
                return Ok(Self { child, endpoints });
            }
            if let Some(status) = child.try_wait().map_err(Failure::broke)? {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                return Err(Failure::refused(format!("the gateway did not start ({status}):\n{log}")));
            }
            pause();
        }
        let _ = child.kill();
        Err(Failure::broke(format!(
            "the gateway was not ready within {:?}",
            CHILD_WAIT_STEP * CHILD_WAIT_STEPS_MAX
        )))
    }

    fn stop(&mut self) -> Result<ExitStatus, Failure> {
        child::ask_to_stop(&self.child).map_err(Failure::broke)?;
        for _ in 0..CHILD_WAIT_STEPS_MAX {
            if let Some(status) = self.child.try_wait().map_err(Failure::broke)? {
                return Ok(status);
            }
            pause();
        }
        Err(Failure::broke("the gateway does not stop"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Gone already if `stop` was called.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "this thread does nothing but wait for the child")]
fn pause() {
    std::thread::sleep(CHILD_WAIT_STEP);
}
