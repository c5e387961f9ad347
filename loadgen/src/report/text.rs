//! The report as a person reads it.

use std::fmt;

use super::{GatewayFigures, LatenessMs, Report, RunFigures};

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
        let nodes = self.nodes;
        let RunFigures { seconds, interval_ms, seed, .. } = self.run;
        let GatewayFigures { shards, receiver, receiver_reason, .. } = &self.gateway;
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
            self.traffic.heartbeats_lost_on_purpose,
            self.bytes_per_heartbeat
        )?;
        writeln!(
            formatter,
            "datagrams   {} sent in {} calls, {} received, {} dropped by the kernel, {} refused, {} unsent",
            self.traffic.datagrams_sent,
            self.traffic.send_calls,
            self.traffic.datagrams_received,
            self.traffic.datagrams_dropped_by_kernel,
            self.traffic.datagrams_rejected,
            self.traffic.datagrams_unsent
        )?;
        writeln!(
            formatter,
            "gateway CPU {:.1} % of a core while steady, {:.0} heartbeats a CPU second",
            self.gateway.gateway_cores * 100.0,
            self.heartbeats_per_cpu_second
        )
    }

    fn write_table(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "            injected  reported    missed     false")?;
        let suspicions_injected = self.events.suspicions_reported + self.events.missed_suspicions;
        let rows = [
            ("joins", self.events.joins_injected, self.events.joins_reported, self.events.false_joins),
            (
                "suspicions",
                suspicions_injected,
                self.events.suspicions_reported,
                self.events.false_suspicions,
            ),
            ("failures", self.failures_injected, self.failures_reported, self.false_failures),
            ("recoveries", self.recoveries_injected, self.recoveries_reported, self.events.false_recoveries),
            (
                "restarts",
                self.events.restarts_injected,
                self.events.restarts_reported,
                self.events.false_restarts,
            ),
            ("leaves", self.events.leaves_injected, self.events.leaves_reported, self.events.false_leaves),
            (
                "statuses",
                self.events.status_changes_injected,
                self.events.status_changes_reported,
                self.events.false_status_changes,
            ),
        ];
        for (name, injected, reported, invented) in rows {
            if name == "statuses" && injected + invented == 0 {
                continue;
            }
            let missed = injected - reported;
            writeln!(formatter, "{name:<12}{injected:>8}  {reported:>8}  {missed:>8}  {invented:>8}")?;
        }
        if self.events.moves_made > 0 {
            writeln!(
                formatter,
                "{} nodes moved to another relay, which nobody should report",
                self.events.moves_made
            )?;
        }
        if self.traffic.heartbeats_lost_on_purpose > 0 {
            let (count, node_hours) = (self.events.failures_taken_back, self.node_hours());
            let rate = count as f64 / node_hours;
            writeln!(
                formatter,
                "{count} failures of nodes that were heard again, {rate:.1e} a node-hour in {node_hours:.0}"
            )?;
        }
        let others = [
            ("verdicts before their deadline", self.early_verdicts),
            ("events out of order", self.events.order_violations),
            ("events twice", self.events.duplicate_events),
            ("nodes that do not exist", self.events.invented_nodes),
            ("starts of the gateway", self.events.gateway_starts),
            ("planned failures that did not take effect", self.events.failures_without_effect),
        ];
        for (name, count) in others.into_iter().filter(|&(_, count)| count > 0) {
            writeln!(formatter, "{name}: {count}")?;
        }
        Ok(())
    }

    fn node_hours(&self) -> f64 {
        f64::from(self.nodes) * self.run.seconds as f64 / 3_600.0
    }

    fn write_lateness(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [shortest_ms, longest_ms] = self.run.failed_timeout_ms;
        write!(formatter, "failures after the last heartbeat + {shortest_ms} ms")?;
        if shortest_ms < longest_ms {
            write!(formatter, " ({} learns: up to {longest_ms} ms)", self.run.detector)?;
        }
        writeln!(formatter, ": {}", quantiles(&self.lateness_ms))?;
        writeln!(
            formatter,
            "by the gateway's own account: {}",
            quantiles(&self.gateway.gateway_lateness_ms)
        )?;
        writeln!(
            formatter,
            "longest pause of a gateway thread {:.1} ms; generator behind by at most {:.1} ms",
            self.gateway.gateway_pause_ms_max, self.traffic.generator_behind_ms_max
        )
    }

    fn write_problems(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.run.wall_clock_stepped_ms > WALL_CLOCK_STEPPED_MS_MAX {
            let stepped_ms = self.run.wall_clock_stepped_ms;
            writeln!(formatter, "the wall clock moved by {stepped_ms:.1} ms: verdicts on lateness are void")?;
        }
        if self.traffic.generator_behind_ms_max > f64::from(self.run.interval_ms) {
            let behind_ms = self.traffic.generator_behind_ms_max;
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
