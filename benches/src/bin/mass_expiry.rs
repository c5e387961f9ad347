//! What it costs the engine when all of its nodes fall silent in one tick, and how long a heartbeat that arrives
//! meanwhile has to wait.
//!
//! `cargo run --release -p pulsegate-benches --bin mass_expiry -- [--nodes N] [--rounds R] [--out FILE]`
//!
//! Each node has a name, a zone and two labels, and has been heard twice, the second time at one moment for all. Then time
//! passes as a worker lets it pass, and at the tick in which all become suspect, and again at that in which all fail,
//! the calls of `on_tick` are timed, each with a budget of its own. Between two calls the worker takes what has arrived, so
//! the longest call is what a live heartbeat waits. Verdicts are taken out and dropped; that is not counted.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use pulsegate::io::Clock;
use pulsegate::io::huge_pages::{self, Region};
use pulsegate::shard::VERDICTS_PER_TURN_MAX;
use pulsegate_benches::fleet::{engine_config, heartbeat};
use pulsegate_benches::machine::{Machine, load_average};
use pulsegate_benches::statistics::Spread;
use pulsegate_codec::{Heartbeat, NodeDescriptor, NodeId};
use pulsegate_engine::{Engine, Timestamp, VerdictKind, Verdicts};

#[derive(Parser, Debug)]
#[command(about = "Measures the processor time of nodes that fall silent in one tick.")]
struct Options {
    /// Nodes of the one shard.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=4_000_000))]
    nodes: u32,
    /// How often it happens.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Also write the report to this file.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// When all are heard for the last time. Suspect three seconds later, failed after five.
const LAST_HEARD: Timestamp = Timestamp::from_milliseconds(1_000);
const SUSPECT_AT: Timestamp = Timestamp::from_milliseconds(4_000);
const FAILED_AT: Timestamp = Timestamp::from_milliseconds(6_000);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let names = names(options.nodes);
    let (mut suspected, mut failed) = (Vec::new(), Vec::new());
    let load_before = load_average();
    for _ in 0..options.rounds {
        let mut storm = Storm::new(&names);
        suspected.push(storm.expire(SUSPECT_AT, VerdictKind::Suspected));
        failed.push(storm.expire(FAILED_AT, VerdictKind::Failed));
    }
    let mut report = Machine::here().to_string();
    writeln!(report, "load        {load_before} before, {} after", load_average())?;
    writeln!(
        report,
        "nodes       {}, {} rounds; median (least - greatest)\n",
        options.nodes, options.rounds
    )?;
    for (what, rounds) in [("suspected", &suspected), ("failed", &failed)] {
        let spread = |of: fn(&Expiry) -> f64| Spread::of(rounds.iter().map(of)).expect("at least one round");
        writeln!(
            report,
            "{what:<10}  {:.1} ms of processor time in {} calls, the longest {:.2} ms",
            spread(|round| round.processor_time.as_secs_f64() * 1e3),
            rounds[0].calls,
            spread(|round| round.longest_call.as_secs_f64() * 1e3),
        )?;
    }
    print!("{report}");
    if let Some(path) = options.out {
        std::fs::write(path, report)?;
    }
    Ok(())
}

fn names(count: u32) -> Vec<String> {
    (0..count).map(|number| format!("node-{number}")).collect()
}

/// What one mass expiry cost.
struct Expiry {
    processor_time: Duration,
    longest_call: Duration,
    calls: u32,
}

/// An engine all of whose nodes were heard at one moment.
struct Storm {
    clock: Clock,
    engine: Engine,
    verdicts: Verdicts,
    nodes: usize,
}

impl Storm {
    fn new(names: &[String]) -> Self {
        let mut engine = Engine::new(&engine_config(names.len()), Timestamp::ZERO);
        for (address, bytes) in engine.hot_memory() {
            huge_pages::advise(Region { address, bytes });
        }
        let mut verdicts = Verdicts::with_capacity(VERDICTS_PER_TURN_MAX);
        // Hashes of the names: an order that has nothing to do with the one in which nodes describe themselves.
        let mut ids: Vec<NodeId> = names.iter().map(|name| NodeId::from_name(name)).collect();
        ids.sort_unstable();
        for (sweep, heard_at) in [(0, Timestamp::ZERO), (1, LAST_HEARD)] {
            for piece in ids.chunks(1_024) {
                let beats: Vec<Heartbeat> = piece.iter().map(|id| heartbeat(*id, sweep)).collect();
                engine.on_heartbeats(&beats, heard_at, &mut verdicts);
                drop(verdicts.drain(verdicts.as_slice().len()));
            }
            if sweep == 0 {
                names.iter().for_each(|name| describe(&mut engine, name));
            }
        }
        Self { clock: Clock::new(), engine, verdicts, nodes: names.len() }
    }

    /// Lets time pass until `at`, and times the tick in which all nodes have this verdict.
    fn expire(&mut self, at: Timestamp, kind: VerdictKind) -> Expiry {
        while let Some(next) = self.engine.next_deadline().filter(|next| *next < at) {
            self.engine.on_tick(next, &mut self.verdicts);
            assert!(self.verdicts.is_empty(), "nobody is silent for long enough");
        }
        let mut expiry = Expiry { processor_time: Duration::ZERO, longest_call: Duration::ZERO, calls: 0 };
        let mut told = 0;
        while told < self.nodes {
            let before = self.clock.thread_cpu_time();
            self.engine.on_tick(at, &mut self.verdicts);
            let call = self.clock.thread_cpu_time() - before;
            expiry.processor_time += call;
            expiry.longest_call = expiry.longest_call.max(call);
            expiry.calls += 1;
            assert!(self.verdicts.as_slice().iter().all(|verdict| verdict.kind == kind));
            told += self.verdicts.as_slice().len();
            drop(self.verdicts.drain(self.verdicts.as_slice().len()));
        }
        expiry
    }
}

fn describe(engine: &mut Engine, name: &str) {
    let rack = format!("rack-{}", name.len());
    let labels = vec![("rack", &*rack), ("relay", "relay-1")];
    let descriptor = NodeDescriptor { name, zone: "zone-1", labels, ..NodeDescriptor::default() };
    engine.on_descriptor(&descriptor, Timestamp::ZERO);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is measured is that every node becomes suspect and then fails, in as few calls as the budget allows.
    #[test]
    fn every_node_has_both_verdicts() {
        let mut storm = Storm::new(&names(20_000));
        assert_eq!(storm.expire(SUSPECT_AT, VerdictKind::Suspected).calls, 3);
        assert_eq!(storm.expire(FAILED_AT, VerdictKind::Failed).calls, 3);
    }
}
