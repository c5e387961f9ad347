//! One run, from the first look at the gateway to the verdict on it.

use std::net::SocketAddr;

use pulsegate_codec::Incarnation;
use pulsegate_codec::encode::Compression;

use crate::admin_client::{AdminError, Status, fetch_status};
use crate::clock::Clock;
use crate::compose::Composer;
use crate::drive::{Drive, DriveParts};
use crate::event_source::{EventSource, EventSourceError};
use crate::faults::{FaultKind, FaultPlan, TooManyFaults};
use crate::fleet::{Fleet, FleetOptions};
use crate::ground_truth::{GroundTruth, Timeouts};
use crate::limits::EVENTS_WAIT_MAX;
use crate::moment::{Duration, Moment};
use crate::network::{Network, NetworkOptions};
use crate::options::{BadOption, RunOptions};
use crate::progress::{Phase, Progress};
use crate::report::{Evidence, Report, Traffic, TrafficCounts};
use crate::schedule::{Schedule, ScheduleOptions};
use crate::sender::{SendError, Sender};
use crate::timeline::{RunTooShort, Timeline};
use crate::verify::judge;
use crate::watch::{Directory, Watch, WatchPlan};

/// Why a run did not come to a verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An option outside its bounds.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// No time for the faults.
    #[error(transparent)]
    TooShort(#[from] RunTooShort),
    /// No nodes for the faults.
    #[error(transparent)]
    Faults(#[from] TooManyFaults),
    /// The gateway's admin port did not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Heartbeats could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Events could not be read.
    #[error(transparent)]
    Events(#[from] EventSourceError),
    /// The gateway did not write its events in time.
    #[error(
        "the gateway still had {waiting} events to write {waited_s} s after the run: its event log is stuck or slow"
    )]
    EventsWaiting {
        /// Events not written.
        waiting: u64,
        /// How long the generator waited.
        waited_s: u64,
    },
}

/// Runs a fleet against a gateway and judges the gateway.
///
/// `on_progress` is called about ten times a second.
///
/// # Errors
/// [`RunError`] if there is no verdict. A verdict against the gateway is not an error: see
/// [`Report::is_clean`].
pub fn run(options: &RunOptions, on_progress: &mut dyn FnMut(&Progress)) -> Result<Report, RunError> {
    options.check()?;
    let status_before = fetch_status(options.admin)?;
    let timeouts = timeouts(options, &status_before);
    let kinds: Vec<_> = options.faults.kinds(options.nodes).collect();
    let timeline = Timeline::new(options.seconds, options.interval(), &timeouts, &kinds)?;
    let source = EventSource::open_at_end(options.kafka)?;
    let fleet = fleet(options, Clock::start().unix_us(Moment::ZERO));
    let plan = FaultPlan::new(&options.faults, &timeline, fleet.shape(), options.seed)?;
    let planned = FaultKind::ALL.map(|kind| plan.count(kind));
    let directory = Directory::new(&fleet);
    let mut drive = drive(options, fleet, plan, &timeouts)?;
    // Making a large fleet took a while. The run begins now, with everything ready.
    let clock = Clock::start();
    let watch_plan =
        WatchPlan { admin: options.admin, steady_from: timeline.settled, steady_until: timeline.sending_end };
    let watch = Watch::start(watch_plan, source, directory, clock);
    let traffic = send(&mut drive, &timeline, &clock, &watch, on_progress)?;
    let status_after = if watch.is_broken() {
        status_before.clone() // Not used: a broken watch ends the run on the next line.
    } else {
        settle(options.admin, &timeline, &clock, &traffic, &watch, on_progress)?
    };
    let seen = watch.seen();
    let watched = watch.finish()?;

    on_progress(&progress(Phase::Judging, &timeline, &clock, &traffic, seen));
    let Drive { truth, network, sender, .. } = drive;
    let facts = truth.close(timeline.judged_until);
    let evidence = Evidence {
        status_before,
        status_after,
        steady: watched.steady,
        invented_nodes: watched.invented_nodes,
        other_events: watched.other_events,
        gateway_starts: watched.gateway_starts,
        traffic,
        network: *network.counters(),
        sender: *sender.counters(),
        planned,
        wall_clock_stepped_us: clock.wall_clock_stepped_us(),
    };
    let judgement = judge(&facts, watched.events, &timeouts, timeline.judged_until, &watched.outages);
    Ok(Report::new(options, &timeouts, &judgement, &evidence))
}

/// The fleet tells its own interval in its descriptors, so the gateway counts its timeouts in that.
fn timeouts(options: &RunOptions, status: &Status) -> Timeouts {
    let interval = options.interval();
    let of_the_fleet = |milliseconds: u64| {
        Duration::from_millis(milliseconds) * options.interval_ms / status.interval_ms.max(1)
    };
    let [suspect, suspect_longest] = status.suspect_ms.map(of_the_fleet);
    let [failed, failed_longest] = status.failed_ms.map(of_the_fleet);
    let late_max = Duration::from_millis(u64::from(options.late_ms));
    Timeouts { suspect_longest, failed_longest, late_max, ..Timeouts::new(suspect, failed, interval) }
}

fn fleet(options: &RunOptions, unix_us: u64) -> Fleet {
    // With loss, the first descriptor may not arrive, and events would not tell the node's name for a minute.
    let described_beats = if options.network.loss > 0.0 { 4 } else { 1 };
    Fleet::new(FleetOptions {
        nodes: options.nodes,
        relays: options.relay_count(),
        batch_nodes: options.batch_nodes,
        interval_ms: options.interval_ms,
        mix_lanes: options.mix_lanes,
        first_incarnation: Incarnation(u32::try_from(unix_us / 1_000_000).unwrap_or(u32::MAX / 2)),
        described_beats,
        ..FleetOptions::default()
    })
}

fn drive(
    options: &RunOptions,
    fleet: Fleet,
    plan: FaultPlan,
    timeouts: &Timeouts,
) -> Result<Drive, RunError> {
    let compression = if options.zstd { Compression::Zstd { level: ZSTD_LEVEL } } else { Compression::Off };
    let schedule_options = ScheduleOptions {
        start: START,
        interval: options.interval(),
        jitter: options.interval().mul_f64(options.jitter_share),
        herd: options.herd,
        seed: options.seed,
    };
    let schedule = Schedule::new(schedule_options, fleet.batches().iter().map(|batch| batch.group));
    let mut sender = Sender::open(options.gateway, options.relay_count())?;
    if options.gateway_restarts > 0 {
        sender.allow_refusals();
    }
    let parts = DriveParts {
        schedule,
        plan,
        network: Network::new(NetworkOptions { seed: options.seed, ..options.network }),
        truth: GroundTruth::new(fleet.node_count(), *timeouts),
        sender,
        composer: Composer::new(options.relay_count(), compression),
        fleet,
    };
    Ok(Drive::new(parts, options.interval()))
}

/// The fast end of zstd's levels: higher ones cost a sender much and save little on frames of a kilobyte.
const ZSTD_LEVEL: i32 = 1;

/// The first beat: time for the watch to start.
const START: Moment = Moment::from_milliseconds(10);

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Lets the fleet beat, and takes the traffic's numbers at the beginning of the steady part and at the end.
fn send(
    drive: &mut Drive,
    timeline: &Timeline,
    clock: &Clock,
    watch: &Watch,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Traffic, RunError> {
    let mut traffic = Traffic::default();
    let mut progress_due = Moment::ZERO;
    for (phase, end) in [(Phase::Settling, timeline.settled), (Phase::Faults, timeline.sending_end)] {
        let end = end.min(timeline.sending_end);
        drive.run_until(clock, end, |drive, now| {
            if now >= progress_due {
                progress_due = now + PROGRESS_EVERY;
                traffic.total = measure(drive);
                on_progress(&progress(phase, timeline, clock, &traffic, watch.seen()));
            }
            !watch.is_broken()
        })?;
        traffic.total = measure(drive);
        if phase == Phase::Settling {
            traffic.settled = traffic.total;
        }
    }
    Ok(traffic)
}

fn measure(drive: &Drive) -> TrafficCounts {
    TrafficCounts {
        heartbeats: drive.truth.signs_of_life(),
        heartbeats_handed: drive.counters().heartbeats_handed,
        heartbeats_lost: drive.counters().heartbeats_lost,
        bytes: drive.sender.counters().bytes,
        behind_us_max: drive.counters().behind_us_max,
        moves: drive.counters().moves,
    }
}

/// Waits until judgement ends and the gateway has written what it decided until then.
fn settle(
    admin: SocketAddr,
    timeline: &Timeline,
    clock: &Clock,
    traffic: &Traffic,
    watch: &Watch,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Status, RunError> {
    // Decisions of the last ticks are on their way from the shards.
    let quiet_end = timeline.judged_until + LAST_DECISIONS;
    while clock.now() < quiet_end {
        on_progress(&progress(Phase::Quiet, timeline, clock, traffic, watch.seen()));
        clock.sleep_until(quiet_end.min(clock.now() + PROGRESS_EVERY));
    }
    let deadline = quiet_end + EVENTS_WAIT_MAX;
    let mut waiting_min = u64::MAX;
    loop {
        let status = fetch_status(admin)?;
        waiting_min = waiting_min.min(status.events_waiting);
        if status.events_waiting == 0 {
            return Ok(status);
        }
        if clock.now() >= deadline {
            let waited_s = EVENTS_WAIT_MAX.as_secs();
            return Err(RunError::EventsWaiting { waiting: waiting_min, waited_s });
        }
        on_progress(&progress(Phase::Quiet, timeline, clock, traffic, watch.seen()));
        clock.sleep(EVENTS_PAUSE);
    }
}

const LAST_DECISIONS: Duration = Duration::from_millis(300);
const EVENTS_PAUSE: Duration = Duration::from_millis(20);

fn progress(
    phase: Phase,
    timeline: &Timeline,
    clock: &Clock,
    traffic: &Traffic,
    (events, failures): (u64, u64),
) -> Progress {
    Progress {
        phase,
        elapsed: clock.now().since(Moment::ZERO),
        total: timeline.judged_until.since(Moment::ZERO),
        heartbeats: traffic.total.heartbeats,
        events,
        failures,
    }
}
