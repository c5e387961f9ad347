//! An event in one line for people.

use pulsegate_codec::event::{Event, rfc3339_from_unix_us};

/// The line.
pub(super) fn in_words(event: &Event) -> String {
    let mut line = format!(
        "{}  {:<15}  {}",
        rfc3339_from_unix_us(event.decided_at_unix_us),
        event.event_type.word(),
        event.subject(),
    );
    if !event.zone.is_empty() {
        line += &format!("  zone {}", event.zone);
    }
    if let Some(previous) = &event.previous {
        line += &format!("  was {previous}");
    }
    if let Some(silence_us) = event.silence_us {
        line += &format!("  silent {:.3} s", seconds(silence_us));
    }
    if let Some(lateness_us) = event.lateness_us {
        line += &format!("  {:.1} ms after the deadline", seconds(lateness_us) * 1_000.0);
    }
    if let Some(incarnation) = event.incarnation {
        line += &format!("  incarnation {incarnation}");
    }
    if let Some(reason) = &event.reason {
        line += &format!("  reason {reason}");
    }
    line
}

#[expect(clippy::cast_precision_loss, reason = "for people: microseconds of any silence fit 2^53")]
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000_000.0
}
