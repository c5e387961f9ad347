//! What the gateway's own trouble does to a deadline, the plain way: all pauses that there ever were are added up.

use pulsegate_engine::limits::DROP_TIMEOUT_FACTOR;

/// The deadline of a node that was last heard then and may be silent for so long, in nanoseconds.
pub(crate) fn deadline(pauses: &[(u64, u64)], dropped_at: Option<u64>, last_seen: u64, silence: u64) -> u64 {
    let mut paused = 0;
    let mut counted_up_to = last_seen;
    for &(start, end) in pauses {
        paused += end.saturating_sub(start.max(counted_up_to));
        counted_up_to = counted_up_to.max(end);
    }
    let usual = last_seen + paused + silence;
    let Some(dropped_at) = dropped_at.filter(|&dropped_at| dropped_at > last_seen) else { return usual };
    let widest = last_seen + paused + silence * u64::from(DROP_TIMEOUT_FACTOR);
    usual.max(widest.min(dropped_at + silence))
}
