//! Shows how far a run is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::moment::Duration;

/// What a run is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nodes join.
    Settling,
    /// Faults strike.
    Faults,
    /// The last verdicts fall due and are written.
    Quiet,
    /// Events are compared with the truth.
    Judging,
}

impl Phase {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Settling => "nodes join",
            Self::Faults => "faults strike",
            Self::Quiet => "last verdicts",
            Self::Judging => "judging",
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Time since it began.
    pub elapsed: Duration,
    /// Time that it takes until judgement.
    pub total: Duration,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Events read.
    pub events: u64,
    /// Failures among them.
    pub failures: u64,
}

impl Progress {
    fn text(&self) -> String {
        let Self { phase, heartbeats, events, failures, .. } = self;
        format!(
            "{}: {heartbeats} heartbeats sent, {events} events read, {failures} failures among them",
            phase.text()
        )
    }
}

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error until it is dropped.
#[derive(Debug)]
pub struct ProgressDisplay {
    bar: Option<ProgressBar>,
    line_due: Duration,
    phase: Option<Phase>,
}

impl ProgressDisplay {
    /// A bar if standard error is a terminal, lines otherwise.
    ///
    /// # Panics
    /// Never: the bar's template is fixed.
    #[must_use]
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}");
            ProgressBar::new(0).with_style(style.expect("the template is fixed"))
        });
        Self { bar, line_due: Duration::ZERO, phase: None }
    }

    /// Shows this.
    pub fn show(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(progress.total.as_millis()).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX));
            bar.set_message(progress.text());
        } else if progress.elapsed >= self.line_due || self.phase != Some(progress.phase) {
            self.line_due = progress.elapsed + LINE_EVERY;
            self.phase = Some(progress.phase);
            eprintln!("{:>6.1} s  {}", progress.elapsed.as_secs_f64(), progress.text());
        }
    }
}

impl Default for ProgressDisplay {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
