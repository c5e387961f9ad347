//! The detectors, written down once more: everything in double precision, from the whole history, each time anew.
//!
//! A node's history is a list of lessons, from when it became known. Nothing is carried along from one lesson to the next but
//! the list; the timeouts are computed from all of it when somebody asks.

use std::cell::RefCell;

use pulsegate_codec::NodeDescriptor;
use pulsegate_engine::detector::{Method, Profile, Profiles};

/// What happened to a node that bears on its timeouts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Lesson {
    /// Heard again, as a living node should be.
    Gap { length_us: f64, steps: u32, interval_us: f64 },
    /// Heard again after suspicion: only losses count.
    Losses { steps: u32 },
    /// The next gap means nothing.
    Skip,
    /// It is held to another interval from now on.
    Anew,
    /// It was wronged.
    Wronged,
}

/// Suspect and failed timeout in microseconds; mean and deviation if they were used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Naive {
    pub(crate) suspect_us: f64,
    pub(crate) failed_us: f64,
    pub(crate) moments_us: Option<(f64, f64)>,
}

/// What is believed of a node's rhythm, bounds on the deviation and the loss applied.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Belief {
    pub(crate) mean_us: f64,
    pub(crate) deviation_us: f64,
    loss: f64,
    /// Before the bounds, and only if there was enough to go by.
    moments_us: Option<(f64, f64)>,
}

impl Belief {
    /// How many losses in a row are as improbable as ten to the minus phi.
    pub(crate) fn run_of_losses(&self, phi: f64) -> f64 {
        phi * 10_f64.ln() / -self.loss.ln()
    }
}

pub(crate) fn belief(profile: &Profile, interval_us: f64, lessons: &[Lesson]) -> Belief {
    let gaps = usable_gaps(profile, lessons);
    let moments_us = (profile.method != Method::Fixed && gaps.len() >= 8).then(|| moments(profile, &gaps));
    let (mean_us, deviation_us) = moments_us.unwrap_or((interval_us, interval_us / 4.0));
    let deviation_us = deviation_us
        .max(f64::from(profile.deviation_min_ms) * 1e3)
        .max(profile.deviation_min_percent / 100.0 * interval_us);
    let loss = loss(lessons).max(profile.loss_min_percent / 100.0).min(0.99);
    Belief { mean_us, deviation_us, loss, moments_us }
}

pub(crate) fn timeouts(profile: &Profile, interval_ms: u32, round_trip_us: u32, lessons: &[Lesson]) -> Naive {
    let interval = f64::from(interval_ms) * 1e3;
    let stretch = 1.0 + back_off(profile, lessons);
    let belief = belief(profile, interval, lessons);
    let silence = |threshold: f64| {
        let (deviations, phi) = match profile.method {
            Method::Fixed => return threshold * interval,
            Method::Ewma => (threshold, phi_of(threshold * (2.0 / std::f64::consts::PI).sqrt())),
            Method::Phi => (deviations_of(threshold), threshold),
        };
        let explained = (profile.pause_intervals * interval).max(belief.run_of_losses(phi) * belief.mean_us);
        belief.mean_us + deviations * belief.deviation_us + explained
    };
    let (floor_intervals, suspicion, cap) = match profile.method {
        Method::Fixed => (profile.suspect, profile.failed - profile.suspect, 2.0 * profile.failed),
        _ => (profile.floor_intervals, profile.suspicion_intervals, profile.cap_intervals),
    };
    let floor = (floor_intervals * interval).max(profile.floor_round_trips * f64::from(round_trip_us));
    let suspicion = suspicion * interval;
    let cap = (cap * interval).max(floor + suspicion);
    let suspect_us = silence(profile.suspect).max(floor) * stretch;
    let failed_us = (silence(profile.failed) * stretch).max(suspect_us + suspicion).min(cap);
    Naive { suspect_us: suspect_us.min(failed_us - suspicion), failed_us, moments_us: belief.moments_us }
}

/// The gaps that are samples, since the node was last judged anew.
fn usable_gaps(profile: &Profile, lessons: &[Lesson]) -> Vec<f64> {
    let mut gaps = Vec::new();
    for (lesson, is_skipped) in with_skips(lessons) {
        match lesson {
            Lesson::Anew => gaps.clear(),
            Lesson::Gap { length_us, steps, interval_us } if !is_skipped => {
                let longest = profile.cap_intervals * interval_us;
                let gap = length_us.min(longest) / f64::from(steps.max(1));
                if gap >= interval_us / 8.0 {
                    gaps.push(gap);
                }
            }
            _ => {}
        }
    }
    gaps
}

/// Each lesson, and whether it falls under a skip that came before it.
fn with_skips(lessons: &[Lesson]) -> impl Iterator<Item = (Lesson, bool)> {
    let mut skips = false;
    lessons.iter().map(move |&lesson| {
        let is_skipped = skips;
        match lesson {
            Lesson::Gap { .. } => skips = false,
            Lesson::Skip | Lesson::Anew => skips = true,
            Lesson::Losses { .. } | Lesson::Wronged => {}
        }
        (lesson, is_skipped)
    })
}

fn moments(profile: &Profile, gaps: &[f64]) -> (f64, f64) {
    if profile.method == Method::Phi {
        // As weighted sums. A new sample has the n-th part of all weight, and at least a 64th; all before it share the
        // rest. So the latest first, until what is left for the oldest weighs nothing.
        let mut rest = 1.0;
        let mut weights: Vec<f64> = Vec::new();
        for count in (1..=gaps.len()).rev() {
            let gain = 1.0 / count.min(64) as f64;
            weights.push(gain * rest);
            rest *= 1.0 - gain;
            if rest < 1e-24 {
                break;
            }
        }
        let recent = || weights.iter().zip(gaps.iter().rev());
        let mean: f64 = recent().map(|(weight, gap)| weight * gap).sum();
        let variance: f64 = recent().map(|(weight, gap)| weight * (gap - mean).powi(2)).sum();
        return (mean, variance.sqrt());
    }
    let (mut mean, mut deviation) = (gaps[0], gaps[0] / 2.0);
    for gap in &gaps[1..] {
        deviation = 0.75 * deviation + 0.25 * (gap - mean).abs();
        mean = 0.875 * mean + 0.125 * gap;
    }
    (mean, deviation)
}

fn loss(lessons: &[Lesson]) -> f64 {
    let mut outcomes: Vec<f64> = Vec::new();
    for (lesson, is_skipped) in with_skips(lessons) {
        let (Lesson::Gap { steps, .. } | Lesson::Losses { steps }) = lesson else { continue };
        if steps > 0 && !is_skipped {
            outcomes.extend(std::iter::repeat_n(1.0, (steps - 1).min(16) as usize));
            outcomes.push(0.0);
        }
    }
    let weigh =
        |loss: f64, (index, outcome): (usize, &f64)| loss + (outcome - loss) / (index + 3).min(64) as f64;
    outcomes.iter().enumerate().fold(0.5, weigh)
}

/// Whole parts of 50000, as they are kept: rounding is a rule here and not an error.
fn back_off(profile: &Profile, lessons: &[Lesson]) -> f64 {
    let mut parts = 0.0_f64;
    for lesson in lessons {
        match lesson {
            Lesson::Gap { .. } => parts -= (parts / 1_024.0).ceil(),
            Lesson::Wronged => {
                let grown = (50_000.0 + parts) * (1.0 + profile.back_off_percent / 100.0) - 50_000.0;
                parts = grown.min(50_000.0).round();
            }
            _ => {}
        }
    }
    parts / 50_000.0
}

/// Minus the logarithm of the normal tail, by Laplace's continued fraction.
fn phi_of(deviations: f64) -> f64 {
    let fraction = (1..400).rev().fold(deviations, |rest, term| deviations + f64::from(term) / rest);
    let tail = (-deviations * deviations / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() / fraction;
    -tail.log10()
}

fn deviations_of(phi: f64) -> f64 {
    // The one thing that is remembered: it depends on the threshold alone, and takes a while.
    thread_local! { static KNOWN: RefCell<Vec<(f64, f64)>> = const { RefCell::new(Vec::new()) }; }
    let known =
        |known: &RefCell<Vec<(f64, f64)>>| known.borrow().iter().find(|entry| entry.0 == phi).copied();
    if let Some((_, deviations)) = KNOWN.with(known) {
        return deviations;
    }
    let deviations = deviations_by_bisection(phi);
    KNOWN.with(|known| known.borrow_mut().push((phi, deviations)));
    deviations
}

fn deviations_by_bisection(phi: f64) -> f64 {
    let (mut below, mut above) = (0.5, 12.0);
    for _ in 0..60 {
        let middle = f64::midpoint(below, above);
        if phi_of(middle) < phi {
            below = middle;
        } else {
            above = middle;
        }
    }
    above
}

/// The profile that a node gets, by position, and whether it named one that is not there.
pub(crate) fn chosen(profiles: &Profiles, descriptor: &NodeDescriptor<'_>) -> (usize, bool) {
    let names: Vec<_> = profiles.detectors().iter().map(|detector| &*detector.profile().name).collect();
    if let Some(position) = names.iter().position(|name| *name == descriptor.profile) {
        return (position, false);
    }
    let mut given = profiles.default_index().position();
    for rule in profiles.rules().iter().rev() {
        let has = |key: &str, pattern: &str| {
            descriptor.labels.iter().any(|label| label.0 == key && fits(pattern, label.1))
        };
        if fits(&rule.zone, descriptor.zone) && rule.labels.iter().all(|(key, pattern)| has(key, pattern)) {
            given = rule.profile.position();
        }
    }
    (given, !descriptor.profile.is_empty())
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => text.is_empty(),
        Some(("*", rest)) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
        Some((first, rest)) => text.strip_prefix(first).is_some_and(|text| fits(rest, text)),
    }
}
