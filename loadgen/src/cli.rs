//! The command line of `pulsegate-loadgen`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::blast::BlastOptions;
use crate::endpoints::{NotRunning, read_endpoints};
use crate::faults::{Amount, FaultOptions, MassKill};
use crate::moment::Duration;
use crate::network::NetworkOptions;
use crate::options::RunOptions;

/// Simulated fleets with ground truth, against a running Pulsegate gateway.
#[derive(Debug, Parser)]
#[command(name = "pulsegate-loadgen", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let a fleet beat, inject faults, and judge what the gateway reports. Exits 0 only if every fault was
    /// reported and nothing else.
    Run(Box<RunArguments>),
    /// Send datagrams that are no heartbeats, and say how many of each kind.
    Blast(BlastArguments),
}

/// A share in percent, with fractions: `0.5` or `0.5%`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let percent = number.parse::<f64>().map_err(|_| format!("{text:?} is no percentage"))?;
        if (0.0..=100.0).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err("must be from 0 to 100".to_owned())
        }
    }
}

impl Percent {
    const fn share(self) -> f64 {
        self.0 / 100.0
    }
}

/// A number of nodes (`3`) or a share of the fleet (`0.1%`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CountOrPercent(pub Amount);

impl FromStr for CountOrPercent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.ends_with('%') {
            return Ok(Self(Amount::Share(text.parse::<Percent>()?.share())));
        }
        let count =
            text.parse().map_err(|_| format!("{text:?} is neither a count like 3 nor a share like 0.1%"))?;
        Ok(Self(Amount::Count(count)))
    }
}

/// Faults, as the demo takes them, too.
#[derive(Clone, Copy, Debug, Args)]
pub struct FaultArguments {
    /// Percentage of nodes that stop for good.
    #[arg(long, value_name = "PERCENT", default_value = "1")]
    pub kill: Percent,
    /// Percentage of nodes that stop for longer than the failed timeout and then go on.
    #[arg(long, value_name = "PERCENT", default_value = "0.5")]
    pub pause: Percent,
    /// Percentage of nodes that restart.
    #[arg(long, value_name = "PERCENT", default_value = "0.5")]
    pub restart: Percent,
    /// Nodes that say goodbye: a count, or a share like 0.1%.
    #[arg(long, value_name = "COUNT|PERCENT%", default_value = "3")]
    pub leave: CountOrPercent,
    /// Percentage of nodes that another relay speaks for from some time on.
    #[arg(long = "move", value_name = "PERCENT", default_value = "0")]
    pub moves: Percent,
    /// Percentage of nodes that stop beating for longer than the failed timeout but answer the gateway's pings.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub mute: Percent,
    /// Percentage of nodes that say for a while that they are degraded.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub degrade: Percent,
    /// Whole racks of 40 nodes that stop for good, all nodes of a rack at once.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub kill_racks: u32,
    /// Percentage of the first zone's nodes that stop for good, all at once.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub kill_zone: Percent,
}

impl FaultArguments {
    /// As the library takes them.
    #[must_use]
    pub const fn options(&self) -> FaultOptions {
        FaultOptions {
            kill: Amount::Share(self.kill.share()),
            pause: Amount::Share(self.pause.share()),
            restart: Amount::Share(self.restart.share()),
            leave: self.leave.0,
            moves: Amount::Share(self.moves.share()),
            mute: Amount::Share(self.mute.share()),
            degrade: Amount::Share(self.degrade.share()),
            mass: MassKill { racks: self.kill_racks, zone_share: self.kill_zone.share() },
        }
    }
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Nodes of the fleet.
    #[arg(long, default_value_t = 20_000)]
    pub nodes: u32,
    /// How long the fleet beats.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Write the report to this file, as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where heartbeats go [default: 127.0.0.1:7400].
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Option<SocketAddr>,
    /// The gateway's admin port [default: 127.0.0.1:7480].
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// The gateway's Kafka port, where its events are read [default: 127.0.0.1:7492].
    #[arg(long, value_name = "ADDRESS")]
    pub kafka: Option<SocketAddr>,
    /// The data directory of a gateway on this machine: it tells those of the three addresses that are not given.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Time between two heartbeats of a node.
    #[arg(long, default_value_t = 1_000)]
    pub interval_ms: u32,
    /// Most nodes in a frame.
    #[arg(long, default_value_t = 64)]
    pub batch: u32,
    /// Relays that speak for the nodes [default: one in 50,000 nodes].
    #[arg(long)]
    pub relays: Option<u32>,
    /// Compress frames where that makes them smaller.
    #[arg(long)]
    pub zstd: bool,
    /// Decides phases, faults and the simulated network.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What happens to nodes.
    #[command(flatten)]
    pub faults: FaultArguments,
    /// Percentage of datagrams that are lost.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub loss: Percent,
    /// Percentage of datagrams that arrive twice.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub duplicate: Percent,
    /// Percentage of datagrams that others overtake.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub reorder: Percent,
    /// Each beat is late by a random time up to this percentage of the interval.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub jitter: Percent,
    /// Events that are decided this long after their occasion still tell of it: for runs in which the gateway is held up.
    #[arg(long, default_value_t = 5_000)]
    pub late_ms: u32,
    /// Times that somebody kills the gateway during the run and starts it again on the same ports.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub gateway_restarts: u32,
    /// Thundering herd: all nodes beat at once.
    #[arg(long)]
    pub herd: bool,
    /// Frames carry nodes of several lanes.
    #[arg(long)]
    pub mix_lanes: bool,
}

/// How many datagrams overtake one that is reordered.
const REORDER_BY: u32 = 3;

impl RunArguments {
    /// As the library takes them.
    ///
    /// # Errors
    /// If the addresses are to be found in a data directory and are not there.
    pub fn options(&self) -> Result<RunOptions, NotRunning> {
        let found = self.data_dir.as_deref().map(read_endpoints).transpose()?;
        let defaults = RunOptions::default();
        let (gateway, admin, kafka) = match found {
            Some(found) => (found.heartbeats, found.admin, found.kafka),
            None => (defaults.gateway, defaults.admin, defaults.kafka),
        };
        Ok(RunOptions {
            gateway: self.gateway.unwrap_or(gateway),
            admin: self.admin.unwrap_or(admin),
            kafka: self.kafka.unwrap_or(kafka),
            nodes: self.nodes,
            seconds: self.seconds,
            interval_ms: self.interval_ms,
            batch_nodes: self.batch,
            relays: self.relays,
            zstd: self.zstd,
            seed: self.seed,
            faults: self.faults.options(),
            network: NetworkOptions {
                loss: self.loss.share(),
                duplicate: self.duplicate.share(),
                reorder: self.reorder.share(),
                reorder_by: REORDER_BY,
                jitter: Duration::ZERO,
                seed: 0,
            },
            jitter_share: self.jitter.share(),
            late_ms: self.late_ms,
            gateway_restarts: self.gateway_restarts,
            herd: self.herd,
            mix_lanes: self.mix_lanes,
        })
    }
}

/// Options of `blast`.
#[derive(Debug, Args)]
pub struct BlastArguments {
    /// Where the datagrams go.
    #[arg(long, default_value = "127.0.0.1:7400")]
    pub gateway: SocketAddr,
    /// How many.
    #[arg(long, default_value_t = 1_000_000)]
    pub count: u64,
    /// Datagrams a second; 0 for as fast as the kernel takes them.
    #[arg(long, default_value_t = 50_000)]
    pub rate: u64,
    /// Decides every byte.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the counts to this file, as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl BlastArguments {
    /// As the library takes them.
    #[must_use]
    pub const fn options(&self) -> BlastOptions {
        BlastOptions { gateway: self.gateway, count: self.count, rate: self.rate, seed: self.seed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_options(arguments: &[&str]) -> RunOptions {
        let command_line = ["pulsegate-loadgen", "run"].iter().chain(arguments);
        match Cli::try_parse_from(command_line).unwrap().command {
            Command::Run(arguments) => arguments.options().unwrap(),
            Command::Blast(_) => unreachable!("the command is run"),
        }
    }

    #[test]
    fn defaults_of_the_command_line_are_those_of_the_library() {
        assert_eq!(run_options(&[]), RunOptions::default());
    }

    #[test]
    fn percentages_take_fractions_and_counts_take_both() {
        let options = run_options(&[
            "--kill", "0.25", "--pause", "12.5%", "--leave", "7", "--move", "10", "--loss", "2.5",
        ]);
        assert_eq!(options.faults.kill, Amount::Share(0.0025));
        assert_eq!(options.faults.pause, Amount::Share(0.125));
        assert_eq!(options.faults.leave, Amount::Count(7));
        assert_eq!(options.faults.moves, Amount::Share(0.1));
        assert!((options.network.loss - 0.025).abs() < 1e-12);
        assert_eq!(run_options(&["--leave", "0.1%"]).faults.leave, Amount::Share(0.001));
        assert_eq!(run_options(&["--kill", "0"]).faults.kill.of(1_000_000), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in
            [["--kill", "101"], ["--kill", "-1"], ["--kill", "many"], ["--leave", "1.5"], ["--loss", "NaN"]]
        {
            let command_line = ["pulsegate-loadgen", "run"].into_iter().chain(arguments);
            assert!(Cli::try_parse_from(command_line).is_err(), "{arguments:?}");
        }
    }
}
