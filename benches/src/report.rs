//! Turns rounds into the text that is printed and kept under `results/`.

use std::fmt::Write as _;

use crate::load::Load;
use crate::machine::{Machine, load_average};
use crate::round::Measured;
use crate::statistics::Spread;

/// One line of the table: a contender with a load, over all rounds.
#[derive(Debug)]
pub struct Line<'a> {
    /// Who.
    pub name: &'static str,
    /// With what.
    pub load: &'a Load,
    /// Round by round.
    pub rounds: Vec<Measured>,
}

impl Line<'_> {
    /// Processor time of a datagram over the rounds, in nanoseconds.
    #[must_use]
    pub fn nanoseconds_a_datagram(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(Measured::nanoseconds_a_datagram))
    }

    /// Processor time of a heartbeat over the limit's processor time of a datagram, round by round.
    #[must_use]
    pub fn ratio_to(&self, limit: &Self) -> Option<Spread> {
        let per_heartbeat = self.load.config.heartbeats_per_frame as f64;
        let pairs = self.rounds.iter().zip(&limit.rounds);
        Spread::of(pairs.map(|(ours, bare)| {
            ours.nanoseconds_a_datagram() / per_heartbeat / bare.nanoseconds_a_datagram()
        }))
    }

    /// Datagrams sent and not taken, over all rounds.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.rounds.iter().map(Measured::lost).sum()
    }

    /// Heartbeats that were sent and did not move a node's last-seen time although their datagram was taken.
    #[must_use]
    pub fn not_accepted(&self) -> u64 {
        let per_frame = self.load.config.heartbeats_per_frame as u64;
        self.rounds
            .iter()
            .filter(|round| round.outcome.heartbeats > 0)
            .map(|round| (round.outcome.datagrams * per_frame).saturating_sub(round.outcome.heartbeats))
            .sum()
    }
}

/// Something that should be reached: shown beside what was.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The line's position in the table.
    pub line: usize,
    /// In words.
    pub what: &'static str,
    /// To be reached before shipping.
    pub ship: Option<f64>,
    /// To be aimed for.
    pub aim: Option<f64>,
}

/// The whole report. The first line is the limit that all ratios refer to.
#[must_use]
pub fn render(machine: &Machine, began_load: &str, lines: &[Line<'_>], targets: &[Target]) -> String {
    let mut text = String::new();
    let rounds = lines.first().map_or(0, |line| line.rounds.len());
    // Writing to a String cannot fail.
    let _ = write!(text, "{machine}");
    let _ = writeln!(text, "load        {began_load} before, {} after", load_average());
    let _ = writeln!(text, "rounds      {rounds}, every contender once a round, in this order\n");
    render_table(&mut text, lines);
    render_targets(&mut text, lines, targets);
    render_limits(&mut text);
    text
}

fn render_table(text: &mut String, lines: &[Line<'_>]) {
    let _ = writeln!(
        text,
        "Processor time of the receiving thread (user and kernel), median (least - greatest)\n"
    );
    let _ = writeln!(
        text,
        "{:<62} {:>7} {:>6} {:>5} {:>9} {:>25} {:>25} {:>6} {:>6} {:>8}",
        "contender",
        "dgram/s",
        "bytes",
        "zstd",
        "hb/dgram",
        "ns a datagram",
        "heartbeat over B",
        "lost",
        "stale",
        "verdicts"
    );
    let Some(limit) = lines.first() else { return };
    for line in lines {
        let config = &line.load.config;
        let (Some(cost), Some(ratio)) = (line.nanoseconds_a_datagram(), line.ratio_to(limit)) else {
            continue;
        };
        let _ = writeln!(
            text,
            "{:<62} {:>7} {:>6.0} {:>5} {:>9} {:>25} {:>25} {:>6} {:>6} {:>8}",
            line.name,
            config.frames_per_second,
            line.load.frame_bytes(),
            format!("{:.0}%", 100.0 * line.load.compressed_share()),
            config.heartbeats_per_frame,
            format!("{cost:.0}"),
            format!("{ratio:.3}"),
            line.lost(),
            line.not_accepted(),
            line.rounds.iter().map(|round| round.outcome.verdicts).sum::<u64>(),
        );
    }
}

fn render_targets(text: &mut String, lines: &[Line<'_>], targets: &[Target]) {
    let _ =
        writeln!(text, "\nTargets (processor time of a heartbeat over B, the first line's of a datagram)\n");
    for target in targets {
        let Some(ratio) = lines[target.line].ratio_to(&lines[0]) else { continue };
        let verdict = |bound: Option<f64>| match bound {
            None => "-".to_owned(),
            Some(bound) if ratio.median <= bound => format!("{bound:.2} held"),
            Some(bound) => format!("{bound:.2} MISSED"),
        };
        let (ship, aim) = (verdict(target.ship), verdict(target.aim));
        let _ = writeln!(text, "{:<62} {ratio:.3}   ship at {ship}   aim {aim}", target.what);
    }
}

fn render_limits(text: &mut String) {
    text.push_str(
        "\nHow to read it\n\
         - On loopback the sender's core runs the kernel's receive path up to the socket's queue, for every contender\n\
        \x20 alike. What is charged here is the rest: waking, taking datagrams from the queue, copying, and the work on\n\
        \x20 them. On a network card some of the protocol work may fall on the receiving core, which lowers all ratios.\n\
         - The figure of the bare loop is limited by the kernel: one queue lock, one copy and one completion a\n\
        \x20 datagram. It depends on the rate, because a batch shares one wake-up; compare only lines of one rate.\n\
         - The gateway's figure includes its ticks: wheel entries fire at their natural rate and are put back.\n\
         - Datagrams are sent one by one from 16 sockets, so nothing is glued into trains (UDP_GRO) here.\n\
         - `stale` counts heartbeats that were taken and did not count; it must be 0. `lost` must be 0, too: a receiver\n\
        \x20 that loses is cheaper than it looks. `verdicts` must be 0, or the sender was held up for longer than a\n\
        \x20 node may be silent.\n\
         - A virtual machine shares caches and memory with strangers: trust ratios within a round, not single figures.\n",
    );
}
