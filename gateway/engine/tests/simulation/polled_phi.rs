//! Phi solved for its threshold, against phi polled at every tick.
//!
//! Ten thousand nodes beat into one engine, each with an interval, a jitter and losses of its own, judged at thresholds from 1
//! to 16, and die. For each of them the other way is gone as well: after its last heartbeat, phi is computed anew at each tick from
//! the whole history, with the exact tail of the normal distribution, until it reaches the threshold. The engine, which
//! computes nothing while it waits, must have said `failed` within one tick of that.

use std::time::Duration;

use pulsegate_codec::{Heartbeat, Incarnation, NodeDescriptor, NodeId, Sequence};
use pulsegate_engine::detector::Profile;
use pulsegate_engine::limits::PROFILES_MAX;
use pulsegate_engine::{Engine, EngineConfig, Profiles, Timestamp, VerdictKind, Verdicts};
use pulsegate_loadgen::random::Random;

use crate::naive_detector::{self, Lesson};

const HISTORIES: usize = 10_000;
const TICK_MS: u64 = 10;

/// A node's life.
struct History {
    name: String,
    threshold: u8,
    interval_ms: u32,
    /// Time and sequence of each heartbeat that arrived.
    heard: Vec<(u64, u32)>,
}

/// Shows: phi as a deadline is phi as others poll it, for 10,000 histories.
#[test]
fn phi_solved_for_its_threshold_fires_within_a_tick_of_phi_polled() {
    let seed = 1;
    println!("seed {seed}");
    let mut random = Random::for_purpose(seed, "polled phi");
    let histories: Vec<_> = (0..HISTORIES).map(|index| history(&mut random, index)).collect();
    let failed_at = run(&histories);
    let mut apart = 0;
    for (history, failed_at) in histories.iter().zip(failed_at) {
        let failed_tick = failed_at.expect("a node that died") / (TICK_MS * 1_000_000);
        let polled_tick = polled(history);
        apart += usize::from(failed_tick != polled_tick);
        assert!(
            failed_tick.abs_diff(polled_tick) <= 1,
            "{}: phi {} polled at tick {polled_tick}, said at {failed_tick}",
            history.name,
            history.threshold,
        );
    }
    // Single precision and whole microseconds move a deadline across a tick's edge once in a while, not more.
    assert!(apart < HISTORIES / 100, "{apart} are a tick apart");
}

/// Within what each threshold forgives, so that nobody is suspect before it dies.
fn history(random: &mut Random, index: usize) -> History {
    let threshold = u8::try_from(1 + index % PROFILES_MAX).unwrap();
    let interval_ms = u32::try_from(500 + random.below(1_500)).unwrap();
    let jitter = (0.2 + 0.04 * f64::from(threshold)) * part(random);
    let loss = if threshold < 6 { 0.0 } else { 0.1 * part(random) };
    let beats = 10 + random.below(110);
    let (mut now_ns, mut sequence) = (random.below(5_000_000_000), 1);
    let mut heard = vec![(now_ns, sequence)];
    for _ in 0..beats {
        let lost = u32::from(random.chance(loss));
        let gap = f64::from(interval_ms) * 1e6 * (f64::from(1 + lost) + jitter * (2.0 * part(random) - 1.0));
        now_ns += u64::try_from(Duration::from_secs_f64(gap / 1e9).as_nanos()).unwrap();
        sequence += 1 + lost;
        heard.push((now_ns, sequence));
    }
    History { name: format!("node-{index}"), threshold, interval_ms, heard }
}

fn part(random: &mut Random) -> f64 {
    random.below(1 << 32) as f64 / (1_u64 << 32) as f64
}

fn profile(threshold: u8) -> Profile {
    Profile {
        suspect: f64::from(threshold) - 0.5,
        failed: f64::from(threshold),
        floor_intervals: 1.0,
        suspicion_intervals: 0.0,
        cap_intervals: 1_000.0,
        deviation_min_ms: 1,
        deviation_min_percent: 0.0,
        pause_intervals: 0.0,
        loss_min_percent: 0.0,
        ..Profile::phi(&format!("phi-{threshold}"))
    }
}

/// When the engine said `failed`, in nanoseconds, of each node.
fn run(histories: &[History]) -> Vec<Option<u64>> {
    let profiles = (1..=u8::try_from(PROFILES_MAX).unwrap()).map(profile).collect();
    let config = EngineConfig {
        nodes_max: u32::try_from(HISTORIES).unwrap(),
        tick: Duration::from_millis(TICK_MS),
        interval_ms: 1_000,
        interval_ms_min: 100,
        interval_ms_max: 60_000,
        profiles: Profiles::new(profiles, Default::default(), Vec::new()),
        forget_after: Duration::from_secs(86_400),
        stalled_after: Duration::ZERO,
        hash_seed: 1,
    };
    let mut engine = Engine::new(&config, Timestamp::ZERO);
    let mut verdicts = Verdicts::with_capacity(HISTORIES);
    let mut events: Vec<_> = histories
        .iter()
        .enumerate()
        .flat_map(|(index, history)| history.heard.iter().map(move |&(at, sequence)| (at, index, sequence)))
        .collect();
    events.sort_unstable();
    let last = events.last().unwrap().0;
    let mut failed_at = vec![None; histories.len()];
    for (at, index, sequence) in events {
        tick_until(&mut engine, at, &mut verdicts);
        take(&mut verdicts, histories, &mut failed_at);
        let node_id = NodeId::from_name(&histories[index].name);
        let (incarnation, sequence) = (Incarnation(1), Sequence(sequence));
        let heartbeat = Heartbeat { node_id, incarnation, sequence, ..Heartbeat::default() };
        let at = Timestamp::from_nanoseconds(at);
        engine.on_heartbeats(&[heartbeat], at, &mut verdicts);
        if sequence == Sequence(1) {
            let History { name, threshold, interval_ms, .. } = &histories[index];
            let profile = format!("phi-{threshold}");
            let descriptor = NodeDescriptor {
                name,
                interval_ms: *interval_ms,
                profile: &profile,
                ..NodeDescriptor::default()
            };
            engine.on_descriptor(&descriptor, at);
        }
    }
    tick_until(&mut engine, last + 3_600_000_000_000, &mut verdicts);
    take(&mut verdicts, histories, &mut failed_at);
    failed_at
}

fn tick_until(engine: &mut Engine, at: u64, verdicts: &mut Verdicts) {
    let at = Timestamp::from_nanoseconds(at);
    while let Some(next) = engine.next_deadline().filter(|&next| next <= at) {
        engine.on_tick(next, verdicts);
    }
}

fn take(verdicts: &mut Verdicts, histories: &[History], failed_at: &mut [Option<u64>]) {
    let count = verdicts.as_slice().len();
    for verdict in verdicts.drain(count) {
        let name = &verdict.facts.as_ref().expect("all are described").name;
        let index: usize = name.strip_prefix("node-").unwrap().parse().unwrap();
        let at = verdict.decided_at.as_nanoseconds();
        assert!(
            verdict.kind == VerdictKind::Joined || at > histories[index].heard.last().unwrap().0,
            "{verdict:?}"
        );
        if verdict.kind == VerdictKind::Failed {
            failed_at[index] = Some(at);
        }
    }
}

/// The first tick at which phi, computed at each, has reached the threshold.
fn polled(history: &History) -> u64 {
    let profile = profile(history.threshold);
    let interval_us = f64::from(history.interval_ms) * 1e3;
    let mut lessons = vec![Lesson::Skip];
    for pair in history.heard.windows(2) {
        let length_us = (pair[1].0 - pair[0].0) as f64 / 1e3;
        lessons.push(Lesson::Gap { length_us, steps: pair[1].1 - pair[0].1, interval_us });
    }
    let belief = naive_detector::belief(&profile, interval_us, &lessons);
    let explained_us = belief.run_of_losses(f64::from(history.threshold)) * belief.mean_us;
    let last_seen = history.heard.last().unwrap().0;
    let mut tick = last_seen / (TICK_MS * 1_000_000) + 1;
    loop {
        let silence_us = (tick * TICK_MS * 1_000_000 - last_seen) as f64 / 1e3;
        let deviations = (silence_us - explained_us - belief.mean_us) / belief.deviation_us;
        let phi = -(libm::erfc(deviations / 2.0_f64.sqrt()) / 2.0).log10();
        if phi >= f64::from(history.threshold) && silence_us >= profile.floor_intervals * interval_us {
            return tick;
        }
        tick += 1;
    }
}
