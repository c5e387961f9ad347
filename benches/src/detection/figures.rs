//! Figures as lines of comma-separated values: what the plots are drawn from, and what is committed beside them.

use pulsegate_engine::detector::Profile;

use super::trial::Trial;

/// One trial, in a line.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the profile; empty for a method by itself.
    pub profile: String,
    /// `fixed`, `ewma` or `phi`.
    pub method: String,
    /// Where failure begins, in the method's unit.
    pub threshold: f64,
    /// Nodes that lived and died.
    pub node_hours: u32,
    /// Suspicions of the living.
    pub false_suspicions: u32,
    /// Failures of the living.
    pub false_failures: u32,
    /// Half of the dead are found within this, in milliseconds.
    pub detection_p50_ms: u32,
    /// 99 of 100 are.
    pub detection_p99_ms: u32,
}

const HEADER: &str = "scenario,profile,method,threshold,node_hours,false_suspicions,false_failures,detection_p50_ms,\
                      detection_p99_ms";

impl Figure {
    /// Of one trial.
    #[must_use]
    pub fn of(scenario: &str, profile_name: String, profile: &Profile, trial: &Trial) -> Self {
        Self {
            scenario: scenario.to_owned(),
            profile: profile_name,
            method: profile.method.label().to_owned(),
            threshold: profile.failed,
            node_hours: trial.node_hours,
            false_suspicions: trial.false_suspicions,
            false_failures: trial.false_failures,
            detection_p50_ms: trial.detection_ms_at(500),
            detection_p99_ms: trial.detection_ms_at(990),
        }
    }

    /// False failures an hour and node.
    #[must_use]
    pub fn failures_per_node_hour(&self) -> f64 {
        f64::from(self.false_failures) / f64::from(self.node_hours)
    }

    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { scenario, profile, method, threshold, node_hours, false_suspicions, .. } = self;
        let Self { false_failures, detection_p50_ms, detection_p99_ms, .. } = self;
        format!(
            "{scenario},{profile},{method},{threshold},{node_hours},{false_suspicions},{false_failures},\
             {detection_p50_ms},{detection_p99_ms}"
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut next = || fields.next();
        Some(Self {
            scenario: next()?.to_owned(),
            profile: next()?.to_owned(),
            method: next()?.to_owned(),
            threshold: next()?.parse().ok()?,
            node_hours: next()?.parse().ok()?,
            false_suspicions: next()?.parse().ok()?,
            false_failures: next()?.parse().ok()?,
            detection_p50_ms: next()?.parse().ok()?,
            detection_p99_ms: next()?.parse().ok()?,
        })
    }
}

/// All of them, with a header.
#[must_use]
pub fn to_csv(figures: &[Figure]) -> String {
    let lines: Vec<_> = figures.iter().map(Figure::line).collect();
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

/// The reverse; `None` if it is something else.
#[must_use]
pub fn from_csv(text: &str) -> Option<Vec<Figure>> {
    text.strip_prefix(HEADER)?.trim().lines().map(Figure::parse).collect()
}
