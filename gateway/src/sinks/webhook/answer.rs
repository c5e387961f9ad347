//! What an answer of the endpoint means.
//!
//! ```text
//!   2xx                            taken
//!   400, 413, 422, other 4xx       this event is refused: a dead letter
//!   401, 403, 404, 407; 1xx, 3xx   whoever sends is refused, or the address is wrong: it would be the same for every
//!                                  event, so a person must mend it, and no event is given up meanwhile
//!   408, 425, 429, 5xx, no answer  later
//! ```

use std::time::Duration;

/// Longest wait that an endpoint may ask for.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The events have arrived.
    Taken,
    /// Another try is of no use.
    Refused(String),
    /// Another try may succeed.
    Later {
        /// What was wrong.
        reason: String,
        /// The endpoint does not want to be asked before.
        not_before: Option<Duration>,
    },
}

/// The meaning of a status; `reason` is for people, `retry_after` the header, `unix_us` the time.
pub(super) fn of_status(status: u16, reason: String, retry_after: Option<&str>, unix_us: u64) -> Answer {
    match status {
        200..=299 => Answer::Taken,
        401 | 403 | 404 | 407 | 408 | 425 | 429 | 0..=399 | 500.. => {
            Answer::Later { reason, not_before: retry_after.and_then(|text| wait_of(text, unix_us)) }
        }
        400..=499 => Answer::Refused(reason),
    }
}

/// `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3).
fn wait_of(retry_after: &str, unix_us: u64) -> Option<Duration> {
    let text = retry_after.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
            since_epoch.saturating_sub(Duration::from_micros(unix_us))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
