//! Sends bad datagrams and says what the gateway's counters of refusals should have gained.
//!
//! Each datagram passes through this crate's own decoder first: that names the one reason, and keeps back the
//! rare one that is no bad datagram after all.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use pulsegate_codec::{Decoder, RejectReason};
use serde::Serialize;

use crate::clock::Clock;
use crate::malformed::{BadDatagrams, BadKind};
use crate::moment::{Duration, Moment};
use crate::sender::{SendError, Sender};

/// How many, where to, how fast.
#[derive(Clone, Copy, Debug)]
pub struct BlastOptions {
    /// Where the datagrams go.
    pub gateway: SocketAddr,
    /// How many.
    pub count: u64,
    /// Datagrams a second; 0 for as fast as the kernel takes them.
    pub rate: u64,
    /// Decides every byte.
    pub seed: u64,
}

/// What was sent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BlastReport {
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Datagrams that it did not take.
    pub unsent: u64,
    /// Those that were sent, by kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// Those that were sent, by the reason for which a gateway refuses them: the label of its counter.
    pub by_reason: BTreeMap<&'static str, u64>,
}

/// Between two bursts.
const PACE: Duration = Duration::from_millis(1);

/// Sends.
///
/// # Errors
/// If the path to the gateway is broken.
pub fn blast(options: &BlastOptions) -> Result<BlastReport, SendError> {
    let clock = Clock::start();
    let mut sender = Sender::open(options.gateway, 1)?;
    let (mut supply, mut decoder) = (BadDatagrams::new(options.seed), Decoder::new());
    let mut report = BlastReport::default();
    let mut datagram = Vec::new();
    for number in 0..options.count {
        if let Some(due) = due(number, options.rate)
            && due > clock.now()
        {
            clock.sleep_until(due + PACE);
        }
        let (kind, reason) = next_refused(&mut supply, &mut decoder, &mut datagram);
        if sender.send_bytes(&clock, &datagram)? {
            report.sent += 1;
            *report.by_kind.entry(kind.label()).or_default() += 1;
            *report.by_reason.entry(reason.label()).or_default() += 1;
        } else {
            report.unsent += 1;
        }
    }
    Ok(report)
}

fn next_refused(
    supply: &mut BadDatagrams,
    decoder: &mut Decoder,
    datagram: &mut Vec<u8>,
) -> (BadKind, RejectReason) {
    loop {
        let kind = supply.next(datagram);
        if let Err(reason) = decoder.decode(datagram) {
            return (kind, reason);
        }
    }
}

/// When this datagram is due at so many a second.
fn due(number: u64, rate: u64) -> Option<Moment> {
    let microseconds = number.saturating_mul(1_000_000).checked_div(rate)?;
    Some(Moment::from_microseconds(microseconds))
}

impl BlastReport {
    /// As JSON.
    ///
    /// # Panics
    /// Never: the report has only text keys and numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("text keys and numbers")
    }
}

impl fmt::Display for BlastReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} bad datagrams sent, {} not taken by the kernel", self.sent, self.unsent)?;
        for (title, counts) in [("by kind", &self.by_kind), ("to be refused as", &self.by_reason)] {
            writeln!(formatter, "{title}")?;
            for (label, count) in counts {
                writeln!(formatter, "  {label:<32}{count:>10}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn counts_add_up_and_datagrams_arrive() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let gateway = receiver.local_addr().unwrap();
        let report = blast(&BlastOptions { gateway, count: 50, rate: 0, seed: 1 }).unwrap();
        assert_eq!((report.sent, report.unsent), (50, 0));
        assert_eq!(report.by_kind.values().sum::<u64>(), 50);
        assert_eq!(report.by_reason.values().sum::<u64>(), 50);
        let mut buffer = [0; 2_048];
        let mut decoder = Decoder::new();
        let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
        while let Ok(bytes) = receiver.recv(&mut buffer) {
            let reason = decoder.decode(&buffer[..bytes]).unwrap_err();
            *by_reason.entry(reason.label()).or_default() += 1;
        }
        assert_eq!(by_reason, report.by_reason, "loopback delivers within the send");
    }

    #[test]
    fn datagrams_are_due_at_their_rate() {
        assert_eq!(due(50_000, 50_000), Some(Moment::from_milliseconds(1_000)));
        assert_eq!(due(3, 0), None);
    }
}
