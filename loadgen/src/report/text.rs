//! The report as a person reads it.

use std::fmt;

use super::{LatenessMs, Report};

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_traffic(formatter)?;
        writeln!(formatter)?;
        self.write_table(formatter)?;
        writeln!(formatter)?;
        self.write_lateness(formatter)?;
        self.write_problems(formatter)?;
        writeln!(formatter)?;
        let verdict = if self.clean {
            "Every injected fault was reported, and nothing was reported that did not happen."
        } else {
            "NOT CLEAN: see above."
        };
        write!(formatter, "{verdict}")
    }
}

impl Report {
    fn write_traffic(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, seconds, interval_ms, seed, shards, receiver, receiver_reason, .. } = self;
        writeln!(
            formatter,
            "{nodes} nodes, one heartbeat each {interval_ms} ms, for {seconds} s (seed {seed})"
        )?;
        writeln!(formatter, "gateway     {shards} shards on {receiver} ({receiver_reason})")?;
        let lost = self.heartbeats_sent.saturating_sub(self.heartbeats_accepted);
        writeln!(
            formatter,
            "heartbeats  {} sent, {} accepted, {lost} not; {} more lost on purpose; {:.1} bytes each",
            self.heartbeats_sent,
            self.heartbeats_accepted,
            self.heartbeats_lost_on_purpose,
            self.bytes_per_heartbeat
        )?;
        writeln!(
            formatter,
            "datagrams   {} sent in {} calls, {} received, {} dropped by the kernel, {} refused, {} unsent",
            self.datagrams_sent,
            self.send_calls,
            self.datagrams_received,
            self.datagrams_dropped_by_kernel,
            self.datagrams_rejected,
            self.datagrams_unsent
        )?;
        writeln!(
            formatter,
            "gateway CPU {:.1} % of a core while steady, {:.0} heartbeats a CPU second",
            self.gateway_cores * 100.0,
            self.heartbeats_per_cpu_second
        )
    }

    fn write_table(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "            injected  reported    missed     false")?;
        let suspicions_injected = self.suspicions_reported + self.missed_suspicions;
        let rows = [
            ("joins", self.joins_injected, self.joins_reported, self.false_joins),
            ("suspicions", suspicions_injected, self.suspicions_reported, self.false_suspicions),
            ("failures", self.failures_injected, self.failures_reported, self.false_failures),
            ("recoveries", self.recoveries_injected, self.recoveries_reported, self.false_recoveries),
            ("restarts", self.restarts_injected, self.restarts_reported, self.false_restarts),
            ("leaves", self.leaves_injected, self.leaves_reported, self.false_leaves),
        ];
        for (name, injected, reported, invented) in rows {
            let missed = injected - reported;
            writeln!(formatter, "{name:<12}{injected:>8}  {reported:>8}  {missed:>8}  {invented:>8}")?;
        }
        if self.moves_made > 0 {
            writeln!(
                formatter,
                "{} nodes moved to another relay, which nobody should report",
                self.moves_made
            )?;
        }
        let others = [
            ("verdicts before their deadline", self.early_verdicts),
            ("events out of order", self.order_violations),
            ("events twice", self.duplicate_events),
            ("nodes that do not exist", self.invented_nodes),
            ("starts of the gateway", self.gateway_starts),
        ];
        for (name, count) in others.into_iter().filter(|&(_, count)| count > 0) {
            writeln!(formatter, "{name}: {count}")?;
        }
        Ok(())
    }

    fn write_lateness(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failed_timeout_ms, .. } = self;
        writeln!(
            formatter,
            "failures after the last heartbeat + {failed_timeout_ms} ms: {}",
            quantiles(&self.lateness_ms)
        )?;
        writeln!(formatter, "by the gateway's own account: {}", quantiles(&self.gateway_lateness_ms))?;
        writeln!(
            formatter,
            "longest pause of a gateway thread {:.1} ms; generator behind by at most {:.1} ms",
            self.gateway_pause_ms_max, self.generator_behind_ms_max
        )
    }

    fn write_problems(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wall_clock_stepped_ms > WALL_CLOCK_STEPPED_MS_MAX {
            let stepped_ms = self.wall_clock_stepped_ms;
            writeln!(formatter, "the wall clock moved by {stepped_ms:.1} ms: verdicts on lateness are void")?;
        }
        if self.generator_behind_ms_max > f64::from(self.interval_ms) {
            let behind_ms = self.generator_behind_ms_max;
            writeln!(
                formatter,
                "the generator fell {behind_ms:.0} ms behind: this machine is too busy for such a fleet"
            )?;
        }
        for problem in &self.problems {
            writeln!(formatter, "! {problem}")?;
        }
        Ok(())
    }
}

/// More than the tolerance of the judge.
const WALL_CLOCK_STEPPED_MS_MAX: f64 = 1.0;

fn quantiles(lateness: &LatenessMs) -> String {
    let LatenessMs { p50, p99, p999, max } = lateness;
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms, p99.9 {p999:.1} ms, max {max:.1} ms")
}
