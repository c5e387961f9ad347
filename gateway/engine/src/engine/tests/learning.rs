//! What the engine learns of a node, what it leaves out, and what follows for its deadlines.

use super::*;
use crate::detector::Profile;

fn learning(profile: Profile) -> Fixture {
    Fixture::with(EngineConfig { profiles: Profiles::only(profile), ..config(16) }, 64)
}

impl Fixture {
    /// Beats once every so many milliseconds, from the next beat on, and counts up by `steps` each time.
    fn beat_on(&mut self, count: u32, gap_ms: u64, steps: u32) {
        for _ in 0..count {
            self.run_until(self.now_ms + gap_ms);
            let sequence = self.engine.node(NodeId(1)).unwrap().last_sequence.0 + steps;
            self.beat(FIRST, sequence);
        }
    }

    /// Lets the node be silent from now on; returns after how many milliseconds it was suspect, and failed.
    fn silence_until_failed(&mut self) -> (u64, u64) {
        self.said();
        let start_ms = self.now_ms;
        self.run_until(start_ms + 50_000);
        let said = self.said();
        assert_eq!([said[0].0, said[1].0], ["suspected", "failed"]);
        (said[0].1 - start_ms, said[1].1 - start_ms)
    }
}

/// Shows: EWMA and phi judge by mean and deviation, and say by which.
#[test]
fn steady_node_is_judged_by_what_was_learnt_and_the_verdict_says_so() {
    let mut fixture = learning(Profile::phi("mine")).with_alive_node();
    fixture.beat_on(600, 1_000, 1);
    let start_ms = fixture.now_ms;
    fixture.run_until(start_ms + 50_000);
    let taken = fixture.taken();
    let failed = &taken[1].evidence;
    // 1 + 4.265 x 0.1 + 5/3, and two intervals of suspicion; rounded up to ticks.
    assert_eq!(taken[1].decided_at, Timestamp::from_milliseconds(start_ms + 5_100));
    assert_eq!(failed.terms.suspect_timeout.as_millis(), 3_093);
    assert_eq!(failed.terms.failed_timeout.as_millis(), 5_093);
    assert_eq!((failed.terms.mean_us, failed.terms.round_trip_us), (Some(1_000_000), None));
    assert!(failed.terms.deviation_us.unwrap() < 10);
}

/// Shows: a false positive lengthens the timeout until there are none.
#[test]
fn node_that_beats_slower_than_it_declared_stops_being_suspected() {
    // Goal: back-off carries it over the first gaps, and what it teaches then keeps it there.
    let mut fixture = learning(Profile { suspicion_intervals: 1.0, ..Profile::ewma("mine") });
    fixture = fixture.with_alive_node();
    fixture.beat_on(60, 1_000, 1);
    fixture.beat_on(400, 4_500, 1);
    let said = fixture.said();
    let suspected = said.iter().filter(|said| said.0 == "suspected").count();
    assert!((1..8).contains(&suspected), "{said:?}");
    fixture.beat_on(400, 4_500, 1);
    assert_eq!(fixture.said(), []);
}

/// Shows: beating fast earns no timeout below the floor.
#[test]
fn node_that_beats_faster_than_it_declared_keeps_its_floor() {
    let mut fixture = learning(Profile::phi("mine")).with_alive_node();
    fixture.beat_on(600, 250, 1);
    assert_eq!(fixture.silence_until_failed(), (3_000, 5_000));
}

/// Shows: lost packets lengthen the wait by what loss explains, and do not widen the rhythm.
#[test]
fn loss_lengthens_the_wait_and_a_steady_rhythm_stays_steady() {
    let mut fixture = learning(Profile::phi("mine")).with_alive_node();
    fixture.beat_on(300, 2_000, 2);
    assert_eq!(fixture.said(), []);
    let start_ms = fixture.now_ms;
    fixture.run_until(start_ms + 50_000);
    let terms = fixture.taken()[0].evidence.terms;
    assert_eq!(terms.mean_us, Some(1_000_000));
    // Nearly half of all is lost: phi 5 is a run of 16, and the cap of 20 intervals bounds both.
    assert_eq!((terms.suspect_timeout.as_millis(), terms.failed_timeout.as_millis()), (17_848, 20_000));
}

/// Shows: the gateway's own pause is nobody's rhythm and nobody's loss.
#[test]
fn gaps_across_a_pause_of_the_gateway_teach_nothing() {
    let mut fixture = learning(Profile::phi("mine")).with_alive_node();
    fixture.beat_on(600, 1_000, 1);
    // Long, but not suspicious; and three of its heartbeats were lost in the gateway's own queue.
    fixture.now_ms += 2_900;
    fixture.engine.on_tick(fixture.now(), &mut fixture.verdicts);
    fixture.engine.distrust_gaps();
    fixture.beat_on(1, 0, 4);
    assert_eq!(fixture.silence_until_failed(), (3_100, 5_100));
}

/// Shows: the first gap of a life, and the one that ends an outage, are no samples.
#[test]
fn gaps_across_a_restart_a_goodbye_or_a_failure_teach_nothing() {
    let mut fixture = learning(Profile::phi("mine")).with_alive_node();
    fixture.beat_on(600, 1_000, 1);
    fixture.now_ms += 2_500;
    fixture.beat(SECOND, 1);
    for sequence in 2..10 {
        fixture.now_ms += 1_000;
        fixture.beat(SECOND, sequence);
    }
    fixture.leave(SECOND, 10);
    fixture.run_until(fixture.now_ms + 30_000);
    fixture.beat(SECOND, 11);
    fixture.now_ms += 1_000;
    fixture.beat(SECOND, 12);
    let expected = (3_100, 5_100);
    assert_eq!(fixture.silence_until_failed(), expected);
    // Failed, recovered: only the back-off of a fifth shows.
    fixture.beat(SECOND, 100);
    fixture.beat(SECOND, 101);
    assert_eq!(fixture.silence_until_failed(), (3_720, 5_720));
}

/// Shows: a proven false positive lengthens that node's timeout by 20 %, decaying.
#[test]
fn wronged_node_has_a_fifth_more_time_for_a_while() {
    let profile = Profile { back_off_percent: 20.0, ..Profile::fixed("mine", 3.0, 5.0) };
    let mut fixture = learning(profile).with_alive_node();
    assert_eq!(fixture.silence_until_failed(), (3_000, 5_000));
    fixture.beat_on(2, 0, 1);
    assert_eq!(fixture.silence_until_failed(), (3_600, 6_000));
    fixture.beat_on(5_000, 1_000, 1);
    let (suspect_ms, failed_ms) = fixture.silence_until_failed();
    assert!((3_000..3_100).contains(&suspect_ms) && (5_000..5_200).contains(&failed_ms));
}

/// Shows: a deadline that moves forward by what is learnt is not missed.
#[test]
fn a_shorter_deadline_that_a_heartbeat_brings_is_met() {
    // Method: the timeout of a young node falls with every heartbeat, by more than the heartbeat moves it on. The last
    // entry of the wheel was made for a later moment than the deadline then is.
    let mut fixture = learning(Profile { cap_intervals: 40.0, ..Profile::phi("mine") }).with_alive_node();
    fixture.beat_on(12, 1_000, 1);
    let start_ms = fixture.now_ms;
    fixture.run_until(start_ms + 50_000);
    for verdict in fixture.taken() {
        let deadline = verdict.evidence.deadline.unwrap();
        assert!(verdict.decided_at.since(deadline) < Duration::from_millis(10), "{verdict:?}");
    }
}

/// Shows: the round trip that a sender reports is honoured.
#[test]
fn far_node_is_not_suspect_within_ten_round_trips() {
    let mut fixture = Fixture::new().with_alive_node();
    let slot = fixture.engine.registry.find(NodeId(1)).unwrap();
    fixture.engine.detection.set_round_trip(slot, 400_000);
    assert_eq!(fixture.silence_until_failed(), (4_000, 6_000));
}

/// Shows: a misspelt profile costs a counter and no node.
#[test]
fn unknown_profile_is_counted_and_the_default_is_used() {
    let mut fixture = Fixture::new();
    let node_id = NodeId::from_name("n");
    fixture.beat_of(node_id, FIRST, 1);
    let descriptor = NodeDescriptor { name: "n", profile: "wna", ..NodeDescriptor::default() };
    for _ in 0..2 {
        fixture.engine.on_descriptor(&descriptor, fixture.now());
    }
    assert_eq!(fixture.engine.counters().profiles_unknown, 1);
    fixture.beat_of(node_id, FIRST, 2);
    let terms = fixture.taken()[0].evidence.terms;
    assert_eq!(
        (terms.profile, terms.failed_timeout),
        (Profiles::built_in(3, 5).default_index(), Duration::from_secs(5))
    );
}
