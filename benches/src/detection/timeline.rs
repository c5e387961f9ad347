//! One node's failed timeout over a quarter of an hour in which much happens, for each method.

use pulsegate_engine::detector::{Detector, Gap, Method, Observation, Profile, Rhythm};

use super::scenario::{self, INTERVAL_US, Scenario, Trace};

/// How long, in seconds.
pub const SECONDS: u32 = 1_200;

/// From when on which scenario holds, in seconds.
pub const PHASES: [(u32, &str); 5] =
    [(0, "quiet"), (300, "loss 30 %"), (540, "quiet"), (780, "jitter 100 ms"), (960, "quiet")];

/// When the node hangs, in seconds, and for how long.
pub const PAUSE_S: (u32, f64) = (1_080, 8.0);

/// Failed timeouts at one moment, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Since the node was first heard, in seconds.
    pub second: u32,
    /// By method: fixed, EWMA, phi.
    pub timeouts_ms: [u32; 3],
}

/// Method and profile of each line.
#[must_use]
pub fn lines() -> [(Method, Profile); 3] {
    [
        (Method::Fixed, Profile::fixed("fixed", 3.0, 5.0)),
        (Method::Ewma, Profile::ewma("ewma")),
        (Method::Phi, Profile::phi("phi")),
    ]
}

/// The timeouts, once a second.
#[must_use]
pub fn run() -> Vec<Moment> {
    let detectors = lines().map(|(_, profile)| Detector::new(profile));
    let mut rhythms = [Rhythm::UNKNOWN; 3];
    let mut trace = Trace::new(scenario_at(0), 7, 0.0);
    let mut moments = Vec::new();
    let mut heard: Option<scenario::Arrival> = None;
    for second in 0..SECONDS {
        trace.change(scenario_at(second));
        if second == PAUSE_S.0 {
            trace.pause(PAUSE_S.1 * 1e6);
        }
        let end_us = f64::from(second + 1) * 1e6;
        while let Some(arrival) = trace.next_before(end_us) {
            if let Some(earlier) = heard.replace(arrival) {
                for (rhythm, detector) in rhythms.iter_mut().zip(&detectors) {
                    learn(rhythm, detector, earlier, arrival);
                }
            }
        }
        let timeouts_ms = std::array::from_fn(|line| {
            let timeouts = detectors[line].timeouts(&observation(rhythms[line]));
            u32::try_from(timeouts.failed.as_millis()).unwrap_or(u32::MAX)
        });
        moments.push(Moment { second, timeouts_ms });
    }
    moments
}

/// What the engine does with a heartbeat: see `Engine::learn`.
fn learn(rhythm: &mut Rhythm, detector: &Detector, earlier: scenario::Arrival, arrival: scenario::Arrival) {
    let steps = arrival.sequence - earlier.sequence;
    let silence_us = arrival.at_us - earlier.at_us;
    let timeouts = detector.timeouts(&observation(*rhythm));
    if silence_us < timeouts.suspect.as_secs_f64() * 1e6 {
        #[expect(clippy::cast_possible_truncation, reason = "as precise as what is learnt")]
        let (length_us, interval_us) = (silence_us as f32, INTERVAL_US as f32);
        detector.hear(rhythm, Gap { length_us, steps, interval_us });
        return;
    }
    if silence_us < timeouts.failed.as_secs_f64() * 1e6 {
        rhythm.count_losses(steps);
    }
    rhythm.back_off(detector.profile().back_off_percent / 100.0);
}

fn observation(rhythm: Rhythm) -> Observation {
    Observation { interval_ms: 1_000, round_trip_us: 0, rhythm }
}

fn scenario_at(second: u32) -> Scenario {
    let phase = PHASES.iter().rev().find(|(from, _)| *from <= second).expect("the first begins at 0");
    scenario::named(phase.1).expect("a scenario by its name")
}
