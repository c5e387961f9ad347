//! What a heartbeat costs, against the cheapest possible receive and against the usual ways to write a receiver.
//!
//! `cargo run --release -p pulsegate-benches --bin receive -- [--nodes N] [--seconds S] [--rounds R] [--out FILE]`

use std::path::PathBuf;

use clap::Parser;
use pulsegate::io::{ReceiverConfig, ReceiverKind, probe};
use pulsegate_benches::contenders::Contender;
use pulsegate_benches::contenders::bare::Bare;
use pulsegate_benches::contenders::gateway::Gateway;
use pulsegate_benches::contenders::tokio_plain::TokioPlain;
use pulsegate_benches::contenders::tokio_uring::TokioUring;
use pulsegate_benches::fleet::Fleet;
use pulsegate_benches::load::{Load, LoadConfig};
use pulsegate_benches::machine::{Machine, load_average};
use pulsegate_benches::report::{self, Line, Target};
use pulsegate_benches::round::{self, Placement};
use pulsegate_codec::Compression;

#[derive(Parser, Debug)]
#[command(about = "Measures the processor time of a received heartbeat.")]
struct Options {
    /// Nodes that speak.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100_000..=4_000_000))]
    nodes: u32,
    /// How long each contender receives, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// How often each contender has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Datagrams a second with one heartbeat in each.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1_000..=2_000_000))]
    rate: u32,
    /// Datagrams a second with 32 heartbeats in each.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(10_000..=1_000_000))]
    batched_rate: u32,
    /// Completions that the ring waits for (see `io::limits::BATCH_DEFAULT`).
    #[arg(long, default_value_t = ReceiverConfig::default().batch)]
    batch: u32,
    /// Buffers of the ring (see `io::limits::BUFFERS_DEFAULT`).
    #[arg(long, default_value_t = ReceiverConfig::default().buffers)]
    buffers: u16,
    /// Run only contenders whose line contains this text, and the limit.
    #[arg(long)]
    only: Option<String>,
    /// Also write the report to this file.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A contender and the load that it gets.
struct Entry<'a> {
    contender: Box<dyn Contender>,
    load: &'a Load,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    if let Err(refusal) = probe::io_uring() {
        return Err(format!(
            "nothing to compare with: io_uring cannot be used: {refusal}; {}",
            refusal.remedy()
        )
        .into());
    }
    let began_load = load_average();
    eprintln!("building frames for {} nodes", options.nodes);
    let fleet = Fleet::new(options.nodes as usize);
    let build = |heartbeats_per_frame, compression, frames_per_second: u32| {
        let frame_count = frames_per_second as usize * options.seconds as usize;
        Load::build(&fleet, &LoadConfig { heartbeats_per_frame, compression, frame_count, frames_per_second })
    };
    let single = build(1, Compression::Off, options.rate);
    let batched = build(32, Compression::Off, options.batched_rate);
    let compressed = build(32, Compression::Zstd { level: 1 }, options.batched_rate);
    // The same at a rate that a receiver can bear which needs ten times as long.
    let slow = build(32, Compression::Zstd { level: 1 }, options.batched_rate / 10);

    let config =
        ReceiverConfig { batch: options.batch, buffers: options.buffers, ..ReceiverConfig::default() };
    let entries = entries(&config, [&single, &batched, &compressed, &slow]);
    let kept = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut lines: Vec<Line<'_>> = Vec::new();
    for round in 1..=options.rounds {
        let mut position = 0;
        for (index, Entry { contender, load }) in entries.iter().enumerate() {
            if index > 0 && !kept(contender.name()) {
                continue;
            }
            let measured = round::run(contender.as_ref(), load, Placement::Pinned);
            eprintln!(
                "round {round}/{}  {:<62} {:>7.0} ns a datagram, {} lost, {} refused, {} turns, {} verdicts, sender late by {:?}",
                options.rounds,
                contender.name(),
                measured.nanoseconds_a_datagram(),
                measured.lost(),
                measured.sent.refused,
                measured.outcome.turns,
                measured.outcome.verdicts,
                measured.sent.lateness_max,
            );
            if position == lines.len() {
                lines.push(Line { name: contender.name(), load, rounds: Vec::new() });
            }
            lines[position].rounds.push(measured);
            position += 1;
        }
    }
    let targets = targets(&lines);
    let text = report::render(&Machine::here(), &began_load, &lines, &targets);
    print!("{text}");
    if let Some(path) = options.out {
        std::fs::write(&path, text)?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

const GATEWAY: &str = "gateway, io_uring, 1 heartbeat";
const GATEWAY_PLAIN: &str = "gateway, io_uring, 32 heartbeats";
const GATEWAY_ZSTD: &str = "gateway, io_uring, 32 heartbeats, zstd";

fn entries<'a>(
    config: &ReceiverConfig,
    [single, batched, compressed, slow]: [&'a Load; 4],
) -> Vec<Entry<'a>> {
    let bare = |name, kind| -> Box<dyn Contender> { Box::new(Bare { name, kind, config: config.clone() }) };
    let gateway =
        |name, kind| -> Box<dyn Contender> { Box::new(Gateway { name, kind, config: config.clone() }) };
    let (ring, mmsg) = (ReceiverKind::IoUring, ReceiverKind::Recvmmsg);
    let entry = |contender, load| Entry { contender, load };
    vec![
        entry(bare("B: bare loop, io_uring, receive and drop", ring), single),
        entry(gateway(GATEWAY, ring), single),
        entry(bare("bare loop, recvmmsg", mmsg), single),
        entry(gateway("gateway, recvmmsg, 1 heartbeat", mmsg), single),
        entry(Box::new(TokioUring), single),
        entry(Box::new(TokioPlain), single),
        entry(bare("bare loop, io_uring, at the rate below", ring), batched),
        entry(gateway(GATEWAY_PLAIN, ring), batched),
        entry(gateway(GATEWAY_ZSTD, ring), compressed),
        entry(Box::new(TokioPlain), slow),
    ]
}

fn targets(lines: &[Line<'_>]) -> Vec<Target> {
    let wanted = [
        (GATEWAY, "one heartbeat a datagram", Some(1.5), Some(1.2)),
        (GATEWAY_ZSTD, "32 heartbeats a datagram, zstd", Some(0.5), Some(0.30)),
        (GATEWAY_PLAIN, "32 heartbeats a datagram, not compressed", None, Some(0.12)),
    ];
    let find = |name| lines.iter().position(|line| line.name == name);
    wanted
        .into_iter()
        .filter_map(|(name, what, ship, aim)| Some(Target { line: find(name)?, what, ship, aim }))
        .collect()
}
