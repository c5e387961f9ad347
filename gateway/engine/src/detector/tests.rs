//! From observation to timeouts: the methods, and the bounds around them.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn observation(rhythm: Rhythm) -> Observation {
    Observation { interval_ms: 1_000, round_trip_us: 0, rhythm }
}

/// A node that has beaten once a second for long, this much early or late in turn, with every n-th lost (0: none).
fn steady(method: Method, jitter_us: f32, lost_every: usize) -> Rhythm {
    let mut rhythm = Rhythm::UNKNOWN;
    for beat in 1..2_000_usize {
        let jitter_us = if beat.is_multiple_of(2) { jitter_us } else { -jitter_us };
        let steps: u8 = if lost_every != 0 && beat.is_multiple_of(lost_every) { 2 } else { 1 };
        let gap =
            Gap { length_us: 1e6 * f32::from(steps) + jitter_us, steps: steps.into(), interval_us: 1e6 };
        rhythm.hear(method, gap, 2e7);
    }
    rhythm
}

fn seconds(profile: Profile, observation: &Observation) -> (f64, f64) {
    let timeouts = Detector::new(profile).timeouts(observation);
    (timeouts.suspect.as_secs_f64(), timeouts.failed.as_secs_f64())
}

#[track_caller]
fn assert_near(found: (f64, f64), expected: (f64, f64)) {
    let is_near = (found.0 - expected.0).abs() < 2e-3 && (found.1 - expected.1).abs() < 2e-3;
    assert!(is_near, "{found:?} for {expected:?}");
}

/// Shows: fixed means so many intervals from the last heartbeat, and nothing else.
#[test]
fn fixed_counts_intervals_of_silence_from_the_last_heartbeat() {
    let detector = Detector::new(Profile::fixed("default", 3.0, 5.0));
    let observation = Observation { interval_ms: 2_000, ..observation(Rhythm::UNKNOWN) };
    let deadlines = detector.timeouts(&observation).after(Timestamp::from_milliseconds(1_007));
    assert_eq!(deadlines.suspect, Timestamp::from_milliseconds(7_007));
    assert_eq!(deadlines.failed, Timestamp::from_milliseconds(11_007));
}

/// Shows: a timeout that reaches beyond the end of the clock is no timeout, and nothing wraps.
#[test]
fn a_deadline_past_the_end_of_time_never_comes() {
    let detector = Detector::new(Profile::fixed("default", 3.0, 5.0));
    let observation = Observation { interval_ms: 3_600_000, ..observation(Rhythm::UNKNOWN) };
    let end = Timestamp::from_nanoseconds(u64::MAX);
    assert_eq!(detector.timeouts(&observation).after(end), Deadlines { suspect: end, failed: end });
}

/// Shows: for a steady node each built-in profile means the seconds that the page for operators says.
#[test]
fn steady_node_has_the_seconds_that_its_profile_promises() {
    // Phi 5 and 8 are 4.265 and 5.612 deviations; a loss of 0.1 % explains 5/3 and 8/3 intervals.
    let phi = observation(steady(Method::Phi, 0.0, 0));
    assert_near(seconds(Profile::phi("same-dc"), &phi), (3.093, 5.093));
    let [default, local, _, wan] = Profile::built_in(3, 5);
    assert_near(seconds(default, &phi), (3.0, 5.0));
    assert_near(seconds(local, &phi), (3.0, 4.0));
    assert_near(seconds(wan, &phi), (4.353, 6.353));
    // Five and seven deviations of a tenth; the normal tail there is 10^-4.479 and 10^-7.932.
    let ewma = observation(steady(Method::Ewma, 0.0, 0));
    assert_near(seconds(Profile::ewma("mine"), &ewma), (3.0, 5.0));
}

/// Shows: a network that jitters or loses gets more time from EWMA and phi, and none from fixed.
#[test]
fn jitter_and_loss_lengthen_what_learns_and_nothing_else() {
    let jittery = observation(steady(Method::Phi, 3e5, 0));
    // 1 + 4.265 x 0.3 + 5/3; suspicion of two intervals. The last gap was a short one: the mean is 2 ms low, and what
    // loss explains with it.
    assert_near(seconds(Profile::phi("same-dc"), &jittery), (3.940, 5.940));
    let lossy = observation(steady(Method::Phi, 0.0, 3));
    let share = lossy.rhythm.loss();
    assert!((share - 0.25).abs() < 0.03, "every fourth heartbeat is lost: {share}");
    let (suspect, failed) = seconds(Profile::phi("same-dc"), &lossy);
    assert!(suspect > 9.0 && failed > 13.0, "{suspect} {failed}");
    assert_near(seconds(Profile::fixed("default", 3.0, 5.0), &lossy), (3.0, 5.0));
}

/// Shows: no estimate is trusted below `max(10 x round trip, 3 x interval)`.
#[test]
fn nobody_is_suspect_before_the_floor() {
    let profile = Profile { floor_intervals: 6.0, ..Profile::phi("mine") };
    assert_near(seconds(profile, &observation(steady(Method::Phi, 0.0, 0))), (6.0, 8.0));
    let far = Observation { round_trip_us: 400_000, ..observation(steady(Method::Phi, 0.0, 0)) };
    assert_near(seconds(Profile::phi("mine"), &far), (4.0, 6.0));
    // Fixed as well: what must not be suspected must not be suspected.
    assert_near(seconds(Profile::fixed("default", 3.0, 5.0), &far), (4.0, 6.0));
}

/// Shows: a node that is far away is given its round trips even beyond the cap.
#[test]
fn a_floor_beyond_the_cap_moves_the_cap() {
    let far = Observation { round_trip_us: 5_000_000, ..observation(steady(Method::Phi, 0.0, 0)) };
    assert_near(seconds(Profile::phi("mine"), &far), (50.0, 52.0));
}

/// Shows: a dead node is found in the end, whatever it taught while it lived.
#[test]
fn whatever_was_learnt_the_cap_ends_the_wait() {
    let unknown = observation(Rhythm::UNKNOWN);
    assert_near(seconds(Profile::phi("mine"), &unknown), (18.0, 20.0));
    let mut wronged = steady(Method::Phi, 9e5, 2);
    for _ in 0..9 {
        wronged.back_off(0.2);
    }
    let profile = Profile { cap_intervals: 9.0, ..Profile::phi("mine") };
    assert_near(seconds(profile, &observation(wronged)), (7.0, 9.0));
}

/// Shows: one wrong verdict makes both timeouts longer by 20 %.
#[test]
fn back_off_lengthens_both_timeouts_by_a_fifth() {
    let mut rhythm = steady(Method::Phi, 0.0, 0);
    rhythm.back_off(0.2);
    assert_near(seconds(Profile::phi("same-dc"), &observation(rhythm)), (3.711, 5.711));
    let profile = Profile { back_off_percent: 20.0, ..Profile::fixed("mine", 3.0, 5.0) };
    assert_near(seconds(profile, &observation(rhythm)), (3.6, 6.0));
}

/// Shows: an unknown node is given more time than a well-known one.
#[test]
fn node_earns_its_short_timeout() {
    let detector = Detector::new(Profile::phi("mine"));
    let mut rhythm = Rhythm::UNKNOWN;
    let mut previous = Duration::MAX;
    for _ in 0..600 {
        let failed = detector.timeouts(&observation(rhythm)).failed;
        assert!(failed <= previous);
        previous = failed;
        detector.hear(&mut rhythm, Gap { length_us: 1e6, steps: 1, interval_us: 1e6 });
    }
    assert!(previous < 6 * SECOND);
}

/// Shows: the bound by which the wheel looks at a node early enough is one.
#[test]
fn no_timeout_is_shorter_than_the_shortest() {
    // Method: rhythms of all kinds; the wheel relies on it.
    for profile in Profile::built_in(3, 5).into_iter().chain([Profile::ewma("mine")]) {
        let method = profile.method;
        let detector = Detector::new(profile);
        for round_trip_us in [0, 50_000, 700_000] {
            for jitter_us in [0.0, 1e5, 7e5] {
                for lost_every in [0, 2, 50] {
                    let rhythm = steady(method, jitter_us, lost_every);
                    let observation = Observation { round_trip_us, ..observation(rhythm) };
                    let timeouts = detector.timeouts(&observation);
                    assert!(timeouts.suspect >= detector.shortest(&observation));
                    assert!(timeouts.failed >= timeouts.suspect);
                }
            }
        }
    }
}

/// Shows: a timeout is rounded up to whole microseconds, so that a deadline is never early.
#[test]
fn a_part_of_a_microsecond_is_a_whole_one() {
    let detector = Detector::new(Profile::fixed("mine", 1.000_000_1, 2.0));
    let observation = Observation { interval_ms: 1, round_trip_us: 0, rhythm: Rhythm::UNKNOWN };
    assert_eq!(detector.timeouts(&observation).suspect, Duration::from_micros(1_001));
}
