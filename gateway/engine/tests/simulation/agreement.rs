//! When two verdicts are the same: the engine keeps single precision and whole microseconds, the oracle does not.

use std::time::Duration;

use pulsegate_engine::{Verdict, VerdictKind};

/// Nanoseconds that deadlines may be apart whose timeouts are about this long: two microseconds and a hundred-thousandth
/// for the timeout itself, and as much again twice, where it is widened or made of two.
pub(crate) fn leeway(timeout: Duration) -> u64 {
    3 * (2_000 + u64::try_from(timeout.as_nanos()).unwrap() / 100_000)
}

/// The same verdict, but for deadline, timeouts and the length of a maintenance, which may be apart by a little, and mean and deviation,
/// which may by as much of theirs.
pub(crate) fn assert_agree(given: &Verdict, expected: &Verdict) {
    let leeway = leeway(expected.evidence.terms.failed_timeout);
    let near = |given: u64, expected: u64, leeway: u64| given.abs_diff(expected) <= leeway;
    let (theirs, ours) = (&given.evidence, &expected.evidence);
    let mut taken_over = expected.clone();
    let timeouts = [
        (theirs.terms.suspect_timeout, ours.terms.suspect_timeout),
        (theirs.terms.failed_timeout, ours.terms.failed_timeout),
    ];
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap();
    let timeouts_agree =
        timeouts.into_iter().all(|(theirs, ours)| near(nanoseconds(theirs), nanoseconds(ours), leeway));
    let deadlines_agree = theirs
        .deadline
        .zip(ours.deadline)
        .is_none_or(|(theirs, ours)| near(theirs.as_nanoseconds(), ours.as_nanoseconds(), leeway));
    // What `Rhythm` promises of single precision: an error of a millionth of an interval.
    let single = u64::from(ours.terms.mean_us.unwrap_or(0)) / 1_000_000;
    // The deviation of a very steady rhythm is what is left of squares that cancel: far below any minimum.
    let moments =
        [(theirs.terms.mean_us, ours.terms.mean_us), (theirs.terms.deviation_us, ours.terms.deviation_us)];
    let moments_agree = moments
        .into_iter()
        .filter_map(|(theirs, ours)| theirs.zip(ours))
        .all(|(theirs, ours)| near(theirs.into(), ours.into(), 20 + u64::from(ours) / 20_000 + single));
    if let (
        VerdictKind::MaintenanceStarted { length: theirs, .. },
        VerdictKind::MaintenanceStarted { length: ours, .. },
    ) = (given.kind, &mut taken_over.kind)
        && near(nanoseconds(theirs), nanoseconds(*ours), leeway)
    {
        *ours = theirs;
    }
    if timeouts_agree && deadlines_agree && moments_agree {
        let evidence = &mut taken_over.evidence;
        evidence.deadline = ours.deadline.and(theirs.deadline);
        evidence.terms.suspect_timeout = theirs.terms.suspect_timeout;
        evidence.terms.failed_timeout = theirs.terms.failed_timeout;
        evidence.terms.mean_us = ours.terms.mean_us.and(theirs.terms.mean_us);
        evidence.terms.deviation_us = ours.terms.deviation_us.and(theirs.terms.deviation_us);
    }
    assert_eq!(*given, taken_over, "the oracle's timeouts: {:?}", expected.evidence);
}
