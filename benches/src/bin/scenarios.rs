//! The gateway when the world is wrong: whole processes, in the sizes that matter, each judged by the load generator.
//!
//! `cargo run --release -p pulsegate-benches --bin scenarios -- [--only WORD] [--out FILE]`
//!
//! Each scenario starts a gateway of its own, lets a fleet beat, does what its name says, and holds what was reported against
//! what happened. The test suite has the same in small (`gateway/tests/process`); this takes half an hour, most of
//! it for the two runs with loss. It ends with an error if a scenario does not hold.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Parser;
use pulsegate_benches::machine::{Machine, load_average};
use pulsegate_benches::stream::gateway::{self, AS_GATEWAY, GatewayProcess};
use pulsegate_benches::stream::pause;
use pulsegate_codec::event::{Event, EventType};
use pulsegate_loadgen::faults::{Amount, FaultOptions, MassKill};
use pulsegate_loadgen::network::NetworkOptions;
use pulsegate_loadgen::topic_reader::{TopicReader, content_type_of};
use pulsegate_loadgen::{Report, RunOptions};
use rdkafka::message::Message;

#[derive(Parser, Debug)]
#[command(about = "Runs the gateway through what goes wrong in the world, and says what it reported.")]
struct Options {
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Also write the report to this file.
    #[arg(long)]
    out: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

/// One scenario: its name, the gateway's settings, the run, and what is to be seen in the end.
struct Scenario {
    name: &'static str,
    settings: &'static str,
    run: RunOptions,
    /// Stops the gateway's process at this second for this long.
    stopped: Option<(u64, u64)>,
    check: fn(&Report, &[Event]) -> Finding,
}

/// What was found, and whether it is what should be.
struct Finding {
    holds: bool,
    words: String,
}

/// Room for the largest fleet here.
const SETTINGS: &str = "[registry]\nnodes-max = 100_000\n";
const SETTINGS_PHI: &str = "[registry]\nnodes-max = 100_000\n[detector]\nprofile = \"same-dc\"\n";
const SETTINGS_EWMA: &str = "[registry]\nnodes-max = 100_000\n[detector]\nprofile = \"learning\"\n[profiles.learning]\ndetector = \"ewma\"\n";

/// Nothing is held, so that the log is seen to take it.
const SETTINGS_MILLION: &str = "[registry]\nnodes-max = 1_000_000\n[guard]\nenabled = false\n";

fn quiet() -> RunOptions {
    RunOptions { nodes: 10_000, faults: FaultOptions::NONE, ..RunOptions::default() }
}

fn lossy(nodes: u32) -> RunOptions {
    let faults = FaultOptions { kill: Amount::Count(200), ..FaultOptions::NONE };
    RunOptions {
        nodes,
        seconds: 600,
        batch_nodes: 16,
        faults,
        network: NetworkOptions { loss: 0.3, ..NetworkOptions::default() },
        late_ms: 2_000,
        ..RunOptions::default()
    }
}

fn scenarios() -> [Scenario; 7] {
    let kill = |mass| FaultOptions { mass, ..FaultOptions::NONE };
    [
        Scenario {
            name: "stopped for 10 s (SIGSTOP) while 10,000 nodes beat and 200 die",
            settings: SETTINGS,
            run: RunOptions {
                seconds: 40,
                faults: FaultOptions { kill: Amount::Count(200), ..FaultOptions::NONE },
                late_ms: 15_000,
                ..quiet()
            },
            stopped: Some((12, 10)),
            check: stopped,
        },
        Scenario {
            name: "a rack of 40 out of 10,000 dies",
            settings: SETTINGS,
            run: RunOptions { seconds: 20, faults: kill(MassKill { racks: 1, ..MassKill::NONE }), ..quiet() },
            stopped: None,
            check: rack,
        },
        Scenario {
            name: "60 % of a zone dies at once",
            settings: SETTINGS,
            run: RunOptions {
                seconds: 100,
                faults: kill(MassKill { zone_share: 0.6, ..MassKill::NONE }),
                late_ms: 70_000,
                ..quiet()
            },
            stopped: None,
            check: zone,
        },
        Scenario {
            name: "1,000,000 nodes beat every 10 s, and a third of them dies at once",
            settings: SETTINGS_MILLION,
            run: RunOptions {
                nodes: 1_000_000,
                interval_ms: 10_000,
                seconds: 90,
                faults: kill(MassKill { zone_share: 1.0, ..MassKill::NONE }),
                ..quiet()
            },
            stopped: None,
            check: million,
        },
        Scenario {
            name: "30 % of datagrams lost for 10 minutes, phi (same-dc), 60,000 nodes",
            settings: SETTINGS_PHI,
            run: lossy(60_000),
            stopped: None,
            check: lost,
        },
        Scenario {
            name: "30 % of datagrams lost for 10 minutes, ewma, 60,000 nodes",
            settings: SETTINGS_EWMA,
            run: lossy(60_000),
            stopped: None,
            check: lost,
        },
        Scenario {
            name: "30 % of datagrams lost for 10 minutes, fixed (default), 2,000 nodes",
            settings: SETTINGS,
            run: lossy(2_000),
            stopped: None,
            check: lost_with_fixed_timeouts,
        },
    ]
}

fn of_type(events: &[Event], event_type: &EventType) -> Vec<Event> {
    events.iter().filter(|event| event.event_type == *event_type).cloned().collect()
}

fn stopped(report: &Report, _events: &[Event]) -> Finding {
    Finding {
        holds: report.failures_reported == 200
            && report.false_failures == 0
            && report.gateway.gateway_pause_ms_max > 9_000.0,
        words: format!(
            "{} of 200 deaths reported, {} false; the gateway's own account of its pause: {:.1} s; {} datagrams \
             dropped by the kernel meanwhile",
            report.failures_reported,
            report.false_failures,
            report.gateway.gateway_pause_ms_max / 1e3,
            report.traffic.datagrams_dropped_by_kernel
        ),
    }
}

fn rack(report: &Report, events: &[Event]) -> Finding {
    let (groups, failed) = (of_type(events, &EventType::GroupFailed), of_type(events, &EventType::Failed));
    let [group] = groups.as_slice() else {
        return Finding { holds: false, words: format!("{} group events, not one", groups.len()) };
    };
    let same_cause = failed.iter().filter(|event| event.cause_id == group.cause_id).count();
    Finding {
        holds: report.is_clean()
            && (failed.len(), same_cause, group.count) == (40, 40, Some(40))
            && group.dimension == "rack",
        words: format!(
            "one event names {} {}, {} of {} nodes; {same_cause} of {} failures carry its cause id; latest {:.1} ms \
             after its deadline",
            group.dimension,
            group.value,
            group.count.unwrap_or(0),
            group.members.unwrap_or(0),
            failed.len(),
            report.lateness_ms.max
        ),
    }
}

fn zone(report: &Report, events: &[Event]) -> Finding {
    let held_s = |event: &Event| event.held_us.unwrap_or(0) as f64 / 1e6;
    let released = of_type(events, &EventType::ZoneReleased);
    let failed = of_type(events, &EventType::Failed);
    let longest_s = failed.iter().map(held_s).fold(0.0, f64::max);
    let shortest_s = failed.iter().map(held_s).fold(f64::INFINITY, f64::min);
    Finding {
        // 60 s of holding, and then a thousand a second or faster: 60 s more at most.
        holds: report.is_clean()
            && (of_type(events, &EventType::ZoneHeld).len(), released.len()) == (1, 1)
            && (60.0..=120.0).contains(&longest_s),
        words: format!(
            "{} of {} failures reported, held for {shortest_s:.1} to {longest_s:.1} s; released once, because: {}",
            report.failures_reported,
            report.failures_injected,
            released.first().and_then(|event| event.reason.clone()).unwrap_or_default(),
        ),
    }
}

fn million(report: &Report, events: &[Event]) -> Finding {
    let lateness_ms = &report.lateness_ms;
    Finding {
        holds: report.is_clean() && report.failures_reported > 300_000,
        words: format!(
            "{} of {} failures reported, {} false; decided p50 {:.1}, p99 {:.1}, at most {:.1} ms after their \
             deadlines; {} events in the log; longest pause of a gateway thread {:.1} ms; {} datagrams dropped by \
             the kernel",
            report.failures_reported,
            report.failures_injected,
            report.false_failures,
            lateness_ms.p50,
            lateness_ms.p99,
            lateness_ms.max,
            events.len(),
            report.gateway.gateway_pause_ms_max,
            report.traffic.datagrams_dropped_by_kernel
        ),
    }
}

fn lost(report: &Report, _events: &[Event]) -> Finding {
    let node_hours = f64::from(report.nodes) * report.run.seconds as f64 / 3_600.0;
    let rate = report.events.failures_taken_back as f64 / node_hours;
    let to_failed_s = |lateness_ms: f64| report.run.failed_timeout_ms[0] as f64 / 1e3 + lateness_ms / 1e3;
    Finding {
        holds: rate < 1e-4 && report.false_failures == 0 && report.missed_failures == 0,
        words: format!(
            "{} living nodes called failed in {node_hours:.0} node-hours: {rate:.1e} a node-hour; {} of {} deaths \
             reported, median {:.1} s after the last heartbeat, at most {:.1} s",
            report.events.failures_taken_back,
            report.failures_reported,
            report.failures_injected,
            to_failed_s(report.lateness_ms.p50),
            to_failed_s(report.lateness_ms.max)
        ),
    }
}

/// They promise nothing here, but to report exactly who was silent for so long.
fn lost_with_fixed_timeouts(report: &Report, events: &[Event]) -> Finding {
    Finding { holds: report.false_failures == 0, ..lost(report, events) }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == AS_GATEWAY) {
        return gateway::run(Path::new(arguments.get(2).ok_or("which data directory?")?));
    }
    let options = Options::parse();
    let mut text = Machine::here().to_string();
    let mut all_hold = true;
    for scenario in scenarios().iter().filter(|scenario| scenario.name.contains(&options.only)) {
        eprintln!("{} ...", scenario.name);
        let load = load_average();
        let (report, events) = play(scenario)?;
        let Finding { holds, words } = (scenario.check)(&report, &events);
        all_hold &= holds;
        writeln!(text, "\n{}", scenario.name)?;
        writeln!(text, "  {} {words}", if holds { "holds." } else { "DOES NOT HOLD." })?;
        writeln!(
            text,
            "  {:.1} % of a core, load {load} before, generator at most {:.0} ms behind",
            report.gateway.gateway_cores * 100.0,
            report.traffic.generator_behind_ms_max
        )?;
        for problem in report.problems.iter().filter(|_| !holds).take(5) {
            writeln!(text, "  ! {problem}")?;
        }
    }
    print!("{text}");
    if let Some(path) = options.out {
        std::fs::write(&path, text)?;
        eprintln!("written to {}", path.display());
    }
    if all_hold { Ok(()) } else { Err("not every scenario holds".into()) }
}

fn play(scenario: &Scenario) -> Result<(Report, Vec<Event>), Failure> {
    let directory = tempfile::tempdir()?;
    let gateway = GatewayProcess::start(directory.path(), scenario.settings)?;
    let run = RunOptions {
        gateway: gateway.endpoints.heartbeats,
        admin: gateway.endpoints.admin,
        kafka: gateway.endpoints.kafka,
        ..scenario.run.clone()
    };
    let stopper = scenario.stopped.map(|(at_s, for_s)| {
        let process = gateway.process_id().to_string();
        std::thread::spawn(move || {
            for (signal, wait_s) in [("-STOP", at_s), ("-CONT", for_s)] {
                pause(Duration::from_secs(wait_s));
                Command::new("kill").args([signal, &process]).status().expect("every system has kill");
            }
        })
    });
    let report = pulsegate_loadgen::run(&run, &mut |_progress| {})?;
    if let Some(stopper) = stopper {
        stopper.join().expect("the stopper does not panic");
    }
    Ok((report, events(&gateway)?))
}

/// Every event that the Kafka port serves.
fn events(gateway: &GatewayProcess) -> Result<Vec<Event>, Failure> {
    let address = gateway.endpoints.kafka.to_string();
    let mut reader = TopicReader::connect(&address, pulsegate::gateway::EVENTS_TOPIC, &[])?;
    let end = reader.end_offsets()?;
    let first = reader.first_offsets()?;
    reader.start(first)?;
    let mut events = Vec::new();
    while !reader.has_reached(&end) {
        let Some(message) = reader.next(SILENCE_MAX)? else { return Err(reader.unreachable().into()) };
        events.push(Event::decode(content_type_of(&message), message.payload().unwrap_or_default())?);
    }
    Ok(events)
}

/// How long no event may come before reading gives up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
